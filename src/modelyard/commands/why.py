"""`doit why STAGE`: each reason that a stage is stale."""

from __future__ import annotations

from typing import Any

from modelyard.build.verdict import RESTORE, RUN, UP_TO_DATE
from modelyard.commands.base import ProjectCommand, print_json


class Why(ProjectCommand):
    """The command `why`."""

    name = "why"
    doc_purpose = "say why a stage is stale"
    doc_usage = "STAGE ... [KEY=VALUE ...]"
    doc_description = (
        "Names each reason: a parameter with its old and new value, the function whose code changed, a file, template, "
        "tool version or environment variable, an output that was deleted or edited, and the earlier stage that is "
        "stale.\n"
        "A kind (`train`) stands for all its stages, and overrides (`train.epochs=3`) are taken into account. "
        "Nothing is run."
    )

    def answer(self, engine: Any, options: Any, names: list[str]) -> int:
        """Explain each stage that is named."""
        from modelyard.explain.reasons import explain

        self.need_names(names)
        found = [explain(engine, stage) for stage in self.stages(engine.plan, names)]
        if options["json"]:
            print_json(found)
        else:
            print("\n".join(text(explanation) for explanation in found))
        return 0


_SOURCES = {"store": "store", "remote": "remote store"}


def text(explanation: Any) -> str:
    """Return an explanation in words: what would happen, then a line for each reason."""
    lines = [f"{explanation.stage} {headline(explanation)}"]
    for reason in explanation.reasons:
        first, *more = reason.text.splitlines()
        lines += [f"  {first}", *(f"    {line.strip()}" for line in more)]
    direct = {reason.name for reason in explanation.reasons if reason.kind == "upstream"}
    far = [name for name in explanation.roots if name not in direct]
    if far:
        lines.append(f"  it begins with {', '.join(far)}")
    return "\n".join(lines)


def headline(explanation: Any) -> str:
    """Return what a build would do with the stage, in words."""
    from modelyard.units import duration

    if explanation.state == UP_TO_DATE:
        return "is up to date"
    if explanation.state == RESTORE:
        return f"is stale, and would be restored from the {_SOURCES[explanation.source]}:"
    if explanation.state == RUN:
        last = "" if explanation.expected_s is None else f" (about {duration(explanation.expected_s)})"
        return f"is stale, and would run{last}:"
    source = _SOURCES.get(explanation.source)
    kept = "stays as it is" if source is None else f"is restored from the {source}"
    return f"may be stale: if what it reads comes out the same, it {kept}, else it runs:"
