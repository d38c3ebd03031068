"""`doit verify`: read everything again, and say what is damaged and what to do about it."""

from __future__ import annotations

from typing import Any

import msgspec

from modelyard.commands.base import JSON, ProjectCommand, option, print_json
from modelyard.commands.gc import REMOTE, chosen_store, forget_what_is_there, size
from modelyard.errors import ConfigError
from modelyard.store.verify import Checked, Damage, StoreVerifier, Verifier


class Answer(msgspec.Struct, kw_only=True):
    """What `doit verify --json` prints: how much was looked at, each damage, and how many were dropped by `--repair`."""

    checked: Checked
    damages: list[Damage]
    dropped: int


class Verify(ProjectCommand):
    """The command `verify`."""

    name = "verify"
    doc_purpose = "hash everything again and report damage"
    doc_usage = "[--repair] [--remote]"
    doc_description = (
        "Reads every artifact, every object and trace in the store, and every file whose digest is known, and reports"
        " what is not as it should be. Exit code 1 if anything is damaged, even if --repair dropped it."
    )
    cmd_options = (
        option(
            "repair",
            bool,
            False,
            "drop damaged objects, traces, digests and decoded samples, so that the next build brings them back",
        ),
        REMOTE,
        JSON,
    )

    def answer(self, engine: Any, options: Any, names: list[str]) -> int:
        """Verify, print each damage as it is found, and sum up."""
        if names:
            msg = f"verify: takes no {names[0]!r}\n  usage: doit verify [--repair] [--remote] [--json]"
            raise ConfigError(msg)
        store = chosen_store(engine, "verify", remote=options["remote"], writes=options["repair"])
        tables = [engine.table, engine.store.table]
        workspace = engine.workspace
        here = Verifier(workspace.artifacts, workspace.cache(), engine.store, tables, engine.plan.kinds)
        verifier = StoreVerifier(store) if options["remote"] else here
        damages = []
        for damage in verifier.damages():
            damages.append(damage)
            if not options["json"]:
                print(line(damage))
        dropped = verifier.repair() if options["repair"] and damages else 0
        if dropped:
            forget_what_is_there(engine, store)
        answer = Answer(checked=verifier.checked, damages=damages, dropped=dropped)
        print_json(answer) if options["json"] else print(summary(answer))
        return 1 if damages else 0


def line(damage: Damage) -> str:
    """Return a damage for a person: what and where, what is wrong, what to do."""
    of = f" of {damage.stage}" if damage.stage else ""
    return f"damaged {damage.what}{of}: {damage.path}: {damage.problem}\n  {damage.advice}"


def summary(answer: Answer) -> str:
    """Return the last line: how much was looked at, and what came of it."""
    seen = answer.checked
    looked = f"{seen.artifacts} artifact files, {seen.objects} objects, {seen.traces} traces, {seen.digests} digests"
    looked += f", {seen.decoded} files of decoded samples" if seen.decoded else ""
    found = f"{len(answer.damages)} damaged" if answer.damages else "all whole"
    dropped = f", {answer.dropped} dropped" if answer.dropped else ""
    return f"{looked}; {size(seen.read_bytes)} read: {found}{dropped}"
