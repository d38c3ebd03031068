from __future__ import annotations

from pathlib import Path

from modelyard.project.last_build import Journal, read_journal


def test_a_run_is_written_and_read(tmp_path: Path) -> None:
    file = tmp_path / "state" / "last-build.json"
    Journal({"train:net": "built"}, {"select:net": "no variant meets every gate"}).write(file)
    assert read_journal(file) == Journal({"train:net": "built"}, {"select:net": "no variant meets every gate"})
    assert [path.name for path in file.parent.iterdir()] == ["last-build.json"]


def test_a_run_in_which_nothing_happened_leaves_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "last-build.json"
    Journal({"train:net": "restored"}).write(file)
    Journal().write(file)
    assert read_journal(file).outcomes == {"train:net": "restored"}


def test_a_damaged_or_missing_journal_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "last-build.json"
    assert read_journal(file) == Journal()
    for text in ("{", "[]", '{"outcomes": 1}'):
        file.write_text(text)
        assert read_journal(file) == Journal()


def test_runs_do_not_share_what_they_hold() -> None:
    Journal().outcomes["a"] = "built"
    assert Journal().outcomes == {}
