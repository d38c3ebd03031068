"""A model may have been damaged, or written by somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.facts import model_facts

from modelyard.artifacts import Model
from modelyard.errors import DataError
from modelyard.files.json import write_json
from modelyard.tensors import Preprocessing

if TYPE_CHECKING:
    from pathlib import Path


def write_facts(folder: Path, file: str) -> None:
    facts = model_facts(
        format="toy",
        file=file,
        input_shape=(2,),
        input_dtype="float32",
        preprocessing=Preprocessing(),
        class_names=("a",),
    )
    write_json(folder / "model.json", facts)


@pytest.mark.parametrize("file", ["../secret", "/etc/hostname", "a/b", "..", ".", "", "a\0b"])
def test_a_model_lies_beside_its_facts(tmp_path: Path, file: str) -> None:
    (tmp_path / "secret").touch()
    (tmp_path / "model" / "a").mkdir(parents=True)
    (tmp_path / "model" / "a" / "b").touch()
    write_facts(tmp_path / "model", file)
    with pytest.raises(
        DataError, match=r"model: model\.json names .*\n  allowed: the name of a file or folder beside it"
    ):
        Model.open(tmp_path / "model")


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_facts(tmp_path, "model.toy")
    with pytest.raises(DataError, match=r"model\.json names 'model\.toy', which is not there\n  build the stage"):
        Model.open(tmp_path)
    (tmp_path / "model.toy").touch()
    assert Model.open(tmp_path).path == tmp_path / "model.toy"


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b"[]", b'{"file": 1}'])
def test_damaged_facts_are_an_error_in_words(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.json").write_bytes(data)
    with pytest.raises(DataError, match=r"model\.json: cannot be read as ModelFacts: .+\n  build the stage"):
        Model.open(tmp_path)
