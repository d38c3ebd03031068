"""What a model answers, and in which batches it may run: said by who makes it, or read from its file, and held to everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.front_door.builds import Build, build

PLUGIN = '''
import json
import msgspec
from modelyard import hookimpl
from modelyard.artifacts import FileFacts, Model


def tell(context):
    """Pack, and say more."""
    (context.out / "model.packed").write_bytes(context.model.path.read_bytes())
    return {told}


def learn(context):
    """Train as little as can be, and say what the model answers."""
    context.build_model(context.dataset.facts.input_shape, 3)
    (context.out / "model.toy").write_text(json.dumps({{"centers": [[0, 0], [1, 0], [0, 1]]}}))
    return {learnt}


class Leaning:
    """Its answer to a sample leans on the others in its batch."""

    def __init__(self, folder):
        self.model = Model.open(folder)
        self.centers = json.loads(self.model.path.read_text())["centers"]

    def predict(self, raw):
        import numpy as np

        inputs = self.model.facts.preprocessing.apply(raw)
        apart = inputs - inputs.mean(axis=0) * (len(raw) > 1)
        weight = np.exp(-((apart[:, None] - np.array(self.centers)[None]) ** 2).sum(axis=2))
        return (weight / weight.sum(axis=1, keepdims=True)).astype("float32")


def leaning(folder):
    """Run a model that leans on its batch."""
    return Leaning(folder)


@hookimpl
def modelyard_read_model_file(model):
    if model.facts.format == "packed":
        return FileFacts({shown})


@hookimpl
def modelyard_register_optimizers(register):
    register("tell", tell, accepts=("toy",), produces="packed")


@hookimpl
def modelyard_register_models(register):
    register("sure", lambda input_shape, classes: {{}}, produces="toy", answers="probabilities")


@hookimpl
def modelyard_register_trainers(register):
    register("learn", learn, produces="toy")


@hookimpl
def modelyard_register_runtimes(register):
    from pathlib import Path

    server = Path(__file__).parents[1] / "server"
    requirements = server / "requirements.txt"
    register("leaning", leaning, accepts=("packed",), server=server, requirements=requirements, entrypoint=("python3", "-m", "x"))
'''
ONE = ('variants.plain=["tell"]', "select.rule=plain")


def run(project: Path, *arguments: str, told: str = "None", learnt: str = "None", shown: str = "") -> Build:
    """Put the plugin into the project, and build up to the selected model."""
    (project / "plugins" / "told.py").write_text(PLUGIN.format(told=told, learnt=learnt, shown=shown))
    return build(project, *arguments, "select")


def output(project: Path, stage: str) -> str:
    (answer,) = json.loads((project / "artifacts" / stage / "model.json").read_text())["outputs"]
    return "probabilities" if answer.get("inside") else "logits"


SAID = 'context.{}facts.answering("{}")'


@pytest.mark.parametrize(
    ("arguments", "plugin", "trained", "packed"),
    [
        ((), {"told": SAID.format("model.", "probabilities")}, "logits", "probabilities"),
        (("train.use=learn",), {"learnt": SAID.format("", "probabilities")}, "probabilities", "probabilities"),
        (("train.use=learn", "model.use=sure"), {}, "probabilities", "probabilities"),
        ((), {"shown": 'activation="softmax"'}, "logits", "probabilities"),
    ],
    ids=["the optimizer", "the trainer", "the model", "the file"],
)
def test_what_a_model_answers_is_said_by_who_makes_it_or_shown_by_its_file(
    new_toy: Path, arguments: tuple[str, ...], plugin: dict[str, str], trained: str, packed: str
) -> None:
    done = run(new_toy, *ONE, *arguments, **plugin)

    assert done.code == 0, done.output
    (train,) = (path.name for path in (new_toy / "artifacts" / "train").iterdir())
    stages = (f"train/{train}", "optimize/plain", "select/toy/model")
    assert [output(new_toy, stage) for stage in stages] == [trained, packed, packed]


def test_a_file_that_shows_otherwise_than_is_said_is_an_error_that_names_both(new_toy: Path) -> None:
    done = run(new_toy, *ONE, told=SAID.format("model.", "logits"), shown='activation="softmax"')

    assert done.code != 0
    assert "the model optimizer 'tell'" in done.output
    assert "says that the model answers logits, but the file 'model.packed' shows that it answers" in done.output
    assert "probabilities (it ends in a softmax)" in done.output
    assert "Traceback" not in done.output


def test_a_file_that_ends_in_another_activation_than_the_answers_of_the_task_is_told(new_toy: Path) -> None:
    done = run(new_toy, *ONE, shown='activation="sigmoid"')

    assert done.code != 0
    assert "the model ends in a sigmoid, but the data set's answers are those of a softmax" in done.output
    assert 'say answers = "probabilities"' in done.output
    assert "Traceback" not in done.output


def test_where_it_is_said_to_answer_what_clients_get_another_activation_is_believed(new_toy: Path) -> None:
    said = SAID.format("", "probabilities")
    done = run(new_toy, *ONE, "train.use=learn", learnt=said, shown='activation="sigmoid"')

    assert done.code == 0, done.output
    assert output(new_toy, "optimize/plain") == "probabilities"


def test_what_a_trainer_returns_must_be_facts(new_toy: Path) -> None:
    done = run(new_toy, *ONE, "train.use=learn", learnt="'probabilities'")

    assert "the trainer 'learn'" in done.output
    assert "returned 'probabilities'" in done.output


def test_a_model_whose_answers_lean_on_its_batch_is_measured_sample_by_sample(new_toy: Path) -> None:
    answers = {}
    for name, shown in (("alone", "batch=1"), ("together", "")):
        done = run(new_toy, *ONE, "runtime.use=leaning", "gates.min_accuracy=0", shown=shown)
        assert done.code == 0, done.output
        answers[name] = np.load(new_toy / "artifacts/select/toy/reference/answers.npy")
    done = run(new_toy, *ONE)  # the toy's own runtime, which leans on nothing
    assert done.code == 0, done.output
    alike = np.load(new_toy / "artifacts/select/toy/reference/answers.npy")

    assert np.abs(answers["alone"] - alike).max() < 1e-6
    assert np.abs(answers["together"] - alike).max() > 0.01
    assert "batch" not in json.loads((new_toy / "artifacts/select/toy/model/model.json").read_text())
