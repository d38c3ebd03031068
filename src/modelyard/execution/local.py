"""This machine as an executor: the workers of one build, or of several that share them."""

from __future__ import annotations

from modelyard.execution.pool import Pool


class Local:
    """Worker processes of this machine, which stay warm from one stage to the next."""

    def __init__(self) -> None:
        self.pool = Pool()

    def close(self) -> None:
        """End the workers and what runs in them."""
        self.pool.close()
