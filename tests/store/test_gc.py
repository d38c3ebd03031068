"""What may leave a store: the plan, for any store and any bounds; then real removals."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import ConfigError
from modelyard.files.manifest import FileEntry
from modelyard.store.gc import Bounds, Stored, Trace, files_of, keys_of_refs, plan_sweep, read_store, users_of
from modelyard.store.local import Store
from modelyard.store.objects import Listed
from modelyard.store.record import Record
from modelyard.store.roots import Roots, all_roots, register
from tests.store.conftest import KEY, MakeStore, keep
from tests.store.kept import stage_json

KEYS = [f"{n:064x}" for n in range(6)]
DIGESTS = [f"{n:064x}" for n in range(100, 106)]


@st.composite
def stores(draw: st.DrawFn) -> Stored:
    objects = {d: Listed(d, draw(st.integers(0, 50)), 0.0) for d in DIGESTS if draw(st.booleans())}
    traces = {}
    for key in KEYS:
        if draw(st.booleans()):
            outputs = {d: FileEntry(d, 1) for d in draw(st.sets(st.sampled_from(DIGESTS)))}
            record = Record(stage="s:s", key=key, digest="", outputs=outputs)
            traces[key] = Trace(Listed(key, draw(st.integers(1, 9)), float(draw(st.integers(0, 5)))), record)
    growing = draw(st.sets(st.sampled_from(DIGESTS + KEYS))) & (objects.keys() | traces.keys())
    return Stored(traces=traces, objects=objects, junk=[], growing=frozenset(growing))


BOUNDS = st.builds(Bounds, st.none() | st.integers(0, 200), st.none() | st.integers(0, 6).map(float))


@given(stores(), st.sets(st.sampled_from(KEYS)), BOUNDS)
def test_a_sweep_keeps_what_is_needed_and_leaves_no_more_than_it_must(
    stored: Stored, needed: set[str], bounds: Bounds
) -> None:
    plan = plan_sweep(stored, needed, bounds, now=5.0)
    needed = needed | stored.growing
    left = {key: trace for key, trace in stored.traces.items() if key not in plan.traces}
    named = {name for trace in left.values() for name in trace.record.outputs} | stored.growing

    assert not needed & set(plan.traces)
    assert set(plan.objects) == stored.objects.keys() - named, "exactly what no trace names any more"
    size = sum(t.file.size for t in left.values()) + sum(stored.objects[d].size for d in named & stored.objects.keys())
    assert plan.after_bytes == size
    free = [trace for key, trace in left.items() if key not in needed]
    if bounds.max_size_bytes is not None and size > bounds.max_size_bytes:
        assert free == []
    if bounds.older_than_s is not None:
        assert all(trace.file.used > 5.0 - bounds.older_than_s for trace in free)
    gone = [stored.traces[key] for key in plan.traces]
    aged = {
        key
        for key, trace in stored.traces.items()
        if bounds.older_than_s is not None and key not in needed and trace.file.used <= 5.0 - bounds.older_than_s
    }
    extra = [key for key in stored.traces if key in set(plan.traces) - aged]
    assert aged <= set(plan.traces)
    assert not (bounds.max_size_bytes is None and extra)
    if extra and bounds.max_size_bytes is not None:
        last = max(extra, key=lambda key: (stored.traces[key].file.used, extra.index(key)))
        objects = _digests(stored.traces[last], stored) - named
        back = stored.traces[last].file.size + sum(stored.objects[d].size for d in objects)
        assert size + back > bounds.max_size_bytes, "with the last one it would have been too large"
    assert max((t.file.used for t in gone), default=0) <= min((t.file.used for t in free), default=9), (
        "the longest unused go first"
    )


def _digests(trace: Trace, stored: Stored) -> set[str]:
    return trace.record.outputs.keys() & stored.objects.keys()


def test_reading_and_sweeping_a_real_store(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store()
    old = keep(store, tmp_path / "old", {"model": b"old" * 100, "shared": b"both"}, key=KEYS[1])
    new = keep(store, tmp_path / "new", {"model": b"new" * 100, "shared": b"both"}, key=KEYS[2])
    os.utime(store.trace_file(old.key), (1, 1))
    (store.root / "objects" / "ab").mkdir(exist_ok=True)
    (store.root / "objects" / "ab" / ".half-written").write_bytes(b"x" * 10)
    (store.root / "objects" / "abc").mkdir()
    (store.root / "objects" / "abc" / ("d" * 61)).write_bytes(b"y" * 10)
    for place in ("traces", "objects"):  # as if they went away in this moment
        (store.root / place / "aa").mkdir(exist_ok=True)
        (store.root / place / "aa" / ("a" * 62)).symlink_to("nowhere")
    bad = store.trace_file(KEYS[3])
    bad.parent.mkdir(parents=True, exist_ok=True)
    bad.write_text("{")

    stored = read_store(store)
    assert set(stored.traces) == {old.key, new.key}
    assert len(stored.objects) == 3
    assert sorted(Path(one.name).name for one in stored.junk) == sorted([".half-written", "d" * 61, bad.name])
    assert plan_sweep(stored, set(), Bounds(older_than_s=3600)).traces == [old.key]
    plan = plan_sweep(stored, set(), Bounds(max_size_bytes=stored.size_bytes - 1))
    assert plan.traces == [old.key]
    files = files_of(stored, plan)
    freed = stored.traces[old.key].file.size + 300 + 20 + 1
    assert store.remove(files, dry_run=True) == freed
    assert store.remove(files) == freed
    assert store.remove(files) == 0, "what is gone frees nothing, and is no error"
    assert not (store.root / "objects" / "abc").exists(), "nor is an empty folder left"
    assert store.find(old.key) is None
    assert store.find(new.key) == new
    assert read_store(store).size_bytes == plan.after_bytes


def test_what_is_still_linked_frees_nothing(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store()
    record = keep(store, tmp_path / "made", {"model": b"x" * 1000})
    os.link(store.object_file(record.outputs["model"].digest), tmp_path / "link")
    stored = read_store(store)
    plan = plan_sweep(stored, set(), Bounds(max_size_bytes=0))
    assert store.remove(files_of(stored, plan)) == stored.traces[KEY].file.size


def test_a_restored_result_counts_as_used(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store()
    record = keep(store, tmp_path / "made", {"model": b"x"})
    os.utime(store.trace_file(KEY), (1, 1))
    store.restore(record, tmp_path / "back")
    assert time.time() - store.trace_file(KEY).stat().st_mtime < 60


# Who needs what


def test_projects_that_are_gone_and_those_of_other_machines(make_store: MakeStore, tmp_path: Path) -> None:
    import msgspec

    store = make_store()
    for name in ("here", "gone"):
        (tmp_path / name).mkdir()
        register(store.root, tmp_path / name, [])
    (tmp_path / "gone").rmdir()
    for host, updated in (("far", "2026-01-30T00:00:00+00:00"), ("long-ago", "2025-01-01T00:00:00+00:00")):
        roots = Roots(path="/srv/project", host=host, updated=updated, keys={"a:b": KEY})
        (store.root / "projects" / f"{host}.json").write_bytes(msgspec.json.encode(roots))
    (store.root / "projects" / "bad.json").write_text("{")
    now = 1_769_904_000.0  # 2026-02-01
    users = users_of(store, now)
    assert {Path(r.path).name + r.host for r in users.alive.values()} == {f"here{roots_here(store)}", "projectfar"}
    assert sorted(Path(r.path).name for r in users.gone.values()) == ["gone", "project"]
    assert [file.name for file in users.damaged] == ["projects/bad.json"]


def test_a_project_of_another_machine_counts_for_thirty_days_and_its_folder_is_not_looked_for_here(
    make_store: MakeStore, tmp_path: Path
) -> None:
    import msgspec

    store, project = make_store(), tmp_path / "project"
    stage_json(project, "train:net", KEYS[1])
    roots = Roots(path=str(project), host="far", updated="2026-01-01T00:00:00+00:00", keys={"train:net": KEYS[0]})
    assert not roots.is_here
    assert roots.needed() == {KEYS[0]}
    (store.root / "projects").mkdir(parents=True)
    (store.root / "projects" / "far.json").write_bytes(msgspec.json.encode(roots))
    end = 1_767_225_600.0 + 30 * 86400
    assert (len(users_of(store, end).alive), len(users_of(store, end + 1).gone)) == (1, 1)
    assert len(users_of(store).gone) == 1, "today"


def roots_here(store: Store) -> str:
    return next(r.host for _, r in all_roots(store) if r and r.path.endswith("here"))


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_a_ref_keeps_the_results_of_its_commits(
    make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "-q", "-b", "main")
    commits = []
    for number in range(3):
        if number == 2:
            git(repository, "switch", "-q", "-c", "side", "main~1")
        git(repository, "commit", "-q", "--allow-empty", "-m", str(number))
        commits.append(git(repository, "rev-parse", "HEAD"))
    store = make_store()
    for number, commit in enumerate((commits[0], f"{commits[1]}+", commits[2], "")):
        keep(store, tmp_path / f"made{number}", {"m": b"%d" % number}, key=KEYS[number], git=commit)
    stored = read_store(store)
    assert keys_of_refs(stored, repository, []) == set()
    assert keys_of_refs(stored, repository, ["main"]) == {KEYS[0], KEYS[1]}
    assert keys_of_refs(stored, repository, ["side"]) == {KEYS[0], KEYS[2]}
    assert keys_of_refs(stored, repository, ["main", "side"]) == {KEYS[0], KEYS[1], KEYS[2]}
    with pytest.raises(
        ConfigError, match=r"git knows no 'mian', did you mean 'main'\?\n  branches and tags: main, side"
    ):
        keys_of_refs(stored, repository, ["mian"])
    with pytest.raises(ConfigError, match=r"git knows no '--all'"):
        keys_of_refs(stored, repository, ["--all"])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=r"git cannot be run: .*\n  install git, or leave --keep-ref out"):
        keys_of_refs(stored, repository, ["main"])
