"""The contract that authors of deploy targets check: built-ins keep it, and each broken promise is seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelyard.errors import ModelyardError
from modelyard.testing import check_target

needs_helm = pytest.mark.skipif(shutil.which("helm") is None, reason="the program helm is not installed")


@pytest.mark.parametrize("name", ["kubernetes", "compose"])
def test_built_in_targets_keep_the_contract(name: str) -> None:
    assert check_target(name)


TARGET = '''
import os, time
from modelyard import hookimpl

def note(context):
    """A note."""
    context.write("note.yaml", {text})

@hookimpl
def modelyard_register_targets(register):
    register("note", note, templates={templates})
'''
TEMPLATE = "image: {{ image.reference }}\nversion: {{ version }}\n"
RENDERED = 'context.render("note/note.yaml.j2")'


def add_target(
    folder: Path, text: str = RENDERED, template: str = TEMPLATE, templates: str = '("note/note.yaml.j2",)'
) -> Path:
    """Write a project with one target."""
    (folder / "plugins/templates/note").mkdir(parents=True)
    (folder / "plugins/templates/note/note.yaml.j2").write_text(template)
    (folder / "plugins/note.py").write_text(TARGET.format(text=text, templates=templates))
    return folder


def test_a_target_that_keeps_the_contract(tmp_path: Path) -> None:
    files = check_target("note", project=add_target(tmp_path))
    assert files["note.yaml"].endswith('version: "1.0.0"\n')


CHART = {
    "Chart.yaml": "apiVersion: v2\nname: {{ name }}\nversion: 0.1.0\nappVersion: {{ version }}\n",
    "values.yaml": "image: {repository: {{ image.repository }}, digest: {{ image.digest }}}\n",
    "templates/config.yaml": """\
{% raw %}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
{{- if .Values.labels }}
  labels: {{- .Values.labels | toYaml | nindent 4 }}
{{- end }}
data: {image: "{{ .Values.image.repository }}@{{ .Values.image.digest }}"}
{% endraw %}
""",
}


def add_chart(folder: Path, **changed: str) -> Path:
    """Write a project whose target is a Helm chart."""
    names = [f"ours/{name}.j2" for name in CHART]
    for text, template in zip({**CHART, **changed}.values(), names, strict=True):
        (folder / "plugins/templates" / template).parent.mkdir(parents=True, exist_ok=True)
        (folder / "plugins/templates" / template).write_text(text)
    call = f'template_target(register, "ours", templates={names!r}, doc="A chart.")'
    (folder / "plugins/ours.py").write_text(
        "from modelyard import hookimpl\nfrom modelyard.targets import template_target\n\n\n"
        f"@hookimpl\ndef modelyard_register_targets(register):\n    {call}\n"
    )
    return folder


@pytest.mark.parametrize("helm", [pytest.param(True, marks=needs_helm), False], ids=["helm", "no helm"])
def test_an_idiomatic_helm_chart_keeps_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, helm: bool
) -> None:
    if not helm:
        monkeypatch.setenv("PATH", str(tmp_path))
    files = check_target("ours", project=add_chart(tmp_path))
    assert list(files) == ["Chart.yaml", "templates/config.yaml", "values.yaml"]
    assert "{{ .Values.image.digest }}" in files["templates/config.yaml"]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "values.yaml",
            "image: {repository: {{ image.repository }}}\n",
            "the chart lacks 'sha256:aaa|without its digest",
        ),
        (
            "values.yaml",
            "image: {repository: {{ image.repository }}, digest: {{ version | verbatim }}}\n",
            "without its|lacks",
        ),
        pytest.param(
            "templates/config.yaml", "kind: {% raw %}{{{% endraw %}\n", "cannot be rendered", marks=needs_helm
        ),
        pytest.param(
            "templates/config.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: {{ image.reference }}}\n",
            r"the objects of the Helm chart in \./ break \d+ rules",
            marks=needs_helm,
        ),
    ],
)
def test_a_helm_chart_that_breaks_the_contract(tmp_path: Path, file: str, text: str, said: str) -> None:
    with pytest.raises((AssertionError, ModelyardError), match=said):
        check_target("ours", project=add_chart(tmp_path, **{file: text}))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"text": f"{RENDERED} + f'# {{time.time_ns()}}'"}, "other bytes the second time"),
        ({"text": f"{RENDERED} + f'# {{context.out}}'"}, "other bytes the second time"),
        ({"templates": "()"}, "renders 'note/note.yaml.j2', which it did not register"),
        ({"template": "image: {{ image.repository }}:{{ image.tag }}\n"}, "names the image without its digest"),
        ({"template": "a: b\n"}, "no file names the image"),
        (
            {"template": "image: {{ image.reference }}\nversion: {{ version | verbatim }}\n"},
            "cannot be read|changes its structure",
        ),
        ({"template": "image: [{{ image.reference }}\n"}, "note.yaml cannot be read"),
        ({"template": "image: {{ image.referense }}\n"}, "did you mean 'reference'"),
    ],
    ids=["time", "folder", "unregistered", "tag", "no image", "unquoted", "not YAML", "undefined"],
)
def test_a_target_that_breaks_the_contract(tmp_path: Path, broken: dict[str, str], said: str) -> None:
    with pytest.raises((AssertionError, ModelyardError), match=said):
        check_target("note", project=add_target(tmp_path, **broken))
