"""What the protocol says of a model and its tensors, and which names it is refused under."""

from __future__ import annotations

import numpy as np
import pytest
from tests.serving.small_models import KIND, PIXELS, SCORES, TEXT, WEIGHTS, served

from modelyard.serving.errors import RequestError
from modelyard.serving.oip.describe import check_model, datatype, extensions, metadata
from modelyard.serving.served import Served
from modelyard.serving.tensor_facts import BYTES, DTYPES

SEVERAL = served(version="2", names=("net", "other"), versions=("1", "2"))


@pytest.mark.parametrize(
    ("model", "name", "version", "said"),
    [
        (served(), "ten", "1", "unknown model 'ten'; served: 'net'"),
        (served(), "net", "2", "model 'net' has no version '2'; served: '1'"),
        (SEVERAL, "ten", "2", "unknown model 'ten'; served: 'net', 'other'"),
        (SEVERAL, "net", "3", "model 'net' has no version '3'; served: '1', '2'"),
    ],
)
def test_another_model_or_version_is_not_found_and_those_that_are_there_are_named(
    model: Served, name: str, version: str, said: str
) -> None:
    with pytest.raises(RequestError) as caught:
        check_model(model, name, version)
    assert (caught.value.status, caught.value.message) == (404, said)


def test_a_model_is_found_by_its_name_and_version() -> None:
    check_model(served(), "net", "1")
    check_model(SEVERAL, "net", "2")


def test_sequences_are_an_extension_where_the_model_has_them() -> None:
    assert extensions(served()) == ("binary_tensor_data", "classification", "schedule_policy")
    assert extensions(served(no_sequences="")) == (*extensions(served()), "sequence")


def test_of_one_output_the_classes_are_named_and_of_several_those_of_each() -> None:
    identity = {"format": "onnx", "variant": "int8", "sha256": ""}
    one = metadata(served(extra={"variant": "int8"}))
    assert one["parameters"] == {"class_names": ["cat", "dog", "owl"], **identity}
    several = metadata(served(outputs=[SCORES, KIND], extra={"variant": "int8"}))
    assert several["parameters"] == {"labels": {"scores": ("cat", "dog", "owl")}, **identity}
    assert metadata(served(outputs=[KIND]))["parameters"]["class_names"] == []


def test_tensors_are_said_in_their_order_with_the_batch_axis_and_those_that_vary() -> None:
    said = metadata(served([WEIGHTS, PIXELS, TEXT], [KIND]))
    assert said["inputs"] == [
        {"name": "weights", "datatype": "FP32", "shape": [-1, -1]},
        {"name": "pixels", "datatype": "UINT8", "shape": [-1, 2]},
        {"name": "text", "datatype": "BYTES", "shape": [-1]},
    ]
    assert said["outputs"] == [{"name": "kind", "datatype": "BYTES", "shape": [-1]}]


def test_all_versions_are_said_and_a_format_that_has_no_name_stands_for_itself() -> None:
    assert metadata(SEVERAL)["versions"] == ["1", "2"]
    assert metadata(served())["versions"] == ["1"]
    assert [metadata(served(format=one))["platform"] for one in ("tflite", "onnx", "exported_program")] == [
        "litert_tflite",
        "onnx_onnxv1",
        "exported_program",
    ]


def test_each_dtype_has_the_name_that_the_specification_gives_it() -> None:
    said = [datatype(BYTES if name == "bytes" else np.dtype(name)) for name in DTYPES]
    unsigned, signed = ["UINT8", "UINT16", "UINT32", "UINT64"], ["INT8", "INT16", "INT32", "INT64"]
    assert said == ["BOOL", *unsigned, *signed, "FP16", "FP32", "FP64", "BYTES"]
