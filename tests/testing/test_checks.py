"""The contract that plugin authors check with `modelyard.testing`: built-ins keep it, and each broken promise is seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelyard.errors import ModelyardError
from modelyard.testing import (
    ProjectOf,
    check_optimizer,
    check_target,
    measure,
    project_of,
    run_doit,
    small_arrays,
    small_project,
)

__all__ = ["project_of", "small_project"]  # fixtures: pytest finds them by name

needs_helm = pytest.mark.skipif(shutil.which("helm") is None, reason="the program helm is not installed")

BROKEN = '''
import json, os, time
from modelyard import hookimpl
from modelyard.params import Fraction

def {name}(context, *, share: Fraction = 0.5):
    """Do something.

    Args:
        share: how much.
    """
    model = context.model.path.read_text()
    {body}
    (context.out / "model.toy").write_text(model)

@hookimpl
def modelyard_register_optimizers(register):
    register("{name}", {name}, accepts=("toy",), produces="toy")
'''


@pytest.fixture
def toy(new_toy: Path) -> Path:
    """A project whose trainer and model optimizers need nothing but numpy."""
    return new_toy


def add_optimizer(project: Path, body: str, name: str = "mine", old: str = "", new: str = "") -> Path:
    """Add a model optimizer to the project; `body` is a statement in it."""
    (project / f"plugins/{name}.py").write_text(BROKEN.format(name=name, body=body).replace(old, new))
    return project


def test_an_optimizer_that_keeps_the_contract(toy: Path) -> None:
    checked = check_optimizer(
        "mine", project=add_optimizer(toy, "context.metrics['half'] = share"), refuses=[{"share": 2}]
    )
    assert checked.metrics == {"half": 0.5}
    assert checked.model.facts.format == "toy"
    assert checked.evaluation.metric("accuracy").value == measure(toy, ["pack"]).metric("accuracy").value > 0.9


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "model = model + ' ' * (time.time_ns() % 1000)",
            "'mine' wrote other bytes the second time: model.toy; take every",
        ),
        (
            "model += ' ' * next(iter({'a' * n: n for n in range(1)}.values()), 0) + ' ' * (hash('a') % 97)",
            "other bytes",
        ),
        ("(context.project / 'left.txt').write_text('x')", "changed files of the project: left.txt; write below"),
        ("os.chmod(context.model.path, 0o644); context.model.path.write_text(model + ' ')", "artifacts/train|changed"),
    ],
    ids=["time", "hash", "project", "parent"],
)
def test_an_optimizer_whose_output_cannot_be_trusted(toy: Path, body: str, said: str) -> None:
    with pytest.raises((AssertionError, ModelyardError), match=said):
        check_optimizer("mine", project=add_optimizer(toy, body))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"""Do something.', '"""', "has no docstring"),
        ("share: how much.", "other: how much.", "parameter 'share' is not documented"),
        ("= 0.5", "= 5", "default: key 'share': 5 is not allowed"),
        ("import json", "import numpy, json", "loading the plugins imports numpy; import it inside the function"),
        ('produces="toy")', 'produces="toy", tools=("numpi",))', "the tool 'numpi' is no installed distribution"),
        ('accepts=("toy",)', 'accepts=("onnx",)', "no trainer and model optimizers of this project lead to"),
    ],
)
def test_an_optimizer_that_is_declared_wrongly(toy: Path, old: str, new: str, said: str) -> None:
    with pytest.raises((AssertionError, ModelyardError), match=said):
        check_optimizer("mine", project=add_optimizer(toy, "pass", old=old, new=new))


def test_an_optimizer_must_refuse_what_its_author_says_it_refuses(toy: Path) -> None:
    with pytest.raises(AssertionError, match=r"'mine' took \{'use': 'mine', 'share': 1\}, which it must refuse"):
        check_optimizer("mine", project=add_optimizer(toy, "pass"), refuses=[{"share": 1}])


def test_an_optimizer_must_refuse_in_words(toy: Path) -> None:
    crash = add_optimizer(toy, "assert share < 0.9, 'too much'")
    with pytest.raises(
        AssertionError, match=r"must refuse with an error of modelyard.errors: (?s:.*) raised AssertionError"
    ):
        check_optimizer("mine", project=crash, refuses=[{"share": 1}])


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "params", "refused"),
    [
        pytest.param("float32", {}, {"bits": 8}, marks=pytest.mark.thorough),
        pytest.param("float16", {}, {"bits": 8}, marks=pytest.mark.thorough),
        pytest.param("dynamic-range", {}, {"bits": 8}, marks=pytest.mark.thorough),
        pytest.param("int8", {"calibration_samples": 50}, {"io": "int16"}, marks=pytest.mark.thorough),
        pytest.param("int16x8", {"calibration_samples": 50}, {"calibration_samples": 0}, marks=pytest.mark.thorough),
        pytest.param("prune", {"epochs": 4}, {"skip": ["no_such_layer"]}, marks=pytest.mark.thorough),
        pytest.param("cluster", {"clusters": 8}, {"preserve_sparsity": True}, marks=pytest.mark.thorough),
        pytest.param("qat", {"learning_rate": 0.001}, {"preserve": ["clusters"]}, marks=pytest.mark.thorough),
        pytest.param("fine-tune", {"epochs": 1}, {"epochs": 0}, marks=pytest.mark.thorough),
    ],
)
def test_built_in_optimizers_keep_the_contract(
    small_project: Path, name: str, params: dict[str, object], refused: dict[str, object]
) -> None:
    """Those of ONNX do in every run, where nothing has to import a framework: `tests/front_door/test_onnx_road.py`."""
    checked = check_optimizer(name, project=small_project, params=params, refuses=[refused])
    assert checked.evaluation.metric("accuracy").value > 0.8


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


def test_a_project_from_a_dict_of_files(project_of: ProjectOf) -> None:
    project = project_of({"pyproject.toml": "[tool.modelyard]\n[tool.modelyard.dataset]\nuse = 'digit'\n"})
    done = run_doit(project, "list")
    assert done.returncode == 3
    assert "unknown dataset 'digit', did you mean 'digits'?" in done.stderr


def test_small_arrays_are_the_same_for_a_seed_and_cover_every_class() -> None:
    one, two, other = small_arrays(), small_arrays(), small_arrays(seed=1)
    assert one["train_x"].tobytes() == two["train_x"].tobytes() != other["train_x"].tobytes()
    assert one["train_x"].shape == (192, 8, 8, 1)
    assert set(one["test_y"].tolist()) == {0, 1, 2}
