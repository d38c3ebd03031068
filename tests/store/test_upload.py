from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.files.digests import DigestTable
from modelyard.store import upload
from modelyard.store.file_system import RemoteSettings
from modelyard.store.local import Store
from modelyard.store.record import Record
from modelyard.store.remote import Remote
from modelyard.store.roots import register, roots_file
from modelyard.store.upload import Publisher, forget_uploads
from tests.store.conftest import KEY, Told, keep
from tests.store.kept import stage_json

OTHER = "cd" * 32


@pytest.fixture
def remote(tmp_path: Path, told: Told) -> Remote:
    return Remote(RemoteSettings(f"file://{tmp_path}/remote"), told)


@pytest.fixture
def publisher(store: Store, remote: Remote, table: DigestTable, told: Told) -> Callable[[], Publisher]:
    """Return a function that makes what a new build has."""
    return lambda: Publisher(store, remote, table, told)


@pytest.fixture
def records(store: Store, tmp_path: Path) -> list[Record]:
    """Two results, of which the project needs the first."""
    stage_json(tmp_path / "project", "train:net", KEY)
    register(store.root, tmp_path / "project", [])
    one = keep(store, tmp_path / "one", {"model": b"one"})
    return [one, keep(store, tmp_path / "two", {"model": b"two"}, key=OTHER)]


@pytest.fixture
def roots(store: Store, tmp_path: Path) -> Path:
    return roots_file(store.root, tmp_path / "project")


def names(remote: Remote) -> list[str]:
    return [one.name for folder in ("objects", "traces", "projects") for one in remote.list(folder)]


def test_what_was_submitted_and_what_is_needed_is_there_at_the_end(
    publisher: Callable[[], Publisher], records: list[Record], roots: Path, remote: Remote, told: Told
) -> None:
    build = publisher()
    build.submit(OTHER)
    build.finish(roots)
    assert [remote.trace(key) for key in (KEY, OTHER)] == records
    assert remote.load(f"projects/{roots.name}") == roots.read_bytes()
    assert told == []


def test_the_next_build_gives_nothing_twice_until_it_is_told_to_forget(
    publisher: Callable[[], Publisher], records: list[Record], roots: Path, remote: Remote, table: DigestTable
) -> None:
    publisher().finish(roots)
    assert len(names(remote)) == 3
    remote.remove([one for folder in ("traces", "projects") for one in remote.list(folder)])
    publisher().finish(roots)
    assert remote.trace(KEY) is None, "it was given, and who removed it there says so"
    assert list(remote.list("projects")) == [], "nor is the same registration"
    forget_uploads(table, remote)
    publisher().finish(roots)
    assert remote.trace(KEY) == records[0]


def test_a_result_that_was_made_again_is_given_again(
    publisher: Callable[[], Publisher], records: list[Record], roots: Path, remote: Remote, store: Store, tmp_path: Path
) -> None:
    publisher().finish(roots)
    anew = keep(store, tmp_path / "anew", {"model": b"anew"})
    build = publisher()
    build.submit(KEY)
    build.finish(roots)
    assert remote.trace(KEY) == records[0], "the first stays"
    build.submit(KEY, replace=True)
    build.finish(roots)
    assert remote.trace(KEY) == anew


def test_what_is_not_whole_here_is_not_given_and_is_tried_again(
    publisher: Callable[[], Publisher], records: list[Record], roots: Path, remote: Remote, store: Store, tmp_path: Path
) -> None:
    store.object_file(hashlib.sha256(b"one").hexdigest()).unlink()
    publisher().finish(roots)
    assert remote.trace(KEY) is None
    keep(store, tmp_path / "again", {"model": b"one"})
    publisher().finish(roots)
    assert remote.trace(KEY) is not None


def test_a_project_that_wrote_nothing_down_gives_nothing(
    publisher: Callable[[], Publisher], remote: Remote, tmp_path: Path
) -> None:
    (tmp_path / "damaged.json").write_text("{")
    for file in (tmp_path / "damaged.json", tmp_path / "nowhere.json"):
        publisher().finish(file)
    assert names(remote) == []


def test_a_remote_that_is_down_is_told_once_and_gets_its_results_from_a_later_build(
    records: list[Record], roots: Path, store: Store, table: DigestTable, told: Told, tmp_path: Path
) -> None:
    settings = RemoteSettings(f"file://{tmp_path}/remote")
    (tmp_path / "remote").write_text("a file where the folder should be")
    down = Remote(settings, told)
    build = Publisher(store, down, table, told)
    build.submit(OTHER)
    build.finish(roots)
    assert len(told) == 1
    assert told[0].startswith(f"warning: {down.place} does not work: ")
    (tmp_path / "remote").unlink()
    up = Remote(settings, told)
    Publisher(store, up, table, told).finish(roots)
    assert up.trace(KEY) == records[0]
    assert up.load(f"projects/{roots.name}") == roots.read_bytes()


def test_a_result_that_cannot_be_read_is_told_and_the_others_are_given(
    records: list[Record], roots: Path, remote: Remote, store: Store, table: DigestTable, told: Told
) -> None:
    plain, asked = store.trace, list[str]()

    def trace(key: str) -> Record | None:
        asked.append(key)
        if key == OTHER:
            raise OSError(5, "Input/output error")
        return plain(key)

    store.trace = trace  # type: ignore[method-assign]
    build = Publisher(store, remote, table, told)
    build.submit(OTHER)
    build.finish(roots)
    assert asked == [OTHER, KEY], "in the order in which they were made"
    assert told == [f"warning: a result was not given to {remote.place}: [Errno 5] Input/output error"]
    assert remote.trace(KEY) == records[0]


def test_who_waits_for_long_is_told_what_for(
    publisher: Callable[[], Publisher],
    records: list[Record],
    roots: Path,
    remote: Remote,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upload, "_TELL_AFTER_S", 0.0)
    publisher().finish(roots)
    assert told == [f"giving results to {remote.place}; Ctrl-C leaves the rest to the next build"]
    assert remote.trace(KEY) == records[0]
