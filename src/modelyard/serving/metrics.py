"""What Prometheus scrapes: requests, predictions, readiness, the model's identity, the processes.

Every worker counts in a row of its own of one piece of shared memory, so any of them can answer for all, nothing is
written to disk, and counting takes no lock: prometheus-client's way for several processes needs a folder of files.

Source: Prometheus' text format 0.0.4.
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING

from .observe import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STATUSES = (200, 202, 400, 401, 404, 405, 408, 413, 415, 417, 431, 499, 500, 503, 504, 505)
_HISTOGRAM = len(SECONDS) + 2  # and those above the last bound, and the sum
_GAUGES = ("pid", "ready", "active", "connections", "held_bytes", "expires")
_PAIR = len(STATUSES) + _HISTOGRAM
_PAIRS_AT = len(_GAUGES)
_INFERENCE_AT = _PAIRS_AT + len(LABELS) * _PAIR
_SAMPLES_AT = _INFERENCE_AT + _HISTOGRAM
_RELOADS_AT = _SAMPLES_AT + 1
_RELOADS = tuple((what, result) for what in ("password", "certificate") for result in ("success", "failure"))
_SPANS_AT = _RELOADS_AT + len(_RELOADS)
_SPANS = ("sent", "failed", "dropped")
_EVENTS_AT = _SPANS_AT + len(_SPANS)
_EVENTS = ("done", "expired", "unprocessable", "failed", "returned")
_EVENT_GAUGES = ("held", "connected", "consumes")
_EVENT_GAUGES_AT = _EVENTS_AT + len(_EVENTS)
_EVENT_AT = _EVENT_GAUGES_AT + len(_EVENT_GAUGES)
_AGE_AT = _EVENT_AT + _HISTOGRAM
_BATCHES_AT = _AGE_AT + _HISTOGRAM
_WIDTH = _BATCHES_AT + 1
_MODEL = _HISTOGRAM + 1
"""Cells of each further model: its times, and its samples."""
_START = {pair: _PAIRS_AT + number * _PAIR for number, pair in enumerate(LABELS)}
_STATUS = {status: number for number, status in enumerate(STATUSES)}


class Board:
    """The rows of all workers. It is made before they are forked, which then share it."""

    def __init__(self, workers: int = 1, models: int = 1) -> None:
        width = _WIDTH + (models - 1) * _MODEL
        cells = memoryview(mmap.mmap(-1, workers * width * 8)).cast("d")
        self.rows = [cells[number * width : (number + 1) * width] for number in range(workers)]

    def ready(self) -> bool:
        """Return whether every worker takes new traffic."""
        return all(row[1] for row in self.rows)

    def connections(self) -> list[float]:
        """Return how many connections each worker that is ready has."""
        return [row[3] for row in self.rows if row[1]]

    def total(self, place: int) -> float:
        """Return the sum of a cell over all workers."""
        return sum(row[place] for row in self.rows)

    def processes(self) -> list[int]:
        """Return the workers' process numbers."""
        return [int(row[0]) for row in self.rows if row[0]]


class Predictions:
    """One worker's counts of what one model was asked."""

    def __init__(self, row: memoryview[float], number: int) -> None:  # type: ignore[type-arg, unused-ignore]
        self._row, (self._times, self._samples) = row, _cells(number)

    def inference(self, samples: int, duration_s: float) -> None:
        """Count `samples` that the model took `duration_s` for."""
        self._row[self._samples] += samples
        _observe(self._row, self._times, duration_s)


def _cells(number: int) -> tuple[int, int]:
    """Return where the times and the samples of the model `number` are, from 0."""
    further = _WIDTH + (number - 1) * _MODEL
    return (further, further + _HISTOGRAM) if number else (_INFERENCE_AT, _SAMPLES_AT)


class Metrics:
    """One worker's counts, and what all of them add up to.

    Args:
        board: all workers' counts.
        worker: the worker's number.
        models: what tells the models apart: `name`, `version` and so on, of each.
    """

    def __init__(self, board: Board, worker: int, *models: Mapping[str, str]) -> None:
        self._board, self._row, self._models = board, board.rows[worker], models
        gauges = range(_EVENT_GAUGES_AT, _EVENT_GAUGES_AT + len(_EVENT_GAUGES))
        for place in (*range(_PAIRS_AT), *gauges):  # those of a worker that was here before
            self._row[place] = 0
        self._row[0] = os.getpid()

    def started(self) -> None:
        """Count a request that has arrived."""
        self._row[2] += 1

    def finished(self, labels: tuple[str, str], status: int, duration_s: float, *, began: bool = True) -> None:
        """Count a request that was answered with `status` after `duration_s`."""
        if began:
            self._row[2] -= 1
        start = _START[labels]
        self._row[start + _STATUS[status]] += 1
        _observe(self._row, start + len(STATUSES), duration_s)

    def of_model(self, number: int) -> Predictions:
        """Return what counts the predictions of the model `number`, from 0."""
        return Predictions(self._row, number)

    def ready(self, *, ready: bool) -> None:
        """Say whether this worker takes new traffic."""
        self._row[1] = ready

    def held(self, connections: int, held_bytes: int) -> None:
        """Say how many connections are open, and what their requests hold."""
        self._row[3], self._row[4] = connections, held_bytes

    def certificate_expires(self, when_s: float) -> None:
        """Say when the certificate ends, in seconds since the epoch; 0: there is none."""
        self._row[5] = when_s

    def reloaded(self, what: str, *, failed: bool) -> None:
        """Count that `what`, password or certificate, has changed, and whether it was fit to be used."""
        self._row[_RELOADS_AT + _RELOADS.index((what, "failure" if failed else "success"))] += 1

    def spans(self, result: str, count: int) -> None:
        """Count spans that were `sent`, `failed` to be taken by the collector, or `dropped` since too many waited.

        The first two are one thread's to count, the last is another's: no cell is written by two.
        """
        self._row[_SPANS_AT + _SPANS.index(result)] += count

    def event(self, outcome: str) -> None:
        """Count an event: `done`, `expired`, `unprocessable`, `failed`, or `returned` to be sent again."""
        self._row[_EVENTS_AT + _EVENTS.index(outcome)] += 1

    def events_held(self, count: int) -> None:
        """Say how many events of a broker are held."""
        self._row[_EVENT_GAUGES_AT] = count

    def event_connection(self, *, is_open: bool) -> None:
        """Say whether there is a connection to a broker, which events are to be taken from."""
        self._row[_EVENT_GAUGES_AT + 1], self._row[_EVENT_GAUGES_AT + 2] = is_open, True

    def event_batch(self) -> None:
        """Count that a broker has handed out events, many at once."""
        self._row[_BATCHES_AT] += 1

    def event_took(self, duration_s: float, age_s: float | None) -> None:
        """Count how long an event was held, and how long ago it had happened, if it says so."""
        _observe(self._row, _EVENT_AT, duration_s)
        if age_s is not None:
            _observe(self._row, _AGE_AT, max(0.0, age_s))

    def exposition(self) -> bytes:
        """Return every metric of all workers in Prometheus' text format 0.0.4."""
        board = self._board
        lines = [
            *_requests(board),
            *_models(board, self._models),
            *_others(board),
            *_secrets(board),
            *_processes(board.processes()),
        ]
        return "\n".join([*lines, ""]).encode()


def _observe(row: memoryview[float], place: int, duration_s: float) -> None:  # type: ignore[type-arg, unused-ignore]
    row[place + bisect_left(SECONDS, duration_s)] += 1
    row[place + _HISTOGRAM - 1] += duration_s


def _requests(board: Board) -> Iterator[str]:
    yield from _head("modelyard_requests_total", "counter", "Requests answered.")
    for (protocol, name), start in _START.items():
        for status, number in _STATUS.items():
            if count := board.total(start + number):
                labels = f'protocol="{protocol}",operation="{name}",code="{status}"'
                yield f"modelyard_requests_total{{{labels}}} {count:.0f}"
    yield from _head("modelyard_request_seconds", "histogram", "Time to answer.")
    for (protocol, name), start in _START.items():
        labels = f'protocol="{protocol}",operation="{name}"'
        yield from _histogram(board, "modelyard_request_seconds", start + len(STATUSES), labels, always=False)


def _models(board: Board, models: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield what is counted of each model; the only one needs no label."""
    said = [_labels({"model": one["name"], "version": one["version"]}) for one in models] if len(models) > 1 else [""]
    name = "modelyard_inference_seconds"
    yield from _head(name, "histogram", "Time in the model, a prediction.")
    for number, labels in enumerate(said):
        yield from _histogram(board, name, _cells(number)[0], labels, always=True)
    name = "modelyard_samples_total"
    yield from _head(name, "counter", "Samples given to the model.")
    for number, labels in enumerate(said):
        yield f"{name}{f'{{{labels}}}' if labels else ''} {board.total(_cells(number)[1]):.0f}"
    yield from _head("modelyard_model_info", "gauge", "The model that is served.")
    yield from (f"modelyard_model_info{{{_labels(model)}}} 1" for model in models)


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())


def _others(board: Board) -> Iterator[str]:
    rows = (
        ("modelyard_requests_in_progress", "gauge", "Requests being answered.", board.total(2)),
        ("modelyard_connections", "gauge", "Connections that are open.", board.total(3)),
        ("modelyard_held_bytes", "gauge", "Bytes that requests on their way hold.", board.total(4)),
        ("modelyard_ready", "gauge", "1: takes new traffic; 0: starting or draining.", float(board.ready())),
    )
    for metric, kind, text, value in rows:
        yield from _head(metric, kind, text)
        yield f"{metric} {value:.0f}"
    name = "modelyard_spans_total"
    yield from _head(
        name, "counter", "Spans of traces; failed: the collector did not take them; dropped: too many waited."
    )
    for number, result in enumerate(_SPANS):
        yield f'{name}{{result="{result}"}} {board.total(_SPANS_AT + number):.0f}'
    name = "modelyard_events_total"
    yield from _head(name, "counter", "Events; returned: nothing was wrong with them, they are to be sent again.")
    for number, outcome in enumerate(_EVENTS):
        yield f'{name}{{outcome="{outcome}"}} {board.total(_EVENTS_AT + number):.0f}'
    if board.total(_EVENT_GAUGES_AT + 2):
        yield from _broker(board)


def _broker(board: Board) -> Iterator[str]:
    gauges = (
        ("in_flight", "Events of a broker that are held."),
        ("connected", "Workers that a broker is connected to."),
    )
    for number, (what, doc) in enumerate(gauges):
        name = f"modelyard_events_{what}"
        yield from _head(name, "gauge", doc)
        yield f"{name} {board.total(_EVENT_GAUGES_AT + number):.0f}"
    name = "modelyard_event_batches_total"
    yield from _head(name, "counter", "Times that a broker has handed out events, one or many.")
    yield f"{name} {board.total(_BATCHES_AT):.0f}"
    times = {
        "": (_EVENT_AT, "From taking an event to its confirmation."),
        "_age": (_AGE_AT, "From an event's time to its confirmation."),
    }
    for what, (place, doc) in times.items():
        name = f"modelyard_event{what}_seconds"
        yield from _head(name, "histogram", doc)
        yield from _histogram(board, name, place, "", always=True)


def _secrets(board: Board) -> Iterator[str]:
    name = "modelyard_reloads_total"
    yield from _head(name, "counter", "Mounted secrets read again, a worker each; failure: kept as they were.")
    for number, (what, result) in enumerate(_RELOADS):
        yield f'{name}{{what="{what}",result="{result}"}} {board.total(_RELOADS_AT + number):.0f}'
    if ends := [row[5] for row in board.rows if row[5]]:
        name = "modelyard_certificate_expiration_timestamp_seconds"
        yield from _head(name, "gauge", "When the certificate ends, in seconds since the epoch.")
        yield f"{name} {min(ends):.0f}"


def _histogram(board: Board, name: str, place: int, labels: str, *, always: bool) -> Iterator[str]:
    counts = [board.total(place + number) for number in range(len(SECONDS) + 1)]
    if not always and not any(counts):
        return
    so_far, before = 0.0, f"{labels}," if labels else ""
    for bound, count in zip((*SECONDS, "+Inf"), counts, strict=True):
        so_far += count
        yield f'{name}_bucket{{{before}le="{bound}"}} {so_far:.0f}'
    after = f"{{{labels}}}" if labels else ""
    yield f"{name}_count{after} {so_far:.0f}"
    yield f"{name}_sum{after} {board.total(place + _HISTOGRAM - 1)!r}"


def _processes(numbers: Iterable[int]) -> Iterator[str]:
    """Return what the workers take together, under the names that every client library of Prometheus uses."""
    found = [seen for seen in map(_process, numbers) if seen is not None]
    rows = (
        ("process_cpu_seconds_total", "counter", "User and system CPU time, in seconds."),
        ("process_resident_memory_bytes", "gauge", "Resident memory, in bytes."),
        ("process_virtual_memory_bytes", "gauge", "Virtual memory, in bytes."),
        ("process_open_fds", "gauge", "Open file descriptors."),
    )
    for number, (name, kind, text) in enumerate(rows):
        yield from _head(name, kind, text)
        yield f"{name} {sum(seen[number] for seen in found):.12g}"
    yield from _head("process_start_time_seconds", "gauge", "Start time since the epoch, in seconds.")
    yield f"process_start_time_seconds {min((seen[4] for seen in found), default=0.0):.12g}"


def _process(number: int) -> tuple[float, float, float, float, float] | None:
    """Return a process' CPU time, resident and virtual memory, open files and start; None: it is gone.

    Source: Linux, proc_pid_stat(5).
    """
    folder, ticks = Path("/proc", str(number)), os.sysconf("SC_CLK_TCK")
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        files = sum(1 for _ in (folder / "fd").iterdir())
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    except OSError:
        return None
    cpu = (int(fields[11]) + int(fields[12])) / ticks
    start = int(boot.split()[1]) + int(fields[19]) / ticks
    return cpu, int(fields[21]) * os.sysconf("SC_PAGE_SIZE"), int(fields[20]), files, start


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
