"""A rule, what it finds, and how a finding is skipped on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from modelyard.errors import did_you_mean
from modelyard.kubernetes.objects import Bundle, Container, Object, Pod, label, text

Severity = Literal["error", "warning"]
SKIP = "modelyard.dev/skip"
"""An annotation on an object: `rule: reason`, several with `;` between. The reason is for who reads it next."""


@dataclass(frozen=True)
class Finding:
    """One place where the objects break a rule.

    Attributes:
        rule: the rule's name.
        severity: an `error` fails the stage, a `warning` is logged.
        subject: `Kind/name` of the object.
        message: what is wrong.
        remedy: what to do.
    """

    rule: str
    severity: Severity
    subject: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.message} [{self.rule}]\n  {self.remedy}"


@dataclass(frozen=True)
class Rule:
    """A rule: its name and severity, what to do when it is broken, and the function that looks.

    `look(bundle)` yields the object and what is wrong with it, for each place that breaks the rule.
    """

    name: str
    severity: Severity
    remedy: str
    look: Callable[[Bundle], Iterable[tuple[Object, str]]]


RULES: dict[str, Rule] = {}
"""Every rule by name, in the order in which they look."""

Subject = TypeVar("Subject")
Look = Callable[[Bundle, Subject], Iterator[str]]
Decorator = Callable[[Look[Subject]], Look[Subject]]


def rule(
    name: str,
    severity: Severity,
    remedy: str,
    subjects: Callable[[Bundle], Iterable[Subject]],
    owner: Callable[[Subject], Object],
) -> Decorator[Subject]:
    """Return a decorator that makes a rule of `function(bundle, subject) -> Iterator[str]`.

    Args:
        name: the rule's name, for messages and for `SKIP`.
        severity: `error` or `warning`.
        remedy: what to do.
        subjects: what the function looks at, one at a time.
        owner: the object to which a subject belongs.
    """

    def decorate(function: Look[Subject]) -> Look[Subject]:
        def look(bundle: Bundle) -> Iterator[tuple[Object, str]]:
            for subject in subjects(bundle):
                yield from ((owner(subject), message) for message in function(bundle, subject))

        RULES[name] = Rule(name, severity, remedy, look)
        return function

    return decorate


def on_pod(name: str, severity: Severity, remedy: str) -> Decorator[Pod]:
    """Return a decorator for a rule on each pod: `function(bundle, pod)`."""
    return rule(name, severity, remedy, lambda bundle: bundle.pods, lambda pod: pod.owner)


def on_container(name: str, severity: Severity, remedy: str) -> Decorator[Container]:
    """Return a decorator for a rule on each container: `function(bundle, container)`; init containers too."""

    def containers(bundle: Bundle) -> Iterator[Container]:
        return (one for pod in bundle.pods for one in pod.containers)

    return rule(name, severity, remedy, containers, lambda container: container.pod.owner)


def on_server(name: str, severity: Severity, remedy: str) -> Decorator[Container]:
    """Return a decorator for a rule on each container that serves: no init container, no job."""

    def containers(bundle: Bundle) -> Iterator[Container]:
        return (one for pod in bundle.pods if pod.long_running for one in pod.containers if not one.init)

    return rule(name, severity, remedy, containers, lambda container: container.pod.owner)


def on_kind(*kinds: str, name: str, severity: Severity, remedy: str) -> Decorator[Object]:
    """Return a decorator for a rule on each object of `kinds`, or on every object: `function(bundle, thing)`."""

    def objects(bundle: Bundle) -> Sequence[Object]:
        return bundle.of(*kinds) if kinds else bundle.objects

    return rule(name, severity, remedy, objects, lambda thing: thing)


def findings(bundle: Bundle) -> list[Finding]:
    """Return what the rules find, without what is skipped on purpose, and what is wrong with the skips themselves."""
    found = [finding for one in bundle.objects for finding in _bad_skips(one)]
    for each in RULES.values():
        for thing, message in each.look(bundle):
            if each.name not in _skips(thing):
                found.append(Finding(each.name, each.severity, label(thing), message, each.remedy))
    return found


def _skips(thing: Object) -> dict[str, str]:
    entries = text(thing, "metadata", "annotations", SKIP).split(";")
    pairs = (entry.partition(":") for entry in entries if entry.strip())
    return {name.strip(): reason.strip() for name, _, reason in pairs}


def _bad_skips(thing: Object) -> Iterator[Finding]:
    for name, reason in _skips(thing).items():
        if name not in RULES:
            message = f"skips the unknown rule {name!r}{did_you_mean(name, RULES)}"
            yield Finding("skip", "error", label(thing), message, f"write `RULE: REASON` in the annotation {SKIP}")
        elif not reason:
            message = f"skips the rule {name!r} without a reason"
            yield Finding("skip", "error", label(thing), message, f"write `{name}: REASON` in the annotation {SKIP}")
