from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.kubernetes.deploying.changes import Change, judge, plain

THING: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "digits", "labels": {"a": "1"}},
    "spec": {"replicas": 2, "template": {"containers": [{"image": "a:1"}, {"image": "b:1"}]}},
}
LIVE = {
    **THING,
    "metadata": {
        **THING["metadata"],
        "managedFields": [{}],
        "resourceVersion": "7",
        "generation": 3,
        "uid": "u",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    },
    "status": {"readyReplicas": 1},
}


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    """Return the live object with another value at `path`."""
    made = copy.deepcopy(LIVE)
    inner: Any = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return made


def test_what_the_server_alone_says_is_left_out_and_the_object_stays() -> None:
    before = copy.deepcopy(LIVE)
    made = plain(LIVE)
    assert made == THING
    made["spec"]["replicas"] = 9
    assert before == LIVE
    assert plain({"kind": "A", "metadata": None}) == {"kind": "A", "metadata": {}}


def test_an_object_that_is_not_there_is_created() -> None:
    found = judge(THING, None, LIVE, ["a note"])
    assert (found.how, found.live, found.then, found.why) == ("create", None, LIVE, "")


def test_an_object_that_stays_the_same_is_kept_whatever_the_server_says_of_it() -> None:
    for path, value in ((("status",), {}), (("metadata", "resourceVersion"), "8"), (("metadata", "generation"), 4)):
        assert judge(THING, LIVE, changed(*path, value=value), []).how == "keep"


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("spec", "replicas"), 3, "spec.replicas"),
        (("metadata", "labels", "b"), "2", "metadata.labels.b"),
        (("metadata", "labels"), {}, "metadata.labels.a"),
        (("spec", "template", "containers", 1, "image"), "b:2", "spec.template.containers[1].image"),
        (("spec", "template", "containers"), [{"image": "a:1"}], "spec.template.containers"),
        (("spec", "template"), None, "spec.template"),
        (("spec", "replicas"), {"a": 1}, "spec.replicas"),
    ],
)
def test_a_field_that_differs_is_named_by_its_path(path: tuple[str | int, ...], value: Any, why: str) -> None:
    found = judge(THING, LIVE, changed(*path, value=value), [])
    assert (found.how, found.why) == ("change", why)
    assert str(found) == f"  change    Deployment/digits: {why}"


def test_some_of_many_fields_are_named_and_notes_come_behind_them() -> None:
    then = changed("metadata", "labels", value={"a": "1", **dict.fromkeys("bcdefg", "x")})
    found = judge(THING, LIVE, then, ["its pods restart", "taken over"])
    shown = ", ".join(f"metadata.labels.{key}" for key in "bcde")
    assert found.why == f"{shown} and 2 more; its pods restart; taken over"
    noted = judge(THING, LIVE, LIVE, ["taken over"])
    assert (noted.how, noted.why) == ("change", "taken over")


def test_each_change_is_a_line_and_what_is_kept_says_no_more() -> None:
    assert str(Change("keep", THING, LIVE, LIVE)) == "  keep      Deployment/digits"
    assert str(Change("remove", THING, why="no longer rendered")) == "  remove    Deployment/digits: no longer rendered"


def test_a_diff_is_of_lines_of_yaml() -> None:
    told = judge(THING, LIVE, changed("spec", "replicas", value=3), []).diff()
    assert told.splitlines()[:2] == ["--- live Deployment/digits", "+++ rendered Deployment/digits"]
    lines = told.splitlines()[2:]
    assert [line for line in lines if line[0] in "+-"] == ["-  replicas: 2", "+  replicas: 3"]
    assert "resourceVersion" not in told
    assert Change("keep", THING, LIVE, LIVE).diff() == ""


def test_of_an_object_that_comes_or_goes_every_line_is_told() -> None:
    created, removed = Change("create", THING, None, LIVE).diff(), Change("remove", THING, LIVE, None).diff()
    assert "+kind: Deployment" in created.splitlines()
    assert "-kind: Deployment" in removed.splitlines()
    assert {line[0] for line in created.splitlines()[3:]} == {"+"}
    assert {line[0] for line in removed.splitlines()[3:]} == {"-"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=50)
@given(VALUES, VALUES)
def test_an_object_changes_exactly_where_something_differs(one: Any, other: Any) -> None:
    live, then = {**LIVE, "spec": one}, {**LIVE, "spec": other}
    found = judge(THING, live, then, [])
    assert found.how == ("keep" if without_nothing(one) == without_nothing(other) else "change")


def without_nothing(value: Any) -> Any:
    """Return a value without the keys that hold null, which to the API are not there."""
    if isinstance(value, dict):
        return {key: without_nothing(inner) for key, inner in value.items() if inner is not None}
    return [without_nothing(inner) for inner in value] if isinstance(value, list) else value
