"""Change pictures a little while they are learnt from, so that a network does not learn them by heart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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

    def check(self, shape: tuple[int, ...]) -> None:
        """Check that samples of `shape` are pictures that can be changed so.

        Raises:
            DataError: they are not.
        """
        if self and len(shape) != 3:
            msg = f"flip and shift change pictures, (height, width, channels), but a sample has the shape {shape}\n  leave them out"
            raise DataError(msg)
        if self.shift >= min(shape[:2], default=1):
            msg = f"shift = {self.shift} moves a picture of {shape[0]} x {shape[1]} pixels out of sight\n  allowed: 0 to {min(shape[:2]) - 1}"
            raise DataError(msg)

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
