"""Workers that run no stage: they write what they were told to, and answer at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modelyard.execution.pool import Pool
from modelyard.execution.protocol import Request, Result


class Answering(Pool):
    """A pool whose every request ends with `result`, once each of `files` is written and each of `events` is told."""

    def __init__(
        self, files: Mapping[str, str] | None = None, result: Result | None = None, events: tuple[Any, ...] = ()
    ) -> None:
        super().__init__()
        self.files, self.result, self.events = dict(files or {}), result or Result(), events
        self.asked: list[Request] = []
        self.workers: list[tuple[dict[str, str], tuple[str, ...]]] = []

    def run(
        self,
        request: Request,
        path: Path,
        environment: Mapping[str, str],
        preload: tuple[str, ...],
        on_event: Callable[[dict[str, Any]], None],
    ) -> tuple[Result, int]:
        """Do as a worker would."""
        self.asked.append(request)
        self.workers.append((dict(environment), preload))
        for name, text in self.files.items():
            Path(request.out, name).write_text(text)
        for event in self.events:
            on_event(event)
        return self.result, 1000
