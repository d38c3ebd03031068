from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.kubernetes.config_names import config_name, is_hashed, named_by_content, rename_configs, right_name

DATA = {"A": "1"}
NAME = config_name("digits", DATA)
TEXTS = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3)


def config(name: str = NAME, data: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    return {**head, "immutable": True, "data": DATA if data is None else data, **more}


def job(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": config_name("setup", spec)}, "spec": spec}


def deployment(name: str = NAME) -> dict[str, Any]:
    """An object whose pod reads a ConfigMap in each way that there is, and another of the same name that is none."""
    container = {
        "envFrom": [{"configMapRef": {"name": name}}],
        "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": name, "key": "A"}}}],
    }
    volumes = [{"name": name, "configMap": {"name": name}}, {"name": "s", "secret": {"name": name}}]
    spec = {"template": {"spec": {"containers": [container], "volumes": volumes}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "digits"}, "spec": spec}


@settings(max_examples=40)
@given(TEXTS, TEXTS)
def test_other_content_is_another_name_and_the_order_of_keys_is_none(
    one: dict[str, str], other: dict[str, str]
) -> None:
    assert (config_name("digits", one) == config_name("digits", other)) is (one == other)
    assert config_name("digits", dict(reversed(one.items()))) == config_name("digits", one)
    assert (config_name("digits", {}, one) == config_name("digits", one)) is (one == {})
    assert is_hashed(config_name("digits", one), "digits")


@pytest.mark.parametrize(
    ("name", "yes"),
    [
        ("digits-0123456789", True),
        ("digits-abcdef0123", True),
        ("digits-0123456789-0123456789", False),
        ("digits-b-0123456789", False),
        ("digits-012345678", False),
        ("digits-012345678g", False),
        ("digits-ABCDEF0123", False),
        ("digits", False),
        ("-0123456789", False),
    ],
)
def test_a_name_is_that_of_its_service_alone(name: str, yes: bool) -> None:
    assert is_hashed(name, "digits") is yes


def test_what_is_named_by_what_it_holds_is_found_and_nothing_else() -> None:
    setup = job(backoffLimit=3)
    others = [
        config("digits-0123456789"),
        {**config(), "immutable": False},
        config("digits"),
        {**job(), "spec": {"backoffLimit": 1}},
        {**deployment(), "metadata": {"name": "digits-0123456789"}},
    ]
    assert named_by_content([config(), setup, *others]) == {NAME, setup["metadata"]["name"]}
    assert named_by_content(others) == set()


def test_binary_data_is_in_the_name() -> None:
    assert right_name(config(binaryData={"model": "AAAA"})) == config_name("digits", DATA, {"model": "AAAA"}) != NAME


def test_a_change_of_a_config_is_followed_wherever_its_pods_read_it() -> None:
    documents = [config(data={"A": "2"}), deployment()]
    rename_configs(documents, {NAME})
    new = config_name("digits", {"A": "2"})
    assert documents[0]["metadata"]["name"] == new
    expected = deployment(new)
    volumes = expected["spec"]["template"]["spec"]["volumes"]
    volumes[0]["name"] = volumes[1]["secret"]["name"] = NAME  # what is no ConfigMap keeps its name
    assert documents[1] == expected


def test_a_job_is_named_anew_after_its_config_is() -> None:
    mounted = job(template=deployment()["spec"]["template"])
    alone = job(backoffLimit=1)
    before = {mounted["metadata"]["name"], alone["metadata"]["name"]}
    documents = [mounted, alone, config(data={"A": "2"})]
    rename_configs(documents, {NAME, *before})
    assert mounted["metadata"]["name"] not in before, "what it reads is another"
    assert alone["metadata"]["name"] in before
    assert named_by_content(documents) == {one["metadata"]["name"] for one in documents}


def test_what_did_not_change_and_what_is_not_asked_for_stays() -> None:
    for documents, names in (([config(), deployment()], {NAME}), ([config(data={"A": "2"}), deployment()], set[str]())):
        before = copy.deepcopy(documents)
        rename_configs(documents, names)
        assert documents == before
