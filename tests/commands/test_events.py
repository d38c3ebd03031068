"""`doit events`; with a real broker it is tried by the tutorial."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from modelyard.commands import events
from modelyard.errors import ToolError


def engine(source: Any) -> Any:
    stage = SimpleNamespace(handle=lambda: "artifacts/dataset")
    return SimpleNamespace(
        project=SimpleNamespace(config=SimpleNamespace(events=source)), plan=SimpleNamespace(of_kind=lambda _: [stage])
    )


def test_a_project_without_events_is_told_what_to_add() -> None:
    [group] = events.tasks(engine(None), "speak", lambda function: function)
    with pytest.raises(ToolError, match=r"add \[tool.modelyard.events\]"):
        group["actions"][0]()


def test_there_is_a_task_for_each_side_and_sending_needs_the_data_set_alone() -> None:
    _, setup, send = events.tasks(engine(object()), "speak", lambda function: function)
    assert (setup["name"], send["name"]) == ("setup", "send")
    assert send["file_dep"] == ["artifacts/dataset"]
    assert {one["name"] for one in send["params"]} == {"samples", "file", "type", "wait"}


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
