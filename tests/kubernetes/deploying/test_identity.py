from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.kubernetes.deploying.identity import (
    Identity,
    as_stream,
    bare,
    from_list,
    identity,
    is_ours,
    namespace_of,
    service_name,
)

OURS = {"app.kubernetes.io/managed-by": "modelyard", "app.kubernetes.io/name": "digits"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=5,
)


def thing(kind: str = "Service", version: str = "v1", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": {"a": 1}}


def test_an_object_is_the_same_in_every_version_of_its_group() -> None:
    one, other = (thing("Scaler", f"autoscaling/{version}", name="a") for version in ("v1", "v2"))
    assert identity(one, "x") == identity(other, "x") == Identity("autoscaling/Scaler", "x", "a")
    assert identity(thing(name="a"), "x") == Identity("/Service", "x", "a")
    assert identity(thing(name="a", namespace="y"), "x").namespace == "y"


@pytest.mark.parametrize(
    ("labels", "ours"),
    [
        (OURS, True),
        ({**OURS, "app.kubernetes.io/instance": "digits", "app.kubernetes.io/name": "other"}, True),
        ({**OURS, "app.kubernetes.io/instance": "next"}, False),
        ({**OURS, "app.kubernetes.io/managed-by": "Helm"}, False),
        ({"app.kubernetes.io/name": "digits"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_an_object_is_ours_by_its_manager_and_its_service(labels: Any, ours: bool) -> None:
    assert is_ours(thing(labels=labels), "digits") is ours
    assert is_ours(thing("Namespace", labels=labels), "digits"), "a namespace may be anybody's"
    assert not is_ours(thing("Namespace", "example.org/v1"), "digits"), "which this is not"


def test_the_service_and_the_namespace_are_those_that_the_objects_name() -> None:
    labelled = thing(labels={"app.kubernetes.io/instance": "next"})
    assert (service_name([labelled, thing()]), service_name([thing()]), service_name([])) == ("next", "", "")
    assert namespace_of([thing("Namespace", name="a"), thing(namespace="b"), thing(namespace="c")]) == "b"
    assert namespace_of([thing()]) == namespace_of([]) == ""


def test_no_more_is_left_of_an_object_than_which_one_it_is() -> None:
    expected = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    assert bare(thing(name="a", labels={"b": "c"}, uid="1")) == expected
    assert bare(thing(name="a", namespace="n"))["metadata"] == {"name": "a", "namespace": "n"}


@settings(max_examples=40)
@given(st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=3), max_size=4))
def test_a_stream_is_read_back_as_the_objects_that_it_was_made_of(things: list[dict[str, Any]]) -> None:
    text, found = as_stream(things), []
    assert not any(line.startswith("---") for line in text.splitlines())
    decoder = json.JSONDecoder()
    while text:
        one, end = decoder.raw_decode(text)
        found.append(one)
        text = text[end:].lstrip("\n")
    assert found == things


def test_what_kubectl_answers_is_several_objects_one_or_none() -> None:
    one = thing(name="a")
    assert from_list(json.dumps({"kind": "List", "items": [one, one]})) == [one, one]
    assert from_list(json.dumps({"kind": "List", "items": None})) == []
    assert from_list(json.dumps(one)) == [one]
    assert from_list("") == from_list("\n") == []
    assert from_list(as_stream([one])) == [one]


@pytest.mark.parametrize("answer", ["[]", "{", "error: no such"])
def test_an_answer_that_is_no_object_is_refused(answer: str) -> None:
    with pytest.raises(ValueError, match=r"object|truncated|malformed"):
        from_list(answer)
