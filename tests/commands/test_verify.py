"""`doit verify`: every kind of damage is found, told with what to do, and mended by the next build."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.files.decoded import FOLDER, Decoded
from modelyard.files.digests import DigestTable
from modelyard.files.manifest import FileEntry, manifest_digest
from tests.commands.conftest import Run, run_doit

Hurt = Callable[[Path], Path]


def model(toy: Path) -> Path:
    return toy / "artifacts" / "train" / "model.build" / "model.toy"


def object_of(toy: Path, artifact: Path) -> Path:
    record = json.loads((artifact.parent / "stage.json").read_bytes())
    digest = record["outputs"][artifact.name][0]
    return toy / ".modelyard" / "store" / "objects" / digest[:2] / digest[2:]


def rewrite(path: Path, content: bytes) -> Path:
    path.chmod(0o644)
    path.write_bytes(content)
    return path


def edited_artifact(toy: Path) -> Path:
    return rewrite(model(toy), b"X" + model(toy).read_bytes()[1:])


def short_artifact(toy: Path) -> Path:
    return rewrite(model(toy), b"{")


def lost_artifact(toy: Path) -> Path:
    model(toy).unlink()
    return model(toy)


def executable_artifact(toy: Path) -> Path:
    model(toy).chmod(0o755)
    return model(toy)


def foreign_file(toy: Path) -> Path:
    (model(toy).parent / "notes.txt").write_text("mine")
    return model(toy).parent / "notes.txt"


def torn_record(toy: Path) -> Path:
    return rewrite(model(toy).parent / "stage.json", b"{")


def edited_with_its_record(toy: Path) -> Path:
    path = edited_artifact(toy)
    record = json.loads((path.parent / "stage.json").read_bytes())
    record["outputs"][path.name][0] = hashlib.sha256(path.read_bytes()).hexdigest()
    entries = {name: FileEntry(*entry) for name, entry in record["outputs"].items()}
    return rewrite(path.parent / "stage.json", json.dumps({**record, "digest": manifest_digest(entries)}).encode())


def flipped_object(toy: Path) -> Path:
    path = object_of(toy, model(toy))
    return rewrite(path, b"X" + path.read_bytes()[1:])


def truncated_object(toy: Path) -> Path:
    path = object_of(toy, model(toy))
    return rewrite(path, path.read_bytes()[:5])


def torn_trace(toy: Path) -> Path:
    return rewrite(trace_of_training(toy), b'{"stage"')


def trace_without_object(toy: Path) -> Path:
    object_of(toy, model(toy)).unlink()
    return trace_of_training(toy)


def trace_of_training(toy: Path) -> Path:
    traces = (toy / ".modelyard" / "store" / "traces").rglob("*.json")
    return next(p for p in traces if json.loads(p.read_bytes())["stage"] == "train:model.build")


def wrong_digest(toy: Path) -> Path:
    """Let bytes rot in a way that no stat shows: the table knows another content for what is there."""
    path = model(toy)
    table = DigestTable(toy / ".modelyard" / "state.sqlite")
    digest = json.loads((path.parent / "stage.json").read_bytes())["outputs"][path.name][0]
    path.write_bytes(b"X" + path.read_bytes()[1:])
    table.add([(path, digest)])
    table.close()
    return path


def decoded_with_other_bytes(toy: Path) -> Path:
    with Decoded(toy / ".modelyard" / "cache", "small") as decoded:
        decoded.keep({b"a" * 32: b"pixels", b"b" * 32: b"others"})
    path = toy / ".modelyard" / "cache" / FOLDER / "small.sqlite"
    return rewrite(path, path.read_bytes().replace(b"pixels", b"PIXELS"))


DAMAGES: list[tuple[Hurt, str, str]] = [
    (edited_artifact, "artifact", "has other bytes"),
    (short_artifact, "artifact", "has 1 bytes instead of"),
    (lost_artifact, "artifact", "is not there"),
    (executable_artifact, "artifact", "is executable"),
    (foreign_file, "artifact", "does not belong to the artifact"),
    (torn_record, "artifact", "cannot be read"),
    (edited_with_its_record, "artifact", "says other outputs than the store's record of the same key"),
    (flipped_object, "object", "has other bytes"),
    (truncated_object, "object", "has other bytes"),
    (torn_trace, "trace", "cannot be read as the record of its key"),
    (trace_without_object, "trace", "names 1 objects that are not there, the first for 'model.toy'"),
    (wrong_digest, "digest", "the table says"),
    (decoded_with_other_bytes, "decoded", "has other bytes for 1 samples"),
]


def test_a_whole_project_is_whole(run: Run) -> None:
    done = run("verify")
    assert done.returncode == 0, done.stdout
    assert done.stdout.rstrip().endswith("all whole")
    answer = json.loads(run("verify", "--json").stdout)
    assert answer["damages"] == []
    assert min(answer["checked"][name] for name in ("artifacts", "objects", "traces", "digests", "read_bytes")) > 5


def test_what_another_project_measured_again_is_no_damage(toy: Path, run: Run, tmp_path: Path) -> None:
    other = Path(shutil.copytree(toy, tmp_path / "other", symlinks=True))
    shared = f"store.path={toy}/.modelyard/store"
    assert run_doit(other, "-a", "evaluate", shared).returncode == 0
    mine, theirs = (p / "artifacts/evaluate/plain/latency.json" for p in (toy, other))
    assert mine.read_bytes() != theirs.read_bytes()
    assert run("verify").returncode == 0


FIRST = {what: hurt for hurt, what, _ in reversed(DAMAGES)}.values()
"""One for each kind of thing that can be damaged; the others are tried by thorough runs."""


@pytest.mark.parametrize(
    ("hurt", "what", "problem"),
    [
        pytest.param(*one, id=one[0].__name__, marks=[] if one[0] in FIRST else [pytest.mark.thorough])
        for one in DAMAGES
    ],
)
def test_damage_is_told_dropped_and_mended(hurt: Hurt, what: str, problem: str, toy: Path, run: Run) -> None:
    before = model(toy).read_bytes()
    run("list")  # the copied project's own table is filled
    assert run().returncode == 0
    path = hurt(toy)

    done = run("verify", "--json")
    assert done.returncode == 1
    found = [d for d in json.loads(done.stdout)["damages"] if d["what"] == what]
    assert [problem in d["problem"] for d in found if d["path"] == str(path)] == [True], done.stdout
    assert all("doit" in d["advice"] for d in found)
    assert len(found) == 1 or hurt is trace_without_object, "two stages have the same output"

    told = run("verify", "--repair")
    assert told.returncode == 1
    assert f"damaged {what}" in told.stdout
    assert run().returncode == 0
    assert model(toy).read_bytes() == before
    if what == "artifact" and problem == "is executable":
        model(toy).chmod(0o644)  # a build does not look at modes
    assert clean_after_restoring(toy, run)


def clean_after_restoring(toy: Path, run: Run) -> bool:
    """Tell whether all is whole once the store had to give everything back."""
    assert run("clean", "train").returncode == 0
    assert run().returncode == 0
    done = run("verify")
    assert done.returncode == 0, done.stdout
    return True


def test_verify_changes_nothing_without_repair(toy: Path, run: Run) -> None:
    path = flipped_object(toy)
    damaged = path.read_bytes()
    assert run("verify").returncode == 1
    assert path.read_bytes() == damaged


def test_words_that_are_no_options_are_refused(run: Run) -> None:
    done: Any = run("verify", "train")
    assert done.returncode != 0
    assert "verify: takes no 'train'" in done.stderr


def test_a_hard_link_is_read_once(toy: Path, run: Run) -> None:
    before = json.loads(run("verify", "--json").stdout)["checked"]["read_bytes"]
    artifact = model(toy)
    target = object_of(toy, artifact)
    artifact.unlink()
    os.link(target, artifact)
    after = json.loads(run("verify", "--json").stdout)["checked"]["read_bytes"]
    assert after == before - artifact.stat().st_size
