"""This machine as an executor: the workers of one build, or of several that share them."""

from __future__ import annotations

from modelyard.execution.pool import Pool


class Local:
    """Worker processes of this machine, which stay warm from one stage to the next.

    Args:
        preload: modules that every worker imports before it serves, besides those that a stage's components name.
    """

    def __init__(self, preload: tuple[str, ...] = ()) -> None:
        self.pool = Pool(preload)

    def close(self) -> None:
        """End the workers and what runs in them."""
        self.pool.close()
