"""Changes of objects that break no rule, and what the rules say of them then."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from modelyard.kubernetes.checking import RULE_MODULES
from modelyard.kubernetes.findings import RULES, Finding, findings
from modelyard.kubernetes.objects import Bundle

Objects = list[dict[str, Any]]
Change = Callable[[Objects], None]
Case = tuple[str, Change]
"""The name of a rule, and a change that it is about."""

IMAGE = "registry.example/team/digits:0.1.0@sha256:" + "a" * 64
JOB = {"template": {"spec": {"containers": [{"name": "a", "image": IMAGE}], "restartPolicy": "Never"}}}


def broken(objects: Objects) -> list[Finding]:
    """What the rules say, without the schema, which is slow and has tests of its own."""
    assert RULE_MODULES  # to import them is what fills RULES
    return findings(Bundle([*objects], image=IMAGE))


def of(objects: Objects, kind: str) -> dict[str, Any]:
    return next(one for one in objects if one["kind"] == kind)


def pod(objects: Objects) -> dict[str, Any]:
    return of(objects, "Deployment")["spec"]["template"]["spec"]


def container(objects: Objects) -> dict[str, Any]:
    return pod(objects)["containers"][0]


def put(where: Callable[[Objects], dict[str, Any]], *path: str, value: Any = None) -> Change:
    """Return a change that sets what is at `path` to `value`, or removes it."""

    def change(objects: Objects) -> None:
        target = where(objects)
        for key in path[:-1]:
            target = target.setdefault(key, {})
        if value is None:
            del target[path[-1]]
        else:
            target[path[-1]] = copy.deepcopy(value)

    return change


def kind(name: str) -> Callable[[Objects], dict[str, Any]]:
    return lambda objects: of(objects, name)


def drop(name: str) -> Change:
    return lambda objects: objects.remove(of(objects, name))


def add(**thing: Any) -> Change:
    meta = {"name": "extra", "namespace": "digits"}
    return lambda objects: objects.append({"metadata": meta, **copy.deepcopy(thing)})


def both(*changes: Change) -> Change:
    def change(objects: Objects) -> None:
        for one in changes:
            one(objects)

    return change


def more(where: Callable[[Objects], dict[str, Any]], key: str, value: Any) -> Change:
    return lambda objects: where(objects).setdefault(key, []).append(copy.deepcopy(value))


def cases(table: list[Case]) -> list[Any]:
    """Return the cases with names that tell them apart."""
    return [pytest.param(rule, change, id=f"{n}-{rule}") for n, (rule, change) in enumerate(table)]


def assert_found(good: Objects, rule: str, change: Change) -> None:
    """See that the rule finds what the change made, and says what and what to do."""
    change(good)
    found = [finding for finding in broken(good) if finding.rule == rule]
    assert found, f"{rule} finds nothing"
    assert {finding.severity for finding in found} == {RULES[rule].severity}, found
    assert all(finding.message and finding.remedy for finding in found), found


def assert_left_alone(good: Objects, rule: str, change: Change) -> None:
    """See that the rule says nothing of what the change made."""
    change(good)
    found = [str(finding) for finding in broken(good) if finding.rule == rule]
    assert rule in RULES
    assert not found, found
