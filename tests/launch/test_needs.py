"""What the machine must have for an image's server to be started."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from modelyard.component import Component, Source, Use
from modelyard.contexts import Lack
from modelyard.launch import needs
from modelyard.oci import engine
from modelyard.stage import Stage
from modelyard.stage_settings import CheckSettings


def runtime(folder: object) -> None:
    """Run nothing."""


OWN = Component("runtime", "own", runtime, Source("test", "project", Path("test.py")))
BROUGHT = msgspec.structs.replace(OWN, reads_settings=False)


def lacks(component: Component, *, start: bool = True) -> list[Lack]:
    settings = CheckSettings(start=start, events="auto", timeout_s=1.0)
    return list(needs.lacks(Stage("check", "net", {"runtime": Use(component)}, settings)))


@pytest.mark.parametrize(
    ("component", "is_linux", "start", "needs_engine"),
    [
        (OWN, True, True, False),
        (OWN, False, True, True),
        (BROUGHT, True, True, True),
        (BROUGHT, False, True, True),
        (BROUGHT, False, False, False),
    ],
)
@pytest.mark.parametrize("why", ["", "nobody listens"])
def test_a_container_is_needed_where_the_image_s_programs_do_not_run(
    component: Component, is_linux: bool, start: bool, needs_engine: bool, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "is_linux", lambda: is_linux)
    monkeypatch.setattr(engine, "silence", lambda: why)
    found = lacks(component, start=start)
    assert [lack.install for lack in found if lack.install] == [("docker",)] * needs_engine
    told = [lack for lack in found if not lack.install]
    assert len(told) == (needs_engine and bool(why))
    assert all(why in lack.what and "start = false" in lack.instead for lack in told)
