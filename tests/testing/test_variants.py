"""The checks of metrics and gates: good ones pass, each broken promise is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.front_door.test_own_metrics import GATE, METRIC

from modelyard.testing import check_gate, check_metric


@pytest.fixture
def toy(new_toy: Path) -> Path:
    """A project with a metric and a gate of its own; its components need nothing but numpy."""
    project = new_toy
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


ACCUMULATOR = """

class Found:
    def __init__(self):
        self.sum, self.samples = 0.0, 0

    def update(self, block):
        self.sum += float(block.own[range(len(block.own)), block.labels].astype("float64").sum())
        self.samples += len(block.own)

    def merge(self, later):
        self.sum, self.samples = self.sum + later.sum, self.samples + later.samples

    def result(self):
        return self.sum / self.samples


@hookimpl
def modelyard_register_metrics(register):
"""


def test_what_an_accumulator_finds_in_parts_is_what_it_finds_in_the_whole(toy: Path) -> None:
    file = toy / "plugins/brier.py"
    text = METRIC.replace("\n@hookimpl\ndef modelyard_register_metrics(register):\n", ACCUMULATOR)
    text = text[: text.index("    import numpy")] + "    return Found()\n" + text[text.index("\n\nclass Found") :]
    file.write_text(text)
    found = check_metric("brier", project=toy, params={"power": 1.0})
    assert 0 < found.value < 1
    file.write_text(text.replace("self.sum + later.sum", "self.sum"))
    with pytest.raises(AssertionError, match=r"metric 'brier': 100 samples at once and in blocks of 5 .*cut at"):
        check_metric("brier", project=toy)


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
