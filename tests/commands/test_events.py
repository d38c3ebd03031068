"""`doit events`; with a real broker it is tried by the tutorial."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from modelyard.commands import events
from modelyard.commands.deployment import hand_down
from modelyard.errors import ToolError


def plan(source: Any, pipeline: str = "") -> Any:
    stage = SimpleNamespace(handle=lambda: f"artifacts/dataset{pipeline}")
    config = SimpleNamespace(events=source, called=lambda name: f"{pipeline}.{name}" if pipeline else name)
    return SimpleNamespace(config=config, of_kind=lambda _: [stage])


def engine(*plans: Any) -> Any:
    return SimpleNamespace(plan=SimpleNamespace(pipelines=plans))


def test_a_project_without_events_is_told_what_to_add() -> None:
    [group] = events.tasks(engine(plan(None)), "speak", lambda function: function)
    with pytest.raises(ToolError, match=r"add \[tool.modelyard.events\]"):
        group["actions"][0]()


def test_there_is_a_task_for_each_side_and_sending_needs_the_data_set_alone() -> None:
    _, setup, send = events.tasks(engine(plan(object())), "speak", lambda function: function)
    assert (setup["name"], send["name"]) == ("setup", "send")
    assert send["file_dep"] == ["artifacts/dataset"]
    assert {one["name"] for one in send["params"]} == {"samples", "file", "type", "wait"}


def test_of_several_pipelines_those_that_take_events_have_tasks_of_their_own() -> None:
    several = engine(plan(None, "left"), plan(object(), "right"))
    _, setup, send = events.tasks(several, "speak", lambda function: function)
    assert (setup["name"], send["name"], send["file_dep"]) == ("right.setup", "right.send", ["artifacts/datasetright"])


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"samples": 0}, "--samples 0: there would be no event\n  allowed: 1 or more"),
        ({"samples": -1}, "--samples -1: "),
        ({"wait": -0.5}, "--wait -0.5: it is no time\n  allowed: 0 or more seconds"),
        ({"wait": float("nan")}, "--wait nan: "),
        ({"wait": float("inf")}, "--wait inf: "),
        (
            {"type": "image/png"},
            "--type image/png: samples of the test split are sent as JSON\n  name a file, too: --file",
        ),
    ],
)
def test_options_that_are_not_right_are_named(options: dict[str, Any], what: str) -> None:
    usual = {one["name"]: one["default"] for one in events.PARAMS}
    with pytest.raises(ToolError) as caught:
        events.send(engine(), plan(object()), **{**usual, **options})
    assert str(caught.value).startswith(f"events:send: {what}")


def test_the_options_of_the_group_are_those_of_sending() -> None:
    group, setup, send = (
        SimpleNamespace(name=name, params=one.get("params", ()), options=None, task_dep=[])
        for name, one in zip(
            ("events", "events:setup", "events:send"),
            events.tasks(engine(plan(object())), "speak", lambda one: one),
            strict=True,
        )
    )
    group.task_dep, group.options = [setup.name, send.name], {"samples": 1}
    hand_down({one.name: one for one in (group, setup, send)})
    assert (group.params, setup.options, send.options) == (events.PARAMS, None, {"samples": 1})


def test_a_files_media_type_follows_from_its_name(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG")
    made = events._of_file(str(file), "")
    assert (made.headers["content-type"], made.body) == ("image/png", b"\x89PNG")
    assert events._of_file(str(file), "application/octet-stream").headers["content-type"] == "application/octet-stream"
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"{}")))
    assert events._of_file("-", "").headers["content-type"] == "application/json"
    with pytest.raises(ToolError, match="No such file"):
        events._of_file(str(tmp_path / "nope"), "")
