"""What `model.json` says: what was known, what the component returned, and what the file shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.facts import model_facts
from tests.plans import SOURCE, job_of, nothing, plugins_of

from modelyard import hookimpl
from modelyard.artifacts import FileFacts, Model, ModelFacts
from modelyard.component import Component, Use
from modelyard.errors import PluginError, StageFailed
from modelyard.execution.job import Job
from modelyard.files.json import read_json
from modelyard.signature import Signature, TensorSpec
from modelyard.stage import Stage
from modelyard.stages.model_facts import write_model_facts
from modelyard.tensors import ANY_SHAPE, InputFacts, OutputFacts

GIVEN = model_facts(format="raw", input_shape=(4,), input_dtype="float32", class_names=("a", "b"))
FILE = GIVEN.file
TAKES = TensorSpec("input", "float32", ("", 4))


def signature(*outputs: TensorSpec) -> Signature:
    return Signature((TAKES,), outputs or (TensorSpec("probabilities", "float32", ("", 2)),))


def job(folder: Path, shown: FileFacts | None = None, answers: Any = "", *, text: str | None = "weights") -> Job:
    """Return the job of a training whose file, once it is written, shows what it is told to."""

    class Reader:
        @hookimpl(tryfirst=True)
        def modelyard_read_model_file(self, model: Model) -> FileFacts | None:
            assert model.path.exists()
            return shown

    plugins = plugins_of(folder)
    plugins.manager.register(Reader())
    trainer = Component("trainer", "own", nothing, SOURCE, produces="raw")
    model = Component("model", "net", nothing, SOURCE, answers=answers)
    stage = Stage("train", "net", uses={"trainer": Use(trainer), "model": Use(model)})
    (folder / "out").mkdir(parents=True)
    if text is not None:
        (folder / "out" / FILE).write_text(text)
    made = job_of(stage, {}, folder)
    return msgspec.structs.replace(made, plugins=plugins, base=msgspec.structs.replace(made.base, out=folder / "out"))


def written(one: Job, told: Any = None, given: ModelFacts = GIVEN, **more: Any) -> ModelFacts:
    return write_model_facts(one, "trainer", given, told, **more)


def test_without_a_word_it_is_what_was_known_before(tmp_path: Path) -> None:
    found = written(job(tmp_path))
    assert found == GIVEN
    assert read_json(tmp_path / "out" / "model.json", ModelFacts) == found


def test_the_format_is_the_one_that_the_component_is_registered_with(tmp_path: Path) -> None:
    told = msgspec.structs.replace(GIVEN, format="other", file="other.bin")
    assert written(job(tmp_path), told) == GIVEN


def test_facts_that_the_component_returns_take_the_place_of_what_was_known(tmp_path: Path) -> None:
    told = GIVEN.answering("probabilities")
    assert written(job(tmp_path), told).outputs[0].inside
    assert not written(job(tmp_path / "plain")).outputs[0].inside


def test_warnings_are_those_of_all_that_made_it_each_once(tmp_path: Path) -> None:
    given = msgspec.structs.replace(GIVEN, warnings=("one", "two"))
    assert written(job(tmp_path), given=given, warnings=("two", "three")).warnings == ("one", "two", "three")


@pytest.mark.parametrize("told", ["done", {"format": "raw"}, 3])
def test_what_is_no_facts_is_refused(tmp_path: Path, told: Any) -> None:
    with pytest.raises(PluginError, match=r"the trainer 'own' \(.*\) returned .*\n  it returns nothing, or ModelFacts"):
        written(job(tmp_path), told)


@pytest.mark.parametrize("text", [None, ""])
def test_a_file_that_is_not_there_or_empty_is_none(tmp_path: Path, text: str | None) -> None:
    one = job(tmp_path, text=text)
    (tmp_path / "out" / "model.other").write_text("x")
    with pytest.raises(
        PluginError, match=f"'own' is registered with produces='raw' but did not write '{FILE}'"
    ) as caught:
        written(one)
    assert str(caught.value).endswith(f"it wrote: {'model.other' if text is None else f'model.other, {FILE}'}")
    assert not (tmp_path / "out" / "model.json").exists()


def test_a_folder_is_a_model_s_file_too(tmp_path: Path) -> None:
    one = job(tmp_path, text=None)
    (tmp_path / "out" / FILE).mkdir()
    assert written(one) == GIVEN


# What the file shows


def test_what_the_file_shows_of_itself_is_kept(tmp_path: Path) -> None:
    found = written(job(tmp_path, FileFacts(signature=signature(), batch=4)))
    assert (found.signature, found.batch) == (signature(), 4)


@pytest.mark.parametrize(("activation", "inside"), [("softmax", True), ("none", False)])
def test_the_file_is_believed_where_nobody_says_what_it_ends_in(tmp_path: Path, activation: Any, inside: bool) -> None:
    assert written(job(tmp_path, FileFacts(activation=activation))).outputs[0].inside == inside


def test_an_activation_of_the_output_s_own_name_comes_first(tmp_path: Path) -> None:
    shown = FileFacts(activation="none", activations={"probabilities": "softmax"})
    assert written(job(tmp_path, shown)).outputs[0].inside


@pytest.mark.parametrize(
    ("says", "activation", "shows"),
    [
        ("logits", "softmax", "'out' shows that it answers probabilities (it ends in a softmax)"),
        ("probabilities", "none", "'out' shows that it answers logits\n"),
    ],
)
def test_a_model_that_says_what_its_file_does_not_is_told(
    tmp_path: Path, says: str, activation: Any, shows: str
) -> None:
    with pytest.raises(PluginError) as caught:
        written(job(tmp_path, FileFacts(activation=activation), says))
    assert str(caught.value).startswith("the model 'net' (")
    assert f") says that the model answers {says}, but the file " in str(caught.value)
    assert shows.replace("out", FILE) in str(caught.value)
    assert str(caught.value).endswith("or nothing: then the file is believed")


def test_a_trainer_that_says_what_its_file_does_not_is_told_instead_of_the_model(tmp_path: Path) -> None:
    shown = FileFacts(activation="softmax")
    with pytest.raises(PluginError, match=r"^the trainer 'own' \(.*\) says that the model answers logits"):
        written(job(tmp_path, shown, "probabilities"), GIVEN)


def test_a_file_of_other_tensors_is_refused(tmp_path: Path) -> None:
    shown = FileFacts(signature=signature(TensorSpec("probabilities", "float32", ("", 5))))
    with pytest.raises(StageFailed, match=r"^the trainer 'own' gave a model that "):
        written(job(tmp_path, shown))


# What the task leaves open


def test_an_output_that_is_left_open_is_as_long_as_the_file_says_and_of_its_type(tmp_path: Path) -> None:
    given = msgspec.structs.replace(GIVEN, outputs=(*GIVEN.outputs, OutputFacts(name="ids", shape=ANY_SHAPE)))
    both = signature(TensorSpec("probabilities", "float32", ("", 2)), TensorSpec("ids", "int64", ("", "found", 3)))
    shown = FileFacts(signature=both, activations={"probabilities": "softmax", "ids": None})
    one, other = written(job(tmp_path, shown), given=given).outputs
    assert (one.shape, one.dtype, one.inside) == ((2,), "float32", True)
    assert (other.shape, other.dtype) == (("found", 3), "int64")


def test_whole_numbers_that_stand_for_others_are_those_to_clients(tmp_path: Path) -> None:
    given = msgspec.structs.replace(GIVEN, outputs=(*GIVEN.outputs, OutputFacts(name="map", shape=ANY_SHAPE)))
    both = signature(TensorSpec("probabilities", "float32", ("", 2)), TensorSpec("map", "int8", ("", 3)))
    shown = FileFacts(signature=both, activations={"probabilities": "none"}, quantized=("map",))
    assert written(job(tmp_path, shown), given=given).outputs[1].dtype == "float32"


def test_an_axis_as_long_as_the_input_s_stays_open(tmp_path: Path) -> None:
    taken = InputFacts(name="input", dtype="float32", shape=("length", 4))
    answer = OutputFacts(name="probabilities", shape=("length", 2))
    given = msgspec.structs.replace(GIVEN, inputs=(taken,), outputs=(answer,))
    shown = Signature(
        (TensorSpec("input", "float32", ("", "t", 4)),), (TensorSpec("probabilities", "float32", ("", "t", 2)),)
    )
    assert written(job(tmp_path, FileFacts(signature=shown)), given=given).outputs[0].shape == ("length", 2)


def test_of_several_outputs_somebody_must_say_what_each_ends_in(tmp_path: Path) -> None:
    given = msgspec.structs.replace(GIVEN, outputs=(*GIVEN.outputs, OutputFacts(name="height", shape=(1,))))
    with pytest.raises(StageFailed) as caught:
        written(job(tmp_path), given=given)
    first, second = str(caught.value).splitlines()
    assert first == f"the file {FILE!r} does not show whether its output 'probabilities' ends in a softmax"
    assert '[tool.modelyard.train] answers = "probabilities" or "logits"' in second
    assert written(job(tmp_path / "told"), given, given).outputs == given.outputs
