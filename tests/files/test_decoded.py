from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelyard.files import decoded
from modelyard.files.decoded import FOLDER, UNUSED_S, Decoded, damage_of


def ask(cache: Path, digests: str, way: str = "small") -> str:
    """Ask for what was made of samples called by a letter, make what is missing, and return which ones these were."""
    keys = {one: one.encode() * 32 for one in digests}
    with Decoded(cache, way) as kept:
        known = kept.known(list(keys.values()))
        assert all(value == key[:1] * 100 for key, value in known.items())
        missing = [one for one, key in keys.items() if key not in known]
        kept.keep({keys[one]: one.encode() * 100 for one in missing})
        assert (kept.found, kept.made) == (len(known), len(missing))
    return "".join(missing)


def file_of(cache: Path, way: str = "small") -> Path:
    return cache / FOLDER / f"{way}.sqlite"


def test_what_was_made_once_is_found_again_and_in_one_way_alone(tmp_path: Path) -> None:
    assert [ask(tmp_path, each) for each in ("ab", "abc", "cad")] == ["ab", "c", "d"]
    assert ask(tmp_path, "ab", "large") == "ab"


def test_what_was_made_is_known_before_it_is_written(tmp_path: Path) -> None:
    with Decoded(tmp_path, "small") as kept:
        kept.keep({b"a": b"value"})
        assert kept.known([b"a", b"b"]) == {b"a": b"value"}


def test_one_is_made_once_of_what_is_the_same(tmp_path: Path) -> None:
    made: list[bytes] = []

    def turned(raw: bytes) -> bytes:
        made.append(raw)
        return raw[::-1]

    for _ in range(2):
        with Decoded(tmp_path, "small") as kept:
            assert [kept.once(raw, turned) for raw in (b"ab", b"cd", b"ab")] == [b"ba", b"dc", b"ba"]
    assert made == [b"ab", b"cd"]


def test_what_was_made_is_kept_although_the_run_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with Decoded(tmp_path, "small") as kept:
            kept.keep({b"a" * 32: b"a" * 100})
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert ask(tmp_path, "ab") == "b"


def test_a_value_that_was_damaged_is_made_anew(tmp_path: Path) -> None:
    ask(tmp_path, "ab")
    with sqlite3.connect(file_of(tmp_path)) as base:
        base.execute("update samples set value = ? where digest = ?", (b"b" * 100, b"a" * 32))
    base.close()
    assert [ask(tmp_path, "ab") for _ in range(2)] == ["a", ""]


@pytest.mark.parametrize("at", [0, 16384])
def test_a_file_that_was_damaged_is_begun_anew(tmp_path: Path, at: int) -> None:
    ask(tmp_path, "abcdefgh")
    with file_of(tmp_path).open("r+b") as file:
        file.seek(at)
        file.write(b"this is no database" * 3000)
    assert ask(tmp_path, "abcdefgh") == "abcdefgh"
    assert ask(tmp_path, "abcdefgh") in ("", "abcdefgh")  # where it was seen at the end alone, a run later
    assert ask(tmp_path, "abcdefgh") == ""


def test_without_a_place_to_keep_anything_each_is_made(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    assert [ask(tmp_path, "a") for _ in range(2)] == ["a", "a"]


def test_a_file_that_another_writes_to_for_long_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(tmp_path, "a")
    monkeypatch.setattr(decoded, "_WAIT_S", 0.01)
    base = sqlite3.connect(file_of(tmp_path), isolation_level=None)
    base.execute("begin exclusive")
    assert ask(tmp_path, "ab") == "ab"
    base.execute("rollback")
    base.close()
    assert ask(tmp_path, "ab") == "b"


def test_what_was_not_used_goes_when_it_takes_more_than_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded, "_ROOM_BYTES", 150)
    ask(tmp_path, "ab")
    ask(tmp_path, "cd")  # 200 bytes are used, and 200 are not
    ask(tmp_path, "e")  # 100 are used: 150 may stay beside it, of what was used last
    with sqlite3.connect(file_of(tmp_path)) as base:
        left = {bytes(row[0][:1]) for row in base.execute("select digest from samples")}
        assert base.execute("select count(*) from uses").fetchone() == (2,)
    base.close()
    assert left == {b"d", b"e"}


def test_a_way_that_was_not_used_for_long_goes_with_the_next_run_of_another(tmp_path: Path) -> None:
    for way in ("small", "large"):
        ask(tmp_path, "a", way)
    old = time.time() - UNUSED_S - 1
    os.utime(file_of(tmp_path), (old, old))
    ask(tmp_path, "a", "large")
    assert (file_of(tmp_path).exists(), file_of(tmp_path, "large").exists()) == (False, True)


def test_all_of_a_file_is_read_to_say_what_is_wrong_with_it(tmp_path: Path) -> None:
    ask(tmp_path, "abcdefgh")
    assert damage_of(file_of(tmp_path)) == ""
    content = file_of(tmp_path).read_bytes()
    file_of(tmp_path).write_bytes(content.replace(b"c" * 100, b"d" * 100))
    assert damage_of(file_of(tmp_path)) == "has other bytes for 1 samples"
    file_of(tmp_path).write_bytes(b"no database" * 10_000)
    assert damage_of(file_of(tmp_path)) == "cannot be read: file is not a database"
    file_of(tmp_path).write_bytes(content[:16384] + bytes(len(content) - 16384))
    assert damage_of(file_of(tmp_path)).startswith(("is damaged: ", "cannot be read: "))


KILLED = """
import sys
from pathlib import Path
from modelyard.files import decoded
decoded._BUFFER_BYTES = 5000
with decoded.Decoded(Path(sys.argv[1]), "small") as kept:
    for number in range(10**9):
        kept.keep({number.to_bytes(32, "big"): b"v" * 1000})
        if number == 100:
            print("going", flush=True)
"""


def test_a_run_that_is_killed_leaves_what_it_had_written(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    with Decoded(tmp_path, "small") as kept:
        found = kept.known([number.to_bytes(32, "big") for number in range(100)])
    assert len(found) > 90
    assert set(found.values()) == {b"v" * 1000}
