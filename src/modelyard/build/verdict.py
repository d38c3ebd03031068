"""What a build would do with a stage, and why: the words that a build, every command and the report use for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from modelyard.store.record import Brief

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelyard.files.manifest import FileEntry
    from modelyard.keys.action_key import Fingerprint
    from modelyard.store.record import Record

UP_TO_DATE, RESTORE, RUN, MAYBE = "up-to-date", "restore", "run", "maybe"
"""What a build would do: nothing, bring the result back without work, run the stage; or that depends on what runs before."""

STATES = (UP_TO_DATE, RESTORE, MAYBE, RUN)
"""The same, the least work first."""

STORE, REMOTE = "store", "remote"
"""Where a result that is brought back comes from: the store here, or the one that others share, too."""

STALE, MISSING = "stale", "missing"
STATUSES = {UP_TO_DATE: "up to date", STALE: "stale", MAYBE: "may be stale", MISSING: "missing"}
"""How an artifact stands, and that in words."""


class Damage(msgspec.Struct, frozen=True):
    """A file of an artifact that is not as its record says: what it was, and what it is; None: it was or is not there."""

    old: FileEntry | None
    new: FileEntry | None


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """In what an artifact differs from what a build would make now: nothing is set if it does not.

    Attributes:
        absent: why there is no artifact that could stand, in words.
        is_of_another_key: whether it was made of something else.
        changed_reads: today's digest of each thing that the stage was seen to read and that is another by now; empty: it is gone.
        damage: the files that are not as the record says, by name.
        unreadable: why its folder cannot be looked at, in words.
    """

    absent: str = ""
    is_of_another_key: bool = False
    changed_reads: Mapping[str, str] = {}
    damage: Mapping[str, Damage] = {}
    unreadable: str = ""

    @property
    def is_none(self) -> bool:
        """Whether the artifact stands."""
        return not (self.absent or self.is_of_another_key or self.changed_reads or self.damage or self.unreadable)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a build would do with one stage, and why.

    Attributes:
        state: `up-to-date`, `restore` (without work), `run`, or `maybe`: something that it reads will run, and
            if that comes out the same as before, the stage need not run.
        otherwise: for `maybe`: what happens if all that it reads comes out the same, `up-to-date` or `restore`.
        source: where a `restore` comes from, `store` (here) or `remote`; else empty.
        fingerprint: what it would be made of, if what will run comes out the same; None if something that it reads has
            never been made, or its inputs cannot be read.
        record: what is known to come of that: for a `restore` what is brought back, for a `run` what the same key made
            before, if that is still known.
        findings: why what is there does not stand.
        error: what stops the stage, in words.
    """

    state: str
    otherwise: str = ""
    source: str = ""
    fingerprint: Fingerprint | None = None
    record: Record | None = None
    findings: Findings = Findings()
    error: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether the stage's output is known before the build."""
        return self.state in (UP_TO_DATE, RESTORE)

    @property
    def status(self) -> str:
        """How its artifact stands, one of `STATUSES`: `restore` and `run` are for one that is stale, or missing."""
        if self.findings.absent:
            return MISSING
        return self.state if self.state in (UP_TO_DATE, MAYBE) else STALE

    @property
    def restored(self) -> Record | None:
        """The record of what is brought back without work, if something is."""
        return self.record if self.state == RESTORE else None

    @property
    def expected(self) -> Brief | None:
        """What the artifact's record will say, as far as that is known and is not what it says now."""
        one = self.record
        return None if one is None else Brief(one.key, one.digest, one.outputs, one.discovered)


def of_all(states: Iterable[str]) -> str:
    """Return the state of several stages together: that of the one for which the most may have to be done."""
    return max(states, key=STATES.index, default=UP_TO_DATE)


def in_words(state: str) -> str:
    """Return a state as people read it: `up to date`, `restore`, `run`, `maybe`."""
    return state.replace("-", " ")
