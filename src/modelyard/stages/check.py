"""Stage `check`: does the image answer as its model, or each of its models, did when it was evaluated?"""

from __future__ import annotations

import base64
import contextlib
import functools
import itertools
import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import Dataset, ImageFacts, Model
from modelyard.asking import ask, count, longest, rows_of, some_of, stacked
from modelyard.errors import StageFailed
from modelyard.execution.job import Job
from modelyard.files.fields import shape_of
from modelyard.files.json import read_json, write_json
from modelyard.files.npy import open_array
from modelyard.launch.footprint import with_headroom
from modelyard.launch.image_server import Server, running
from modelyard.launch.protocols import HEADER_LENGTH, PROTOCOLS, SEQUENCES, answered, infer_in_sequences, parts
from modelyard.launch.usage import MEASURED, Usage, of_engine, of_metrics
from modelyard.stage_settings import CheckSettings
from modelyard.stages.check_events import check_events
from modelyard.stages.handlers import Around, is_alone, taken
from modelyard.stages.packed import of_model, packed
from modelyard.stages.tasks import open_task
from modelyard.variants.evaluation import ANSWERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.asking import Lengths, Samples
    from modelyard.launch.protocols import Exchange
    from modelyard.signature import Axis
    from modelyard.stages.packed import Packed
    from modelyard.task import Task

_TIMEOUT_S = 60
_CLIENTS, _LOAD_S = 8, 1.0
"""How many clients ask at once while the memory is measured, and for how many seconds; each ends with an answer."""


class Asked:
    """A model of the image, and what it must answer: test samples, and the answers of its evaluation.

    Args:
        job: the stage.
        packed: which of its models.

    Attributes:
        most: how many samples may be asked together; None: as many as one likes.
    """

    def __init__(self, job: Job, packed: Packed) -> None:
        import numpy as np

        self.job, self.packed = of_model(job, packed), packed
        inputs = self.job.inputs
        samples, self.tolerance = job.stage.settings_as(CheckSettings).closeness(packed.key)
        dataset = Dataset.open(inputs["dataset"])
        reference = open_array(inputs["reference"] / ANSWERS)
        rows = _spread(len(reference), samples)
        self.samples, self.expected = some_of(dataset.sent(), rows), np.asarray(reference[rows])
        self.count = len(rows)
        self.around = Around(self.job.stage.uses, dataset.facts)
        self.facts = Model.open(inputs["model"]).facts
        self.task = open_task(self.job)
        lengths = {axis: own[rows] for axis, own in dataset.lengths("test").items()}
        self.expected = self._as_long_as_samples(longest(lengths))
        is_hidden = bool(dataset.facts.sent) and self._varies(lengths)
        self.most = 1 if is_hidden or is_alone(self.facts) else None

    def _as_long_as_samples(self, lengths: Mapping[Axis, int]) -> NDArray[Any]:
        """Return what must be answered without what is behind the longest of the samples that are sent."""
        shape = self.around.answer(self.facts).shape
        if self.expected.ndim != 1 + len(shape):
            return self.expected
        return self.expected[(slice(None), *(slice(lengths.get(axis)) for axis in shape))]

    def _varies(self, lengths: Lengths) -> bool:
        """Return whether the answers are of several lengths, and what is sent does not show them: each is asked alone."""
        return any(axis in lengths for one in self.around.outputs(self.facts) for axis in one.shape)

    @property
    def path(self) -> str:
        """What is asked for in the URLs behind `models/`: a name, of several models with a version."""
        return f"{self.packed.name}/versions/{self.packed.version}" if self.packed.key else self.packed.name

    def compare(self, answer: NDArray[Any], protocol: str) -> float:
        """Return the largest difference between an answer and that of the evaluation.

        Raises:
            StageFailed: they do not agree.
        """
        who = f"{self.packed.path}: {protocol}" if self.packed.key else protocol
        return _compare(self.task, answer, self.expected, who, self.tolerance)

    def asks(self, exchange: Exchange, protocols: Iterable[str]) -> dict[str, list[Callable[[], dict[str, Any]]]]:
        """Return what asks a server for all samples through each of its protocols, a part of them at a time."""
        outputs = self.around.outputs(self.facts)
        sent = [rows_of(self.samples, rows) for rows in parts(self.samples, self.most)]
        return {
            title: [functools.partial(ask, exchange, self.path, part, outputs) for part in sent]
            for title, ask in map(PROTOCOLS.__getitem__, protocols)
        }

    def in_sequences(self, exchange: Exchange) -> dict[str, Any]:
        """Return what a server answers to samples that are streams, in sequences."""
        outputs, answer = self.around.outputs(self.facts), self.around.answer(self.facts)
        return {SEQUENCES: taken(infer_in_sequences(exchange, self.path, self.samples, outputs), answer)}


def run(job: Job) -> None:
    """Start the image's server, send it test samples through every protocol that it speaks, and write `check.json`.

    Raises:
        StageFailed: a label differs, a probability differs by more than the tolerance, or no password was asked for by
            a server that has one.
    """
    settings = job.stage.settings_as(CheckSettings)
    facts = read_json(job.inputs["image"] / "image.json", ImageFacts)
    models = [Asked(job, one) for one in packed(job)]
    ask = _ask_server if settings.start else _ask_runtimes
    ran_in, answers = ask(job, facts, models)
    worst = {
        one.packed.path: {protocol: one.compare(answer, protocol) for protocol, answer in each.items()}
        for one, each in zip(models, answers, strict=True)
    }
    first = models[0]
    by_events = check_events(job, facts, first.samples, first.compare, first.around)
    write_json(job.base.out / "check.json", _told(job, facts, models, worst))
    largest = max(max(each.values()) for each in worst.values())
    count = sum(one.count for one in models)
    job.base.metrics.update(samples=count, ran_in=ran_in, largest_difference=max(largest, by_events or 0.0))


def _told(
    job: Job, facts: ImageFacts, models: Sequence[Asked], worst: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """Return what check.json says."""
    start = job.stage.settings_as(CheckSettings).start
    each = {
        one.packed.path: {
            "samples": one.count,
            "tolerance": one.tolerance,
            "agrees": sorted(worst[one.packed.path]),
        }
        for one in models
    }
    return {
        "image": facts.digest,
        "server_started": start,
        "asks_for_password": start and facts.server.reads_settings,
        **({"models": each} if models[0].packed.key else each[models[0].packed.path]),
    }


def _ask_server(job: Job, facts: ImageFacts, models: Sequence[Asked]) -> tuple[str, list[dict[str, Any]]]:
    """Return where the server ran, and what it answered through each protocol, for each of its models."""
    timeout_s = job.stage.settings_as(CheckSettings).timeout_s
    with running(job.inputs["image"], facts, timeout_s, job.log_file) as server:
        job.base.log(f"the server runs ({server.how}) at {server.url}")
        if server.password:
            _check_password(server, models[0].path)
        else:
            job.base.log("the server has no password and no TLS of its own: the targets put a proxy in front of it")
        exchange = functools.partial(_exchange, server)
        asks = [one.asks(exchange, facts.server.protocols) for one in models]
        answers = [_answers(server, facts, *each) for each in zip(models, asks, strict=True)]
        in_turn = [ask for each in asks for at_once in zip(*each.values(), strict=True) for ask in at_once]
        _measure(job, facts, server, in_turn)
        return server.how, answers


def _answers(
    server: Server, facts: ImageFacts, one: Asked, asks: Mapping[str, Sequence[Callable[[], dict[str, Any]]]]
) -> dict[str, Any]:
    """Return what one model answers through each protocol."""
    answer = one.around.answer(one.facts)
    found = {title: stacked([taken(ask(), answer) for ask in each]) for title, each in asks.items()}
    if one.facts.looped and one.around.sends_to_the_model and "v2" in facts.server.protocols:
        found |= one.in_sequences(functools.partial(_exchange, server))
    return found


def _measure(job: Job, facts: ImageFacts, server: Server, asks: Sequence[Callable[[], object]]) -> None:
    """Note what the server takes while several clients send it the samples at once."""
    usage_of = _usage(facts, server)
    if usage_of is None:
        return
    before = usage_of()
    sent = _load(asks)
    after = usage_of()
    cpu_ms = (after.cpu_s - before.cpu_s) / sent * 1000
    job.base.log(
        f"{sent} requests under load: {after.memory_bytes / 1e6:.0f} MB, {cpu_ms:.2f} ms of processor time each"
    )
    if after.memory_bytes:
        job.base.metrics.update(server_memory_bytes=after.memory_bytes, cpu_ms_per_request=round(cpu_ms, 2))
        write_json(job.base.out / MEASURED, {"server_memory_bytes": with_headroom(after.memory_bytes)})


def _usage(facts: ImageFacts, server: Server) -> Callable[[], Usage] | None:
    """Return what asks how much the server takes; None: nobody can be asked."""
    if facts.server.reads_settings:
        return lambda: of_metrics(_answer(server, urllib.request.Request(f"{server.url}/metrics"))[0].decode())
    stats = server.stats
    return None if stats is None else lambda: of_engine(stats())


def _load(asks: Sequence[Callable[[], object]]) -> int:
    """Call each of `asks` in turn, several at once, for about a second; return how often."""
    end = time.monotonic() + _LOAD_S

    def client(first: int) -> int:
        for sent in itertools.count(1):
            with contextlib.suppress(StageFailed):  # it may refuse what comes at once
                asks[(first + sent) % len(asks)]()
            if time.monotonic() > end:
                break
        return sent

    with ThreadPoolExecutor(_CLIENTS) as pool:
        return sum(pool.map(client, range(_CLIENTS)))


def _ask_runtimes(job: Job, facts: ImageFacts, models: Sequence[Asked]) -> tuple[str, list[dict[str, Any]]]:
    """Return what the selected models answer in the runtime, here: the image is not looked at."""
    what = "models were" if len(models) > 1 else "model was"
    job.base.log(
        f"start = false: the server in {facts.repository}:{facts.tag} was NOT started; only the selected {what} opened"
    )
    return "no server: start = false", [_ask_runtime(one.job, one.samples, one.around, one.most) for one in models]


def _ask_runtime(job: Job, samples: Samples, around: Around, most: int | None = None) -> dict[str, Any]:
    facts_of, total = Model.open(job.inputs["model"]).facts, count(samples)
    step = most or facts_of.at_once(total)
    predictor = around.open(job.call("runtime", job.inputs["model"]), facts_of)
    answers = [ask(predictor, rows_of(samples, rows), around.answer(facts_of).name) for rows in parts(samples, step)]
    return {"the model, without its server": stacked(answers)}


def _spread(count: int, wanted: int) -> NDArray[np.int64]:
    """Return up to `wanted` row numbers, int64, spread evenly over `count` rows: data sets are often sorted by class."""
    import numpy as np

    return np.unique(np.linspace(0, count - 1, min(count, wanted)).astype(np.int64))


def _compare(task: Task, answer: NDArray[Any], expected: NDArray[Any], protocol: str, tolerance: float) -> float:
    if shape_of(answer) != shape_of(expected):
        msg = (
            f"check: {protocol}: the server answered shape {shape_of(answer)}, the evaluated model {shape_of(expected)}"
        )
        raise StageFailed(msg)
    held = bytes if expected.dtype.kind == "S" else expected.dtype  # JSON's numbers are wider; a text stays whole
    differ, worst = task.agreement(answer.astype(held), expected)
    if differ or not worst <= tolerance:  # what is no number is no agreement
        msg = (
            f"check: {protocol}: the image does not answer as the evaluated model does: {differ} of {len(expected)} "
            f"{task.says} differ, the largest difference of {task.number} is {worst:.3g} (allowed: {tolerance:g})\n"
            "  nothing is rendered from it; if the difference is known and harmless, raise [tool.modelyard.check] tolerance"
        )
        raise StageFailed(msg)
    return worst


def _check_password(server: Server, name: str) -> None:
    request = urllib.request.Request(f"{server.url}/v1/models/{name}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
            pass
    except urllib.error.HTTPError as exc:
        if exc.code == 401:
            return
        raise
    msg = "check: the server has a password but answered a request without one\n  this image must not be deployed"
    raise StageFailed(msg)


def _exchange(server: Server, path: str, body: object) -> Any:
    """Ask a path, with a JSON body (None: by GET), and return the JSON that is answered, with what follows it."""
    headers = {} if body is None else {"Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    return answered(*_answer(server, urllib.request.Request(f"{server.url}{path}", data, headers)))


def _answer(server: Server, request: urllib.request.Request) -> tuple[bytes, str | None]:
    """Return the body that is answered, and the length of its JSON where more follows."""
    if server.password:
        login = base64.b64encode(f"{server.username}:{server.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            return bytes(answer.read()), answer.headers[HEADER_LENGTH]
    except urllib.error.HTTPError as exc:
        text = exc.read(500).decode(errors="replace")
        msg = f"check: {request.selector}: the server answered {exc.code}: {text}"
        raise StageFailed(msg) from exc
    except OSError as exc:
        msg = f"check: {request.selector}: the server did not answer: {exc}\n  its output is in the log"
        raise StageFailed(msg) from exc
