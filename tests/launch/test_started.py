"""What is known of a server that was started; it may take as long to end as it is given."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path

import pytest

from modelyard.component import argument_docs
from modelyard.launch.started import END_S, Beside, Started
from modelyard.serving.settings import Settings


@pytest.mark.parametrize("kind", [Started, Beside])
def test_each_field_is_documented(kind: type) -> None:
    assert list(argument_docs(inspect.getdoc(kind) or "")) == [one.name for one in fields(kind)]


def test_a_server_may_take_as_long_to_end_as_its_own_settings_let_it() -> None:
    assert Settings().drain_s + Settings().grace_s < END_S


def test_a_server_that_runs_in_no_container_has_nobody_to_say_what_it_takes() -> None:
    started = Started("http://127.0.0.1:1", "image files", lambda: True, lambda number: -number)
    assert (started.is_alive(), started.end(15), started.stats) == (True, -15, None)
    assert Beside({}, Path()).root is None
