from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.renders import target_context

from modelyard.errors import ConfigError
from modelyard.kubernetes.rendered import Checked, check_rendered
from modelyard.serving.metrics import Board, Metrics
from modelyard.serving.observe import LABELS
from modelyard.testing.target import MODEL
from modelyard_plugins.targets.prometheus import prometheus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from modelyard.contexts import TargetContext

# told once something was answered, and once a certificate was read
LATER = {"modelyard_request_seconds_bucket", "modelyard_certificate_expiration_timestamp_seconds"}


@pytest.fixture
def rendered(context: Callable[..., TargetContext]) -> Path:
    made = context()
    prometheus(made, labels={"release": "prometheus"}, namespace="models")
    return made.out


def expressions(folder: Path) -> Iterator[str]:
    rules = yaml.safe_load((folder / "rules.yaml").read_text())
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])
    panels = json.loads((folder / "dashboard.json").read_text())["panels"]
    yield from (target["expr"] for panel in panels for target in panel["targets"])


def told() -> set[str]:
    """Return the names of the metrics that a server tells."""
    metrics = Metrics(Board(1), 0, {"name": "digits", "version": "1", "variant": "a", "sha256": "b"})
    metrics.event_connection(is_open=True)  # told where there is a broker
    text = metrics.exposition().decode()
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if not line.startswith("#")}


def test_every_metric_that_is_asked_for_is_one_that_the_server_tells(rendered: Path) -> None:
    asked = {name for text in expressions(rendered) for name in re.findall(r"\b(?:modelyard|process)_\w+", text)}
    source = told() | LATER | {"modelyard_requests_total"}
    assert len(asked) > 10
    assert asked <= source


def test_every_operation_that_is_asked_for_is_one_that_the_server_counts(rendered: Path) -> None:
    known = {name for _, name in LABELS}
    asked = {
        one
        for text in expressions(rendered)
        for group in re.findall(r'operation=~"([^"]+)"', text)
        for one in group.split("|")
    }
    assert asked
    assert asked <= known


def test_the_operators_rules_are_the_same_and_pass_the_checks(rendered: Path) -> None:
    plain = yaml.safe_load((rendered / "rules.yaml").read_text())
    thing = yaml.safe_load((rendered / "prometheusrule.yaml").read_text())
    assert thing["spec"]["groups"] == plain["groups"]
    assert thing["metadata"]["labels"]["release"] == "prometheus"
    said: list[str] = []
    found = check_rendered(rendered, name="digits", image="", log=said.append, warn=said.append)
    assert (found, said) == (Checked(1, 0), [])


def test_panels_do_not_lie_on_each_other_and_every_query_has_its_letter(rendered: Path) -> None:
    panels = json.loads((rendered / "dashboard.json").read_text())["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(panels) == len({panel["id"] for panel in panels})
    for panel in panels:
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)


def test_the_same_input_gives_the_same_bytes(context: Callable[..., TargetContext]) -> None:
    one, other = context(), context()
    for made in (one, other):
        prometheus(made)
    assert {p.name: p.read_bytes() for p in one.out.iterdir()} == {p.name: p.read_bytes() for p in other.out.iterdir()}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="the program promtool is not installed")
def test_prometheus_itself_takes_the_rules(rendered: Path) -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", rendered / "rules.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"job": "A b"}, "'job': 'A b' is not allowed: a PrometheusRule is called so"),
        ({"namespace": "A"}, "'namespace': 'A' is not allowed: it is not a DNS label"),
        ({"labels": {"a": "b c"}}, "'b c' is not a label's value"),
        ({"around": {"reads_settings": False}}, "has metrics of its own"),
    ],
)
def test_what_is_not_allowed_is_refused(accept: Callable[..., None], params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        accept("target", "prometheus", **params)
    assert said in str(caught.value)


def test_models_side_by_side_are_an_alert_only_where_a_name_and_version_has_two(tmp_path: Path) -> None:
    made = target_context(tmp_path, models={"net/1": MODEL, "net/2": MODEL})
    prometheus(made)
    (rule,) = [text for text in expressions(made.out) if "count by (name, version)" in text]
    assert rule.startswith("max(count by (name, version) (count by (name, version, sha256) (modelyard_model_info{")
