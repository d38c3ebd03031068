"""`doit history STAGE`: earlier results, with what differs from one to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.commands.base import ProjectCommand, option, print_json, table

if TYPE_CHECKING:
    from modelyard.explain.differences import Change


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One result.

    Attributes:
        name: how `doit diff` knows it: `train:digits-cnn@1`; 0 is the latest.
        how: `built`, `restored` or `accepted`.
        when: when it became the stage's artifact, ISO 8601.
        key: the action key.
        digest: the digest of its outputs.
        git: the commit it was built at, with `+` behind it if the tree was not clean; empty outside git.
        duration_s: how long it was built, in seconds.
        metrics: numbers that the stage reported.
        changes: what differs from the result before it; nothing for the first.
        in_store: whether the store still has its record, so that it can come back without work.
    """

    name: str
    how: str
    when: str
    key: str
    digest: str
    git: str
    duration_s: float
    metrics: dict[str, Any]
    changes: list[Change]
    in_store: bool


class History(ProjectCommand):
    """The command `history`."""

    name = "history"
    doc_purpose = "list a stage's earlier results"
    doc_usage = "STAGE ... [--limit N]"
    doc_description = (
        "For each result, the latest first: when it became the stage's artifact and how (`built`, `restored` from the "
        "store, `accepted`), the git commit (`+`: the tree was not clean), its key, its metrics, and what differs from "
        "the result before it. `doit diff` compares any two."
    )
    cmd_options = (
        *ProjectCommand.cmd_options,
        option("limit", int, 10, "show that many [default: %(default)s]; 0: all"),
    )

    def answer(self, engine: Any, options: Any, names: list[str]) -> int:
        """List the results of each stage that is named."""
        self.need_names(names)
        limit = options["limit"] or None
        found = {stage.id: results(engine, stage, limit) for stage in self.stages(engine.plan, names)}
        if options["json"]:
            print_json(found)
        else:
            print("\n\n".join(text(stage, lines) for stage, lines in found.items()))
        return 0


def results(engine: Any, stage: Any, limit: int | None = None) -> list[Line]:
    """Return the results of `stage`, the latest first."""
    from modelyard.explain.past_results import entries, steps
    from modelyard.explain.reasons import input_files

    known = entries(engine, stage)
    changes = steps(known[: limit + 1] if limit else known, input_files(stage))
    return [
        Line(
            name=f"{stage.id}@{number}",
            how=entry.how,
            when=entry.when,
            key=entry.key,
            digest=entry.digest,
            git=entry.git,
            duration_s=entry.duration_s,
            metrics=entry.metrics,
            changes=changes[number],
            in_store=engine.store.trace(entry.key) is not None,
        )
        for number, entry in enumerate(known[:limit])
    ]


def text(stage: str, lines: list[Line]) -> str:
    """Return the results of one stage in words."""
    from modelyard.explain.past_results import SHORT

    if not lines:
        return f"{stage}: no result yet"
    rows = [
        (
            f"@{number}",
            line.when.replace("T", " ")[:19],
            line.how + ("" if line.in_store else ", not in the store"),
            f"{line.duration_s:.1f} s",
            line.key[:SHORT],
            _commit(line.git),
            numbers(line.metrics),
        )
        for number, line in enumerate(lines)
    ]
    listed = table(rows, right=(3,)).splitlines()
    blocks = [
        "\n".join((head, *(f"      {c}" for c in _say(line.changes)))) for head, line in zip(listed, lines, strict=True)
    ]
    return "\n".join((stage, *blocks))


def _say(changes: list[Change]) -> list[str]:
    from modelyard.explain.differences import say

    plain = [say(change) for change in changes if change.kind != "code"]
    roles = [change.name for change in changes if change.kind == "code"]
    return [*plain, *([f"code of the {', '.join(roles)} changed"] if roles else [])]


def _commit(git: str) -> str:
    return git[:10] + ("+" if git.endswith("+") else "")


def numbers(metrics: dict[str, Any]) -> str:
    """Return metrics on one line; nested ones are left out."""
    from modelyard.metrics.figures import plain

    flat = {name: value for name, value in metrics.items() if isinstance(value, int | float | str)}
    return ", ".join(
        f"{name} {plain(value)}" if isinstance(value, float) else f"{name} {value}" for name, value in flat.items()
    )
