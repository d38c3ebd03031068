"""What every component promises: it is documented, its defaults are allowed, and loading it is light."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.component import Component
from modelyard.errors import ConfigError
from modelyard.plugins.load import load_plugins
from modelyard.testing import check_component
from modelyard.testing import component as module

PLUGIN = '''
import json
from modelyard import hookimpl
from modelyard.params import Fraction

def mine(context, *, share: Fraction = 0.5, sizes: tuple[int, ...] = (1, 2), needed: int, nothing: int | None = None):
    """Do something.

    Args:
        share: how much.
        sizes: which.
        needed: how many.
        nothing: or none.
    """

@hookimpl
def modelyard_register_optimizers(register):
    register("mine", mine, accepts=("toy",), produces="toy")
'''


def component_of(project: Path, old: str = "", new: str = "") -> Component:
    assert old in PLUGIN
    (project / "plugins").mkdir()
    (project / "plugins/mine.py").write_text(PLUGIN.replace(old, new, 1))
    return load_plugins(project).get("optimizer", "mine", "test")


def test_a_component_that_keeps_its_promises(tmp_path: Path) -> None:
    check_component(component_of(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"""Do something.', '"""', "optimizer 'mine' .*mine.py.*: has no docstring; its first line is what"),
        ("share: how much.", "other: how much.", "parameter 'share' is not documented; write a line for it"),
        ("= 0.5", "= 5", "default: key 'share': 5 is not allowed"),
        ("= (1, 2)", "= (1, 'b')", "default: key 'sizes': .* is not allowed"),
        ('produces="toy")', 'produces="toy", tools=("numpi",))', "the tool 'numpi' is no installed distribution"),
    ],
)
def test_a_component_that_is_declared_wrongly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    monkeypatch.setattr(module, "_check_light", lambda _: pytest.fail("what is cheap is looked at first"))
    component = component_of(tmp_path, old, new)
    with pytest.raises((AssertionError, ConfigError), match=said):
        check_component(component, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("import json", "import numpy, json", "loading the plugins imports numpy; import it inside the function"),
        ("import json", "import jzon", "its plugins cannot be loaded:\n(?s:.*)jzon"),
    ],
)
def test_what_loading_the_plugins_costs_is_seen_in_a_process_of_its_own(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/mine.py").write_text(PLUGIN.replace(old, new))
    with pytest.raises(AssertionError, match=said):
        module._check_light(tmp_path)
