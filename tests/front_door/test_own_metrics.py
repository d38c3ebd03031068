"""A metric and a gate of the project's own: what they make stale, where they are seen, and what they may not do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.front_door.builds import build

METRIC = '''
from modelyard import hookimpl
from modelyard.params import PositiveFloat


def brier(context, *, power: PositiveFloat = 2.0):
    """Measure how far the answers lie from the labels.

    Args:
        power: what a distance is raised to.
    """
    import numpy as np

    truth = np.eye(context.answers.shape[1])[context.dataset.y("test")]
    return (abs(context.answers - truth) ** power).sum(axis=1)


@hookimpl
def modelyard_register_metrics(register):
    register("brier", brier, better="lower", title="Brier")
'''
GATE = '''
from modelyard import hookimpl


def unlike(context, *, names: list[str]):
    """Rule out variants by name, where they answer something else than the baseline.

    Args:
        names: the variants.
    """
    if context.variant in names and (context.answers != context.baseline_answers).any():
        yield f"{context.variant} answers otherwise"


@hookimpl
def modelyard_register_gates(register):
    register("unlike", unlike)
'''
EVALUATIONS = {"evaluate:plain", "evaluate:rounded", "evaluate:coarse"}


def selection(project: Path) -> dict[str, Any]:
    return json.loads((project / "artifacts/select/toy/selection.json").read_text())


@pytest.fixture
def own(toy: Path) -> Path:
    """The built toy project, with a metric and a gate in its plugins that it does not ask for yet."""
    (toy / "plugins/brier.py").write_text(METRIC)
    (toy / "plugins/unlike.py").write_text(GATE)
    assert build(toy).built == set(), "what nobody asks for is in no key"
    return toy


def test_a_metric_measures_anew_and_trains_nothing_and_changing_its_gate_measures_nothing(own: Path) -> None:
    file = own / "pyproject.toml"
    file.write_text(file.read_text().replace('use = "points"', 'use = "points"\nsamples = 300'))
    assert build(own, "select").code == 0
    file.write_text(f"{file.read_text()}\n[tool.modelyard.metrics.brier]\n")
    done = build(own, "select")
    assert done.code == 0, done.output
    assert done.built == {*EVALUATIONS, "select:toy"}
    table = (own / "artifacts/select/toy/table.md").read_text()
    assert " Brier |" in table.splitlines()[0]
    found = {row["variant"]: {m["name"]: m for m in row["metrics"]}["brier"] for row in selection(own)["table"]}
    low, high = found["plain"]["interval"]
    assert low < found["plain"]["value"] < high
    values = {name: one["value"] for name, one in found.items()}

    between = (min(values.values()) + max(values.values())) / 2
    done = build(own, "select", f"gates.max_brier={between}")
    assert done.built == {"select:toy"}
    misses = {row["variant"]: row["misses"] for row in selection(own)["table"]}
    worst = max(values, key=lambda name: values[name])
    assert any(text.startswith(f"max_brier: Brier {values[worst]:.3f} (") for text in misses[worst])
    done = build(own, "select", "select.rule=best-brier")
    assert selection(own)["chosen"] == min((v for v in values if v != "coarse"), key=lambda name: values[name])
    assert build(own, "select", "metrics.brier.power=1").built == {*EVALUATIONS, "select:toy"}


def test_a_gate_rules_out_a_variant_with_its_reason_and_measures_nothing(own: Path) -> None:
    gate = 'gates.unlike={ names = ["rounded"] }'
    done = build(own, "select", gate)
    assert done.code == 0, done.output
    assert done.built == {"select:toy"}
    assert "misses unlike" in done.output
    (row,) = [row for row in selection(own)["table"] if row["variant"] == "rounded"]
    assert row["misses"] == ["unlike: rounded answers otherwise"]
    assert build(own, "select", "report", gate).code == 0
    report = json.loads((own / "artifacts/report/toy/report.json").read_text())
    assert [one["misses"] for one in report["variants"] if one["name"] == "rounded"] == [row["misses"]]

    file = own / "plugins/unlike.py"
    file.write_text(file.read_text().replace("answers otherwise", "is not itself"))
    assert build(own, "select", gate).built == {"select:toy"}
    assert "unlike: rounded is not itself" in (own / "artifacts/select/toy/table.md").read_text()


def test_a_gate_that_rules_out_all_says_why_of_each(own: Path) -> None:
    file = own / "plugins/unlike.py"
    file.write_text(file.read_text().replace(" and (context.answers != context.baseline_answers).any()", ""))
    done = build(own, "select", 'gates.unlike={ names = ["plain", "rounded", "coarse"] }')
    assert done.code != 0
    assert "no variant meets every gate" in done.output
    assert "rounded: unlike: rounded answers otherwise" in done.output


def test_the_server_that_a_metric_starts_is_in_the_key_of_what_it_measures(own: Path) -> None:
    file, server = own / "plugins/brier.py", own / "server/__init__.py"
    asked = "metrics.brier={}"
    assert build(own, "evaluate", asked).built == EVALUATIONS
    server.write_text('"""Another server."""\n')
    assert build(own, "evaluate", asked).built == set(), "it starts none"
    file.write_text(file.read_text().replace('better="lower"', 'better="lower", starts_server=True'))
    assert build(own, "evaluate", asked).built == EVALUATIONS
    server.write_text('"""Yet another server."""\n')
    assert build(own, "evaluate", asked).built == EVALUATIONS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["metrics.brire={}"], "unknown metric 'brire', did you mean 'brier'?"),
        (['metrics.size={ use = "brier" }'], "'size' is always measured"),
        (["metrics.brier={ powr = 1 }"], "unknown key 'powr', did you mean 'power'?"),
        (["gates.max_brier=1"], "unknown key 'max_brier'"),
        (["metrics.brier={}", "gates.max_brier=low"], "key 'max_brier': 'low' is not allowed"),
        (["gates.unlik={}"], "unknown gate 'unlik', did you mean 'unlike'?"),
        (["gates.unlike={}"], "key 'names' is missing"),
        (["gates.unlike=3"], "unknown key 'unlike'"),
        (["metrics.brier={}", "select.rule=best-brire"], "'best-brire' is not allowed, did you mean 'best-brier'?"),
    ],
)
def test_a_mistake_in_the_configuration_is_told_at_load(own: Path, arguments: list[str], message: str) -> None:
    done = build(own, "list", *arguments)
    assert done.code != 0
    assert message in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("'much'", "the metric 'brier'"),
        ("float('nan')", "returned nan\n"),
        ("context.answers", "for 20 samples"),
        ("(1.0, 2.0)", "returned (1.0, 2.0)"),
    ],
)
def test_a_metric_that_returns_no_number_fails_its_stage_in_words(own: Path, returned: str, message: str) -> None:
    file = own / "plugins/brier.py"
    text = file.read_text()
    file.write_text(
        text.replace(text[text.index("    return (abs") : text.index("\n\n\n@hookimpl")], f"    return {returned}")
    )
    done = build(own, "evaluate", "metrics.brier={}")
    assert done.code != 0
    assert message in done.output
    assert "it returns a finite number, (value, low, high), or an array" in done.output
    assert "Traceback" not in done.output


def test_a_project_asks_for_throughput_gates_it_and_ships_by_it(toy: Path) -> None:
    asked = ("metrics.throughput.seconds=0.3",)
    done = build(toy, "select", *asked)
    assert done.code == 0, done.output
    assert done.built == {"evaluate:plain", "evaluate:rounded", "evaluate:coarse", "select:toy"}
    assert " throughput |" in (toy / "artifacts/select/toy/table.md").read_text()
    for row in selection(toy)["table"]:
        (found,) = [one for one in row["metrics"] if one["name"] == "throughput"]
        assert 0 < found["interval"][0] <= found["value"] <= found["interval"][1]
    evaluation = (toy / "artifacts/evaluate/plain/evaluation.json").read_text()
    assert "throughput" not in evaluation, "that is the same every time"
    assert build(toy, "select", *asked, "select.rule=best-throughput").built == {"select:toy"}
    refused = build(toy, "select", *asked, "gates.min_throughput=1e12")
    assert refused.code != 0
    assert refused.built == set()
    assert "min_throughput: throughput " in refused.output
    assert " is below 1,000,000,000,000" in refused.output
