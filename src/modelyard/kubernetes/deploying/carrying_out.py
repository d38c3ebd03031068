"""Do what was planned: change the objects, wait until the pods run, and write down what was deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.kubernetes.deploying import records, scaling
from modelyard.kubernetes.deploying.applying import apply
from modelyard.kubernetes.deploying.earlier import remove, unread_settings
from modelyard.kubernetes.deploying.ownership import set_by_hand, take_back
from modelyard.kubernetes.deploying.workloads import with_pods
from modelyard.kubernetes.objects import Bundle, text

if TYPE_CHECKING:
    from modelyard.kubernetes.deploying.changes import Change
    from modelyard.kubernetes.deploying.session import Session


def carry_out(one: Session, changes: list[Change]) -> None:
    """Apply what changes, remove what is no longer rendered, and wait until the pods run.

    Raises:
        ToolError: the person says no, or the cluster does.
        StageFailed: the pods do not get ready; the message says why, pod by pod.
    """
    todo = [change for change in changes if change.how != "keep"]
    awaited = one.workload.to_wait_for(one.documents)
    key, task, before = one.rendered.key, one.context.task, records.past(one.running)
    if todo:
        one.ask()
        _apply(one, todo)
    if todo or records.recorded(one.running, records.RENDER) != key:
        _note(one, before, is_ready=False)
    elif all(one.workload.is_complete(one.live_of(thing)) for thing in awaited):
        if not records.was_ready(one.running, key):  # it got ready when nobody waited for it any more
            _note(one, before, is_ready=True)
        one.context.say(f"unchanged: render {key[: records.SHORT]} runs")
        return
    back = records.way_back(one.running, key, task)
    undo = back or f"doit un{task}"
    for thing in awaited:
        one.workload.wait(one.kubectl, thing, one.params.rollout_timeout_s, undo, one.context.say)
    _note(one, before, is_ready=True)
    remove(one.kubectl, unread_settings(one.kubectl, one.earlier, one.documents, one.name))
    one.context.say(f"deployed render {key[: records.SHORT]}" + (f"; go back: {back}" if back else ""))


def _apply(one: Session, todo: list[Change]) -> None:
    """Change the objects, then remove those that are no longer rendered."""
    for change in todo:
        if change.how == "change" and set_by_hand(change.live):
            take_back(one.kubectl, change.live)
        if change.how == "change" and scaling.keeps_number(change.thing, change.live):
            scaling.hand_over(one.kubectl, change.live)
    applied = apply(one.kubectl, [change.thing for change in todo if change.how != "remove"])
    scaling.seed(one.kubectl, one.documents, applied)
    remove(one.kubectl, [change.thing for change in todo if change.how == "remove"])


def _note(one: Session, before: list[records.Past], *, is_ready: bool) -> None:
    """Write down what was deployed, where `kubectl rollout history` and the next deploy read it."""
    now = records.Past(one.rendered.key, one.rendered.commit, is_ready)
    for thing in one.workload.of(one.documents):
        image = next(
            (text(each.spec, "image") for pod in Bundle(with_pods([thing])).pods for each in pod.containers), ""
        )
        records.write_record(one.kubectl, thing, records.record_of(one.context, now, before, image, one.documents))
