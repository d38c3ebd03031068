"""`doit gc`: keep the store within bounds, without what any project still needs."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import msgspec

from modelyard.build.engine import Engine
from modelyard.commands.base import JSON, ProjectCommand, option, print_json
from modelyard.errors import ConfigError, StoreError
from modelyard.store.decoded import sweep_decoded
from modelyard.store.gc import (
    Bounds,
    Users,
    files_of,
    keys_in_use,
    keys_of_refs,
    plan_sweep,
    read_store,
    users_of,
)
from modelyard.store.objects import ObjectStore
from modelyard.units import parse_size

REMOTE = option("remote", bool, False, "the remote store instead of the one here")

_DAY_S = 86400.0
_AGES = {"h": 3600.0, "d": _DAY_S, "w": 7 * _DAY_S}


class Answer(msgspec.Struct, kw_only=True):
    """What `doit gc --json` prints; sizes in bytes.

    Attributes:
        store: the store's folder, or the address of the remote.
        dry_run: whether nothing was removed.
        traces: how many results went.
        objects: how many files went.
        freed_bytes: what the disk won; files that are still linked from an artifact win nothing.
        before_bytes: the store's size before.
        after_bytes: and after.
        needed_bytes: how much of that some project or ref needs.
        kept_for: the projects that use the store.
        missing: those that are gone: their folder is not there, or another machine has not built them for long.
        forgotten: those that `--forget-missing` dropped.
        decoded_freed_bytes: what went of the samples that were decoded before.
        decoded_bytes: what is left of them.
    """

    store: str
    dry_run: bool
    traces: int
    objects: int
    freed_bytes: int
    before_bytes: int
    after_bytes: int
    needed_bytes: int
    kept_for: list[str]
    missing: list[str]
    forgotten: list[str]
    decoded_freed_bytes: int = 0
    decoded_bytes: int = 0


class Gc(ProjectCommand):
    """The command `gc`."""

    name = "gc"
    doc_purpose = "bound the store by size, age and what is still needed"
    doc_usage = "[--max-size 5GB] [--older-than 30d] [--keep-ref main] [--forget-missing] [--remote] [--dry-run]"
    doc_description = (
        "Removes results that no project needs: those not used for longer than --older-than, then those used longest ago"
        " until the store fits into --max-size. Samples that were decoded before go first. Without either: only files that no"
        " result names any more."
    )
    cmd_options = (
        option("max_size", str, "", "the store's size, for instance 5GB"),
        option("older_than", str, "", "drop what was not used for so long, for instance 30d (h, d or w)"),
        option(
            "keep_ref",
            list,
            [],
            "keep the results that were made at a commit of this git branch or tag; may be repeated",
        ),
        option("forget_missing", bool, False, "drop what only projects need that are gone"),
        REMOTE,
        option("dry_run", bool, False, "remove nothing, and say what would be removed"),
        JSON,
    )

    def answer(self, engine: Any, options: Any, names: list[str]) -> int:
        """Remove what may go, and print what that was."""
        if names:
            msg = f"gc: takes no {names[0]!r}\n  usage: doit gc [--max-size 5GB] [--older-than 30d] [--keep-ref main]"
            raise ConfigError(msg)
        bounds = Bounds(parse_max_size(options["max_size"]), parse_age_s(options["older_than"]))
        store = chosen_store(engine, "gc", remote=options["remote"], writes=not options["dry_run"])
        with contextlib.nullcontext() if options["dry_run"] else store.cleaning():
            answer = collect(engine, store, bounds, options)
            if store is engine.store:
                swept = sweep_decoded(engine.workspace.cache(), bounds, answer.after_bytes, dry_run=options["dry_run"])
                answer.decoded_freed_bytes, answer.decoded_bytes = swept.freed_bytes, swept.left_bytes
        print_json(answer) if options["json"] else print(text(answer, bounds))
        return 0


def parse_max_size(value: str) -> int | None:
    """Return a size in bytes, None if there is none.

    Raises:
        ConfigError: it is not a size.
    """
    if not value:
        return None
    return 0 if re.fullmatch(r"0\s*[A-Za-z]*", value) else parse_size(value, "gc: --max-size")


def parse_age_s(value: str) -> float | None:
    """Return an age in seconds, None if there is none.

    Raises:
        ConfigError: it is not an age.
    """
    if not value:
        return None
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([hdw])\s*", value)
    if match is None:
        msg = f"gc: --older-than: {value!r} cannot be read\n  allowed: a number of hours, days or weeks, for instance 12h, 30d, 4w"
        raise ConfigError(msg)
    return float(match[1]) * _AGES[match[2]]


def chosen_store(engine: Engine, command: str, *, remote: bool, writes: bool) -> ObjectStore:
    """Return the store that a command is about: the one here, or the remote.

    Raises:
        ConfigError: there is no remote, or it is not to be written to.
    """
    if not remote:
        return engine.store
    if engine.remote is None or (writes and not engine.remote.settings.writes):
        what = "is read-only here" if engine.remote else "is not set, or off"
        msg = f'{command}: --remote: the remote {what}\n  set `remote = ...` and `mode = "read-write"` in [tool.modelyard.store]'
        raise ConfigError(msg)
    return engine.remote


def forget_what_is_there(engine: Engine, store: ObjectStore) -> None:
    """Let the next build look what the remote still has, if `store`, of which something was removed, is the remote."""
    if engine.remote is not None and store is engine.remote:
        from modelyard.store.upload import forget_uploads

        forget_uploads(engine.table, engine.remote)


def collect(engine: Engine, store: ObjectStore, bounds: Bounds, options: Any) -> Answer:
    """Find what may go, remove it unless this is a dry run, and return what that was."""
    folder = engine.project.folder
    stored, users = read_store(store), users_of(store)
    if users.damaged and not options["forget_missing"]:
        msg = f"{store.place}/{users.damaged[0].name}: cannot be read, so nobody knows what that project needs\n  build it again, or add --forget-missing"
        raise StoreError(msg)
    forgotten = dict(users.gone) if options["forget_missing"] else {}
    needed = keys_in_use(_without(users, forgotten), folder) | keys_of_refs(stored, folder, options["keep_ref"])
    needed |= set() if store is engine.store else keys_in_use(users_of(engine.store), folder)  # they may share it
    plan = plan_sweep(stored, needed, bounds)
    freed = store.remove(files_of(stored, plan), dry_run=options["dry_run"])
    if not options["dry_run"]:
        engine.store.sweep()
        store.remove([*forgotten, *users.damaged])
        forget_what_is_there(engine, store)
    return Answer(
        store=store.place,
        dry_run=options["dry_run"],
        traces=len(plan.traces),
        objects=len(plan.objects) + len(plan.junk),
        freed_bytes=freed,
        before_bytes=plan.before_bytes,
        after_bytes=plan.after_bytes,
        needed_bytes=plan_sweep(stored, needed, Bounds(max_size_bytes=0)).after_bytes,
        kept_for=sorted(roots.path for roots in users.alive.values()),
        missing=sorted(f"{r.path} on {r.host}, last built {r.updated}" for r in users.gone.values()),
        forgotten=sorted(roots.path for roots in forgotten.values()),
    )


def _without(users: Users, forgotten: dict[Any, Any]) -> Users:
    return Users(users.alive, {file: r for file, r in users.gone.items() if file not in forgotten}, users.damaged)


def text(answer: Answer, bounds: Bounds) -> str:
    """Return the answer for a person."""
    would = "would free" if answer.dry_run else "freed"
    results = "1 result" if answer.traces == 1 else f"{answer.traces} results"
    lines = [
        f"{would} {size(answer.freed_bytes)}: {results}, {answer.objects} files of {answer.store}",
        f"the store {'would hold' if answer.dry_run else 'holds'} {size(answer.after_bytes)}, of which {size(answer.needed_bytes)} is needed",
    ]
    if answer.decoded_freed_bytes or answer.decoded_bytes:
        left = f"{size(answer.decoded_bytes)} {'would stay' if answer.dry_run else 'are left'}"
        lines.append(f"{would} {size(answer.decoded_freed_bytes)} of samples that were decoded before; {left}")
    if bounds.max_size_bytes is not None and answer.after_bytes > bounds.max_size_bytes:
        lines.append(
            f"that is more than {size(bounds.max_size_bytes)}: all that is left is needed by a project or a ref"
        )
    gone = [m for m in answer.missing if m.partition(" on ")[0] not in answer.forgotten]
    lines += [f"kept for a project that is gone: {project}" for project in gone]
    if gone:
        lines.append("  run `doit gc --forget-missing` to drop what only such projects need")
    lines += [f"forgotten: {project}" for project in answer.forgotten]
    return "\n".join(lines)


def size(size_bytes: int) -> str:
    """Return a size for people: `512 B`, `1.5 MB`, `12.0 GB`."""
    value, units = float(size_bytes), iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    for larger in units:
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
