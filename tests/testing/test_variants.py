"""The checks of metrics and gates: good ones pass, each broken promise is seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.front_door.test_own_metrics import GATE, METRIC

from modelyard.testing import check_gate, check_metric

TOY = Path(__file__).parents[1] / "projects/toy"


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A project with a metric and a gate of its own; its components need nothing but numpy."""
    ignore = shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts")
    project = Path(shutil.copytree(TOY, tmp_path / "toy", ignore=ignore))
    (project / "plugins/brier.py").write_text(METRIC)
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace('use = "points"', 'use = "points"\nsamples = 300'))
    (project / "plugins/unlike.py").write_text(GATE)
    return project


def test_a_metric_that_keeps_the_contract(toy: Path) -> None:
    found = check_metric("brier", project=toy, params={"power": 1.0}, refuses=[{"power": 0.0}])
    assert (found.name, found.better, found.head) == ("brier", "lower", "Brier")
    assert found.low is not None
    assert found.low < found.value


def test_a_metric_that_is_not_the_same_twice_must_say_so(toy: Path) -> None:
    file = toy / "plugins/brier.py"
    text = file.read_text().replace("    import numpy as np\n", "    import numpy as np\n    return hash('x') % 1000\n")
    file.write_text(text)
    with pytest.raises(AssertionError, match=r"evaluation\.json"):
        check_metric("brier", project=toy)
    file.write_text(text.replace('better="lower"', 'better="lower", steady=False'))
    assert not check_metric("brier", project=toy).steady


def test_a_gate_that_keeps_the_contract(toy: Path) -> None:
    found = check_gate("unlike", project=toy, params={"names": ["rounded"]}, refuses=[{"names": "rounded"}])
    assert found == {"plain": [], "rounded": ["rounded answers otherwise"], "coarse": []}


def test_a_gate_that_judges_otherwise_in_another_process_is_seen(toy: Path) -> None:
    file = toy / "plugins/unlike.py"
    file.write_text(file.read_text().replace('f"{context.variant} answers otherwise"', "str(hash('x'))"))
    with pytest.raises(AssertionError, match="in another process"):
        check_gate("unlike", project=toy, params={"names": ["rounded"]})


def test_a_gate_without_documentation_is_seen(toy: Path) -> None:
    file = toy / "plugins/unlike.py"
    file.write_text(file.read_text().replace("names: the variants.", ""))
    with pytest.raises(AssertionError, match="parameter 'names' is not documented"):
        check_gate("unlike", project=toy, params={"names": []})
