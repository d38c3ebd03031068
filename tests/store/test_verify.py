from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelyard.files.decoded import FOLDER
from modelyard.files.digests import DigestTable
from modelyard.files.json import write_json
from modelyard.kinds import BUILT_IN, Kind
from modelyard.store.file_system import RemoteSettings
from modelyard.store.local import Store
from modelyard.store.objects import Listed, transfer
from modelyard.store.record import Record, object_name, trace_name
from modelyard.store.remote import Remote
from modelyard.store.verify import Damage, StoreVerifier, Verifier
from tests.store.conftest import KEY, MakeStore, Told, keep

FILES = {"model.bin": b"a model" * 1000, "copy/model.bin": b"a model" * 1000, "empty": b""}
OTHER = "cd" * 32
OTHER_BYTES = b"A model" * 1000
REPAIR = "run `doit verify --repair`: it is dropped, and the next build brings back what it needs"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def remote(tmp_path: Path, told: Told) -> Remote:
    return Remote(RemoteSettings(f"file://{tmp_path}/remote"), told)


def test_damage_at_a_remote_is_found_and_dropped_with_what_names_it(
    remote: Remote, make_store: MakeStore, tmp_path: Path, told: Told
) -> None:
    one, two = make_store("one"), make_store("two")
    record = keep(one, tmp_path / "first", FILES)
    other = keep(one, tmp_path / "second", {"other": b"other"}, key=OTHER)
    for made in (record, other):
        assert transfer(made, one, remote)
    assert list(StoreVerifier(remote).damages()) == []
    assert remote.save(object_name(other.outputs["other"].digest), b"OTHER")  # any file can be written so
    assert remote.save(trace_name("ef" * 32), b"{")
    verifier = StoreVerifier(remote)
    found = list(verifier.damages())
    assert [one.what for one in found] == ["object", "trace"]
    assert verifier.checked.objects == 3
    assert verifier.checked.read_bytes == len(FILES["model.bin"]) + len(b"other")
    verifier.repair()
    assert list(StoreVerifier(remote).damages()) == []
    assert remote.trace(OTHER) is None
    assert transfer(record, remote, two)
    assert transfer(other, one, remote), "it can be given again"
    assert isinstance(next(remote.list("traces")), Listed)


@pytest.fixture
def artifact(store: Store, tmp_path: Path) -> Path:
    """The folder of an artifact, `train:net`, that the store keeps, too."""
    folder = tmp_path / "artifacts" / "train" / "net"
    write_json(folder / "stage.json", keep(store, folder, FILES))
    return folder


@pytest.fixture
def verifier(store: Store, table: DigestTable, tmp_path: Path) -> Callable[..., Verifier]:
    """Return a function that makes a verifier of the project and its store."""

    def make(kinds: Mapping[str, Kind] = BUILT_IN) -> Verifier:
        return Verifier(tmp_path / "artifacts", tmp_path / "cache", store, [table], kinds)

    return make


def shown(found: list[Damage], folder: Path) -> list[tuple[str, str, str]]:
    return [(one.what, one.path.removeprefix(f"{folder}/"), one.problem) for one in found]


def test_what_is_whole_is_read_once_and_nothing_is_said_of_it(
    verifier: Callable[..., Verifier], artifact: Path
) -> None:
    found = verifier()
    assert list(found.damages()) == []
    checked = found.checked
    assert (checked.artifacts, checked.objects, checked.traces, checked.decoded) == (3, 2, 1, 0)
    assert checked.digests >= 2, "the objects that were just kept"
    assert checked.read_bytes == 3 * len(FILES["model.bin"]), "two copies in the artifact, and one object"
    assert found.repair() == 0


def other_bytes(file: Path) -> None:
    file.write_bytes(OTHER_BYTES)


def longer(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"x")


def runnable(file: Path) -> None:
    file.chmod(0o755)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (other_bytes, f"has other bytes: {sha256(OTHER_BYTES)[:12]} instead of {sha256(FILES['model.bin'])[:12]}"),
        (longer, "has 7001 bytes instead of 7000"),
        (runnable, "is executable"),
        (Path.unlink, "is not there, or cannot be read"),
    ],
)
def test_a_file_of_an_artifact_that_is_not_as_its_record_says_is_named(
    damage: Callable[[Path], None], problem: str, verifier: Callable[..., Verifier], artifact: Path
) -> None:
    damage(artifact / "model.bin")
    [found] = verifier().damages()
    advice = "run `doit train:net`: it comes back from the store or is made anew"
    assert found == Damage("artifact", f"{artifact}/model.bin", problem, advice, "train:net")


def test_a_file_that_was_executable_is_told(verifier: Callable[..., Verifier], store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "artifacts" / "train" / "net"
    folder.mkdir(parents=True)
    (folder / "run").touch(0o755)
    write_json(folder / "stage.json", keep(store, folder, {"run": b"#!"}))
    (folder / "run").chmod(0o644)
    assert shown(list(verifier().damages()), folder) == [("artifact", "run", "is not executable")]


def test_what_does_not_belong_and_a_record_that_cannot_be_read_are_named(
    verifier: Callable[..., Verifier], artifact: Path
) -> None:
    (artifact / "deep").mkdir()
    (artifact / "deep" / "notes.txt").touch()
    (artifact.parent / "bad").mkdir()
    (artifact.parent / "bad" / "stage.json").write_text("{")
    (artifact.parent / ".unfinished").mkdir()
    (artifact.parent / ".unfinished" / "stage.json").write_text("{")
    found = list(verifier().damages())
    bad, stray = shown(found, artifact.parent)
    assert bad[:2] == ("artifact", "bad/stage.json")
    assert bad[2].startswith("cannot be read: ")
    assert stray == ("artifact", "net/deep/notes.txt", "does not belong to the artifact")
    assert [one.stage for one in found] == ["train:bad", "train:net"]


def edited(record: Record, **facts: Any) -> Record:
    """Return a record of the same key with no outputs, as somebody or another machine might have it."""
    return msgspec.structs.replace(record, outputs={}, **facts)


def test_a_record_that_says_other_outputs_than_the_store_s_goes(
    verifier: Callable[..., Verifier], store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "artifacts" / "train" / "net"
    record = msgspec.structs.replace(keep(store, tmp_path / "made", FILES), made_on="x86-64, one")
    store.put_trace(record)
    folder.mkdir(parents=True)
    write_json(folder / "stage.json", edited(record, made_on="x86-64, other"))
    found = verifier()
    [one] = found.damages()
    assert (one.what, one.path, one.advice) == ("artifact", f"{folder}/stage.json", REPAIR)
    assert one.problem.endswith("made anew elsewhere (it was made on x86-64, other, the store's on x86-64, one)")
    assert found.repair() == 1
    assert not (folder / "stage.json").exists()
    assert list(verifier().damages()) == []


def test_where_no_two_runs_must_agree_nothing_is_said_of_other_outputs(
    verifier: Callable[..., Verifier], store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "artifacts" / "train" / "net"
    folder.mkdir(parents=True)
    record = keep(store, tmp_path / "made", FILES)
    write_json(folder / "stage.json", edited(record))
    assert len(list(verifier().damages())) == 1
    assert list(verifier({}).damages()) == [], "a kind that is not there any more may have measured"
    measuring = {"train": msgspec.structs.replace(BUILT_IN["train"], measures=True)}
    assert list(verifier(measuring).damages()) == []
    store.put_trace(msgspec.structs.replace(record, reproducible=False))
    assert list(verifier().damages()) == []


def test_a_damaged_object_goes_and_what_the_table_says_of_it(
    verifier: Callable[..., Verifier], store: Store, table: DigestTable, tmp_path: Path
) -> None:
    record = keep(store, tmp_path / "made", FILES)
    digest = record.outputs["model.bin"].digest
    there = store.object_file(digest)
    there.chmod(0o644)
    other_bytes(there)
    table.add([(there, digest)])  # as after an edit that kept its stat
    found = verifier()
    what = {one.what: one for one in found.damages()}
    assert what.keys() == {"object", "digest"}
    read = sha256(OTHER_BYTES)[:12]
    assert what["object"].problem == f"has other bytes: {read} instead of {digest[:12]}"
    assert what["digest"].problem == f"the table says {digest[:12]}, its bytes say {read}"
    assert store.has_all(record), "the table is believed"
    assert found.repair() == 2
    assert not there.exists()
    assert store.trace(KEY) == record, "nobody else is in, so the trace may wait for the object"


def test_a_row_of_the_table_whose_file_changed_since_says_nothing(
    verifier: Callable[..., Verifier], table: DigestTable, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"one")
    table.add([(tmp_path / "file", OTHER)])
    assert [one.what for one in verifier().damages()] == ["digest"]
    longer(tmp_path / "file")
    found = verifier()
    assert list(found.damages()) == []
    assert found.checked.digests == 0


def test_a_trace_that_is_damaged_or_names_what_is_gone_goes(
    verifier: Callable[..., Verifier], store: Store, tmp_path: Path
) -> None:
    record = keep(store, tmp_path / "made", FILES)
    store.object_file(record.outputs["empty"].digest).unlink()
    bad = store.trace_file(OTHER)
    bad.parent.mkdir(parents=True)
    bad.write_text("{")
    found = verifier()
    damages = list(found.damages())
    assert shown(damages, store.root) == [
        ("trace", trace_name(OTHER), "cannot be read as the record of its key"),
        ("trace", trace_name(KEY), "names 1 objects that are not there, the first for 'empty'"),
    ]
    assert [one.stage for one in damages] == ["", "train:net"]
    assert found.repair() == 2
    assert list(store.list("traces")) == []
    assert store.has(record.outputs["model.bin"]), "an object that is whole stays"


def test_what_was_decoded_before_and_is_damaged_goes(verifier: Callable[..., Verifier], tmp_path: Path) -> None:
    file = tmp_path / "cache" / FOLDER / "way.sqlite"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database" * 100)
    file.with_name("way.sqlite-wal").touch()
    found = verifier()
    [one] = found.damages()
    assert (one.what, one.path) == ("decoded", str(file))
    assert found.checked.decoded == 1
    assert found.repair() == 1
    assert list(file.parent.iterdir()) == []
