"""Change pictures a little while they are learnt from, so that a network does not learn them by heart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.tensors import InputFacts, OutputFacts


class Augmenting(NamedTuple):
    """What is done to each picture, drawn anew each time that it is learnt from.

    Attributes:
        flip: whether half of them are mirrored, left to right.
        shift: by how many pixels they are moved at most, up or down and left or right; what comes in has the nearest
            pixel's value.
    """

    flip: bool = False
    shift: int = 0

    def __bool__(self) -> bool:
        return self.flip or self.shift > 0

    def check(self, inputs: Sequence[InputFacts], answers: Sequence[OutputFacts]) -> None:
        """Check that samples hold pictures that can be changed so, and that their masks, if there are any, go along.

        Raises:
            DataError: they do not.
        """
        if not self:
            return
        pictures = [one.shape for one in inputs if _is_picture(one)]
        if not pictures:
            shapes = ", ".join(str(one.shape) for one in inputs)
            msg = f"flip and shift change pictures, (height, width, channels), but a sample has the shape {shapes}\n  leave them out"
            raise DataError(msg)
        for answer in answers:
            if len(answer.shape) > 2 and answer.shape[:2] not in [shape[:2] for shape in pictures]:
                msg = f"flip and shift change pictures, but masks of {answer.shape[:2]} pixels have another size\n  leave them out"
                raise DataError(msg)
        for height, width, _ in pictures:
            least = min(int(height), int(width))
            if self.shift >= least:
                msg = f"shift = {self.shift} moves a picture of {height} x {width} pixels out of sight\n  allowed: 0 to {least - 1}"
                raise DataError(msg)

    def change(
        self,
        inputs: Sequence[InputFacts],
        samples: Mapping[str, NDArray[Any]],
        labels: NDArray[Any],
        random: np.random.Generator,
    ) -> tuple[dict[str, NDArray[Any]], NDArray[Any]]:
        """Return samples, by input, and labels, with changed copies of all that are pictures.

        Those of one sample are drawn apart. Masks, shape `(N, height, width, ...)`, go along with the first pictures of their size.
        Labels of several outputs are fields of one array.
        """
        pictures = {one.name for one in inputs if _is_picture(one)}
        found = dict(samples)
        masks = _masks(labels)
        for name in samples:
            if name not in pictures:
                continue
            change = self.draw(samples[name].shape, random)
            found[name] = change(samples[name])
            for one in [one for one, mask in masks.items() if mask.shape[1:3] == samples[name].shape[1:3]]:
                changed = change(masks.pop(one))
                labels = _with(labels, one, changed)
        return found, labels

    def draw(self, shape: tuple[int, ...], random: np.random.Generator) -> Callable[[NDArray[Any]], NDArray[Any]]:
        """Draw for pictures of `shape`, `(N, height, width, ...)`, and return what gives changed copies of such, of any dtype."""
        import numpy as np

        samples, height, width = shape[:3]
        mirrored = random.random(samples) < 0.5 if self.flip else np.zeros(samples, bool)
        moves = random.integers(-self.shift, self.shift + 1, (2, samples, 1)) if self.shift else None

        def change(pictures: NDArray[Any]) -> NDArray[Any]:
            changed = pictures.copy()
            changed[mirrored] = changed[mirrored, :, ::-1]
            if moves is None:
                return changed
            rows = np.clip(np.arange(height) + moves[0], 0, height - 1)
            columns = np.clip(np.arange(width) + moves[1], 0, width - 1)
            found: NDArray[Any] = changed[np.arange(samples)[:, None, None], rows[:, :, None], columns[:, None, :]]
            return found

        return change


def _masks(labels: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the labels that are masks, by output; those of the only output by no name."""
    found = {name: labels[name] for name in labels.dtype.names} if labels.dtype.names else {"": labels}
    return {name: one for name, one in found.items() if one.ndim > 2}


def _with(labels: NDArray[Any], output: str, changed: NDArray[Any]) -> NDArray[Any]:
    """Return labels with those of an output in place of its own."""
    if not output:
        return changed
    replaced = labels.copy()
    replaced[output] = changed
    return replaced


def _is_picture(one: InputFacts) -> bool:
    """Whether it has the axes of a picture, all of one size: height, width, channels."""
    return len(one.shape) == 3 and all(isinstance(axis, int) for axis in one.shape)
