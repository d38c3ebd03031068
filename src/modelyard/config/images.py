"""`[tool.modelyard.images.NAME]`: images that serve the models of pipelines, each by its name and version.

    [tool.modelyard.images.shop]
    models = ["digits", { pipeline = "drafts", name = "digits", version = 2 }]

A pipeline whose model is in one has no image of its own. What an image leaves out stands in `[tool.modelyard]`, and its
runtime is that of its pipelines.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from modelyard.component import REQUIRED, Parameter, check_values
from modelyard.config.config import Config, PackedModel
from modelyard.config.pipeline import PipelineReader
from modelyard.config.pipelines import laid_over
from modelyard.config.scalar import scalar
from modelyard.config.tables import DELIVERED, IMAGES, PIPELINES, SOURCE, TABLES, Name, Settings
from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.params import PositiveInt
from modelyard.plugins.load import Plugins
from modelyard.toml.places import ConfigSource, KeyPlace, Where

MODELS = "models"
_TABLES = ("runtime", *DELIVERED)
_KEYS = (MODELS, "version", *_TABLES)
_OF_A_MODEL = ("samples", "tolerance")
"""How a model is checked, which its pipeline says."""
_ENTRY = {
    "pipeline": Parameter("pipeline", str, REQUIRED),
    "name": Parameter("name", Name | None, None),
    "version": Parameter("version", PositiveInt, 1),
}


class ImageTable(msgspec.Struct, frozen=True):
    """An image as the file says it.

    Attributes:
        own: its table.
        models: the pipeline, name and version of each of its models.
        source: what it was read from.
    """

    own: Mapping[str, Any]
    models: Sequence[Mapping[str, Any]]
    source: ConfigSource


def image_tables(raw: Mapping[str, Any], source: ConfigSource) -> list[ImageTable]:
    """Return the images that `[tool.modelyard.images]` asks for.

    Args:
        raw: `[tool.modelyard]`, with what the command line sets.
        source: what it was read from.

    Raises:
        ConfigError: one is no table, has a name that is none or a pipeline's, a key that is none of an image, or names
            a model that is no pipeline's, or two in one place.
    """
    named = raw.get(IMAGES, {})
    if not isinstance(named, dict):
        msg = f"{source.where(IMAGES)}: {named!r} is not a table\n  write [tool.modelyard.{IMAGES}.NAME]"
        raise ConfigError(msg)
    found = raw.get(PIPELINES)
    pipelines = found if isinstance(found, dict) else {}
    if SOURCE in raw and named:
        msg = (
            f"{source.where(SOURCE)}: a server of several models answers no events of a broker\n"
            f"  write the table below the pipelines that have an image of their own: [tool.modelyard.{PIPELINES}.NAME.{SOURCE}]"
        )
        raise ConfigError(msg)
    return [_table(name, own, source, pipelines) for name, own in named.items()]


def packed_in(images: Sequence[ImageTable]) -> dict[str, tuple[str, ...]]:
    """Return the names of the images that the model of each pipeline is in, by pipeline."""
    found: dict[str, tuple[str, ...]] = {}
    for image in images:
        for pipeline in dict.fromkeys(one["pipeline"] for one in image.models):
            found[pipeline] = (*found.get(pipeline, ()), image.source.pipeline)
    return found


def _table(name: str, own: Any, source: ConfigSource, pipelines: Collection[str]) -> ImageTable:
    where = source.where(IMAGES, name)
    scalar(name, name, Name, source.where(IMAGES))
    if not isinstance(own, dict):
        _fail(where, f"{own!r} is not a table", f"write [tool.modelyard.{IMAGES}.{name}]")
    if name in pipelines:
        what = f"there is a pipeline {name!r}, too, and their stages would have one name"
        _fail(where, what, "give the image another name")
    _check_keys(own, where)
    entries = own.get(MODELS)
    if not isinstance(entries, list) or not entries:
        said = " is missing" if entries is None else f": {entries!r} is not allowed"
        hint = (
            f"write the pipelines whose models it serves, for instance {MODELS} = [{', '.join(map(repr, pipelines))}]"
        )
        _fail(where, f"key {MODELS!r}{said}", hint.replace("'", '"'), MODELS)
    models = [_model(one, where.at(MODELS, number), pipelines) for number, one in enumerate(entries)]
    _check_places(models, where)
    return ImageTable(own, models, msgspec.structs.replace(source, pipeline=name, group=IMAGES))


def _check_keys(own: Mapping[str, Any], where: Where) -> None:
    for key in own:
        if key not in _KEYS:
            _fail(where, f"unknown key {key!r}{did_you_mean(key, _KEYS)}", f"allowed: {listing(_KEYS)}", key)
    check = own.get("check")
    for key in _OF_A_MODEL:
        if isinstance(check, dict) and key in check:
            hint = f"write it in [tool.modelyard.{PIPELINES}.NAME.check], or in [tool.modelyard.check] for all"
            _fail(where, f"check: key {key!r} concerns one model, not the image", hint, "check", key)


def _fail(where: Where, what: str, hint: str, *path: str) -> NoReturn:
    msg = f"{where.at(*path)}: {what}\n  {hint}"
    raise ConfigError(msg)


def _model(entry: Any, where: Where, pipelines: Collection[str]) -> dict[str, Any]:
    """Return one model as its entry says it: a pipeline's name, or a table."""
    values = {"pipeline": entry} if isinstance(entry, str) else entry
    if not isinstance(values, dict):
        hint = "write a pipeline's name, or { pipeline = ..., name = ..., version = ... }"
        _fail(where, f"{entry!r} is not a model", hint)
    found = check_values(_ENTRY, values, where)
    if (pipeline := found["pipeline"]) not in pipelines:
        known = listing(pipelines) if pipelines else f"none; write [tool.modelyard.{PIPELINES}.{pipeline}]"
        _fail(where, f"there is no pipeline {pipeline!r}{did_you_mean(pipeline, pipelines)}", f"pipelines: {known}")
    return {**found, "name": found["name"] or pipeline}


def _check_places(models: Sequence[Mapping[str, Any]], where: Where) -> None:
    known: dict[tuple[str, int], Mapping[str, Any]] = {}
    for one in models:
        place = one["name"], one["version"]
        if (other := known.setdefault(place, one)) is not one:
            msg = (
                f"{KeyPlace(where, MODELS)}: version {place[1]} of {place[0]!r} is there twice: of the pipelines "
                f"{other['pipeline']!r} and {one['pipeline']!r}\n  give one of them another name or version"
            )
            raise ConfigError(msg)


def image_reader(
    image: ImageTable, raw: Mapping[str, Any], runtime: Mapping[str, Any], plugins: Plugins
) -> tuple[dict[str, Any], ConfigSource]:
    """Return the tables of an image, whole, and what they were read from.

    Args:
        image: the image.
        raw: `[tool.modelyard]`, with what the command line sets.
        runtime: the table of the runtime of its first pipeline.
        plugins: the project's plugins.
    """
    common = {key: raw[key] for key in ("name", "version", *DELIVERED) if key in raw} | {"runtime": runtime}
    own = {key: value for key, value in image.own.items() if key != MODELS}
    return laid_over(common, own, image.source, plugins)


def image_config(reader: PipelineReader, models: Sequence[PackedModel]) -> Config:
    """Return an image that serves several models.

    Args:
        reader: has its tables.
        models: what it serves.

    Raises:
        ConfigError: a key or value is not allowed, or no server can serve these models together.
    """
    first, name = models[0].config, reader.source.pipeline
    own: dict[str, Any] = {
        table: struct(**reader.own(table)) if table in DELIVERED else struct()
        for table, struct in TABLES.items()
        if table != "gates"
    }
    reader.check_image(own["image"])
    config = Config(
        project=first.project,
        name=name,
        version=reader.scalar("version", str, str(reader.fallback.get("version", "0"))),
        seed=first.seed,
        threads=first.threads,
        isa=None,
        uses={"runtime": reader.use("runtime"), "image": reader.use("image")},
        settings=Settings(**own, gates={}),
        trainings={},
        variants={},
        targets={target: reader.target(target) for target in reader.table("targets")},
        resources=first.resources,
        executor=first.executor,
        source=reader.source,
        pipeline=name,
        project_name=first.project_name,
        models=tuple(models),
    )
    from modelyard.config.one_server import check_one_server

    check_one_server(config)
    reader.components.check_meaning(config)
    return config
