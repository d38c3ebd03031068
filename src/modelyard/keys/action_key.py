"""The action key of a stage: a digest of all that shapes its output, and of nothing else.

Never a path, a time or a host name. Each part has a name, so that two keys can be compared and the
difference said in words.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from modelyard.code.closure import Closure, CodeIndex, Meaning
from modelyard.code.lookups import Mark
from modelyard.component import Component, Use
from modelyard.files.digests import DigestTable
from modelyard.files.hashing import reading
from modelyard.files.json import decode
from modelyard.files.manifest import FileEntry, Manifest, manifest_digest
from modelyard.files.walk import walk
from modelyard.keys import pinning
from modelyard.keys.platform import HERE, Platform
from modelyard.kinds import AROUND, ShapingHook
from modelyard.plugins.load import Plugins
from modelyard.stage import Stage
from modelyard.stage_settings import by_name

_SOURCES = Path(__file__).parents[2]
_TEMPLATES = "templates 1"


class Fingerprint(msgspec.Struct, frozen=True):
    """What a stage's output depends on: `parts` by name, and the action `key` over them."""

    key: str
    parts: dict[str, Any]


class Fingerprinter:
    """Takes fingerprints; remembers what does not change between stages of one project.

    Stages that run side by side share it, each in a thread of its own: one asks at a time.

    Args:
        project: the project's folder.
        table: what is known of files' digests.
        plugins: the project's plugins.
        platform_of: gives the machine that a stage runs on; by default this one.
    """

    def __init__(
        self,
        project: Path,
        table: DigestTable,
        plugins: Plugins,
        platform_of: Callable[[Stage], Platform] = lambda _stage: HERE,
    ) -> None:
        self._project, self._table, self._platform_of = project, table, platform_of
        self._code = CodeIndex(project, table)
        self._component_parts: dict[tuple[str, int, int], dict[str, Any]] = {}
        self._kind_parts: dict[str, dict[str, Any]] = {}
        self._packages: dict[Path, str] = {}
        self._hook_files = functools.cache(plugins.hook_files)
        self._lock = threading.RLock()

    def forget(self) -> None:
        """Look at every input again."""
        with self._lock:
            self._code.forget()
            self.forget_files()

    def forget_files(self) -> None:
        """Look at every input but the code again."""
        with self._lock:
            self._component_parts.clear()
            self._kind_parts.clear()
            self._packages.clear()

    def persist(self) -> None:
        """Keep what was found out about the code for the processes that come."""
        with self._lock:
            self._code.persist()

    def fingerprint(self, stage: Stage, input_digest: Callable[[str, str], str]) -> Fingerprint:
        """Return the fingerprint of `stage`.

        Args:
            stage: the stage.
            input_digest: gives the digest of a part of an earlier stage's output: `input_digest(stage_id, part)`.
        """
        with self._lock:
            parts = self._parts(stage, input_digest)
        return Fingerprint(hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest(), parts)

    def _parts(self, stage: Stage, input_digest: Callable[[str, str], str]) -> dict[str, Any]:
        platform = self._platform_of(stage)
        parts: dict[str, Any] = {"kind": stage.kind}
        parts |= {f"setting {name}": value for name, value in by_name(stage.settings).items()}
        parts |= {f"input {i.role}": input_digest(i.stage, i.part) for i in stage.inputs}
        if stage.seed is not None:
            parts["seed"] = stage.seed
        if stage.row.host_bound:
            parts |= _host(stage, platform)
        if stage.kind not in self._kind_parts:
            self._kind_parts[stage.kind] = self._of_kind(stage, platform)
        parts |= self._kind_parts[stage.kind]
        for role, use in stage.uses.items():
            parts |= self._of_use(role, use, stage, platform)
        return parts

    def code(self, stage: Stage) -> dict[str, dict[str, str]]:
        """Return the code that `stage` stands on: for each file, the digest of each function (12 hex digits)."""
        return {file: parts for c in self._closures(stage) for file, parts in c.facts.items()}

    def sources(self, stage: Stage) -> dict[str, Mark]:
        """Return the files of the code that `stage` stands on, each with what the file system said of it when it was read."""
        with self._lock:
            return {path: self._code.mark(path) for c in self._closures(stage) for path in c.paths}

    def _closures(self, stage: Stage) -> list[Closure]:
        hooks = (self._hook_files(hook.name, stage.kind) for hook in _shaping_hooks(stage))
        return [
            self.closure(_module_file(stage.row.runner)),
            *(self.closure(*_code_files(use.component)) for use in stage.uses.values()),
            *(self.closure(*files) for use in stage.uses.values() if (files := self._scripts(use))),
            *(self.closure(*files) for files in hooks if files),
        ]

    def input_paths(self, stage: Stage) -> Iterator[tuple[str, str]]:
        """Yield each file or folder that the key of `stage` is made of beside code and artifacts: its part, and its path."""
        for role, use in stage.uses.items():
            yield from ((f"{role} {name}", use.params[name]) for name in _inputs(use))
            yield from ((f"template {path.name}", str(path)) for path in self._template_files(use.component))
            if _reads_server(stage):
                for what, folder in _packages(use.component).items():
                    yield f"{role} {what}", str(folder)
                yield from ((part, str(path)) for part, path in _requirements(role, use).items())

    def closure(self, *files: Path) -> Closure:
        """Return the code closure of the modules in `files`."""
        with self._lock:
            return self._code.closure(*files)

    def meaning(self, *files: Path) -> Meaning:
        """Return what the code closure of the modules in `files` is in a key."""
        with self._lock:
            return self._code.meaning(*files)

    def _of_kind(self, stage: Stage, platform: Platform) -> dict[str, Any]:
        """Return what all stages of the kind of `stage` depend on: what runs them, and the hooks that it calls."""
        runner = self.meaning(_module_file(stage.row.runner))
        parts: dict[str, Any] = {"code stage": runner.digest}
        parts |= _versions(runner.distributions, platform)
        for hook in _shaping_hooks(stage):
            parts |= self._of_hook(hook, stage.kind, platform)
        return parts

    def _of_hook(self, hook: ShapingHook, kind: str, platform: Platform) -> dict[str, Any]:
        files = self._hook_files(hook.name, kind)
        if not files:
            return {}
        code = self.meaning(*files)
        return {f"code {hook.name}": code.digest} | _versions(code.distributions if hook.by_version else (), platform)

    def _of_use(self, role: str, use: Use, stage: Stage, platform: Platform) -> dict[str, Any]:
        parts = {f"{role} {name}": value for name, value in self._params(use).items()}
        place = role, id(use.component), id(platform)  # two roles may have one component, and each names its parts
        known = self._component_parts.get(place)
        if known is None:
            known = self._component_parts[place] = self._of_component(role, use.component, platform)
        parts |= known
        if files := self._scripts(use):
            code = self.meaning(*files)
            parts[f"code {role} scripts"] = code.digest
            parts |= _versions(code.distributions, platform)
        if _reads_server(stage):
            parts |= self._files(role, use)
        return parts

    def _scripts(self, use: Use) -> tuple[Path, ...]:
        """Return the project's files that `use` runs beside its component: those that its parameters name."""
        files = tuple(self._project / script for script in use.scripts)
        modules = dict.fromkeys(reference.partition(":")[0] for reference in use.functions)
        if not modules:
            return files
        from modelyard.plugins.named_function import find_module  # most projects name none

        return (*files, *filter(None, (find_module(self._project, module) for module in modules)))

    def _params(self, use: Use) -> Mapping[str, Any]:
        inputs = _inputs(use)
        if not inputs:
            return use.params
        return {**use.params, **{name: self._table.content(Path(use.params[name])) for name in inputs}}

    def _of_component(self, role: str, component: Component, platform: Platform) -> dict[str, Any]:
        parts: dict[str, Any] = {role: component.name}
        code = self.meaning(*_code_files(component))
        parts[f"code {role}"] = code.digest
        parts |= _versions((*code.distributions, *component.tools), platform)
        parts |= {f"environment {name}": value for name, value in component.environment.items()}
        parts |= {f"environment {name}": platform.environment.get(name) for name in component.reads_environment}
        return parts | self._templates(component)

    def _templates(self, component: Component) -> dict[str, Any]:
        files = self._template_files(component)
        return {f"template {index} {path.name}": self._table.file(path) for index, path in enumerate(files)}

    def _template_files(self, component: Component) -> list[Path]:
        if not component.templates:
            return []
        from modelyard.rendering.templates import template_files

        return template_files(
            self._project, component.templates, component.template_folders, named=self._templates_named_in
        )

    def _templates_named_in(self, template: Path) -> list[str]:
        digest = self._table.file(template)
        if digest not in self._known_templates:
            from modelyard.rendering.templates import names_in

            self._known_templates[digest] = names_in(template)
            self._table.write_note(_TEMPLATES, msgspec.json.encode(self._known_templates))
        return self._known_templates[digest]

    @functools.cached_property
    def _known_templates(self) -> dict[str, list[str]]:
        """For the digests of templates, the names of those that they include, extend or import."""
        from modelyard.rendering.templates import builtin_folder

        self._table.read_ahead(builtin_folder())
        known = self._table.note(_TEMPLATES)
        with contextlib.suppress(ValueError):
            return decode(known, dict[str, list[str]]) if known else {}
        return {}

    def _files(self, role: str, use: Use) -> dict[str, Any]:
        component = use.component
        parts: dict[str, Any] = {part: self._table.file(path) for part, path in _requirements(role, use).items()}
        for what, folder in _packages(component).items():
            if folder not in self._packages:
                self._packages[folder] = manifest_digest(server_files(folder, self._table))
            parts[f"{role} {what}"] = self._packages[folder]
        if component.kind == "handler" and component.package is None:  # the project's own code is in the image as it is
            files = self.closure(*_code_files(component)).paths
            own = (Path(path) for path in files if Path(path).is_relative_to(self._project))
            parts |= {f"{role} file {path.relative_to(self._project)}": self._table.file(path) for path in own}
        if component.schemes:
            parts[f"{role} schemes"] = dict(component.schemes)
        parts |= {f"{role} server environment {n}": value for n, value in component.server_environment.items()}
        return parts


def _versions(names: Iterable[str], platform: Platform) -> dict[str, Any]:
    return {f"version {name}": version for name, version in platform.versions(names).items()}


def _host(stage: Stage, platform: Platform) -> dict[str, Any]:
    """Return what shapes the output of a stage that computes, beside what the project says: the machine's kind, and how much of it."""
    parts: dict[str, Any] = {
        "python": platform.python,
        "machine": platform.machine,
        "accelerator": platform.accelerator,
        "threads": stage.threads,
    }
    parts |= {f"environment {name}": value for name, value in pinning.chosen(platform.environment, stage.isa).items()}
    return parts | {"isa": stage.isa} if stage.isa else parts


@functools.cache
def _module_file(name: str) -> Path:
    """Return the file of a module of modelyard's own, found without importing it."""
    return _SOURCES.joinpath(*name.split(".")).with_suffix(".py")


def _shaping_hooks(stage: Stage) -> tuple[ShapingHook, ...]:
    """Return the hooks that are called while `stage` runs and may change what it writes."""
    return (*AROUND, *stage.row.hooks)


def _reads_server(stage: Stage) -> bool:
    """Return whether the files of the runtime's server shape what `stage` writes: it packs them, or something starts them."""
    return stage.row.packs_server or any(use.component.starts_server for use in stage.uses.values())


def _inputs(use: Use) -> list[str]:
    """Return the parameters of `use` that name a file or folder, and do."""
    return [name for name in use.component.inputs if use.params.get(name) is not None]


def _packages(component: Component) -> dict[str, Path]:
    """Return the folders of Python packages that go into the image."""
    folders = {"server": component.server, "client": component.client, "package": component.package}
    return {what: folder for what, folder in folders.items() if folder}


def _requirements(role: str, use: Use) -> dict[str, Path]:
    """Return the server's requirements files, by the part of the key that each is; those of a parameter are called after it."""
    always = {"": use.component.requirements} if use.component.requirements else {}
    files = always | use.optional_requirements
    return {f"{role} requirements {parameter}".rstrip(): path for parameter, path in files.items()}


def _code_files(component: Component) -> tuple[Path, ...]:
    """Return the function's file, and the plugin's that registered it: it may hold what the function was made from.

    Most often it is one file; where the plugin was found through a link, by two paths: what it imports is found as it was.
    """
    own, plugin = component.file, component.source.file
    is_one = own == plugin or os.path.realpath(own) == os.path.realpath(plugin)
    return (plugin,) if is_one else (own, plugin)


def server_files(folder: Path, table: DigestTable) -> Manifest:
    """Return the files of a server package that go into an image: all but compiled Python."""
    root = folder.absolute()
    files = list(walk(folder, compiled=False))
    with reading(folder):
        digests = table.files([(f"{root}/{name}", info) for name, info in files])
    return {name: FileEntry(digest, info.st_size) for (name, info), digest in zip(files, digests, strict=True)}
