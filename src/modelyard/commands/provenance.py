"""`doit provenance [DIGEST]`: from which data, code, parameters and tools an image came."""

from __future__ import annotations

from typing import Any

from modelyard.commands.base import ProjectCommand, print_json
from modelyard.errors import PlanError


class Provenance(ProjectCommand):
    """The command `provenance`."""

    name = "provenance"
    doc_purpose = "say from what an image was made"
    doc_usage = "[DIGEST | STAGE]"
    doc_description = (
        "Goes back from an image's digest (by default that of the project's image) to data, code, parameters, tool "
        "versions and git commit, stage by stage. Takes a stage, `STAGE@N` or a key, too. With --json: an in-toto "
        "statement with an SLSA v1 predicate. artifacts/build.json says the same of all artifacts."
    )

    def answer(self, engine: Any, options: Any, names: list[str]) -> int:
        """Print the chain behind the result that is named."""
        from modelyard.explain.provenance import find, statement

        if len(names) > 1:
            msg = f"provenance: one digest or stage is allowed, not {len(names)}"
            raise PlanError(msg)
        last = find(engine, names[0] if names else "")
        if options["json"]:
            print_json(statement(engine, last))
        else:
            print(text(engine, last))
        return 0


def text(engine: Any, last: Any) -> str:
    """Return the chain in words, the first stage first."""
    from modelyard.explain.provenance import chain, facts, image_of

    image = image_of(engine, last)
    links, lost = chain(engine, last)
    head = f"{image.repository}:{image.tag}@{image.digest}" if image else f"{last.stage.id} {last.record.digest}"
    blocks = [block(link.stage.id, facts(engine, link)) for link in links]
    gone = [f"no record is left of {read.stage} with the digest {read.digest[:12]}" for read in lost]
    return "\n".join((head, *blocks, *gone))


def block(stage: str, facts: Any) -> str:
    """Return what one artifact was made of, in words."""
    commit = f" at commit {facts.commit[:12]}{'' if facts.clean else ', tree not clean'}" if facts.commit else ""
    accepted = f"; other code accepted by {facts.accepted.who}" if facts.accepted else ""
    rows = {
        "components": _pairs(facts.components),
        "parameters": _pairs(facts.parameters),
        "files": _pairs({name: f"sha256:{digest[:12]}" for name, digest in facts.files.items()}),
        "inputs": ", ".join(f"{role} {read.stage} {read.digest[:12]}" for role, read in facts.inputs.items()),
        "code": _pairs({role: digest[:12] for role, digest in facts.code.items()}),
        "tools": _pairs(facts.tools),
        "environment": _pairs(facts.environment),
        "made on": facts.made_on + ("" if facts.reproducible else ", not reproducible"),
    }
    lines = [f"    {name}: {value}" for name, value in rows.items() if value]
    return "\n".join(
        (f"  {stage} {facts.digest[:12]}, {facts.started[:19].replace('T', ' ')}{commit}{accepted}", *lines)
    )


def _pairs(values: dict[str, Any]) -> str:
    from modelyard.explain.differences import show

    return ", ".join(f"{name} {show(value)}" for name, value in values.items())
