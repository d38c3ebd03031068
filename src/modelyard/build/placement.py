"""Where each stage runs: here, or on the machines of an executor; and what those are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.concurrency.once import once
from modelyard.errors import ModelyardError, ToolError
from modelyard.files.json import decode
from modelyard.keys import pinning
from modelyard.keys.platform import HERE, Described, Platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.execution.local import Local
    from modelyard.executors import Executor
    from modelyard.files.digests import DigestTable
    from modelyard.project.load import Project
    from modelyard.stage import Stage

DESCRIBE = ("python", "-m", "modelyard.keys.platform")
"""The command that an executor's machine describes itself by; names of variables follow."""


class Placement:
    """Where the stages of one project run.

    Args:
        project: the project.
        table: keeps what the executor's machines are from one build to the next.
        tell: called with a line for the person at the terminal.
        executor: what runs stages that compute, instead of the project's own; whoever made it ends it.
    """

    def __init__(
        self,
        project: Project,
        table: DigestTable,
        tell: Callable[[str], None],
        executor: Executor | Local | None = None,
    ) -> None:
        self._project, self._table, self._tell, self._given = project, table, tell, executor
        self._settings = project.config.settings.executor
        self._trouble: ModelyardError | None = None

    @property
    def retries(self) -> int:
        """How often a stage is tried again whose machine went away."""
        return self._settings.retries

    @property
    def name(self) -> str:
        """What to call the executor, in messages."""
        use = self._project.config.executor
        return f"the executor {use.component.name!r}" if use and self._given is None else "the executor"

    def is_elsewhere(self, stage: Stage) -> bool:
        """Tell whether `stage` runs on another machine than this one."""
        kinds = self._settings.kinds
        return stage.row.host_bound and (not kinds or stage.kind in kinds) and self.elsewhere is not None

    def platform(self, stage: Stage) -> Platform:
        """Return what `stage` runs on.

        Raises:
            ModelyardError: the executor cannot say what its machines are.
        """
        return self._there if self.is_elsewhere(stage) else HERE

    @property
    def elsewhere(self) -> Executor | None:
        """The executor, if it runs stages on other machines."""
        if self._given is None and self._project.config.executor is None:
            return None  # most projects name none, and pay nothing
        return self._executors[1]

    @property
    def local(self) -> Local:
        """The workers of this machine."""
        return self._executors[0]

    @once
    def _executors(self) -> tuple[Local, Executor | None]:
        """The workers of this machine, and the executor of others; one of the two is what the project names."""
        from modelyard.execution.local import Local

        found = self._given or self._make(Local)
        return (found, None) if isinstance(found, Local) else (Local(), found)

    def _make(self, here: type[Local]) -> Any:
        from modelyard.executors import ExecutorContext

        use = self._project.config.executor
        if use is None:
            return here()
        context = ExecutorContext(name=self._project.config.project_name, project=self._project.folder, here=here)
        made = called(self.name, use.component.name, lambda: use.component.function(context, **use.params))
        wanted = [name for name in ("identity", "ask", "submit", "state", "cancel", "close") if not hasattr(made, name)]
        if wanted and not isinstance(made, here):
            msg = f"{self.name} ({use.component.file}) gave {made!r:.80}, which has no {', '.join(wanted)}\n  see modelyard.executors.Executor"
            raise ToolError(msg)
        return made

    @once
    def _there(self) -> Platform:
        """What the executor's machines are, asked once for each of its environments."""
        if self._trouble is not None:
            raise self._trouble  # asked once, too
        assert self.elsewhere is not None
        try:
            return self._described(self.elsewhere)
        except ModelyardError as exc:
            self._trouble = exc
            raise

    def _described(self, executor: Executor) -> Described:
        names = sorted(self._variables())
        identity = called(self.name, "identity", executor.identity)
        use = self._project.config.executor
        who = [use.component.name, use.params] if use and self._given is None else []
        note = f"platform 1 {identity} {who} {names}"
        known = self._table.note(note) if identity else None
        if known is None:
            self._tell(f"asking {self.name} what its machines are")
            known = called(self.name, "ask", lambda: executor.ask([*DESCRIBE, *names])).encode()
        try:
            found = decode(known, Described)
        except msgspec.DecodeError as exc:
            msg = (
                f"{self.name} was asked what its machines are, and said {known[-200:].decode(errors='replace')!r}\n"
                "  modelyard must be installed there, in the environment of its `python`"
            )
            raise ToolError(msg) from exc
        self._check(found)
        if identity:
            self._table.write_note(note, known)
        return found

    def _check(self, found: Described) -> None:
        """Refuse machines that read code in another way: keys that are made here would mean nothing there."""
        there = {"Python": found.python, **found.versions(["modelyard"])}
        here = {"Python": HERE.python, **HERE.versions(["modelyard"])}
        if unlike := [
            f"{name} {version}, and here {here[name]}" for name, version in there.items() if version != here[name]
        ]:
            msg = f"the machines of {self.name} have {'; '.join(unlike)}\n  have the same on both sides"
            raise ToolError(msg)

    def _variables(self) -> set[str]:
        """Return the environment variables that any key asks for."""
        uses = [use for stage in self._project.plan.stages.values() for use in stage.uses.values()]
        return {*pinning.SHAPING, *(name for use in uses for name in use.component.reads_environment)}

    def close(self) -> None:
        """End what was made here."""
        made = [one for one in vars(self).get("_executors", ()) if one is not None and one is not self._given]
        for one in made:
            one.close()


def called(name: str, method: str, call: Callable[[], Any]) -> Any:
    """Return what a method of an executor returns.

    Raises:
        ToolError: it raised; the message says which executor, and what.
    """
    try:
        return call()
    except ModelyardError:
        raise
    except Exception as exc:
        msg = f"{name}: its {method!r} raised {type(exc).__name__}: {exc}\n  check that it can be reached, then run `doit` again"
        raise ToolError(msg) from exc
