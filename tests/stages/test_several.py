"""A task for each of several outputs: what each is given, and what comes of all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.stages.conftest import Told, splits

from modelyard.artifacts import Dataset
from modelyard.errors import DataError, PluginError
from modelyard.files.fields import joined
from modelyard.stages.dataset import write_dataset
from modelyard.stages.handlers import Joined, taken
from modelyard.stages.several import Several
from modelyard.task import Answers
from modelyard_plugins.tasks.classification import Classification
from modelyard_plugins.tasks.embedding import Embedding
from modelyard_plugins.tasks.regression import Regression
from modelyard_plugins.tasks.transcription import Transcription

BOTH = Several({"kind": Classification(), "place": Regression()})
NAMES = {"kind": ("a", "b", "c")}


def labels(samples: int) -> dict[str, Any]:
    return {"kind": np.arange(samples) % 3, "place": np.arange(2.0 * samples).reshape(samples, 2)}


def written(out: Path, task: Any = BOTH, **changes: Any) -> Dataset:
    given = {"train_y": labels(30), "test_y": labels(12), "class_names": NAMES, **changes}
    write_dataset(splits(**given), out, task, "kind+place", "", progress=Told())
    return Dataset.open(out)


def test_labels_are_given_by_output_and_kept_side_by_side(tmp_path: Path) -> None:
    dataset = written(tmp_path, test_sets={"night": (np.zeros((3, 4, 4, 3), np.uint8), labels(3))})
    kept: Any = dataset.y("test")
    assert (kept["kind"].dtype, kept["place"].dtype, kept["place"].shape) == (np.int64, np.float32, (12, 2))
    assert len(dataset.y("night")) == 3
    assert [(one.name, one.shape, one.labels) for one in dataset.facts.outputs] == [
        ("kind", (3,), ("a", "b", "c")),
        ("place", (2,), ()),
    ]
    assert dataset.facts.measured is not None
    assert dataset.facts.measured.parts == dataset.facts.outputs


def test_each_output_is_measured_by_its_task_as_if_it_were_alone(tmp_path: Path) -> None:
    dataset = written(tmp_path)
    truth: Any = dataset.y("test")
    own = {"kind": np.eye(3, dtype=np.float32)[(truth["kind"] + (np.arange(12) < 3)) % 3], "place": truth["place"] + 2}
    output = dataset.facts.measured
    assert output is not None
    found = BOTH.measure(Answers(joined(own), truth, output))
    figures = {one.metric.name: one.metric.value for one in found.scores}
    assert figures["kind_accuracy"] == 0.75
    assert figures["place_mae"] == figures["place_rmse"] == 2
    alone = Classification().measure(Answers(own["kind"], np.asarray(truth["kind"]), output.parts[0]))
    assert found.details["outputs"]["kind"] == alone.details
    assert found.scores[0].metric.interval == alone.scores[0].metric.interval
    assert found.scores[0].per_sample is not None


def test_they_agree_if_all_do_and_what_is_none_is_told_with_its_output() -> None:
    one = joined({"kind": np.eye(3, dtype=np.float32), "place": np.ones((3, 2), np.float32)})
    other = joined({"kind": np.eye(3, dtype=np.float32)[[1, 1, 2]], "place": np.full((3, 2), 1.5, np.float32)})
    assert BOTH.agreement(one, one) == (0, 0)
    assert BOTH.agreement(one, other).differ == 1
    assert BOTH.agreement(joined({name: one[name] for name in ("kind",)} | {"place": other["place"]}), one).worst == 0.5
    one["place"][1] = np.nan
    with pytest.raises(PluginError, match=r"output 'place': the answer to test sample 8 is not finite"):
        BOTH.check_answers(one, 7)


def test_one_that_needs_no_labels_stands_beside_one_that_does(tmp_path: Path) -> None:
    task = Several({"kind": Classification(), "vector": Embedding(3)})
    assert task.looks_at_baseline
    only = {"train_y": {"kind": labels(30)["kind"]}, "test_y": {"kind": labels(12)["kind"]}}
    assert [one.name for one in written(tmp_path, task, **only).facts.outputs] == ["kind", "vector"]


def test_a_model_gives_all_of_them_together() -> None:
    class Model:
        def run(self, inputs: Any) -> Any:
            return {"kind": np.ones((2, 3)), "place": inputs["x"], "more": np.zeros(2)}

    from types import SimpleNamespace

    from modelyard.tensors import OutputFacts

    parts = tuple(OutputFacts(name=name, shape=(3,)) for name in ("kind", "place"))
    whole = OutputFacts(name="kind+place", shape=(), parts=parts)
    model: Any = Joined(Model(), whole, SimpleNamespace(inputs=[SimpleNamespace(name="x")]))  # type: ignore[arg-type]
    assert model.predict(np.zeros((2, 4))).dtype.names == ("kind", "place")
    with pytest.raises(PluginError, match="the answers are 'kind', but the task measures 'place', too"):
        taken({"kind": np.ones((2, 3))}, whole)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_y": np.arange(30) % 3}, r"train_y: is a ndarray, but there are 2 outputs\n  give a dict .* kind, place"),
        ({"train_y": {**labels(30), "plase": np.ones(30)}}, r"train_y: there is no output 'plase'\n  those with a task: kind, place"),
        ({"test_y": {"kind": labels(12)["kind"]}}, r"output 'place': test_y: there is none"),
        ({"test_y": {**labels(12), "place": np.ones((7, 2))}}, r"test_y: 'kind' has 12, 'place' has 7\n  each sample has"),
        ({"test_y": {**labels(12), "place": [1.0] * 12}}, r"test_y\['place'\]: is a list, not a numpy array"),
        ({"test_y": labels(11)}, r"test_y: has the shape \(11,\) beside 12 samples"),
        ({"class_names": ("a", "b", "c")}, r"class_names: is one list for 2 outputs"),
        ({"task": Classification()}, r"train_y: is a dict of labels by output, but the project learns one output"),
        ({"task": Several({"kind": Classification(), "said": Transcription(False)}),
          "train_y": {"kind": labels(30)["kind"], "said": np.array(["x"] * 30)},
          "test_y": {"kind": labels(12)["kind"], "said": np.array(["x"] * 12)}}, r"output 'said': its answers are texts"),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_are_refused(changes: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        written(tmp_path, **changes)
