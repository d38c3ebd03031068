"""`doit accept STAGE`: record today's code as equivalent to the code that made the artifact."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import Any

import msgspec

from modelyard.commands import person
from modelyard.commands.base import ProjectCommand, option, print_json
from modelyard.errors import StageFailed

EQUIVALENT = ("code", "version")
"""The kinds of change that a person may take for equivalent; all others say that something else is asked for."""


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """What `accept` did, or is about to do: the stage, the keys before and after, and what differs between them."""

    stage: str
    from_key: str
    key: str
    who: str
    when: str
    changes: list[str]


class Accept(ProjectCommand):
    """The command `accept`."""

    name = "accept"
    doc_purpose = "take today's code as equivalent to what made a stage's artifact"
    doc_usage = "STAGE ... [--yes]"
    doc_description = (
        "For a refactoring or a tool's new version that cannot change the result: nothing runs, and the artifact is "
        "up to date again. Refused if anything but code and versions differs. Who accepted it, when, and from which "
        "key is written to the stage's record."
    )
    cmd_options = (*ProjectCommand.cmd_options, option("yes", bool, False, "do not ask"))

    def answer(self, engine: Any, options: Any, names: list[str]) -> int:
        """Check every stage that is named, ask, and record."""
        self.need_names(names)
        pairs = [(stage, accepted_record(engine, stage)) for stage in self.stages(engine.plan, names)]
        todo = [(stage, *found) for stage, found in pairs if found is not None]
        done = [_acceptance(stage, record, changes) for stage, record, changes in todo]
        if not options["json"]:
            print("\n".join(text(one) for one in done) or "nothing to accept: everything is up to date")
        if done and not options["yes"] and not _agreed(len(done), may_ask=not options["json"]):
            return 1
        for stage, record, _ in todo:
            engine.accept(stage, record)
        if options["json"]:
            print_json(done)
        else:
            print("".join(f"accepted {one.stage} for {one.who}\n" for one in done), end="")
        return 0


def _agreed(count: int, *, may_ask: bool) -> bool:
    """Ask for consent.

    Raises:
        StageFailed: there is no terminal to ask on.
    """
    if not may_ask or not person.is_there():
        msg = "accept: there is no terminal to ask on\n  add --yes if the artifacts would come out the same"
        raise StageFailed(msg)
    what = "this artifact" if count == 1 else f"these {count} artifacts"
    return person.agrees(f"would today's code make the same bytes as {what}?")


def accepted_record(engine: Any, stage: Any) -> tuple[Any, list[str]] | None:
    """Return the record that would stand for the stage's artifact, and what differs; None if it is up to date.

    Raises:
        StageFailed: there is no artifact, it was changed by hand, more than code and versions differs, or the store
            already holds what today's code makes.
    """
    from modelyard.build.verdict import RESTORE, UP_TO_DATE
    from modelyard.explain.reasons import reasons
    from modelyard.store.record import Accepted

    judge, record = engine.judge, engine.workspace.record(stage)
    if record is None:
        msg = f"accept: {stage.id} has no artifact to accept\n  run `doit {stage.id}`"
        raise StageFailed(msg)
    today = judge.fingerprint(stage)
    verdict = judge.verdict_if(stage, ask_remote=True)
    found = [
        one for one in reasons(engine, stage, {**judge.verdicts([stage]), stage.id: verdict}) if one.kind != "upstream"
    ]
    _refuse_others(stage, [one.text for one in found if one.kind not in EQUIVALENT])
    if verdict.state == UP_TO_DATE:
        return None
    if verdict.state == RESTORE:
        raise StageFailed(_restorable(stage))
    who, when = f"{person.user()}@{socket.gethostname()}", datetime.now(UTC).astimezone()
    mark = Accepted(who=who, when=when.isoformat(timespec="seconds"), from_key=record.key)
    accepted = msgspec.structs.replace(
        record, key=today.key, parts=today.parts, code=judge.keys.code(stage), accepted=mark
    )
    return accepted, [one.text for one in found]


def _refuse_others(stage: Any, others: list[str]) -> None:
    if others:
        lines = "\n".join(f"  {line}" for line in others)
        msg = f"accept: {stage.id} differs in more than code and versions:\n{lines}\n  run `doit {stage.id}`"
        raise StageFailed(msg)


def _restorable(stage: Any) -> str:
    return (
        f"accept: the store holds what today's code makes of {stage.id}\n"
        f"  run `doit {stage.id}`: it is brought back without work"
    )


def _acceptance(stage: Any, record: Any, changes: list[str]) -> Acceptance:
    mark = record.accepted
    return Acceptance(
        stage=stage.id, from_key=mark.from_key, key=record.key, who=mark.who, when=mark.when, changes=changes
    )


def text(one: Acceptance) -> str:
    """Return what is accepted, in words."""
    head = f"{one.stage}: {one.from_key[:12]} -> {one.key[:12]}"
    return "\n".join((head, *(f"  {change}" for change in one.changes)))
