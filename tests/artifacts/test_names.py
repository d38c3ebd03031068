from __future__ import annotations

import pytest

from modelyard.artifacts import format_file, samples_file
from modelyard.artifacts.names import is_single_name


def test_a_format_that_nobody_knows_is_the_ending_of_its_file() -> None:
    assert [format_file(one) for one in ("onnx", "torch_int8", "toy")] == ["model.onnx", "model.pt2", "model.toy"]


def test_an_input_without_a_name_has_none_in_its_file() -> None:
    assert [samples_file("test", one) for one in ("input", "left")] == ["test_x.npy", "test_x.left.npy"]


@pytest.mark.parametrize(("name", "single"), [("model.onnx", True), ("..", False), ("", False), ("a/b", False)])
def test_a_single_name_stays_in_its_folder(name: str, *, single: bool) -> None:
    assert is_single_name(name) is single
