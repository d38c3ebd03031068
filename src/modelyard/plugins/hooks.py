"""The hooks that are called while a project is loaded and built: a typed method for each, since pluggy knows no types."""

from __future__ import annotations

import inspect
from itertools import chain
from typing import TYPE_CHECKING, Any

from modelyard.marking import Scope, scope_of

if TYPE_CHECKING:
    from collections.abc import Collection

    import pluggy

    from modelyard.artifacts import FileFacts, Model
    from modelyard.contexts import StageContext
    from modelyard.stage import Stage


class Hooks:
    """Calls the hooks in the plugins of one project; what each is for stands in `modelyard.hookspecs.running`."""

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._manager = manager

    def amend_plan(self, stages: list[Stage]) -> None:
        """Let the plugins change `stages` in place."""
        self._manager.hook.modelyard_amend_plan(stages=stages)

    def read_model_file(self, model: Model) -> FileFacts | None:
        """Return what the file of `model` shows of itself, as the first plugin tells that knows its format."""
        shown: FileFacts | None = self._manager.hook.modelyard_read_model_file(model=model)
        return shown

    def formats_with_classes(self) -> frozenset[str]:
        """Return the formats whose files name classes of the project, as all plugins tell."""
        return frozenset(chain.from_iterable(self._manager.hook.modelyard_formats_with_classes()))

    @property
    def amends_manifests(self) -> bool:
        """Whether any plugin changes manifests."""
        return bool(self._manager.hook.modelyard_amend_manifests.get_hookimpls())

    def amend_manifests(self, target: str, documents: list[dict[str, Any]]) -> None:
        """Let the plugins change the Kubernetes objects of `target` in place."""
        self._manager.hook.modelyard_amend_manifests(target=target, documents=documents)

    def before_stage_run(self, plugins: Collection[str], stage: str, context: StageContext) -> None:
        """Tell `plugins` that the stage begins."""
        self._in("modelyard_before_stage_run", plugins)(stage=stage, context=context)

    def after_stage_run(self, plugins: Collection[str], stage: str, context: StageContext) -> None:
        """Tell `plugins` that the stage's component returned."""
        self._in("modelyard_after_stage_run", plugins)(stage=stage, context=context)

    def on_stage_error(self, plugins: Collection[str], stage: str, context: StageContext, error: Exception) -> None:
        """Tell `plugins` that the stage's component raised `error`."""
        self._in("modelyard_on_stage_error", plugins)(stage=stage, context=context, error=error)

    def scopes(self, hook: str) -> list[tuple[str, Scope]]:
        """Return the plugins that implement `hook`, by name, each with what it says of that."""
        found = getattr(self._manager.hook, hook).get_hookimpls()
        return sorted((one.plugin_name, scope_of(one.function)) for one in found)

    def places(self, hook: str) -> list[str]:
        """Return the file and line of each function that implements `hook`, in the order of their calls."""
        impls = reversed(getattr(self._manager.hook, hook).get_hookimpls())
        codes = (inspect.unwrap(one.function).__code__ for one in impls)
        return [f"{code.co_filename}:{code.co_firstlineno}" for code in codes]

    def shaping(self, hook: str, kind: str) -> list[str]:
        """Return the plugins whose `hook` is called for stages of `kind` and may change what they write."""
        return [name for name, scope in self.scopes(hook) if scope.concerns(kind) and not scope.observes]

    def observing(self, hook: str, kind: str) -> list[str]:
        """Return the plugins whose `hook` is called for stages of `kind` and changes nothing, as they say."""
        return [name for name, scope in self.scopes(hook) if scope.concerns(kind) and scope.observes]

    def _in(self, hook: str, plugins: Collection[str]) -> pluggy.HookCaller:
        """Return what calls `hook` in `plugins` alone, in pluggy's order."""
        others = [name for name, _ in self.scopes(hook) if name not in plugins]
        return self._manager.subset_hook_caller(hook, [self._manager.get_plugin(name) for name in others])
