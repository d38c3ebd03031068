"""Read `[tool.modelyard]`: strict, with a profile and the command line's overrides laid over it."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec

from modelyard.config.config import Config, PackedModel
from modelyard.config.images import image_config, image_reader, image_tables, packed_in
from modelyard.config.keys import default_components, keys_of
from modelyard.config.pipeline import PipelineReader
from modelyard.config.pipelines import check_images, each_pipeline
from modelyard.config.profiles import choose_profile, lay_over, take_profiles
from modelyard.config.tables import PIPELINES
from modelyard.errors import ConfigError
from modelyard.plugins.load import Plugins
from modelyard.toml.places import FILE, ConfigSource


def load_config(
    project: Path, plugins: Plugins, overrides: Mapping[str, str] | None = None, *, look_at_inputs: bool = True
) -> Config:
    """Read the configuration of `project`.

    Args:
        project: the folder that holds pyproject.toml.
        plugins: the plugins that the configuration may name.
        overrides: dotted key -> value in TOML, from the command line: `{"train.epochs": "3"}`; the key `profile`
            names a profile to lay over the file first.
        look_at_inputs: whether the files that parameters name must be there.

    Returns:
        The project's pipeline; of several the first one, which holds the others.

    Raises:
        ConfigError: the file is missing or not TOML, or a key, name or value is not allowed; also in a profile that
            is not chosen, save that the files which it names need not be there.
    """
    file, values = project / FILE, dict(overrides or {})
    base, fallback = _read(file)
    defaults = default_components(plugins)
    profiles = take_profiles(base, keys_of(plugins), ConfigSource(file))
    profile = values.pop("profile", "")
    raw = deepcopy(lay_over(base, choose_profile(profiles, profile), defaults))
    if values:
        from modelyard.config.overrides import override  # most builds have none

        override(raw, values, plugins)
    given = " ".join(f"{key}={value}" for key, value in (overrides or {}).items())
    source = ConfigSource(file, profile, values)
    read = functools.partial(_configs, project, plugins, fallback)
    configs = read(raw, source, given and f"the command line sets {given}", look_at_inputs=look_at_inputs)
    names = _targets(configs) | {one.called(target) for one in configs for target in _written(base, one)}
    for name, tables in profiles.items():
        laid = lay_over(base, tables, defaults)
        names |= _targets(read(laid, ConfigSource(file, name), f"in the profile {name!r}", look_at_inputs=False))
    return msgspec.structs.replace(configs[0], target_names=frozenset(names), others=tuple(configs[1:]))


def _targets(configs: Iterable[Config]) -> set[str]:
    return {one.called(target) for one in configs for target in one.targets}


def _written(base: Mapping[str, Any], config: Config) -> set[str]:
    """Return the targets that the file itself has for a pipeline or image, whatever the command line says."""
    if config.packed_in:
        return set()
    own = _subtable(_subtable(base, config.source.group), config.pipeline)
    return {*_subtable(base, "targets"), *_subtable(own, "targets")}


def _configs(
    project: Path,
    plugins: Plugins,
    fallback: dict[str, Any],
    raw: Mapping[str, Any],
    source: ConfigSource,
    note: str,
    *,
    look_at_inputs: bool,
) -> list[Config]:
    """Return the project's pipelines; `note` is the last line of what is said of a mistake."""
    found: list[Config] = []
    reading: ConfigSource | None = None
    try:
        images = image_tables(raw, source)
        packed, runtimes = packed_in(images), dict[str, Mapping[str, Any]]()
        for tables, its_source in each_pipeline(raw, source, plugins, packed):
            reading = its_source if its_source.pipeline else None
            reader = PipelineReader(project, plugins, tables, fallback, its_source, look_at_inputs=look_at_inputs)
            found.append(reader.config(packed.get(its_source.pipeline, ())))
            runtimes[its_source.pipeline] = _subtable(tables, "runtime")
            reading = None  # what is wrong with the next one before it is read has its own place
        pipelines = {one.pipeline: one for one in found}
        for image in images:
            tables, reading = image_reader(image, raw, runtimes[image.models[0]["pipeline"]], plugins)
            reader = PipelineReader(project, plugins, tables, fallback, reading, look_at_inputs=look_at_inputs)
            models = [PackedModel(pipelines[one["pipeline"]], one["name"], one["version"]) for one in image.models]
            found.append(image_config(reader, models))
    except ConfigError as exc:
        said = _about(reading, str(exc)) if reading else ""
        if not (said or note) or str(exc).startswith("command line: "):
            raise
        raise ConfigError("\n  ".join(filter(None, (str(exc), said, note)))) from exc
    check_images(found)
    return found


def _about(reading: ConfigSource, message: str) -> str:
    """Return which pipeline, or image, a mistake is in, where the message does not say so already."""
    what = "pipeline" if reading.group == PIPELINES else "image"
    return "" if f"[tool.modelyard.{reading.group}." in message else f"in the {what} {reading.pipeline!r}"


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        msg = f"{path}: not found\n  run `modelyard init` to start a project here"
        raise ConfigError(msg) from exc
    except OSError as exc:
        msg = f"{path}: cannot be read: {exc.strerror}"
        raise ConfigError(msg) from exc
    except (ValueError, RecursionError) as exc:
        from modelyard.toml.mistakes import explain  # nobody makes mistakes as a rule

        raise ConfigError(explain(str(path), path.read_bytes(), exc)) from exc
    raw = _subtable(document, "tool").get("modelyard")
    if not isinstance(raw, dict):
        msg = f"{path}: there is no table [tool.modelyard]\n  run `modelyard init` in an empty folder to see one"
        raise ConfigError(msg)
    return raw, _subtable(document, "project")


def _subtable(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}
