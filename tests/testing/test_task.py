"""The check of tasks: those that come with modelyard keep the contract, and each broken promise is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.known import know
from tests.shared import usual

from modelyard.testing import check_task, write_project

BROUGHT = """
[tool.modelyard]
name = "brought"

[tool.modelyard.dataset]
use = "arrays"
path = "data.npz"
normalize = "none"

[tool.modelyard.train]
use = "import"
path = "model.onnx"

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
whole = []
"""
OWN = '''
"""A task of the project's own."""

from modelyard import hookimpl
from modelyard.task import Score, Scores, Task
from modelyard.tensors import OutputFacts


class Near(Task):
    def check(self, splits):
        return OutputFacts(name="probabilities", shape=(3,), labels=tuple(splits.class_names))

    def measure(self, answers):
        import numpy as np

        from modelyard.metrics import Quantity

        error = np.abs(answers.own.max(axis=1) - 1)
        return Scores([Score(Quantity(name="error", better="lower").of(float(error.mean())), error)])


def near(*, scale: float = 1.0):
    """Measure how far the largest number is from one.

    Args:
        scale: of no use.
    """
    return Near()


@hookimpl
def modelyard_register_tasks(register):
    register("near", near, metrics=({"name": "error", "better": "lower"},), loss="cross-entropy")
'''


OTHERS = ("quantiles", "retrieval")
POSITIONS = ("segmentation", "token-labels")


def labels(task: str, samples: int) -> np.ndarray:
    classes = np.arange(samples) % 3
    if task == "regression":
        return np.eye(3, dtype=np.float32)[classes] + 0.25
    if task == "detection":
        boxes = np.array([[0, 0, 2, 2], [0, 0, 4, 4], [1, 1, 5, 5]])[classes]
        return np.concatenate([boxes, classes[:, None]], axis=1)[:, None]
    if task == "quantiles":
        return classes + np.float32(0.25)
    if task in POSITIONS:
        return np.stack([classes, (classes + 1) % 3], axis=1)
    return np.eye(3, dtype=np.uint8)[classes] if task == "multi-label" else classes


@pytest.mark.parametrize(
    "task",
    usual(
        ["classification", "regression", "detection", "multi-label", "embedding", "agreement", *OTHERS, *POSITIONS], 3
    ),
)
def test_the_tasks_that_come_with_modelyard_keep_the_contract(tmp_path: Path, task: str) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    project = know(write_project(tmp_path / "project", {"pyproject.toml": BROUGHT}))
    random = np.random.default_rng(0)
    y = labels(task, 60)
    x = random.normal(size=(60, 3)).astype(np.float32) + 3 * np.eye(3, dtype=np.float32)[np.arange(60) % 3]
    shape: tuple[int, ...] = (3,)
    if task in POSITIONS:
        x, shape = np.stack([x, np.roll(x, 1, axis=1)], axis=1), (2, 3)
    if task == "detection":
        pytest.importorskip("pycocotools")
        x, shape = np.insert(y, 4, 0.5, axis=2).astype(np.float32), (1, 6)
    named: dict[str, Any] = (
        {"class_names": np.array(["a", "b", "c"])} if task in ("classification", "multi-label") else {}
    )
    np.savez(project / "data.npz", train_x=x, train_y=y, test_x=x[:30], test_y=y[:30], **named)
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "same",
        [onnx.helper.make_tensor_value_info("x", real, ("batch", *shape))],
        [onnx.helper.make_tensor_value_info("y", real, ("batch", *shape))],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), project / "model.onnx")

    found = check_task(task, project=project)

    assert found.samples == 30
    assert found.metrics[0].name in (
        "accuracy",
        "mae",
        "label_accuracy",
        "recall_at_1",
        "relative_error",
        "f1",
        "cosine",
        "pinball",
        "mean_iou",
        "map",
    )


@pytest.fixture
def toy(new_toy: Path) -> Path:
    """A project with a task of its own; its components need nothing but numpy."""
    project = new_toy
    (project / "plugins/near.py").write_text(OWN)
    gates = project / "pyproject.toml"
    gates.write_text(gates.read_text().replace("min_accuracy = 0.5\n", ""))
    return project


def test_a_task_of_a_plugin_that_keeps_the_contract(toy: Path) -> None:
    assert check_task("near", project=toy, refuses=[{"scale": "much"}]).metric("error").value > 0


AGREES = """    def agreement(self, own, other):
        from modelyard.task import Agreement

        return Agreement(0, 0.0)

    def measure"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("        scale: of no use.\n", "", "parameter 'scale' is not documented"),
        ("    return Near()", "    return 3", "returned 3\n"),
        ("float(error.mean())", "float(error.mean()) + hash('x') % 7", "wrote other bytes the second time: evaluation"),
        (
            "    def measure",
            AGREES,
            "answers that are larger by 1 agree",
        ),
        (
            "    def measure",
            "    def check_answers(self, answers, first):\n        return\n\n    def measure",
            "check_answers takes an answer that is no number",
        ),
    ],
)
def test_each_promise_that_is_broken_is_seen(toy: Path, old: str, new: str, said: str) -> None:
    file = toy / "plugins/near.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(Exception, match=said):
        check_task("near", project=toy)
