"""`[tool.modelyard.pipelines.NAME]`: several pipelines in one project, each laid over what the project says.

    [tool.modelyard.train]
    epochs = 10

    [tool.modelyard.pipelines.fruit]
    dataset = { use = "arrays", path = "fruit.npz" }

    [tool.modelyard.pipelines.weather.task]
    use = "regression"

Each has the tables of a project of its own: what it says itself, and else what stands in `[tool.modelyard]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, NoReturn

from msgspec.structs import replace

from modelyard.config.config import Config
from modelyard.config.keys import default_components, keys_of
from modelyard.config.profiles import lay_over, names_another
from modelyard.config.scalar import scalar
from modelyard.config.tables import DELIVERED, IMAGES, SOURCE, WHOLE, Name
from modelyard.config.tables import PIPELINES as TABLE
from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.plugins.load import Plugins
from modelyard.toml.places import ConfigSource

_OF_AN_IMAGE = {*DELIVERED, SOURCE} - {"check"}
"""What a pipeline says of its image; how many samples check it, and how closely, concerns the model."""


def each_pipeline(
    raw: Mapping[str, Any], source: ConfigSource, plugins: Plugins, packed: Mapping[str, Sequence[str]]
) -> Iterator[tuple[dict[str, Any], ConfigSource]]:
    """Yield each pipeline's tables, whole, and what they were read from; where none is named, the project's own.

    Args:
        raw: `[tool.modelyard]`, with what the command line sets.
        source: what it was read from.
        plugins: the project's plugins.
        packed: the images that serve the models of pipelines, by pipeline: what concerns an image is there.

    Raises:
        ConfigError: a pipeline is no table, has a name that is none, or a key that is not a pipeline's.
    """
    common = {key: value for key, value in raw.items() if key not in (TABLE, IMAGES)}
    named = raw.get(TABLE, {})
    if not isinstance(named, dict):
        msg = f"{source.where(TABLE)}: {named!r} is not a table\n  write [tool.modelyard.{TABLE}.NAME]"
        raise ConfigError(msg)
    if not named:
        yield common, source
    for name, own in named.items():
        _check(name, own, source, plugins)
        _check_packed(name, own, source, packed.get(name, ()))
        laid, its_source = laid_over(common, own, replace(source, pipeline=name), plugins)
        yield {key: one for key, one in laid.items() if not packed.get(name) or key not in _OF_AN_IMAGE}, its_source


def check_images(configs: Iterable[Config]) -> None:
    """Check that no two images are called the same: the later one would take the place of the other.

    Raises:
        ConfigError: two do. Without a `tag`, an image is called by its model's digest.
    """
    known: dict[tuple[str, str], Config] = {}
    for one in (each for each in configs if not each.packed_in):
        image = one.settings.image
        other = known.setdefault((image.repository or one.name, image.tag), one)
        if image.tag and other is not one:
            msg = (
                f"{one.source.where('image').at('tag')}: the images of {other.name!r} and {one.name!r} are both "
                f"called {image.repository}:{image.tag}\n  give each a repository of its own, or leave the tag out"
            )
            raise ConfigError(msg)


def _check(name: str, own: Any, source: ConfigSource, plugins: Plugins) -> None:
    where = source.where(TABLE, name)

    def fail(what: str, hint: str, key: str = "") -> NoReturn:
        msg = f"{where.at(key) if key else where}: {what}\n  {hint}"
        raise ConfigError(msg)

    scalar(name, name, Name, source.where(TABLE))
    if not isinstance(own, dict):
        fail(f"{own!r} is not a table", f"write [tool.modelyard.{TABLE}.{name}]")
    allowed = [key for key in keys_of(plugins) if key not in WHOLE]
    for key in own:
        if key in WHOLE:
            why = (
                "a pipeline is called as its table is" if key == "name" else f"write it in [tool.modelyard{_sub(key)}]"
            )
            fail(f"key {key!r} is the project's, for all of its pipelines", why, key)
        if key not in allowed:
            fail(f"unknown key {key!r}{did_you_mean(key, allowed)}", f"allowed: {listing(allowed)}", key)


def _check_packed(name: str, own: Mapping[str, Any], source: ConfigSource, images: Sequence[str]) -> None:
    """Refuse what a pipeline says of an image where its model is in one of several."""
    for key in own if images else ():
        if key in _OF_AN_IMAGE:
            where = source.where(TABLE, name).at(key)
            instead = (
                "leave it out, or give the pipeline an image of its own"
                if key == SOURCE
                else f"write it in [tool.modelyard.{IMAGES}.{images[0]}.{key}]"
            )
            msg = f"{where}: key {key!r} means nothing: the model is in the image {images[0]!r}\n  {instead}"
            raise ConfigError(msg)


def _sub(key: str) -> str:
    return "" if key == TABLE else f".{key}"


def laid_over(
    common: Mapping[str, Any], own: Mapping[str, Any], source: ConfigSource, plugins: Plugins
) -> tuple[dict[str, Any], ConfigSource]:
    """Return the tables of a pipeline or image: what the command line sets of the project stands above what the file says of it.

    What it sets of a table of the project means nothing to a pipeline that has another component there.
    """
    prefix, defaults = f"{source.group}.{source.pipeline}.", default_components(plugins)
    mine = {key.removeprefix(prefix): text for key, text in source.overrides.items() if key.startswith(prefix)}
    others = {
        key: text
        for key, text in source.overrides.items()
        if not key.startswith((f"{TABLE}.", f"{IMAGES}."))
        and not _is_another(key.partition(".")[0], own, common, defaults)
    }
    laid = deepcopy(lay_over(common, own, defaults))
    given = {key: text for key, text in others.items() if key.partition(".")[0] in own} | mine
    if given:
        from modelyard.config.overrides import override  # most builds have none

        override(laid, given, plugins)
    return laid, replace(source, overrides=others | mine, prefixed=frozenset(mine))


def _is_another(table: str, own: Mapping[str, Any], common: Mapping[str, Any], defaults: Mapping[str, str]) -> bool:
    above, below = own.get(table), common.get(table, {})
    return (
        isinstance(above, dict) and isinstance(below, dict) and names_another(above, below, defaults.get(table, table))
    )
