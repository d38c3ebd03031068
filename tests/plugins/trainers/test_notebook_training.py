"""A notebook trains: its code cells count, its outputs do not, and a mistake is told with its cell."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Doit
from tests.plugins.trainers.test_command_trainer import PYPROJECT, WRITING

from modelyard.testing import write_small_project

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("IPython")

CELLS = [
    "%config Application.verbose_crash = False\nimport json\nfrom pathlib import Path\n\nimport numpy as np\nfrom modelyard.artifacts import Dataset\nfrom writing import write",
    "data = 'nowhere'\nmodel = 'nowhere'\nrounds = 1",
    "said = !echo from the shell\nprint(said[0], rounds + 1)",
    """\
dataset = Dataset.open(Path(data))
x, y = dataset.inputs("train"), dataset.y("train")
x, classes = x.reshape(len(x), -1), len(dataset.facts.class_names)
weights = np.zeros((x.shape[1], classes), np.float32)
for number in range(rounds):
    raised = np.exp(x @ weights)
    weights -= 0.5 * (x.T @ (raised / raised.sum(1, keepdims=True) - np.eye(classes)[y]) / len(x)).astype(np.float32)
    print("modelyard: " + json.dumps({"done": number + 1, "total": rounds, "unit": "rounds"}))""",
    'write(model, weights, dataset.facts.input_shape)\nPath(model).with_name("metrics.json").write_text(\'{"rounds": %d}\' % rounds)',
]
RUN = 'run = "train.ipynb data={dataset} model={model} rounds=40"'


def notebook(cells: list[str], output: str = "", tagged: int | None = 1) -> str:
    """Return a notebook with these code cells, a text among them, and something that the first has put out."""
    made: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "source": cell.splitlines(keepends=True),
            "metadata": {"tags": ["parameters"]} if number == tagged else {},
            "outputs": [{"output_type": "stream", "name": "stdout", "text": [output]}] if output else [],
            "execution_count": number if output else None,
        }
        for number, cell in enumerate(cells)
    ]
    made.insert(1, {"cell_type": "markdown", "source": "# How it trains", "metadata": {}})
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernel": output}, "cells": made})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, doit: Doit) -> Path:
    """A project whose data set is built."""
    text = "\n".join(RUN if line.startswith("run = ") else line for line in PYPROJECT.splitlines())
    files = {"pyproject.toml": text, "train.ipynb": notebook(CELLS), "writing.py": WRITING}
    project = write_small_project(tmp_path_factory.mktemp("scripted") / "scripted", files)
    assert doit(project, "dataset").returncode == 0
    return project


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "scripted", symlinks=True))


def trained(doit: Doit, project: Path, *words: str) -> str:
    done = doit(project, *words, "train")
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_notebook_trains_and_its_code_cells_count(project: Path, doit: Doit) -> None:
    done = doit(project, "select")
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((project / "artifacts/train/scripted/stage.json").read_text())
    assert record["metrics"] == {"rounds": 40}
    log = (project / ".modelyard/logs/train/scripted.log").read_text()
    assert "from the shell 41" in log.splitlines()
    assert "modelyard: " not in log, "what tells progress goes to the terminal"
    assert json.loads((project / "artifacts/evaluate/as-it-is/evaluation.json").read_text())["accuracy"] > 0.9

    (project / "train.ipynb").write_text(notebook([*CELLS[:-1], f"# a comment\n{CELLS[-1]}"], output="it ran"))
    assert "built 0," in trained(doit, project), "what a cell has put out does not count"
    (project / "train.ipynb").write_text(notebook([*CELLS[:2], "!echo other words", *CELLS[3:]]))
    done = doit(project, "why", "train:scripted")
    assert "code train.ipynb: (module) changed" in done.stdout
    assert "built 1," in trained(doit, project)
    (project / "writing.py").write_text(WRITING.replace('"g"', '"graph"'))
    assert "built 1," in trained(doit, project), "what it imports counts"


def test_without_a_cell_of_parameters_they_come_first(project: Path, doit: Doit) -> None:
    (project / "train.ipynb").write_text(notebook([CELLS[0], *CELLS[2:]], tagged=None))
    assert "built 1," in trained(doit, project)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([*CELLS[:3], "x = 1\n\nx / 0"], "train.ipynb cell 4:3: x / 0"),
        ([*CELLS[:3], "def half(x):\n    return x / 0", "half(1)"], "train.ipynb cell 4:2, in half: return x / 0"),
        ([*CELLS[:2], "%no_such_magic", *CELLS[3:]], "no_such_magic"),
        ([*CELLS, "import sys\nsys.exit(3)"], "train.ipynb ended with 3"),
        ([*CELLS, "open('secret.txt').read()"], "train.ipynb cell 6:1: reads secret.txt, which does not count"),
        ([*CELLS[:2], "!exit 3", *CELLS[3:]], "`!exit 3` ended with code 3"),
        ([*CELLS, "x = ("], "train.ipynb cell 6:1: syntax error: '(' was never closed"),
    ],
)
def test_a_mistake_is_told_with_its_cell(project: Path, cells: list[str], told: str, doit: Doit) -> None:
    (project / "secret.txt").write_text("42")
    (project / "train.ipynb").write_text(notebook(cells))
    assert told in trained(doit, project)


@pytest.mark.parametrize(
    ("run", "told"),
    [
        ("train.ipynb --data {dataset}", "'--data' is no variable with a value\n  write: train.ipynb data={dataset} model={model}"),
        ("train.ipynb data={dataset}", "it does not say where the model goes"),
        ("train.ipynb data={dataset} model={model} ruonds=3", "has no variable 'ruonds', did you mean 'rounds'?"),
        ("other.ipynb data={dataset} model={model}", "other.ipynb"),
    ],
)  # fmt: skip
def test_words_that_are_none_are_told(project: Path, run: str, told: str, doit: Doit) -> None:
    assert told in trained(doit, project, f'train.run="{run}"')


@pytest.mark.parametrize(
    "content", ["", "[]", '{"nbformat": 3, "worksheets": []}', '{"nbformat": 4, "cells": [{"source": 1}]}']
)
def test_what_is_no_notebook_is_told(project: Path, content: str, doit: Doit) -> None:
    (project / "train.ipynb").write_text(content)
    assert "train.ipynb: not a Jupyter notebook of format 4: " in trained(doit, project)
