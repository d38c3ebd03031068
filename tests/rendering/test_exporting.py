from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import StageFailed
from modelyard.rendering.exporting import LIST, Exported, export


def files(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != LIST)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    source = tmp_path / "rendered"
    write(source, {"10-a.yaml": "a: 1\n", "20-b.yaml": "b: 1\n", "charts/c.yaml": "c: 1\n", "stage.json": "{}"})
    return source, tmp_path / "deploy/prod"


def write(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


ALL = ("10-a.yaml", "20-b.yaml", "charts/c.yaml")


def test_the_outputs_are_written_and_the_record_is_not(places: tuple[Path, Path]) -> None:
    source, target = places
    assert export(source, ALL, target) == Exported(ALL, (), ())
    assert files(target) == {"10-a.yaml": "a: 1\n", "20-b.yaml": "b: 1\n", "charts/c.yaml": "c: 1\n"}


def test_a_second_export_changes_no_byte_and_no_time(places: tuple[Path, Path]) -> None:
    source, target = places
    export(source, ALL, target)
    before = {path: path.stat() for path in target.rglob("*")}
    assert export(source, ALL, target) == Exported((), (), ALL)
    after = {path: path.stat() for path in target.rglob("*")}
    assert {path: info.st_mtime_ns for path, info in before.items()} == {p: i.st_mtime_ns for p, i in after.items()}


def test_what_is_no_longer_rendered_goes_and_nothing_else(places: tuple[Path, Path]) -> None:
    source, target = places
    export(source, ALL, target)
    write(target, {"argo.yaml": "mine", "charts/notes.md": "mine"})
    write(source, {"10-a.yaml": "a: 2\n"})
    assert export(source, ALL[:1], target) == Exported(ALL[:1], ALL[1:], ())
    assert files(target) == {"10-a.yaml": "a: 2\n", "argo.yaml": "mine", "charts/notes.md": "mine"}


def test_a_folder_that_is_empty_then_goes(places: tuple[Path, Path]) -> None:
    source, target = places
    export(source, ALL, target)
    export(source, ALL[:2], target)
    assert not (target / "charts").exists()


@pytest.mark.parametrize("wanted", [ALL, ALL[:1]], ids=["replaced", "removed"])
def test_what_somebody_changed_stops_it_before_anything_is_changed(
    places: tuple[Path, Path], wanted: tuple[str, ...]
) -> None:
    source, target = places
    export(source, ALL, target)
    write(target, {"20-b.yaml": "b: mine\n"})
    write(source, {"10-a.yaml": "a: 2\n"})
    before = files(target)
    with pytest.raises(StageFailed, match=r"neither replaced nor removed:\n.*20-b\.yaml\n  move it away"):
        export(source, wanted, target)
    assert files(target) == before


def test_a_file_that_was_there_before_is_somebodys_unless_it_is_the_same(places: tuple[Path, Path]) -> None:
    source, target = places
    write(target, {"20-b.yaml": "b: 1\n"})
    assert export(source, ALL, target).kept == ("20-b.yaml",)
    (target / LIST).unlink()
    write(target, {"10-a.yaml": "another"})
    with pytest.raises(StageFailed, match=r"10-a\.yaml"):
        export(source, ALL, target)


def test_a_folder_in_place_of_the_list_is_told(places: tuple[Path, Path]) -> None:
    source, target = places
    (target / LIST).mkdir(parents=True)
    with pytest.raises(StageFailed, match=r"is not the list of an export: it is a folder\n  restore it from git"):
        export(source, ALL, target)


@pytest.mark.parametrize(("text", "said"), [("{", "is not the list"), ('{"../x": "1"}', "is outside of its folder")])
def test_a_list_that_is_none_is_told(places: tuple[Path, Path], text: str, said: str) -> None:
    source, target = places
    write(target, {LIST: text})
    with pytest.raises(StageFailed, match=said):
        export(source, ALL, target)


@pytest.mark.parametrize("place", [".", "..", "charts"])
@pytest.mark.parametrize("kind", ["file", "link to nothing"])
def test_a_file_in_the_way_of_a_folder_stops_it_before_anything_is_changed(
    places: tuple[Path, Path], place: str, kind: str
) -> None:
    source, target = places
    there = (target / place).resolve()
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text("mine") if kind == "file" else there.symlink_to(there.parent / "nowhere")
    before = files(target.parents[1])
    with pytest.raises(StageFailed) as told:
        export(source, ALL, target)
    assert str(told.value) == (
        f"export: {there}: a file is in the way of a folder\n"
        "  move it away, or export elsewhere: doit export export.folder=FOLDER"
    )
    assert files(target.parents[1]) == before


def test_a_link_to_a_folder_is_one(places: tuple[Path, Path]) -> None:
    source, target = places
    (target.parents[1] / "elsewhere").mkdir()
    target.parent.symlink_to(target.parents[1] / "elsewhere")
    assert export(source, ALL, target).written == ALL
    assert (target.parents[1] / "elsewhere/prod/10-a.yaml").read_text() == "a: 1\n"


@given(
    rounds=st.lists(
        st.dictionaries(st.sampled_from(["a.yaml", "b.yaml", "c/d.yaml", "c/e.yaml"]), st.text(max_size=3)),
        min_size=1,
        max_size=5,
    )
)
def test_after_any_exports_the_folder_holds_the_last_alone(
    rounds: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("rounds")
    for number, texts in enumerate(rounds):
        source = place / str(number)
        source.mkdir()
        for name, text in texts.items():
            (source / name).parent.mkdir(exist_ok=True)
            (source / name).write_bytes(text.encode())
        export(source, texts, place / "deploy")
    found = {
        p.relative_to(place / "deploy").as_posix(): p.read_bytes()
        for p in (place / "deploy").rglob("*")
        if p.is_file() and p.name != LIST
    }
    assert found == {name: text.encode() for name, text in rounds[-1].items()}
