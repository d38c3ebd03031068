"""How earlier results are named and compared; the commands that show them are in tests/commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from tests.results import leave

from modelyard.errors import PlanError
from modelyard.explain.past_results import SHORT, compare, entries, find, pair, record_of, steps, today
from modelyard.project.history import Entry

if TYPE_CHECKING:
    from tests.conftest import OpenToy

    from modelyard.build.state import BuildState
    from modelyard.stage import Stage

DATA, TRAIN = "dataset:points", "train:model.build"


@pytest.fixture
def state(open_toy: OpenToy) -> BuildState:
    state = open_toy()
    leave(state, DATA)
    return state


def train(state: BuildState) -> Stage:
    return state.plan.stages[TRAIN]


def refused(state: BuildState, *names: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        find(state, *names) if len(names) == 1 else pair(state, *names)
    return str(caught.value).splitlines()


def test_results_are_listed_the_latest_first(state: BuildState, open_toy: OpenToy) -> None:
    assert entries(state, train(state)) == []
    first = leave(state, TRAIN)
    second = leave(open_toy({"train.passes": "2"}), TRAIN)
    third = leave(state, TRAIN, how="restored")
    assert [(one.key, one.how) for one in entries(state, train(state))] == [
        (third.key, "restored"),
        (second.key, "built"),
        (first.key, "built"),
    ]


def test_an_artifact_that_the_history_does_not_know_is_a_result_too(state: BuildState) -> None:
    first = leave(state, TRAIN, key="1" * 64)
    history = state.workspace.state / "history/train/model.build.jsonl"
    before = history.read_bytes()
    second = leave(state, TRAIN)
    history.write_bytes(before)
    found = entries(state, train(state))
    assert [one.key for one in found] == [second.key, first.key]
    assert (found[0].how, found[0].when) == ("built", second.started)


def test_a_record_is_the_artifacts_or_the_stores(state: BuildState, open_toy: OpenToy) -> None:
    first = leave(state, TRAIN)
    second = leave(open_toy({"train.passes": "2"}), TRAIN)
    assert record_of(state, train(state), second.key) == second
    assert record_of(state, train(state), first.key) == first
    assert record_of(state, train(state), "0" * 64) is None


def test_a_stage_its_kind_a_number_and_the_beginning_of_a_key_name_a_result(
    state: BuildState, open_toy: OpenToy
) -> None:
    first = leave(state, TRAIN)
    second = leave(open_toy({"train.passes": "2"}), TRAIN)
    for name in ("train", TRAIN, "train@0", f"{TRAIN}@0", second.key, second.key[:8]):
        found = find(state, name)
        assert (found.name, found.stage.id, found.entry.key, found.record) == (f"{TRAIN}@0", TRAIN, second.key, second)
    for name in ("train@1", first.key[:8]):
        assert (find(state, name).name, find(state, name).record) == (f"{TRAIN}@1", first)


def test_a_result_whose_key_made_other_bytes_since_has_no_record_any_more(state: BuildState) -> None:
    leave(state, TRAIN, {"model.toy": "1"})
    latest = leave(state, TRAIN, {"model.toy": "2"})
    assert find(state, "train@0").record == latest
    assert find(state, "train@1").record is None
    assert find(state, latest.key[:8]).name == f"{TRAIN}@0"


def test_what_names_no_result_or_several_is_refused_with_what_to_write(state: BuildState) -> None:
    leave(state, TRAIN, key="abcd1" + "0" * 59)
    leave(state, TRAIN, key="abcd2" + "0" * 59)
    names = ", ".join(sorted((one + "0" * 59)[:SHORT] for one in ("abcd1", "abcd2"))[::-1])
    assert refused(state, "abcd") == [
        f"diff: 'abcd' names 2 results: {names}",
        "  write STAGE@N, or 4 or more digits of a key; `doit history STAGE` shows both",
    ]
    assert refused(state, "abc")[0] == "diff: 'abc' names no result"
    assert refused(state, "trian@1")[0] == "diff: 'trian@1' names no result, did you mean 'train'?"
    assert refused(state, "evaluate")[0] == "diff: 'evaluate' names 3 stages"
    assert refused(state, "train@2") == [
        f"diff: {TRAIN} has 2 results, and no '2'",
        f"  `doit history {TRAIN}` lists them",
    ]
    for number in ("-1", "x", ""):
        assert refused(state, f"train@{number}")[0] == f"diff: {TRAIN} has 2 results, and no {number!r}"


def test_now_is_todays_state_of_the_stage_that_the_other_names(state: BuildState, open_toy: OpenToy) -> None:
    leave(state, TRAIN)
    later = open_toy({"train.passes": "2"})
    one, other = pair(later, "train", "now")
    assert (one.name, other.name) == (f"{TRAIN}@0", f"{TRAIN} now")
    assert [result.name for result in pair(later, "now", "train")] == [f"{TRAIN} now", f"{TRAIN}@0"]
    assert refused(later, "now", "now") == [
        "diff: two times 'now'",
        "  name an earlier result, for instance `doit diff train@1 now`",
    ]


def test_today_has_metrics_and_files_if_that_is_there_already(state: BuildState, open_toy: OpenToy) -> None:
    made = leave(state, TRAIN, metrics={"passes": 1})
    assert (today(state, train(state)).record, today(state, train(state)).entry.metrics) == (made, {"passes": 1})
    later = open_toy({"train.passes": "2"})
    found = today(later, train(later))
    assert (found.entry.digest, found.entry.key == made.key) == ("", False)
    assert found.entry.parts["trainer passes"] == 2
    assert found.record is not None
    assert found.record.code == made.code


def test_two_results_are_compared_by_all_that_is_known_of_both(state: BuildState, open_toy: OpenToy) -> None:
    leave(state, TRAIN, {"model.toy": "1", "same": "0"}, metrics={"passes": 1}, made_on="x86-64")
    later = open_toy({"train.passes": "2"})
    leave(later, TRAIN, {"model.toy": "2", "same": "0"}, metrics={"passes": 2}, made_on="arm64", code={})
    one, other = pair(later, "train@1", "train@0")
    found = compare(one, other)
    assert [(change.name, change.old, change.new) for change in found.parts] == [("passes", 1, 2)]
    assert found.code
    assert {change.file for change in found.code} == set(one.record.code if one.record else ())
    assert [(change.name, change.old, change.new) for change in found.metrics or ()] == [("passes", 1, 2)]
    assert [change.name for change in found.outputs or ()] == ["model.toy"]
    assert found.made_on is not None
    assert (found.made_on.old, found.made_on.new) == ("x86-64", "arm64")


def test_what_is_not_built_or_has_no_record_is_not_known(state: BuildState, open_toy: OpenToy) -> None:
    leave(state, TRAIN, metrics={"passes": 1})
    later = open_toy({"train.passes": "2"})
    unbuilt = compare(*pair(later, "train", "now"))
    assert (unbuilt.code, unbuilt.metrics, unbuilt.outputs, unbuilt.made_on) == ([], None, None, None)
    one = find(state, "train")
    lost = compare(one, replace(one, record=None))
    assert (lost.parts, lost.code, lost.metrics, lost.outputs) == ([], None, [], None)


def test_each_result_is_compared_with_the_one_before_it() -> None:
    def entry(**parts: object) -> Entry:
        return Entry(how="built", when="", key="k", digest="d", parts=parts)

    known = [entry(seed=3), entry(seed=2), entry(seed=2)]
    assert [[(one.old, one.new) for one in changes] for changes in steps(known, ())] == [[(2, 3)], [], []]
    assert steps([], ()) == []
    assert steps(iter(known[:1]), ()) == [[]]
