"""Runs predictions away from the event loop, one worker a copy of the model."""

from __future__ import annotations

import asyncio
import queue
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from .errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from .metrics import Metrics
    from .model import Predictor


class Engine:
    """A few copies of a model and as many threads; requests beyond them wait, up to a limit."""

    def __init__(self, predictors: Sequence[Predictor], metrics: Metrics, max_queue: int = 256) -> None:
        self._free: queue.SimpleQueue[Predictor] = queue.SimpleQueue()
        for predictor in predictors:
            self._free.put(predictor)
        self._threads = ThreadPoolExecutor(len(predictors), thread_name_prefix="predict")
        self._limit = len(predictors) + max_queue
        self._pending = 0
        self._metrics = metrics

    async def predict(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Return class probabilities, float32, shape `(N, classes)`, for raw samples of shape `(N, *input_shape)`.

        Raises:
            Overloaded: too many requests wait already.
            InputError: the model cannot take these samples.
        """
        if self._pending >= self._limit:
            msg = f"{self._pending} requests wait already; try again later"
            raise Overloaded(msg)
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, raw)
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Wait for the predictions that run, and end the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _run(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        predictor = self._free.get()
        start = time.perf_counter()
        try:
            return predictor.predict(raw)
        finally:
            self._free.put(predictor)
            self._metrics.inference(len(raw), time.perf_counter() - start)
