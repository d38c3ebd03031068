"""`doit diff A B`: what differs between two results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.commands.base import ProjectCommand, print_json
from modelyard.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Diff(ProjectCommand):
    """The command `diff`."""

    name = "diff"
    doc_purpose = "compare two results"
    doc_usage = "A B"
    doc_description = (
        "A and B each name a result: `STAGE@N` as `doit history` numbers them (`train@0`, or just `train`, is the "
        "latest), the first digits of a key, or `now`: what today's configuration and code make of the other's stage. "
        "Shows parameters, settings, versions and inputs, code by function, metrics, and the digests of the files."
    )

    def answer(self, engine: Any, options: Any, names: list[str]) -> int:
        """Compare the two results that are named."""
        from modelyard.explain.past_results import compare, pair

        if len(names) != 2:
            example = "for instance `doit diff train@1 train@0`, or `doit diff train now`"
            msg = f"diff: two results are needed, not {len(names)}\n  {example}"
            raise PlanError(msg)
        one, other = pair(engine, *names)
        difference = compare(one, other)
        if options["json"]:
            print_json({"a": _facts(one), "b": _facts(other), "difference": difference})
        else:
            print(text(one, other, difference))
        return 0


def _facts(result: Any) -> dict[str, Any]:
    entry = result.entry
    return {
        "name": result.name,
        "stage": result.stage.id,
        "key": entry.key,
        "digest": entry.digest,
        "when": entry.when,
        "git": entry.git,
    }


def text(one: Any, other: Any, difference: Any) -> str:
    """Return the comparison in words, a section for each kind of thing that differs."""
    heads = [_head(sign, result) for sign, result in (("a", one), ("b", other))]
    sections = [
        section("parameters and inputs", difference.parts, ""),
        section("code", difference.code, "the store no longer has the record of one"),
        section("metrics", difference.metrics, "one is not built"),
        section("files", difference.outputs, "one is not built, or the store no longer has its record"),
        section("machines", [difference.made_on] if difference.made_on else [], ""),
    ]
    shown = [s for s in sections if s]
    if _contradict(one, other):
        shown.append('the same key made other bytes: see docs/explanation/incremental.md, "Same key, same bytes"')
    return "\n".join((*heads, *(shown or ["nothing differs"])))


def _contradict(one: Any, other: Any) -> bool:
    both = one.entry.digest, other.entry.digest
    return one.entry.key == other.entry.key and all(both) and both[0] != both[1] and not one.stage.row.measures


def _head(sign: str, result: Any) -> str:
    from modelyard.explain.past_results import SHORT

    entry = result.entry
    when = f"{entry.how} {entry.when.replace('T', ' ')[:19]}" if entry.when else "not built"
    return f"{sign}: {result.name}  {entry.key[:SHORT]}  {when}"


def section(title: str, changes: Sequence[Any] | None, unknown: str) -> str:
    """Return the lines of one section, or nothing if there is no change."""
    from modelyard.explain.differences import say

    if changes is None:
        return f"{title}: not known, {unknown}"
    return "\n".join((f"{title}:", *(f"  {say(change)}" for change in changes))) if changes else ""
