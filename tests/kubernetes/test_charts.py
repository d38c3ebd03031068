from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from modelyard.errors import StageFailed
from modelyard.kubernetes.charts import chart_texts, charts, check_files, has_helm

needs_helm = pytest.mark.skipif(not has_helm(), reason="the program helm is not installed")
CHART = "apiVersion: v2\nname: digits\nversion: 0.1.0\n"
TEMPLATE = """apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {team: {{ required "who?" .Values.team }}, version: {{ .Capabilities.KubeVersion.Version }}}
"""


def chart(folder: Path, **values: str) -> Path:
    """Write a chart that asks its user for a team, and values to try it with."""
    for name in ("templates", "ci"):
        (folder / name).mkdir(parents=True)
    (folder / "Chart.yaml").write_text(CHART)
    (folder / "templates" / "config.yaml").write_text(TEMPLATE)
    for name, text in values.items():
        (folder / "ci" / f"{name}-values.yaml").write_text(text)
    return folder


def test_a_chart_is_known_by_its_file_and_its_subcharts_are_part_of_it(tmp_path: Path) -> None:
    for name in ("a", "a/charts/b", "c/d"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "Chart.yaml").write_text(CHART)
    assert charts(tmp_path) == [tmp_path / "a", tmp_path / "c/d"]
    assert charts(tmp_path / "a") == [tmp_path / "a"]
    (tmp_path / "Chart.yaml").write_text(CHART)
    assert charts(tmp_path) == [tmp_path]


def test_what_helm_wants_of_a_chart_is_there(tmp_path: Path) -> None:
    check_files(chart(tmp_path))
    (tmp_path / "values.yaml").write_text("")
    check_files(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("Chart.yaml", "apiVersion: v2\nname: a\n", "Chart.yaml: version is missing\n  Helm refuses a chart without"),
        ("Chart.yaml", "name: ''\n", "Chart.yaml: apiVersion, name, version is missing"),
        ("Chart.yaml", "", "Chart.yaml: apiVersion, name, version is missing"),
        ("Chart.yaml", "- a\n", "Chart.yaml: is not one mapping\n  write keys and values"),
        ("Chart.yaml", f"{CHART}---\n{CHART}", "Chart.yaml: is not one mapping"),
        ("values.yaml", "a: [", "values.yaml: is not YAML"),
        ("values.yaml", "a: 1\na: 2\n", "the key 'a' is there twice"),
        ("values.yaml", "- a\n", "values.yaml: is not one mapping"),
    ],
)
def test_what_of_a_chart_can_be_read_without_helm_is_checked(tmp_path: Path, name: str, text: str, said: str) -> None:
    (chart(tmp_path) / name).write_text(text)
    with pytest.raises(StageFailed, match=said):
        check_files(tmp_path)


def test_without_the_program_there_is_no_helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not has_helm()


@needs_helm
def test_a_chart_is_rendered_with_each_of_the_values_to_be_tried(tmp_path: Path) -> None:
    folder = chart(tmp_path / "chart", a="team: us", b="team: them")
    before = sorted(tmp_path.rglob("*"))
    one, two = chart_texts(folder, "digits", "v1.31")
    assert "data: {team: us, version: v1.31.0}" in one
    assert "data: {team: them, version: v1.31.0}" in two
    assert "name: digits" in one
    assert sorted(tmp_path.rglob("*")) == before, "nothing of Helm's own is left"


@needs_helm
def test_what_helm_says_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        StageFailed, match=r"^the Helm chart cannot be rendered: (?s:.*)who\?(?s:.*)\n  mend its template"
    ):
        list(chart_texts(chart(tmp_path), "digits", "1.31"))


def test_nothing_of_the_users_own_helm_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin or a repository of the person's would make other bytes on another machine."""
    seen = tmp_path / "bin" / "helm"
    seen.parent.mkdir()
    seen.write_text(f'#!/bin/sh\nenv > "{tmp_path}/seen"\n')
    seen.chmod(0o755)
    monkeypatch.setenv("HELM_DATA_HOME", "/mine")
    monkeypatch.setenv("PATH", str(seen.parent), prepend=os.pathsep)
    assert shutil.which("helm") == str(seen)
    list(chart_texts(chart(tmp_path / "chart"), "digits", "1.31"))
    told = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines() if "=" in line)
    places = {told[f"HELM_{name}_HOME"] for name in ("CACHE", "CONFIG", "DATA")}
    assert len(places) == 1
    assert not Path(places.pop()).exists(), "it was for this call alone"
