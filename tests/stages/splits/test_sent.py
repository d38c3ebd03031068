"""What handlers make of a data set: samples of several lengths are put down in order, and each test set beside the same training split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.conftest import no_progress
from tests.shared import array
from tests.stages.conftest import Told
from tests.tasks import write_dataset

from modelyard.artifacts import Dataset, Splits
from modelyard.asking import batches
from modelyard.errors import DataError
from modelyard.files.ragged import RaggedArray
from modelyard.serving.handler_tensor import Tensor
from modelyard.serving.handlers import Chain, Place
from modelyard.stages.splits.sent import Preparing

PLACE = Place()
TEXT = PLACE.tensor("text", "bytes")
CODES = PLACE.tensor("codes", "int64", ("letters",), pad=-1)


def chain(*gives: Tensor) -> Chain:
    """Return a handler that makes of each text the numbers of its letters, its length, and how often it was asked of all."""
    asked: list[bytes] = []

    def run(given: Any) -> dict[str, Any]:
        asked.extend(given["text"])
        codes = [np.frombuffer(one, np.uint8).astype(np.int64) for one in given["text"]]
        made = {"codes": codes, "count": [len(one) for one in codes], "asked": [len(asked)] * len(codes)}
        return {one.name: made[one.name] for one in gives}

    return Chain((PLACE.handler(run, [TEXT], gives),))


def splits(train: list[str], test: list[str]) -> Splits:
    return Splits(train, None, test, None)


def test_samples_of_several_lengths_are_in_their_order_beside_those_of_one(tmp_path: Path) -> None:
    words = [f"{number}" * (1 + number % 7) for number in range(150)]
    told = Told()
    given = chain(CODES, PLACE.tensor("count", "int32"))
    made, sent = Preparing(given, tmp_path, told)(splits(words, words[:3]))
    train: Any = made.train_x
    assert [bytes(one.astype(np.uint8)).decode() for one in map(train["codes"].__getitem__, range(150))] == words
    assert train["codes"][:2].tolist() == [[48, -1], [49, 49]]
    assert train["count"].tolist() == [len(one) for one in words]
    assert (train["codes"].dtype, train["codes"].pad, train["count"].dtype) == (np.int64, -1, np.int32)
    assert len(sent) == 3
    assert told.calls == [(64, 150), (128, 150), (150, 150), (3, 3)]
    assert not list(tmp_path.iterdir()), "files without names"


def test_the_training_split_is_looked_at_once_for_all_test_sets(tmp_path: Path) -> None:
    preparing = Preparing(chain(CODES, PLACE.tensor("asked", "int32")), tmp_path, no_progress)
    first, second = (preparing(splits(["ab", "c"], test))[0] for test in (["d"], ["e", "f"]))
    assert first.train_x is second.train_x
    test: Any = second.test_x
    assert test["asked"].tolist() == [5, 5]


def test_a_handler_of_several_inputs_is_asked_once_for_all(tmp_path: Path) -> None:
    preparing = Preparing(chain(PLACE.tensor("count", "int32"), PLACE.tensor("asked", "int32")), tmp_path, no_progress)
    train: Any = preparing(splits(["ab", "c"], ["d"]))[0].train_x
    found = [train[name][:].tolist() for name in ("count", "asked", "count", "asked")]
    assert found == [[2, 1], [2, 2]] * 2


@pytest.mark.parametrize(
    "tensor",
    [
        PLACE.tensor("codes", "int64", ("letters", "of")),
        PLACE.tensor("codes", "int64", (1, "letters")),
        PLACE.tensor("codes", "bytes", ("words",)),
        PLACE.tensor("codes", "int64", ("...",)),
    ],
)
def test_what_a_data_set_cannot_hold_is_refused(tensor: Tensor, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"the handlers give 'codes' as .*\n  a data set holds .*: let the handler give them"
    ):
        Preparing(chain(tensor), tmp_path, no_progress)(splits(["a"], ["b"]))


def ragged(*lengths: int) -> Any:
    """Return samples of which each holds its own number, as often as it is long."""
    values = np.repeat(np.arange(len(lengths), dtype=np.float32), lengths)
    return RaggedArray.of(values, np.cumsum([0, *lengths]), -7)


def doubled(given: Any) -> dict[str, Any]:
    """Return a sound without every other number, times two; in none is what pads."""
    assert (given["sound"] != -7).all()
    return {"sound": 2 * given["sound"][:, ::2]}


HALVED = Chain(
    (PLACE.handler(doubled, [PLACE.tensor("sound", shape=["long"])], [PLACE.tensor("sound", shape=["short"])]),)
)


def test_handlers_take_samples_of_several_lengths_and_each_is_asked_as_it_is_sent(tmp_path: Path) -> None:
    lengths = [3, 4, 1, 4, 2, 3]
    given = Splits(
        {"sound": ragged(*lengths)}, np.arange(6) % 2, {"sound": ragged(*lengths[:5])}, np.arange(5) % 2, ["a", "b"]
    )
    write_dataset(given, tmp_path, chain=HALVED, progress=no_progress)
    dataset = Dataset.open(tmp_path)
    assert [dataset.raw("train")["sound"][row].tolist() for row in range(6)] == [
        [2 * row] * -(-length // 2) for row, length in enumerate(lengths)
    ]
    sent, asked = dataset.sent()["sound"], dataset.asked_lengths()
    assert [sent[row].tolist() for row in range(5)] == [[row] * length for row, length in enumerate(lengths[:5])]
    assert [array(rows).tolist() for rows in batches(5, 9, asked)] == [[2], [4], [0], [1, 3]], (
        "some became alike, but were not"
    )
    assert dataset.facts.sent[0].shape == ("long",)


def test_what_no_handler_takes_goes_by_with_its_mask(tmp_path: Path) -> None:
    x = {"text": ["ab", "c"], "words": ragged(2, 3), "words_mask": ragged(2, 3).mask()}
    write_dataset(
        Splits(x, np.arange(2), x, np.arange(2), ["a", "b"]), tmp_path, chain=chain(CODES), progress=no_progress
    )
    dataset = Dataset.open(tmp_path)
    assert [(one.name, one.shape, one.mask) for one in dataset.facts.inputs] == [
        ("codes", ("codes_length",), ""),
        ("words", ("words_length",), ""),
        ("words_mask", ("words_length",), "words"),
    ]
    assert [dataset.sent()[name][1].tolist() for name in ("words", "words_mask")] == [[1, 1, 1], [1, 1, 1]]
