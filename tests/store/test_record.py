from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.files.json import as_json
from modelyard.files.manifest import FileEntry, Manifest, manifest_digest
from modelyard.store.record import (
    Accepted,
    Brief,
    InputRecord,
    Record,
    discovered_key,
    object_name,
    read_trace,
    reads_of,
    succeed,
    trace_name,
)

KEY = "ab" * 32
OTHER = "cd" * 32
OUTPUTS: Manifest = {"model/net.bin": FileEntry(OTHER, 3), "model/run": FileEntry(KEY, 0, executable=True)}


def record(outputs: Manifest = OUTPUTS, **facts: Any) -> Record:
    return Record(stage="train:net", key=KEY, digest=manifest_digest(outputs), outputs=outputs, **facts)


def test_a_record_is_read_as_it_was_written() -> None:
    whole = record(
        inputs={"dataset": InputRecord("dataset:points", "train", OTHER)},
        parts={"seed": 3},
        code={"plugins/toy.py": {"train": OTHER}},
        discovered={"sizes.json": OTHER, "$HOME": ""},
        discovered_before=[["a"]],
        metrics={"loss": 0.5},
        reproducible=False,
        accepted=Accepted("ada@host", "2026-01-01T00:00:00+00:00", OTHER),
    )
    assert read_trace(as_json(whole), KEY) == whole
    assert msgspec.json.decode(as_json(whole), type=Brief) == Brief(KEY, whole.digest, OUTPUTS, whole.discovered)


@given(st.dictionaries(st.sampled_from(["a", "b/c", "ü"]), st.builds(FileEntry, st.just(KEY), st.integers(0, 2**60))))
def test_any_outputs_are_read_as_they_were_written(outputs: Manifest) -> None:
    assert read_trace(as_json(record(outputs)), KEY).outputs == outputs


@pytest.mark.parametrize(
    "change", [{"key": OTHER}, {"digest": OTHER}, {"outputs": {}}, {"outputs": {"model/net.bin": [OTHER, 3, True]}}]
)
def test_what_is_not_the_record_of_its_key_is_refused(change: dict[str, Any]) -> None:
    data = json.dumps({**json.loads(as_json(record())), **change}).encode()
    with pytest.raises(ValueError, match=r"^it is not the record of its key$"):
        read_trace(data, KEY)


@pytest.mark.parametrize(
    "name",
    ["stage.json", "", "/etc/passwd", "../model", "model/../../x", "model/", "model//x", "./model", "mo\0del", ".."],
)
def test_a_name_that_is_not_within_the_artifact_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"is not a file of an artifact$"):
        read_trace(as_json(record({name: FileEntry(KEY, 1)})), KEY)


@pytest.mark.parametrize("name", ["model/stage.json", "...", ".hidden", "a b", "ü", "-x"])
def test_a_strange_name_within_the_artifact_is_taken(name: str) -> None:
    assert [*read_trace(as_json(record({name: FileEntry(KEY, 1)})), KEY).outputs] == [name]


@pytest.mark.parametrize("digest", ["", "../" + KEY[3:], KEY[1:], KEY.upper(), f"{KEY}0", f"{KEY}\n"])
def test_a_digest_that_could_lead_elsewhere_is_refused(digest: str) -> None:
    with pytest.raises(ValueError, match=r"^'model' is not a file of an artifact$"):
        read_trace(as_json(record({"model": FileEntry(digest, 1)})), KEY)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b"{}", "missing required field"),
        (b'{"stage": "\xff"}', "(?i)utf-8"),
        (b'{"parts": {"a": ' + b"[" * 100_000, "it is nested too deeply"),
    ],
)
def test_what_is_no_record_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_trace(data, KEY)


def test_names_spread_over_folders_of_two_digits() -> None:
    assert trace_name(KEY) == f"traces/ab/{KEY[2:]}.json"
    assert object_name(OTHER) == f"objects/cd/{OTHER[2:]}"


def test_a_discovered_key_tells_every_name_and_digest_apart_and_knows_no_order() -> None:
    reads: list[dict[str, str]] = [{}, {"a": KEY}, {"a": OTHER}, {"b": KEY}, {"a": KEY, "b": OTHER}, {"$a": KEY}]
    keys = [discovered_key(key, one) for one in reads for key in (KEY, OTHER)]
    assert len(set(keys)) == len(keys)
    assert discovered_key(KEY, {"b": OTHER, "a": KEY}) == discovered_key(KEY, {"a": KEY, "b": OTHER})
    assert all(len(key) == 64 for key in keys)


def test_a_record_that_stands_for_an_earlier_key_knows_what_was_read_before() -> None:
    earlier = record(discovered={"b": KEY, "a": KEY}, discovered_before=[["c"], ["d"]])
    now = msgspec.structs.replace(record(discovered={"d": OTHER}), key=OTHER)
    found = succeed(now, earlier)
    assert (found.key, found.discovered) == (KEY, {"d": OTHER})
    assert reads_of(found) == [["d"], ["a", "b"], ["c"]], "its own first, and none twice"


def test_a_record_with_nothing_before_it_that_read_anything_stays_as_it_is() -> None:
    now = msgspec.structs.replace(record(discovered={"a": KEY}), key=OTHER)
    assert succeed(now, None) is now
    plain = msgspec.structs.replace(record(), key=OTHER)
    assert succeed(plain, record()) is plain
    assert succeed(plain, record(discovered={"a": KEY})).discovered_before == [["a"]]
    assert succeed(now, record()).discovered_before == [[]], "that it read nothing is one way, too"


def test_what_was_read_before_is_bounded_and_the_latest_stay() -> None:
    found = record(discovered={"0": KEY})
    for number in range(1, 20):
        found = succeed(record(discovered={str(number): KEY}), found)
    assert reads_of(found) == [[str(number)] for number in range(19, 10, -1)]


def test_a_record_without_the_fields_that_came_later_says_nothing_of_them() -> None:
    data = json.dumps({"stage": "train:net", "key": KEY, "digest": manifest_digest({}), "outputs": {}}).encode()
    found = read_trace(data, KEY)
    assert (found.started, found.git, found.made_on) == ("", "", "")
    assert (found.duration_s, found.peak_memory_bytes) == (0, 0)
    assert (found.reproducible, found.accepted, found.discovered) == (True, None, {})
