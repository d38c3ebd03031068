"""What will change: each object as the API says that it will be, after it has tried them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.kubernetes.deploying import scaling
from modelyard.kubernetes.deploying.applying import attempt, conflicts, refuse
from modelyard.kubernetes.deploying.changes import Change, judge
from modelyard.kubernetes.deploying.earlier import no_longer_rendered
from modelyard.kubernetes.deploying.ownership import may_be_taken, set_by_hand, take_back
from modelyard.kubernetes.kubectl import is_forbidden
from modelyard.kubernetes.objects import Bundle, label

if TYPE_CHECKING:
    from modelyard.kubernetes.deploying.identity import Identity
    from modelyard.kubernetes.deploying.session import Session
    from modelyard.kubernetes.objects import Object

_SCALER = "kube-controller-manager"
"""What an autoscaler sets the number of pods under."""


def plan(one: Session) -> list[Change]:
    """Return what happens to each object, after the API has tried them all.

    Raises:
        ToolError: it refuses one.
    """
    then = _tried(one)
    rendered = {one.of(thing) for thing in one.documents}
    changes = [_change(one, thing, then[one.of(thing)]) for thing in one.documents]
    gone = no_longer_rendered(one.earlier, rendered, one.cluster.namespace, one.name)
    return changes + [Change("remove", thing, thing, why="no longer rendered") for thing in gone]


def _change(one: Session, thing: Object, then: Any) -> Change:
    live = one.live_of(thing)
    notes = []
    if live is not None and set_by_hand(live):
        notes.append(f"taken over from {_others(one, thing)}")
    if live is not None and scaling.keeps_number(thing, live):
        then = scaling.with_number(then, live)
        notes.append("the number of pods is left to the autoscaler")
    return judge(thing, live, then, notes)


def _tried(one: Session) -> dict[Identity, Any]:
    """Return each object as the API says that it will be."""
    tried = attempt(one.kubectl, one.documents, one.cluster.namespace)
    for thing in Bundle(one.documents).of("Namespace"):  # it is there: only what is in it must be one's own to change
        if is_forbidden(why := tried.refused.get(one.of(thing), "")):
            one.leave(thing, why)
            del tried.refused[one.of(thing)]
    refuse({which: why for which, why in tried.refused.items() if not _is_taken(one, which, why)})
    taken = [thing for thing in one.documents if one.of(thing) in tried.refused]
    forced = attempt(one.kubectl, taken, one.cluster.namespace, force=True)
    mixed = [thing for thing in taken if one.of(thing) in forced.refused and set_by_hand(one.live_of(thing) or {})]
    left = {one.of(thing) for thing in mixed}
    refuse({which: why for which, why in forced.refused.items() if which not in left})
    return tried.results | forced.results | _tried_whole(one, mixed)


def _tried_whole(one: Session, mixed: list[Object]) -> dict[Identity, Any]:
    """Return objects that can be tried only when what others set in them is taken over: beside it they are not valid.

    That changes no value; what is no longer rendered goes with the apply.
    """
    for thing in mixed:
        one.context.say(f"  {label(thing)}: can be tried only when what {_others(one, thing)} set is taken over")
    if one.context.dry_run or not mixed:
        return {one.of(thing): one.live_of(thing) for thing in mixed}
    one.ask()
    for thing in mixed:
        take_back(one.kubectl, one.live_of(thing))
    one.live = one.read_live()
    tried = attempt(one.kubectl, mixed, one.cluster.namespace, force=True)
    refuse(tried.refused)
    return tried.results


def _others(one: Session, thing: Object) -> str:
    return " and ".join(set_by_hand(one.live_of(thing) or {}))


def _is_taken(one: Session, which: Identity, why: str) -> bool:
    """Tell whether a refusal is about fields alone that a deploy takes over, or may be."""
    found = conflicts(why)
    if not found:  # it may be valid without what others set in it
        return bool(set_by_hand(one.live.get(which) or {}))
    scaled = not Bundle(one.documents).of("HorizontalPodAutoscaler") and which.kind == "apps/Deployment"
    return all(
        one.force
        or may_be_taken(each.manager)
        or (scaled and each.manager == _SCALER and each.fields == (".spec.replicas",))
        for each in found
    )
