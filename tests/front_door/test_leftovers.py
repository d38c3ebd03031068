"""A target that is gone leaves nothing behind that could be applied; what a person put into an artifact is never removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.front_door.builds import build, copy

TABLES = '[tool.modelyard.targets.second]\nuse = "note"\n'


@pytest.fixture(scope="module")
def built(built_toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a built project with two targets; not to be changed."""
    folder = copy(built_toy, tmp_path_factory.mktemp("leftovers") / "toy")
    with (folder / "pyproject.toml").open("a") as file:
        file.write(TABLES)
    done = build(folder)
    assert done.code == 0, done.output
    return folder


@pytest.fixture
def two(built: Path, tmp_path: Path) -> Path:
    return copy(built, tmp_path / "two")


def drop(project: Path) -> None:
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace(TABLES, ""))


def keep_elsewhere(project: Path) -> None:
    file = project / "pyproject.toml"
    profile = TABLES.replace("targets.second", "profiles.more.targets.second")
    file.write_text(file.read_text().replace(TABLES, profile))


def test_manifests_of_a_target_that_is_gone_go_with_the_next_build(two: Path) -> None:
    drop(two)

    done = build(two)

    assert done.code == 0, done.output
    assert "render:second is no longer in pyproject.toml: artifacts/render/second/ is removed\n" in done.output
    assert sorted(path.name for path in (two / "artifacts/render").iterdir()) == ["note"]
    assert not (two / "artifacts/.aside").exists()
    assert "render:second" not in build(two).output


def test_the_target_comes_back_from_the_store(two: Path) -> None:
    before = (two / "artifacts/render/second/note.txt").read_bytes()
    drop(two)
    build(two)
    with (two / "pyproject.toml").open("a") as file:
        file.write(TABLES)

    done = build(two)

    assert done.stages["render:second"] == "restored", done.output
    assert (two / "artifacts/render/second/note.txt").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (lambda folder: (folder / "mine.txt").write_text("mine"), {"mine.txt": "mine"}),
        (lambda folder: (folder / "note.txt").unlink() or (folder / "note.txt").write_text("x"), {"note.txt": "x"}),
        (lambda folder: (folder / "stage.json").unlink(), {"note.txt": "modelyard"}),
        (lambda folder: (folder / "nowhere").symlink_to("/nonexistent"), {"note.txt": "modelyard"}),
    ],
    ids=["added", "changed", "record gone", "broken link"],
)
def test_what_somebody_added_or_changed_is_moved_aside(
    two: Path, change: Callable[[Path], object], kept: dict[str, str]
) -> None:
    change(two / "artifacts/render/second")
    drop(two)

    done = build(two)

    assert done.code == 0, done.output
    said = "is removed; what was added or changed there is in artifacts/.aside/render/second.1/"
    assert said in done.output
    assert not (two / "artifacts/render/second").exists()
    for name, text in kept.items():
        assert (two / "artifacts/.aside/render/second.1" / name).read_text().startswith(text)


def test_a_target_of_a_profile_that_is_not_chosen_stays(two: Path) -> None:
    keep_elsewhere(two)

    done = build(two)

    assert done.code == 0, done.output
    assert "no longer" not in done.output
    assert (two / "artifacts/render/second/note.txt").is_file()


def test_artifacts_of_other_kinds_stay(two: Path) -> None:
    file = two / "pyproject.toml"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if not line.startswith("rounded = ")))

    assert build(two).code == 0
    assert (two / "artifacts/evaluate/rounded").is_dir()


@pytest.mark.parametrize("command", [(), ('version="2.0"',), ("clean", "render:note")], ids=["doit", "stale", "clean"])
def test_what_a_person_put_into_an_artifact_is_moved_aside(two: Path, command: tuple[str, ...]) -> None:
    folder = two / "artifacts/render/note"
    (folder / "secrets").mkdir()
    (folder / "secrets/password").write_text("hidden")

    done = build(two, *command)

    assert done.code == 0, done.output
    aside = "artifacts/.aside/render/note.1"
    said = f"render:note: what was added or changed in its artifact is now in {aside}/: secrets/password"
    assert said in done.output
    assert (two / aside / "secrets/password").read_text() == "hidden"
    assert sorted(path.name for path in (two / aside).iterdir()) == ["secrets"]
    assert not (folder / "secrets").exists()


def test_a_file_that_was_edited_in_an_artifact_is_kept_beside_what_the_build_wrote(two: Path) -> None:
    file = two / "artifacts/render/note/note.txt"
    before = file.read_bytes()
    file.write_text("tried something")

    done = build(two)

    assert done.stages["render:note"] == "restored", done.output
    assert file.read_bytes() == before
    assert (two / "artifacts/.aside/render/note.1/note.txt").read_text() == "tried something"


def test_a_record_that_is_gone_makes_no_artifact_a_persons(two: Path) -> None:
    (two / "artifacts/render/note/stage.json").unlink()

    done = build(two)

    assert done.stages["render:note"] == "restored", done.output
    assert not (two / "artifacts/.aside").exists()
