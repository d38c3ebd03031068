"""Wait for objects whose controllers say by a condition `Ready` how they fare, as those of Knative do.

Source: Knative Serving API specification, "Error signalling"; Knative Eventing, Trigger lifecycle.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed
from modelyard.kubernetes.deploying.events import warnings
from modelyard.kubernetes.deploying.pods import state, told
from modelyard.kubernetes.deploying.rollout import is_seen
from modelyard.kubernetes.objects import items, kind, label, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.kubernetes.deploying.pods import State
    from modelyard.kubernetes.kubectl import Kubectl
    from modelyard.kubernetes.objects import Object

LOOK_S = 0.5
FALSE_S = 10.0
"""How long a controller may say no until that counts: a Trigger waits for its Broker, say."""
_REVISION = "serving.knative.dev/revision"


def is_ready(live: object) -> bool:
    """Tell whether the controller of a live object has seen what was applied last, and says that it is ready."""
    return is_seen(live) and _said(live) == "True"


def why(live: object) -> list[str]:
    """Return what keeps an object, as its controller says it, the particular before the general."""
    if not items(live, "status", "conditions"):
        return ["nobody has looked at it: its controller does not run, or has no rights there"]
    if not is_seen(live):
        return ["its controller has not seen yet what was applied"]
    told_ = [one for one in items(live, "status", "conditions") if text(one, "status") != "True" and not _is_info(one)]
    inner = [one for one in told_ if text(one, "type") != "Ready"]
    words = [_words(one) for one in inner or told_]
    return list(dict.fromkeys(words))


def wait(kubectl: Kubectl, thing: Object, timeout_s: int, back: str, say: Callable[[str], None]) -> None:
    """Wait until an object that was applied is ready; say how it fares as that changes.

    Args:
        kubectl: for its namespace.
        thing: the object as it was rendered.
        timeout_s: how long to wait at most.
        back: the command that undoes what was applied.
        say: takes the lines.

    Raises:
        StageFailed: its controller says no, or time is up; the message says why.
    """
    say(f"waiting up to {timeout_s} s for {label(thing)}")
    now = time.monotonic()
    end, refused_s, before = now + timeout_s, 0.0, ""
    while True:
        live = kubectl.read("get", _resource(thing), text(thing, "metadata", "name")) or {}
        if is_ready(live):
            say(f"{label(thing)} is ready{_where(live)}")
            return
        if (short := "; ".join(why(live))) != before:
            say(f"  {label(thing)}: {short}")
        before, now = short, time.monotonic()
        says_no = is_seen(live) and _said(live) == "False"
        refused_s = (refused_s or now) if says_no else 0.0
        given_up = bool(refused_s) and now - refused_s > FALSE_S
        if given_up or now > end:
            raise StageFailed(_failure(kubectl, thing, live, "" if given_up else f"not within {timeout_s} s", back))
        time.sleep(LOOK_S)


def _said(live: object) -> str:
    return next((text(o, "status") for o in items(live, "status", "conditions") if text(o, "type") == "Ready"), "")


def _is_info(condition: Object) -> bool:
    return text(condition, "severity") in ("Info", "Warning")


def _words(condition: Object) -> str:
    reason, message = text(condition, "reason"), text(condition, "message")
    named = f"{text(condition, 'type')} is {text(condition, 'status')}"
    return ": ".join(filter(None, [f"{named} ({reason})" if reason else named, message]))


def _where(live: object) -> str:
    """Return at what address a live Service of Knative is asked, in words."""
    url = text(live, "status", "url")
    return f", at {url}" if url else ""


def _resource(thing: Object) -> str:
    """Return what kubectl calls the objects of that kind, with the group, so that no other is meant."""
    return f"{text(thing, 'kind').lower()}s.{text(thing, 'apiVersion').partition('/')[0]}"


def _pods(kubectl: Kubectl, live: object) -> tuple[State, ...]:
    """Return the pods of the revision that was made last; none of anything else."""
    revision = text(live, "status", "latestCreatedRevisionName")
    found: Any = kubectl.read("get", "pods", "-l", f"{_REVISION}={revision}") if revision else None
    return tuple(state(one) for one in items(found, "items"))


def _failure(kubectl: Kubectl, thing: Object, live: object, late: str, back: str) -> str:
    pods = _pods(kubectl, live) if kind(thing) == "serving.knative.dev/Service" else ()
    reasons = [*filter(None, [late]), *why(live), *told(one for one in pods if not one.is_ready)]
    reasons += warnings(kubectl, pods, {text(thing, "metadata", "name")})
    look = kubectl.shown("describe", _resource(thing), text(thing, "metadata", "name"))
    return (
        f"{label(thing)} did not get ready:\n  " + "\n  ".join(reasons) + f"\n  look further: {look}\n  go back: {back}"
    )
