"""What a stage's key was made of, as it lay on the disk just before the stage ran; and what moved since.

Contents do not tell: an input that was other in between and is back again has its old digest, and a result that was
made of the other. So files are compared by inode, size, mtime and ctime, which no change leaves as they were; folders
too, in which a name may have come and gone.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from modelyard.code.lookups import Mark, mark_of
from modelyard.files.digests import RACY_NS, signature
from modelyard.files.walk import COMPILED
from modelyard.store.record import InputRecord

if TYPE_CHECKING:
    from modelyard.keys.action_key import Fingerprint

Sign = tuple[int, ...]
"""A file's `digests.signature` and its number of hard links; of what is not there, nothing."""

Signs = dict[str, Sign]
"""Signs by absolute path."""


class Sighting(msgspec.Struct, frozen=True):
    """What a stage is about to run with.

    Attributes:
        fingerprint: the key and its parts.
        code: the code that it stands on, as its record says it.
        inputs: what it reads of earlier stages, as its record says it.
        sources: the files of that code.
        files: the other files that the key was made of, by the part of the key that they are.
        roots: where these are: files, and folders all of whose files count.
        artifacts: the artifacts that it reads, by stage.
    """

    fingerprint: Fingerprint
    code: dict[str, dict[str, str]]
    inputs: dict[str, InputRecord]
    sources: dict[str, Mark]
    files: dict[str, Signs]
    roots: tuple[str, ...]
    artifacts: dict[str, Signs]


def sign(path: str) -> Sign:
    """Return the sign of what is at `path`; of a link, that of the link as well."""
    try:
        info = os.lstat(path)
        mine = (*signature(info), info.st_nlink)
        if not stat.S_ISLNK(info.st_mode):
            return mine
        info = os.stat(path)
        return (*signature(info), info.st_nlink, *mine)
    except OSError:
        return ()


def signs_of(path: str) -> Signs:
    """Return the signs of what is at `path` and below it, and of each link that a folder above it is."""
    links = {folder: sign(folder) for folder in _parents(path) if os.path.islink(folder)}  # noqa: PTH114
    return links | signs_below(path)


def _parents(path: str) -> Iterator[str]:
    while (path := os.path.dirname(path)) not in ("", os.sep):  # noqa: PTH120
        yield path


def signs_below(path: str) -> Signs:
    """Return the sign of the file at `path`; of a folder, those of all files and folders below it, too.

    Compiled Python does not count: importing a module writes it.
    """
    found, todo = {path: sign(path)}, [path] if os.path.isdir(path) else []  # noqa: PTH112
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.name == COMPILED:
                    found[entry.path] = ()
                    continue
                found[entry.path] = sign(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
    return found


def moved_sources(sources: Mapping[str, Mark]) -> list[str]:
    """Return the files that are not what they were."""
    return sorted(path for path, mark in sources.items() if mark_of(path) != mark)


def moved(before: Signs, now: Signs, *, linked: bool = False) -> list[str]:
    """Return the paths whose signs differ, sorted.

    Args:
        before: the signs before.
        now: those now.
        linked: whether a ctime that a hard link moved is no change: `doit gc`, or another project, may link to the
            store's object that an artifact's file is a link to.
    """
    return sorted(
        path
        for path in before.keys() | now.keys()
        if before.get(path) != now.get(path)
        and not (linked and _is_link(before.get(path, ()), now.get(path, ())))
        and not _was_compiled_in(path, before, now)
    )


def _is_link(before: Sign, now: Sign) -> bool:
    return bool(before and now) and before[:3] == now[:3] and max(before[4], now[4]) > 1


def _was_compiled_in(path: str, before: Signs, now: Signs) -> bool:
    """Tell whether `path` is compiled Python that came, or the folder that it came to."""
    compiled = f"{path}/{COMPILED}"
    return path.endswith(COMPILED) or (compiled in now and compiled not in before and bool(before.get(path)))


def settle(signs: Iterable[Sequence[int]]) -> bool:
    """Wait until no file is so young that a second change could leave the same sign; tell whether there was need to."""
    youngest = max((one[3] for one in signs if one), default=0)
    wait_ns = youngest + RACY_NS - time.time_ns()
    must_wait = 0 < wait_ns <= RACY_NS  # a ctime that lies in the future is no reason to wait for it
    if must_wait:
        time.sleep(wait_ns / 1e9)
    return must_wait
