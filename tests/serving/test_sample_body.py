"""Whether a body is the sample itself, by its content type and by what the model takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelyard.serving.messages import Request
from modelyard.serving.model import Facts
from modelyard.serving.sample_body import SAMPLE_TYPES, is_sample, sample_of
from modelyard.serving.served import Served
from modelyard.serving.tensor_facts import BYTES, Input

PICTURE = b"\x89PNG\r\n\0"


def model(*inputs: Input) -> Served:
    return Served("m", "1", Facts(Path("m"), "onnx", inputs, ()))


TAKES_BYTES = model(Input("image", BYTES, ()))


def request(kind: str | None, **headers: str) -> Request:
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Request("POST", "/v2", given if kind is None else given | {b"content-type": kind.encode()})


@pytest.mark.parametrize(
    "kind", ["image/png", " Image/PNG ; q=1", "audio/wav", "text/plain; charset=utf-8", "application/octet-stream"]
)
def test_a_picture_a_sound_or_a_text_is_one_sample(kind: str) -> None:
    found = sample_of(request(kind), bytearray(PICTURE), TAKES_BYTES)

    assert found is not None
    assert (list(found), found["image"].dtype, found["image"].tolist()) == (["image"], BYTES, [PICTURE])


@pytest.mark.parametrize("kind", [None, "", "application/json", "text/html", "imagery/png", "multipart/form-data"])
def test_anything_else_is_a_document(kind: str | None) -> None:
    assert sample_of(request(kind), PICTURE, TAKES_BYTES) is None


def test_bytes_with_a_header_before_them_are_a_document() -> None:
    said = request("application/octet-stream", inference_header_content_length="9")

    assert sample_of(said, PICTURE, TAKES_BYTES) is None


@pytest.mark.parametrize(
    "taken",
    [
        [Input("image", np.dtype("uint8"), (2,))],
        [Input("image", BYTES, (2,))],
        [Input("image", BYTES, ()), Input("size", np.dtype("int64"), ())],
    ],
)
def test_a_model_that_takes_something_else_is_sent_documents(taken: list[Input]) -> None:
    assert sample_of(request("image/png"), PICTURE, model(*taken)) is None


def test_the_types_that_clients_are_told_are_those_that_are_samples() -> None:
    assert [is_sample(kind.replace("...", "x")) for kind in SAMPLE_TYPES.split(", ")] == [True] * 3
