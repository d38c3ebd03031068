"""Find plugins, call their registration hooks, and answer which component a name stands for.

Three places, the nearest wins: the project's `plugins/` folder, then installed distributions (entry
points of the group `modelyard`), then the built-ins. What is shadowed is kept for `doit plugins`.
A built-in component is imported when it is asked for: most projects use a few of them.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from pathlib import Path, PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec
import pluggy

from modelyard.code.imports import HashedLoader
from modelyard.component import KINDS, Component, Source, kind_name
from modelyard.errors import ConfigError, PluginError, did_you_mean, listing
from modelyard.hookspecs import HOOKS, MODULES, PREFIX
from modelyard.kinds import BUILT_IN as BUILT_IN_KINDS
from modelyard.kinds import Kind
from modelyard.marking import SCOPED, Scope, scope_of
from modelyard.plugins.built_ins import BuiltIn, built_ins, defaults, names_in, python_files, root
from modelyard.plugins.components import Components, OfKind
from modelyard.plugins.entry_points import entry_points
from modelyard.plugins.hooks import Hooks
from modelyard.plugins.kinds import kinds_of
from modelyard.plugins.register import registered
from modelyard.toml.places import Place

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from modelyard.stage import Stage

_RANK = {"project": 0, "installed": 1, "built-in": 2}


class Plugins(msgspec.Struct, frozen=True):
    """The plugins of a project.

    Attributes:
        manager: the pluggy manager.
        components: the component that a kind and a name stand for.
        shadowed: components that a nearer plugin replaces, each with the one that replaces it.
        sources: where each plugin comes from, in the order of registration.
        kinds: the kinds of stage by name, in the order of a build.
        defaults: for kinds of component, the name of the one that a project gets which names none.
    """

    manager: pluggy.PluginManager
    components: MutableMapping[tuple[str, str], Component] = msgspec.field(default_factory=Components)
    shadowed: list[tuple[Component, Component]] = msgspec.field(default_factory=list)
    sources: dict[str, Source] = msgspec.field(default_factory=dict)
    kinds: Mapping[str, Kind] = msgspec.field(default_factory=lambda: BUILT_IN_KINDS)
    defaults: Mapping[str, str] = msgspec.field(default_factory=dict)

    def get(self, kind: str, name: str, where: Place) -> Component:
        """Return the component of `kind` called `name`.

        Args:
            kind: one of `component.KINDS`.
            name: the name in the configuration.
            where: where it is named, for the message.

        Raises:
            ConfigError: there is none; the message lists those that there are.
        """
        try:
            return self.components[kind, name]
        except KeyError:
            known = self.names(kind)
            msg = (
                f"{where}: unknown {kind_name(kind)} {name!r}{did_you_mean(name, known)}\n"
                f"  known: {listing(known)}; run `doit plugins` to see where each comes from"
            )
            raise ConfigError(msg) from None

    @property
    def hooks(self) -> Hooks:
        """The hooks that are called while the project is loaded and built."""
        return Hooks(self.manager)

    def amend_plan(self, stages: list[Stage]) -> None:
        """Let the plugins change `stages` in place.

        Raises:
            PluginError: a plugin's hook raised; the message names its file.
        """
        try:
            self.hooks.amend_plan(stages)
        except Exception as exc:
            places = (f"{s.file}{line}" for s in self.sources.values() if (line := line_of(exc, s.file)))
            msg = f"plugin {next(places, '(unknown)')}: modelyard_amend_plan raised {type(exc).__name__}: {exc}"
            raise PluginError(msg) from exc

    def hook_files(self, hook: str, kind: str) -> tuple[Path, ...]:
        """Return the files of the plugins whose `hook` may shape what stages of `kind` write, in the order of their paths."""
        return tuple(sorted(self.sources[name].file for name in self.hooks.shaping(hook, kind)))

    def names(self, kind: str) -> list[str]:
        """Return the names of the components of `kind`, sorted."""
        return sorted(name for k, name in self.components if k == kind)

    def of_kind(self, kind: str) -> Mapping[str, Component]:
        """Return the components of `kind` by name."""
        return OfKind(self.components, kind)


class _Manager(pluggy.PluginManager):
    """Looks for hooks where they can be: pluggy looks at all that a module holds, which takes longer than importing it."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        return super().parse_hookimpl_opts(plugin, name) if name.startswith(PREFIX) else None

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> pluggy.HookspecOpts | None:
        return super().parse_hookspec_opts(module_or_class, name) if name.startswith(PREFIX) else None


def load_plugins(project: Path) -> Plugins:
    """Load the built-in plugins, the installed ones, and those in the `plugins` folder of `project`.

    Raises:
        PluginError: a plugin cannot be imported, has a misspelt hook, or clashes with another.
    """
    manager = _Manager("modelyard")
    for module in MODULES:
        manager.add_hookspecs(module)
    components = Components()
    plugins = Plugins(manager, components, defaults=defaults())
    for built_in in built_ins():
        plugins.sources[built_in.source.name] = built_in.source
        if built_in.component is None:
            _take(plugins, importlib.import_module(built_in.module), built_in.source)
        else:
            components.wait(built_in.component, functools.partial(_built_in, built_in))
    for module, source in _installed():
        _take(plugins, module, source)
    for module, source in _in_project(project, [source.file for source in plugins.sources.values()]):
        _take(plugins, module, source)
    for kind in KINDS:
        _register_kind(plugins, kind)
    return msgspec.structs.replace(plugins, kinds=kinds_of(plugins.of_kind("kind").values()))


def _take(plugins: Plugins, module: ModuleType, source: Source) -> None:
    """Make `module` one of the `plugins`, whose hooks are called."""
    _check_hook_names(module, source)
    plugins.sources[source.name] = source
    try:
        plugins.manager.register(module, name=source.name)
    except (pluggy.PluginValidationError, ValueError) as exc:
        told = "; ".join(line for line in str(exc).splitlines()[-2:] if line)
        msg = f"plugin {source.name!r} ({source.file}): {told}\n  see the hook's arguments in modelyard.hookspecs"
        raise PluginError(msg) from exc


def _built_in(built_in: BuiltIn) -> Component:
    """Import a built-in plugin and return the one component that it registers."""
    assert built_in.component is not None
    kind, name = built_in.component
    module, source = importlib.import_module(built_in.module), built_in.source
    _check_hook_names(module, source)
    found: list[Component] = []

    def register(name: str, function: Callable[..., Any], **traits: Any) -> None:
        found.append(registered(kind, name, function, traits, source))

    getattr(module, f"modelyard_register_{kind}s")(register)
    if [one.name for one in found] != [name]:
        msg = f"plugin {source.file}: a built-in plugin registers one {kind}, called like its file: {name!r}"
        raise PluginError(msg)
    return found[0]


def _identity(file: Path) -> tuple[int, int] | Path:
    """Return what is the same for all paths that lead to `file`; following links costs ten times as much."""
    try:
        info = os.stat(file)
    except OSError:  # a module in a zip archive, or a link to nothing
        return file
    return info.st_dev, info.st_ino


def _installed() -> Iterator[tuple[ModuleType, Source]]:
    for point in sorted(entry_points(group="modelyard"), key=lambda p: (p.name, p.value)):
        yield _load_entry_point(point)


def _load_entry_point(point: EntryPoint) -> tuple[ModuleType, Source]:
    distribution = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    try:
        module = point.load()
    except Exception as exc:
        msg = (
            f"plugin {point.name!r} of {distribution}: cannot be imported: {type(exc).__name__}: {exc}\n"
            f"  update or uninstall {distribution}"
        )
        raise PluginError(msg) from exc
    if not isinstance(module, ModuleType):
        msg = (
            f"plugin {point.name!r} of {distribution}: {point.value!r} is not a module\n"
            f"  update or uninstall {distribution}"
        )
        raise PluginError(msg)
    file = Path(module.__file__ or point.value)
    return module, Source(f"{distribution.partition(' ')[0]}:{point.name}", "installed", file, distribution)


def _in_project(project: Path, others: Collection[Path]) -> Iterator[tuple[ModuleType, Source]]:
    """Import the plugins of `project`; what stands there of the files of `others`, too, is no other plugin."""
    files = _files(project / "plugins")
    found = {relative: file for relative, file in files.items() if not _is_built_in_twin(file, relative)}
    seen = {_identity(file) for file in others} if found else set()
    for relative, file in found.items():
        if _identity(file) in seen:
            continue
        name = ".".join(PurePath(relative).with_suffix("").parts)
        yield _import_file(f"modelyard_project.{name}", file), Source(f"plugins/{relative}", "project", file)


def _files(folder: Path) -> dict[str, Path]:
    """Return the files in the project's folder of plugins that may be some, by their names there, in order.

    Those of a clone are the built-in ones. Names with a dot before them are what editors leave: `.#toy.py`,
    `.ipynb_checkpoints/toy-checkpoint.py`.
    """
    folders = [] if _identity(folder) == _identity(root()) else {*names_in(folder)} - {"support"}
    found = [*python_files(folder), *(file for one in folders if one[0] != "." for file in python_files(folder / one))]
    kept = [file for file in sorted(found) if file.stem != "__init__" and file.name[0] != "."]
    return {file.relative_to(folder).as_posix(): file for file in kept}


def _is_built_in_twin(file: Path, relative: str) -> bool:
    """Tell whether `file` is modelyard's own plugin, seen in a clone while another copy is installed.

    The clone is both the framework and a project. With a copy that is not editable the paths differ but
    the bytes do not; a clone whose plugin was edited does shadow the installed one.
    """
    twin = root() / relative
    return twin.is_file() and twin.read_bytes() == file.read_bytes()


def _import_file(name: str, file: Path) -> ModuleType:
    """Import `file` as `name`; the name is stable and is in `sys.modules` before the code runs."""
    spec = importlib.util.spec_from_file_location(name, file, loader=HashedLoader(name, str(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as exc:
        del sys.modules[name]
        line = line_of(exc, file)
        msg = f"plugin {file}{line}: cannot be imported: {type(exc).__name__}: {exc}\n  mend it, or move it out of plugins/"
        raise PluginError(msg) from exc
    return module


def line_of(exc: BaseException, file: Path) -> str:
    """Return `:LINE` of the last place in `file` that the error went through, or nothing."""
    if isinstance(exc, SyntaxError) and exc.filename == str(file):
        return f":{exc.lineno}"
    lines = []
    trace = exc.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f":{lines[-1]}" if lines else ""


def _check_hook_names(module: ModuleType, source: Source) -> None:
    for name, value in vars(module).items():
        marked = hasattr(value, "modelyard_impl")
        if (marked or (name.startswith(PREFIX) and inspect.isfunction(value))) and name not in HOOKS:
            msg = f"plugin {source.file}: unknown hook {name!r}{did_you_mean(name, HOOKS)}\n  known: {listing(HOOKS)}"
            raise PluginError(msg)
        if marked and name not in SCOPED and scope_of(value) != Scope():
            msg = f"plugin {source.file}: {name!r} cannot say `observes` or `kinds`\n  these can: {listing(SCOPED)}"
            raise PluginError(msg)
        if callable(value) and name in HOOKS and not marked:
            msg = f"plugin {source.file}: {name!r} is not marked as a hook\n  write `@hookimpl` above it (from modelyard import hookimpl)"
            raise PluginError(msg)


def _register_kind(plugins: Plugins, kind: str) -> None:
    caller = getattr(plugins.manager.hook, f"modelyard_register_{kind}s")
    names = {id(plugins.manager.get_plugin(name)): source for name, source in plugins.sources.items()}
    for implementation in caller.get_hookimpls():
        source = names[id(implementation.plugin)]
        try:
            implementation.function(_register(plugins, kind, source))
        except PluginError:
            raise
        except Exception as exc:
            line = line_of(exc, source.file)
            msg = f"plugin {source.file}{line}: modelyard_register_{kind}s raised {type(exc).__name__}: {exc}"
            raise PluginError(msg) from exc


def _register(plugins: Plugins, kind: str, source: Source) -> Callable[..., None]:
    def register(name: str, function: Callable[..., Any], **traits: Any) -> None:
        _add(plugins, registered(kind, name, function, traits, source))

    return register


def _add(plugins: Plugins, component: Component) -> None:
    place = (component.kind, component.name)
    other = plugins.components.get(place)
    if other is None:
        plugins.components[place] = component
        return
    if _RANK[other.source.origin] == _RANK[component.source.origin]:
        one, two = (f"{c.source.file}{f' ({d})' if (d := c.source.distribution) else ''}" for c in (other, component))
        msg = f"two plugins register the {component.kind} {component.name!r}:\n  {one}\n  {two}\n  uninstall or rename one of them"
        raise PluginError(msg)
    near, far = sorted((other, component), key=lambda c: _RANK[c.source.origin])
    plugins.components[place] = near
    plugins.shadowed.append((far, near))
