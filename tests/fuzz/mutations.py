"""Change bytes at random, as damage and malice do, and look at what a loader makes of them."""

from __future__ import annotations

import os
import random
import resource
import struct
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from modelyard.errors import ModelyardError

SECONDS = float(os.environ.get("MODELYARD_FUZZ_S", "0"))
"""How long each fuzzer runs; 0, as in CI: a fixed number of changed files, the same every time."""

_NUMBERS = (0, 1, -1, 127, 255, 2**15, 2**31 - 1, -(2**31), 2**32 - 1, 2**62)
_WORDS = (
    b"..",
    b"/",
    b"\0",
    b"{",
    b"}",
    b"[" * 50,
    b'"',
    b"null",
    b"-1",
    b"1e999",
    b"9" * 30,
    b"\xff\xfe",
    b"__import__('os')",
)


def changed(data: bytes, dice: random.Random) -> bytes:
    """Return `data` with one to eight changes: bits, numbers, words, parts cut out, doubled, moved, the end cut off."""
    made = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(made) + 1)
        length = min(dice.choice((1, 2, 4, 8, 64, 1024)), len(made) - at)
        kind = dice.randrange(7)
        if kind == 0 and at < len(made):
            made[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            packed = struct.pack("<q", dice.choice(_NUMBERS))[: dice.choice((1, 2, 4, 8))]
            made[at : at + len(packed)] = packed if dice.random() < 0.5 else packed[::-1]
        elif kind == 2:
            made[at : at + length] = dice.choice(_WORDS)
        elif kind == 3:
            del made[at : at + length]
        elif kind == 4:
            made[at:at] = made[at : at + length]
        elif kind == 5:
            made[at : at + length] = dice.randbytes(length)
        elif dice.random() < 0.2:
            del made[at:]
    return bytes(made)


def changed_zip(source: Path, target: Path, dice: random.Random) -> None:
    """Write an archive in which one entry, which is chosen first, is changed; or the archive itself."""
    if dice.random() < 0.3:
        target.write_bytes(changed(source.read_bytes(), dice))
        return
    with zipfile.ZipFile(source) as whole, zipfile.ZipFile(target, "w") as copy:
        names = whole.namelist()
        chosen = dice.choice(names)
        for name in names:
            data = whole.read(name)
            copy.writestr(name, changed(data, dice) if name == chosen else data)


def rounds(count: int, seed: int = 0) -> Iterator[random.Random]:
    """Yield dice for `count` changed files, the same every time; or for as many as `MODELYARD_FUZZ_S` leaves time for."""
    end, number = time.monotonic() + SECONDS, seed
    while time.monotonic() < end if SECONDS else number < seed + count:
        yield random.Random(number)
        number += 1


class Watched(Exception):
    """Something happened that reading a file must not do."""


_FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "pty.spawn",
    "pickle.find_class",
    "socket.connect",
)
_watching = False


def _audit(event: str, args: tuple[object, ...]) -> None:
    if _watching and event in _FORBIDDEN:
        msg = f"{event} {args!r}"
        raise Watched(msg)


sys.addaudithook(_audit)


def read(load: Callable[[Path], object], path: Path, memory_bytes: int = 1 << 30) -> str:
    """Read `path`, and return the words of the refusal, or an empty string.

    Anything else that is raised is a fault of the loader: a traceback without words, code that ran, or more memory than
    `memory_bytes` beyond what the process has had at most.
    """
    global _watching
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _watching = True
    try:
        load(path)
        said = ""
    except ModelyardError as exc:
        said = str(exc)
    finally:
        _watching = False
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < memory_bytes, f"{path}: reading it took {grown:,} bytes"
    if said:
        assert "\n  " in said, f"no word of what to do: {said!r}"
    return said
