"""What the rules look at, how one is skipped on purpose, and that no shape of the objects stops them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.kubernetes.changes import JOB, add, broken, container, of, pod

from modelyard.kubernetes.checking import check

if TYPE_CHECKING:
    from tests.kubernetes.changes import Objects


@pytest.mark.parametrize("extra", ["memory", "GPU"])
def test_an_init_container_is_checked_too(good: Objects, extra: str) -> None:
    pod(good)["initContainers"] = [{"name": extra.lower(), "image": "busybox"}]
    rules = {finding.rule for finding in broken(good)}
    assert {"image-digest", "explicit-tag", "resources", "read-only-root", "drop-capabilities"} <= rules
    assert "probes" not in rules


def test_a_job_needs_no_probe(good: Objects) -> None:
    add(apiVersion="batch/v1", kind="CronJob", spec={"schedule": "* * * * *", "jobTemplate": {"spec": JOB}})(good)
    rules = {finding.rule for finding in broken(good) if finding.subject == "CronJob/extra"}
    assert "no-token" in rules
    assert "probes" not in rules


# --- skipping on purpose


def annotate(objects: Objects, text: str) -> None:
    of(objects, "Deployment")["metadata"]["annotations"]["modelyard.dev/skip"] = text


def test_a_rule_is_skipped_with_a_reason_on_that_object_alone(good: Objects) -> None:
    del container(good)["resources"]["limits"]["cpu"]
    assert [finding.rule for finding in check(good)] == ["cpu-limit"]
    annotate(good, "cpu-limit: throttling costs more than it saves; replicas: one is enough")
    assert check(good) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cpu-limit", "without a reason"),
        ("cpu-limits: why not", "unknown rule 'cpu-limits', did you mean 'cpu-limit'?"),
    ],
)
def test_a_skip_that_says_too_little_is_an_error(good: Objects, text: str, said: str) -> None:
    annotate(good, text)
    (finding,) = check(good)
    assert (finding.rule, finding.severity) == ("skip", "error")
    assert said in finding.message


# --- whatever the objects are

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def _paths(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [where, *(path for key, inner in pairs for path in _paths(inner, (*where, key)))]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_wrong_shape_anywhere_is_reported_and_never_a_crash(good: Objects, data: st.DataObject) -> None:
    objects: Any = copy.deepcopy(good)
    path = data.draw(st.sampled_from([path for path in _paths(objects) if path]))
    target = objects
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = data.draw(JSON)
    for finding in broken(objects):
        assert finding.severity in ("error", "warning")
        assert str(finding)
