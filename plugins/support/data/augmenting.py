"""Change pictures a little while they are learnt from, so that a network does not learn them by heart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.tensors import InputFacts


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

    def check(self, inputs: Sequence[InputFacts]) -> None:
        """Check that samples hold pictures that can be changed so.

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
        for height, width, _ in pictures:
            least = min(int(height), int(width))
            if self.shift >= least:
                msg = f"shift = {self.shift} moves a picture of {height} x {width} pixels out of sight\n  allowed: 0 to {least - 1}"
                raise DataError(msg)

    def change(
        self, inputs: Sequence[InputFacts], samples: Mapping[str, NDArray[Any]], random: np.random.Generator
    ) -> dict[str, NDArray[Any]]:
        """Return `samples`, by input, with changed copies of all that are pictures; those of one sample are drawn apart."""
        pictures = {one.name for one in inputs if _is_picture(one)}
        return {name: self.apply(x, random) if name in pictures else x for name, x in samples.items()}

    def apply(self, pictures: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
        """Return changed copies of `pictures`, of any dtype, shape `(N, height, width, channels)`."""
        import numpy as np

        changed = pictures.copy()
        if self.flip:
            mirrored = random.random(len(changed)) < 0.5
            changed[mirrored] = changed[mirrored, :, ::-1]
        if not self.shift:
            return changed
        height, width = changed.shape[1:3]
        moves = random.integers(-self.shift, self.shift + 1, (2, len(changed), 1))
        rows = np.clip(np.arange(height) + moves[0], 0, height - 1)
        columns = np.clip(np.arange(width) + moves[1], 0, width - 1)
        found: NDArray[Any] = changed[np.arange(len(changed))[:, None, None], rows[:, :, None], columns[:, None, :]]
        return found


def _is_picture(one: InputFacts) -> bool:
    """Whether it has the axes of a picture: height, width, channels."""
    return len(one.shape) == 3
