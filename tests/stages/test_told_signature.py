"""What a project says of its model's tensors is held against the file's, and what does not fit is told with its line."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.facts import model_facts

from modelyard.errors import StageFailed
from modelyard.signature import Signature, TensorSpec
from modelyard.stages.signature_check import misfit
from modelyard.stages.told_signature import bind, with_axes
from modelyard.tensors import ConstantFacts, InputFacts, OutputFacts, StateFacts

FILE = Signature(
    (
        TensorSpec("x", "float32", ("", "")),
        TensorSpec("h", "float32", (2, "", 128)),
        TensorSpec("sr", "int64", ()),
    ),
    (TensorSpec("y", "float32", ("", 1)), TensorSpec("hn", "float32", ("", "", "")), TensorSpec("n", "int64", ("",))),
)
FACTS = msgspec.structs.replace(
    model_facts(format="onnx", input_shape=(31, 512), input_dtype="float32", class_names=("a", "b")),
    inputs=(InputFacts(name="input", dtype="float32", shape=(31, 512)),),
    outputs=(OutputFacts(name="output", shape=("...",)),),
)
VAD: dict[str, Any] = {"x": {"overlap": 64}, "h": {"state": "hn"}, "sr": {"constant": 16000}, "y": {"name": "speech"}}


def test_a_stream_is_bound_to_the_files_names() -> None:
    file = Signature(FILE.inputs, FILE.outputs[:2])
    facts = bind(FACTS, VAD, file)
    assert facts.inputs == (InputFacts(name="input", dtype="float32", shape=("time", 512), tensor="x", overlap=64),)
    assert facts.outputs == (OutputFacts(name="speech", shape=("...",), tensor="y"),)
    assert facts.states == (StateFacts(tensor="h", source="hn", dtype="float32", shape=(2, 128), batch_axis=1),)
    assert facts.constants == (ConstantFacts(tensor="sr", dtype="int64", value=16000),)
    assert (facts.looped, facts.batch, facts.keeps, facts.fed) == (True, msgspec.UNSET, True, ("h", "sr"))
    assert misfit(file, facts) == ""
    narrow = TensorSpec("x", "float32", ("", 512))
    assert "takes 'x', float32 (any, 512), but the data set's samples are (any, 576)" in misfit(
        Signature((narrow, *FILE.inputs[1:]), file.outputs), facts
    )


def test_a_file_for_one_stream_alone() -> None:
    file = Signature((TensorSpec("x", "float32", (1, 31, 512)), TensorSpec("h", "float32", (4, 8))), FILE.outputs)
    told = {"h": {"state": "hn", "initial": 1.0}}
    facts = bind(FACTS, told, Signature(file.inputs, (file.outputs[0], TensorSpec("hn", "float32", (4, 8)))))
    assert facts.states == (
        StateFacts(tensor="h", source="hn", dtype="float32", shape=(4, 8), batch_axis=None, initial=1.0),
    )
    assert facts.batch == 1
    assert facts.looped is msgspec.UNSET, "the file takes chunks"
    assert facts.inputs[0].shape == (31, 512)


@pytest.mark.parametrize(
    ("told", "wanted", "tensors"),
    [
        ({"0": {"name": "note"}, "1": {"name": "onset"}}, ["onset", "note"], ["1", "0"]),
        ({"0": {"name": "note"}, "1": {"name": "onset"}}, ["0", "1"], ["0", "1"]),
        ({"0": {"name": "1"}, "1": {"name": "0"}}, ["0", "1"], ["0", "1"]),
        ({"1": {"name": "onset"}}, ["0", "onset"], ["", "1"]),
    ],
)
def test_several_outputs_are_bound_by_what_the_project_calls_them(
    told: dict[str, Any], wanted: list[str], tensors: list[str]
) -> None:
    """Handlers name outputs of one shape either way: the order of neither list counts."""
    file = Signature((TensorSpec("x", "float32", ("", 4)),), tuple(TensorSpec(one, "float32", ("", 2)) for one in "01"))
    facts = msgspec.structs.replace(
        FACTS,
        inputs=(InputFacts(name="x", dtype="float32", shape=(4,)),),
        outputs=tuple(OutputFacts(name=one, shape=("...",)) for one in wanted),
    )
    found = bind(facts, told, file).outputs
    assert [one.tensor for one in found] == tensors
    assert {one.name for one in found} == {told.get(one.tensor, {}).get("name", one.name) for one in found}
    assert misfit(file, msgspec.structs.replace(facts, outputs=found)) == ""


def test_an_optimizer_that_loses_a_tensor_is_told() -> None:
    facts = bind(FACTS, VAD, Signature(FILE.inputs, FILE.outputs[:2]))
    assert "none is called 'sr'" in misfit(Signature(FILE.inputs[:2], FILE.outputs), facts)
    assert "none is called 'hn', the state 'h' afterwards" in misfit(Signature(FILE.inputs, FILE.outputs[:1]), facts)


def test_axes_labels_and_ranges() -> None:
    shown = Signature((TensorSpec("x", "float32", ("", "n", 512)),), (TensorSpec("y", "float32", ("", "n", 2)),))
    told: dict[str, Any] = {
        "x": {"axes": ["frames", 512], "range": (-1.0, 1.0)},
        "y": {"axes": ["frames", 2], "labels": ["no", "yes"]},
    }
    facts = bind(FACTS, told, shown)
    facts = msgspec.structs.replace(facts, outputs=(msgspec.structs.replace(facts.outputs[0], shape=("n", 2)),))
    facts = with_axes(facts, told, shown)
    assert (facts.inputs[0].shape, facts.inputs[0].value_range) == (("frames", 512), (-1.0, 1.0))
    assert (facts.outputs[0].shape, facts.outputs[0].labels) == (("frames", 2), ("no", "yes"))
    for axes, why in ((["frames", "width"], "'width' is 512 long in the model's file"), (["frames"], "are 1 axes")):
        with pytest.raises(StageFailed, match=why):
            with_axes(facts, {"x": {"axes": axes}}, shown)


FED = {name: VAD[name] for name in ("h", "sr")}


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({**FED, "hh": {"state": "hn"}}, "]: key 'hh': there is no tensor 'hh', did you mean 'h'?\n  there are:"),
        (
            {"h": {"state": "hnn"}},
            ".h]: key 'state': there is no output 'hnn', did you mean 'hn'?\n  there are: hn, n, y",
        ),
        (
            {"h": {"state": "y"}},
            ".h]: key 'state': the state 'h', float32 (2, any, 128) cannot be the output 'y', float32",
        ),
        ({"x": {"name": "audio"}}, ".x]: key 'name': there is no array of the data set 'audio'\n  there are: input"),
        ({**FED, "x": {"labels": ["a"]}}, ".x]: key 'labels': 'x' is an input of the model, which has no 'labels'"),
        ({**FED, "y": {"overlap": 1}}, ".y]: key 'overlap': 'y' is an output of the model, which has no 'overlap'"),
        ({"h": {"range": (0.0, 1.0)}}, "]: key 'h': the input 'h' is there, but nobody sends it"),
        ({**FED, "n": {"labels": []}}, "]: key 'n': the output 'n' is there, but nobody gets it"),
    ],
)
def test_what_the_file_has_not_is_told(told: dict[str, Any], message: str) -> None:
    facts = msgspec.structs.replace(FACTS, outputs=(OutputFacts(name="output", shape=("...",), tensor="y"),))
    with pytest.raises(StageFailed) as caught:
        bind(facts, told, FILE)
    assert str(caught.value).startswith(f"[tool.modelyard.signature{message}")


@pytest.mark.parametrize(
    ("dtype", "shape", "value", "fits"),
    [
        ("int64", (), 16000, True),
        ("int64", (1,), 16000, True),
        ("int64", (2,), [1, 2], True),
        ("float32", (2, 1), [[1], [2.5]], True),
        ("float16", None, 3, True),
        ("bool", (), True, True),
        ("bytes", (1,), ["en"], True),
        ("int64", (), 1.5, False),
        ("int64", (), True, False),
        ("float32", (), "x", False),
        ("bytes", (), 3, False),
        ("int64", (2,), [1, 2, 3], False),
        ("int64", (2, 2), [[1], [1, 2]], False),
        ("int64", ("",), 3, False),
    ],
)
def test_a_constant_is_one_that_the_input_can_hold(dtype: str, shape: Any, value: Any, fits: bool) -> None:
    file = Signature((FILE.inputs[0], TensorSpec("c", dtype, shape)), FILE.outputs[:1])
    if fits:
        (found,) = bind(FACTS, {"c": {"constant": value}}, file).constants or ()
        assert found == ConstantFacts(tensor="c", dtype=dtype, value=value)
        return
    with pytest.raises(
        StageFailed, match=r"^\[tool.modelyard.signature.c\]: key 'constant': .* cannot be the input 'c'"
    ):
        bind(FACTS, {"c": {"constant": value}}, file)


@pytest.mark.parametrize(
    ("first", "before", "after", "axis", "shape"),
    [
        ("batch", ("batch", 4, "past", 8), ("batch", 4, "past + n", 8), 0, (4, "past", 8)),
        ("batch", (4, "batch", "past", 8), (4, "batch", "all", 8), 1, (4, "past", 8)),
        ("", (2, "", "", 8), (2, "", "", 8), 1, (2, "", 8)),
        (1, (4, 1, "past"), (4, 1, "all"), 1, (4, "past")),
        (1, (4, "past"), (4, "all"), 1, (4,)),
        ("batch", ("batch", "", 8), ("batch", 5, 8), 0, (5, 8)),
    ],
)
def test_a_state_grows_along_an_axis_that_varies_and_is_not_that_of_the_batch(
    first: Any, before: Any, after: Any, axis: int, shape: Any
) -> None:
    inputs = (TensorSpec("x", "float32", (first, 31, 512)), TensorSpec("h", "float32", before))
    file = Signature(inputs, (FILE.outputs[0], TensorSpec("hn", "float32", after)))
    (state,) = bind(FACTS, {"h": {"state": "hn"}}, file).states or ()
    assert (state.batch_axis, state.shape) == (axis, shape)


def test_a_state_of_no_certain_size_and_a_file_that_shows_nothing() -> None:
    open_ended = (TensorSpec("h", "float32", ("", "width", 8)), FILE.inputs[0])
    after = TensorSpec("hn", "float32", ("", "width", 8))
    with pytest.raises(StageFailed, match="is of no certain size, and its output is no longer"):
        bind(FACTS, {"h": {"state": "hn"}}, Signature(open_ended, (FILE.outputs[0], after)))
    with pytest.raises(StageFailed, match="does not show its tensors"):
        bind(FACTS, VAD, None)


def test_axes_that_the_file_does_not_say_are_told() -> None:
    shown = Signature((TensorSpec("x", "float32", None),), (TensorSpec("y", "float32", None),))
    facts = with_axes(FACTS, {"y": {"axes": ["n", 2]}}, shown)
    assert facts.outputs[0].shape == ("...",), "the only output is not called like this"
    named = msgspec.structs.replace(FACTS, outputs=(OutputFacts(name="y", shape=("...",)),))
    assert with_axes(named, {"y": {"axes": ["n", 2]}}, shown).outputs[0].shape == ("n", 2)
