"""Each reason by itself; the whole answer of `doit why` is in tests/commands/test_why.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec import UNSET
from tests.results import leave

from modelyard.build.verdict import MAYBE, RESTORE, RUN, UP_TO_DATE, Damage, Findings, Verdict
from modelyard.explain.reasons import Explanation, Reason, explain, input_files, reasons
from modelyard.files.manifest import FileEntry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import OpenToy

    from modelyard.build.state import BuildState

DATA, TRAIN, PLAIN = "dataset:points", "train:model.build", "optimize:plain"
A, B = "a" * 64, "b" * 64


@pytest.fixture
def state(open_toy: OpenToy) -> BuildState:
    """The toy with data and a model."""
    state = open_toy()
    leave(state, DATA)
    leave(state, TRAIN)
    return state


def found(state: BuildState, stage: str) -> list[tuple[str, str, str]]:
    return [(one.kind, one.name, one.text) for one in explain(state, state.plan.stages[stage]).reasons]


def texts(state: BuildState, findings: Findings) -> list[str]:
    """Return what is said of the model with such findings."""
    verdicts = {DATA: Verdict(state=UP_TO_DATE), TRAIN: Verdict(state=RUN, findings=findings)}
    return [one.text for one in reasons(state, state.plan.stages[TRAIN], verdicts)]


def test_what_is_up_to_date_has_no_reasons_and_says_how_long_it_took(state: BuildState) -> None:
    assert explain(state, state.plan.stages[TRAIN]) == Explanation(
        stage=TRAIN, state=UP_TO_DATE, otherwise="", source="", reasons=[], roots=[], expected_s=2.5
    )


def test_what_was_never_made_is_missing_and_has_nothing_to_compare(state: BuildState) -> None:
    assert found(state, PLAIN) == [("missing", PLAIN, "there is no artifact")]
    answer = explain(state, state.plan.stages["evaluate:plain"])
    assert [one.kind for one in answer.reasons] == ["missing", "upstream"]
    assert (answer.state, answer.roots, answer.expected_s) == (RUN, [PLAIN], None)


def test_a_parameter_that_changed_is_told_with_both_values(state: BuildState, open_toy: OpenToy) -> None:
    later = open_toy({"train.passes": "3"})
    (reason,) = explain(later, later.plan.stages[TRAIN]).reasons
    assert reason == Reason(
        kind="parameter", name="passes", text="parameter passes of the trainer: 1 -> 3", old=1, new=3
    )


def test_input_files_are_what_parameters_name_and_a_change_says_where_they_are(
    open_toy: OpenToy, new_toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(new_toy)
    assert input_files(open_toy().plan.stages[DATA]) == {}
    table = new_toy / "points.csv"
    table.write_text("0,0,0\n")
    state = open_toy({"dataset.table": "points.csv"})
    assert input_files(state.plan.stages[DATA]) == {"dataset table": str(table)}
    leave(state, DATA)
    table.write_text("0,0,1\n")
    state.judge.invalidate(state.plan.stages[DATA])
    (reason,) = explain(state, state.plan.stages[DATA]).reasons
    assert (reason.kind, reason.name) == ("file", "table")
    assert reason.text.startswith("file table of the dataset: ")
    assert reason.text.endswith(" (points.csv)")


def test_code_that_changed_is_told_by_file_and_function(state: BuildState, new_toy: Path) -> None:
    helper = new_toy / "helper.py"
    helper.write_text(helper.read_text().replace("value / 2", "value / 3"))
    state.judge.invalidate(state.plan.stages[TRAIN])
    (reason,) = explain(state, state.plan.stages[TRAIN]).reasons
    assert (reason.kind, reason.name, reason.text) == ("code", "helper.py", "code helper.py: shrink changed")
    assert reason.functions == {"changed": ("shrink",), "added": (), "removed": ()}


def test_a_module_that_is_used_once_more_changes_no_function(state: BuildState) -> None:
    stage = state.plan.stages[TRAIN]
    today = state.judge.fingerprint(stage)
    leave(state, TRAIN, parts={**today.parts, "code trainer": A}, key="0" * 64)
    assert [(kind, text) for kind, _, text in found(state, TRAIN)] == [
        ("code", "code: a module is used once more, or once less")
    ]


def test_outputs_that_are_not_as_they_were_made(state: BuildState) -> None:
    leave(state, TRAIN, {"gone": "1", "edited": "1", "run": "1", "kept": "1"})
    folder = state.workspace.folder(state.plan.stages[TRAIN])
    (folder / "gone").unlink()
    (folder / "edited").write_text("22")
    (folder / "added").write_text("3")
    (folder / "run").chmod(0o755)
    state.judge.invalidate(state.plan.stages[TRAIN])
    answer = {one.name: one for one in explain(state, state.plan.stages[TRAIN]).reasons}
    assert {one.kind for one in answer.values()} == {"output"}
    assert {name: one.text.partition(":")[0] for name, one in answer.items()} == {
        "gone": "output gone was deleted",
        "edited": "output edited was edited",
        "added": "output added was added",
        "run": "output run is executable",
    }
    assert (answer["gone"].new, answer["added"].old) == (UNSET, UNSET)
    assert "new" not in msgspec.json.decode(msgspec.json.encode(answer["gone"]))


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        (Damage(FileEntry(A, 1, executable=True), FileEntry(A, 1)), "output model is not executable"),
        (Damage(FileEntry(A, 1), FileEntry("", 1)), "output model cannot be read"),
        (Damage(FileEntry(A, 1), FileEntry(B, 1)), f"output model was edited: {A[:12]} -> {B[:12]}"),
    ],
)
def test_a_damaged_output_in_words(state: BuildState, harm: Damage, text: str) -> None:
    assert texts(state, Findings(damage={"model": harm})) == [text]


def test_a_folder_that_cannot_be_looked_at_is_told(state: BuildState) -> None:
    assert texts(state, Findings(unreadable="it has a socket")) == ["it has a socket"]


def test_what_a_stage_was_seen_to_read_is_told_with_both_digests(state: BuildState) -> None:
    leave(state, TRAIN, discovered={"notes.txt": A, "$HOME_OF_DATA": ""})
    changed = Findings(changed_reads={"notes.txt": "", "$HOME_OF_DATA": B})
    made = reasons(
        state, state.plan.stages[TRAIN], {DATA: Verdict(state=UP_TO_DATE), TRAIN: Verdict(state=RUN, findings=changed)}
    )
    assert [(one.old, one.new) for one in made] == [(A, UNSET), (UNSET, B)]
    assert texts(state, changed) == [
        f"notes.txt, which the stage was seen to read: {A[:12]} -> not set",
        f"$HOME_OF_DATA, which the stage was seen to read: not set -> {B[:12]}",
    ]


def test_what_stops_a_stage_stands_first(state: BuildState) -> None:
    verdicts = {
        TRAIN: Verdict(state=RUN, error="no such file", findings=Findings(absent="none")),
        DATA: Verdict(state=RESTORE),
    }
    made = list(reasons(state, state.plan.stages[TRAIN], verdicts))
    assert [(one.kind, one.text) for one in made] == [("error", "no such file"), ("missing", "none")]


@pytest.mark.parametrize(("upstream", "words"), [(RUN, "is stale"), (MAYBE, "may be stale")])
def test_an_earlier_stage_that_is_not_settled_is_told_with_its_role(
    state: BuildState, upstream: str, words: str
) -> None:
    verdicts = {TRAIN: Verdict(state=MAYBE), DATA: Verdict(state=upstream)}
    (one,) = reasons(state, state.plan.stages[TRAIN], verdicts)
    assert (one.kind, one.name) == ("upstream", DATA)
    assert one.text == f"input dataset: {DATA} {words}, see `doit why {DATA}`"


def test_other_bytes_of_the_same_key_are_told_with_the_machines(state: BuildState) -> None:
    first = leave(state, TRAIN, {"model.toy": "1"}, made_on="x86-64")
    leave(state, PLAIN)
    second = leave(state, TRAIN, {"model.toy": "2"}, made_on="arm64")
    assert first.key == second.key
    digests = f"{first.digest[:12]} -> {second.digest[:12]}"
    told = f"input model: {TRAIN} is another: {digests}, with the same key (then on x86-64, now on arm64)"
    assert found(state, PLAIN) == [("input", "model", told)]


def test_an_input_that_another_key_made_is_told_without_machines(state: BuildState, open_toy: OpenToy) -> None:
    first = state.workspace.record(state.plan.stages[TRAIN])
    assert first is not None
    leave(state, PLAIN)
    later = open_toy({"train.passes": "3"})
    second = leave(later, TRAIN, {"model.toy": "2"})
    told = f"input model: {TRAIN} is another: {first.digest[:12]} -> {second.digest[:12]}"
    assert found(later, PLAIN) == [("input", "model", told)]
    back = open_toy()
    assert back.judge.verdict(back.plan.stages[TRAIN]).state == RESTORE
    assert found(back, PLAIN) == [], "what comes back is what it was made of"
    leave(later, PLAIN)
    told = f"input model: {TRAIN} will be restored as another: {second.digest[:12]} -> {first.digest[:12]}"
    assert found(open_toy(), PLAIN) == [("input", "model", told)]
