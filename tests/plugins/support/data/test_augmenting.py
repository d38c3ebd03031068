from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelyard.errors import DataError
from modelyard.files.fields import joined
from modelyard.tensors import InputFacts, OutputFacts
from modelyard_plugins.support.data.augmenting import Augmenting

SHAPES = st.tuples(st.integers(1, 4), st.integers(2, 6), st.integers(2, 6), st.integers(1, 3))
PICTURES = st.one_of(
    hnp.arrays(np.uint8, SHAPES),
    hnp.arrays(np.float32, SHAPES, elements=st.floats(-1, 1, width=32)),
)

ANSWER = OutputFacts(name="probabilities", shape=(3,), activation="softmax")


def moved(picture: np.ndarray[Any, Any], down: int, right: int) -> np.ndarray[Any, Any]:
    """Return the picture moved, the slow way: a pixel takes the value of the one that comes to lie there, or the nearest."""
    height, width, _ = picture.shape
    found = np.empty_like(picture)
    for row in range(height):
        for column in range(width):
            found[row, column] = picture[min(max(row + down, 0), height - 1), min(max(column + right, 0), width - 1)]
    return found


@given(PICTURES, st.booleans(), st.integers(0, 1), st.integers(0, 2**32 - 1))
def test_each_picture_is_one_of_those_that_it_may_become(
    pictures: np.ndarray[Any, Any], flip: bool, shift: int, seed: int
) -> None:
    before = pictures.copy()
    changed = Augmenting(flip, shift).draw(pictures.shape, np.random.default_rng(seed))(pictures)
    assert (changed.dtype, changed.shape) == (pictures.dtype, pictures.shape)
    np.testing.assert_array_equal(pictures, before)
    steps = range(-shift, shift + 1)
    for picture, found in zip(pictures, changed, strict=True):
        sides = [picture, picture[:, ::-1]] if flip else [picture]
        assert any(
            np.array_equal(found, moved(side, down, right)) for side in sides for down in steps for right in steps
        )


def test_all_that_a_picture_may_become_comes_up_and_the_seed_decides() -> None:
    picture = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1)
    many = np.repeat(picture, 400, axis=0)
    changed = Augmenting(flip=True, shift=1).draw(many.shape, np.random.default_rng(0))(many)
    assert len({one.tobytes() for one in changed}) == 18
    again = Augmenting(flip=True, shift=1).draw(many.shape, np.random.default_rng(0))(many)
    np.testing.assert_array_equal(changed, again)


@pytest.mark.parametrize(
    ("augmenting", "shape", "told"),
    [
        (Augmenting(flip=True), (8,), r"flip and shift change pictures(.|\n)*shape \(8,\)"),
        (Augmenting(shift=1), (8, 8), r"flip and shift change pictures"),
        (Augmenting(shift=4), (8, 4, 3), r"shift = 4 moves a picture of 8 x 4 pixels out of sight\n  allowed: 0 to 3"),
    ],
)
def test_what_cannot_be_changed_so_is_refused(augmenting: Augmenting, shape: tuple[int, ...], told: str) -> None:
    with pytest.raises(DataError, match=told):
        augmenting.check([_input(shape)], [ANSWER])


def test_nothing_asked_for_fits_whatever_it_is() -> None:
    Augmenting().check([_input((8,))], [ANSWER])
    assert not Augmenting()
    Augmenting(shift=3).check([_input((8, 4, 3)), _input((5,))], [ANSWER])


def test_of_several_inputs_the_pictures_are_changed() -> None:
    random = np.random.default_rng(0)
    samples = {"picture": random.integers(0, 255, (9, 4, 4, 1), np.uint8), "row": random.normal(size=(9, 4))}
    inputs = [_input((4, 4, 1), "picture"), _input((4,), "row")]
    labels = np.arange(9)
    changed, y = Augmenting(flip=True, shift=1).change(inputs, samples, labels, np.random.default_rng(1))
    assert changed["row"] is samples["row"]
    assert y is labels
    change = Augmenting(flip=True, shift=1).draw((9, 4, 4, 1), np.random.default_rng(1))
    np.testing.assert_array_equal(changed["picture"], change(samples["picture"]))


def test_a_mask_goes_along_with_its_picture() -> None:
    masks = np.random.default_rng(0).integers(0, 5, (20, 4, 6), np.int32)
    samples = {"x": masks[..., None].astype(np.uint8)}
    inputs = [_input((4, 6, 1))]
    changed, moved = Augmenting(flip=True, shift=2).change(inputs, samples, masks, np.random.default_rng(1))
    np.testing.assert_array_equal(changed["x"][..., 0], moved)
    assert (moved != masks).any()


def test_of_several_outputs_each_mask_goes_along_and_the_rest_stays() -> None:
    masks = np.random.default_rng(0).integers(0, 5, (20, 4, 6), np.int32)
    labels = joined({"mask": masks, "kind": np.arange(20), "depth": masks[..., None].astype(np.float32)})
    samples = {"x": masks[..., None].astype(np.uint8)}
    changed, moved = Augmenting(flip=True, shift=2).change(
        [_input((4, 6, 1))], samples, labels, np.random.default_rng(1)
    )
    np.testing.assert_array_equal(changed["x"][..., 0], moved["mask"])
    np.testing.assert_array_equal(changed["x"], moved["depth"])
    np.testing.assert_array_equal(moved["kind"], np.arange(20))
    np.testing.assert_array_equal(labels["mask"], masks)


def test_a_label_with_channels_goes_along_with_its_picture() -> None:
    clean = np.random.default_rng(0).normal(size=(20, 4, 6, 2)).astype(np.float32)
    inputs = [_input((4, 6, 2))]
    changed, moved = Augmenting(flip=True, shift=2).change(inputs, {"x": clean}, clean, np.random.default_rng(1))
    assert (moved != clean).any()
    np.testing.assert_array_equal(changed["x"], moved)


def test_masks_of_another_size_than_the_pictures_are_refused() -> None:
    masks = OutputFacts(name="probabilities", shape=(2, 3, 5), activation="softmax")
    with pytest.raises(DataError, match=r"masks of \(2, 3\) pixels have another size"):
        Augmenting(flip=True).check([_input((4, 6, 1))], [ANSWER, masks])


def _input(shape: tuple[int, ...], name: str = "x") -> InputFacts:
    return InputFacts(name=name, dtype="uint8", shape=shape)


def test_pictures_of_several_heights_are_not_changed() -> None:
    taken = [InputFacts(name="lines", dtype="uint8", shape=("length", 8, 1), pad=0)]
    with pytest.raises(DataError, match=r"flip and shift change pictures, .* the shape \('length', 8, 1\)\n"):
        Augmenting(flip=True).check(taken, [ANSWER])
