"""Does the image answer the events of a real broker, and lose none?

A broker is started with TLS and a password, which it is first seen to ask for, of the image's server, too. That answers
test samples that are sent as events in every form, puts aside what nobody can answer, is stopped and killed with events in
its hands, and comes back: every event has one answer, the one of the evaluation.
"""

from __future__ import annotations

import asyncio
import collections
import importlib
import json
import signal
import sys
import tempfile
import time
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import Model
from modelyard.asking import count, rows_of, stacked
from modelyard.errors import StageFailed, ToolError
from modelyard.launch import events, local_broker
from modelyard.launch.container import find_engine
from modelyard.launch.image_server import running, unpacked
from modelyard.launch.protocols import predict
from modelyard.launch.python_server import environment
from modelyard.launch.started import Beside
from modelyard.stage_settings import CheckSettings, ServerSettings
from modelyard.stages.handlers import taken
from modelyard.system import is_linux

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from numpy.typing import NDArray

    from modelyard.artifacts import ImageFacts, ModelFacts
    from modelyard.asking import Samples
    from modelyard.component import Use
    from modelyard.execution.job import Job
    from modelyard.launch.events import Event
    from modelyard.launch.image_server import Server
    from modelyard.launch.local_broker import LocalBroker
    from modelyard.serving.events.peer import Heard
    from modelyard.stages.handlers import Around

    Compare = Callable[[NDArray[Any], str], float]
    Form = Callable[[Mapping[str, NDArray[Any]], str], Event]

_LEASE = {"MODELYARD_EVENTS_ACK_WAIT_S": "2"}
"""What a killed server held is handed out again after so many seconds."""
_TRACE, _TRACE_ID = "ce-traceparent", len("00-") + 32
"""The header field of a trace, and how much of it all that belongs to the trace has in common."""
_WITHOUT = "to go on without: [tool.modelyard.check] events = false"


def check_events(
    job: Job, facts: ImageFacts, samples: Samples, compare: Compare, around: Around | None = None
) -> float | None:
    """Let the image's server answer events of a broker; return the largest difference, or None: it was not tried.

    Args:
        job: the stage's.
        facts: the image.
        samples: raw samples by input, each of shape `(N, *shape)`.
        compare: compares answers of shape `(N, *shape)` with the evaluated model's, and says of which protocol they are.
        around: what stands around the model; None: nothing.

    Raises:
        StageFailed: an answer differs, is missing or is there twice with two ids; or no password was asked for.
        ToolError: `events = true`, and it cannot be tried here.
    """
    use = job.stage.uses.get("source")
    settings = job.stage.settings_as(CheckSettings)
    if use is None or not settings.start:
        return None
    with _client(use) as module:
        if (why := _lack(use, module)) is None:
            return _tried(job, facts, samples, compare, use, around)
    if settings.events is True:
        msg = f"check: events of a broker cannot be tried here: {why}\n  install what is missing; {_WITHOUT}"
        raise ToolError(msg)
    job.base.log(f"events of a broker were NOT tried: {why}")
    job.base.metrics.update(events=f"not tried: {why}")
    return None


def _lack(use: Use, module: str) -> str | None:
    """Return why events cannot be tried on this machine; None: they can."""
    if find_engine() is not None and not is_linux():
        return "the engine's containers do not share this machine's loopback"
    if (why := local_broker.lack(use)) is not None:
        return why
    try:
        package = importlib.import_module(module)
    except ImportError as exc:
        return f"the client of the source {use.component.name!r} cannot be imported: {exc}"
    return (
        None if hasattr(package, "open_peer") else f"the client of the source {use.component.name!r} cannot send events"
    )


@contextmanager
def _client(use: Use) -> Iterator[str]:
    """Let the package of the broker's client be imported, as in the image; give its name."""
    client = use.component.client
    assert client is not None
    with tempfile.TemporaryDirectory(prefix="modelyard-client-") as folder:
        Path(folder, client.name).symlink_to(client)
        sys.path.insert(0, folder)
        try:
            yield client.name
        finally:
            sys.path.remove(folder)


def _tried(job: Job, facts: ImageFacts, samples: Samples, compare: Compare, use: Use, around: Around | None) -> float:
    with tempfile.TemporaryDirectory(prefix="modelyard-broker-") as folder:
        Path(folder).chmod(0o755)  # the image's user reads the files there
        with local_broker.started(use, Path(folder), job.log_file) as broker:
            root = unpacked(job.inputs["image"], facts, Path(folder, "root"))
            trial = Trial(job, facts, samples, broker, Beside({}, broker.files, root), use)
            try:
                trial.run()
            finally:
                trial.close()
    worst = max(compare(answers, f"events of {use.component.name}") for answers in trial.answers(around))
    job.base.metrics.update(events=f"{len(trial.heard)} by {use.component.name}, through a stop and a kill")
    return worst


class Trial:
    """One broker, one conversation with it, and the image's servers, one after the other.

    Attributes:
        heard: what came back, by the id of its event.
    """

    def __init__(
        self, job: Job, facts: ImageFacts, samples: Samples, broker: LocalBroker, beside: Beside, use: Use
    ) -> None:
        self._job, self._facts, self._samples, self._broker = job, facts, samples, broker
        self._beside = beside
        self._timeout_s = job.stage.settings_as(CheckSettings).timeout_s
        config = job.config
        settings = ServerSettings(name=config.name, port=facts.port, events=config.settings.events.of_server())
        self._variables = environment(settings, config.uses["runtime"], use) | _LEASE
        self._runner = asyncio.Runner()
        self._peer = self._opened(broker.settings())
        self._forms = _forms(samples, Model.open(job.inputs["model"]).facts)
        self._rounds: list[list[Event]] = []
        self.heard: dict[str, list[Heard]] = collections.defaultdict(list)

    def run(self) -> None:
        """Have events answered, through a stop and a kill.

        Raises:
            StageFailed: the server, or the broker, did not do as it should.
        """
        self._refuse_strangers()
        self._refuse_server()
        self._runner.run(self._peer.prepare())
        with self._server() as server:
            self._send()
            self._hear({one.id for one in self._rounds[-1]})
            self._put_aside()
            self._send()
            if (code := server.end(signal.SIGTERM)) != 0:
                msg = f"check: events: the server that was stopped ended with exit code {code}\n  its output is in the log"
                raise StageFailed(msg)
        with self._server() as server:
            self._send()
            self._hear({one.id for one in self._rounds[-1]}, least=1)
            server.end(signal.SIGKILL)
        with self._server():
            self._hear({one.id for events_ in self._rounds for one in events_})
        self._check_answers()

    def answers(self, around: Around | None) -> Iterator[NDArray[Any]]:
        """Give what was answered to the samples, each time that they were sent, shape `(N, *shape)`."""
        model = Model.open(self._job.inputs["model"]).facts
        outputs, wanted = (around.outputs(model), around.answer(model)) if around else (model.outputs, model.answer)
        name = self._job.config.name
        for sent in self._rounds:
            rows = []
            for number, event in enumerate(sent):
                answer = json.loads(self.heard[event.id][0].body)
                one = rows_of(self._samples, slice(number, number + 1))
                rows.append(taken(predict(lambda *_, said=answer: said, name, one, outputs), wanted))
            yield stacked(rows)

    def close(self) -> None:
        """Leave the broker."""
        try:
            self._runner.run(self._peer.close())
        finally:
            self._runner.close()

    def _opened(self, settings: dict[str, str]) -> Any:
        peer = events.peer_of(self._variables | settings, "check")
        self._runner.run(peer.open())
        return peer

    def _refuse_strangers(self) -> None:
        """Check that the broker lets in who has the password alone, or else it would be no test."""
        nobody = {
            key: value
            for key, value in self._broker.settings().items()
            if "_USERNAME" not in key and "_PASSWORD" not in key
        }
        for who, settings in (("nobody", nobody), ("a wrong password", self._broker.settings("wrong"))):
            try:
                self._runner.run(events.peer_of(self._variables | settings, "check").open())
            except ConnectionError:
                continue
            msg = f"check: events: the broker lets in {who}\n  its source, {_WITHOUT}"
            raise StageFailed(msg)

    def _refuse_server(self) -> None:
        """Check that the image's server with a wrong password is not let in, and says so without saying the password."""
        log = self._job.log_file
        before = log.stat().st_size if log.exists() else 0
        with self._server("wrong") as server:
            server.end(signal.SIGTERM)
        said = log.read_bytes()[before:]
        secret = (self._broker.files / "wrong").read_bytes().strip()
        if b'"event":"broker"' not in said or b'"connected":true' in said or secret in said:
            msg = (
                "check: events: the image's server had a wrong password, and its log does not say that the broker refuses it, "
                f"or says the password\n  it is in the log; {_WITHOUT}"
            )
            raise StageFailed(msg)

    def _server(self, password: str = "password") -> AbstractContextManager[Server]:
        beside = replace(self._beside, settings=self._broker.settings(password) | _LEASE)
        return running(self._job.inputs["image"], self._facts, self._timeout_s, self._job.log_file, beside)

    def _send(self) -> None:
        """Send the samples, each as an event of its own, in a form that they were not sent in before."""
        rows = [rows_of(self._samples, number) for number in range(count(self._samples))]
        form = self._forms[len(self._rounds) % len(self._forms)]
        self._rounds.append([form(row, f"check-{number}") for number, row in enumerate(rows)])
        self._runner.run(self._peer.send(self._rounds[-1]))

    def _hear(self, wanted: Collection[str], least: int | None = None) -> None:
        """Listen until all that are `wanted` have come back, or `least` of them."""
        end = time.monotonic() + self._timeout_s
        needed = len(wanted) if least is None else least
        while sum(one in self.heard for one in wanted) < needed:
            if time.monotonic() > end:
                missing = [one for one in wanted if one not in self.heard]
                msg = (
                    f"check: events: {len(missing)} of {len(wanted)} have no answer after {self._timeout_s:g} s: "
                    f"{', '.join(sorted(missing)[:3])}\n  the server's output is in the log; {_WITHOUT}"
                )
                raise StageFailed(msg)
            self._listen()

    def _listen(self) -> None:
        for heard in self._runner.run(self._peer.read()):
            if heard.is_dead and events.cause_of(heard).startswith("check-"):
                why = heard.headers.get("ce-errordetail", "")
                msg = f"check: events: a test sample is a dead letter: {why}\n  the server's output is in the log"
                raise StageFailed(msg)
            self.heard["" if heard.is_dead else events.cause_of(heard)].append(heard)

    def _put_aside(self) -> None:
        """Check that what cannot be answered comes out as it went in, byte for byte, with a reason."""
        poison = [
            events.event(b'{"instances": \x00\xff', "application/json", "poison"),
            events.event(b"\x00", "application/x-no-such-type", "poison"),
            events.Event("", {"content-type": "application/json"}, b"no event: it has no attributes"),
        ]
        self._runner.run(self._peer.send(poison))
        end = time.monotonic() + self._timeout_s
        while len(self.heard.get("", ())) < len(poison) and time.monotonic() < end:
            self._listen()
        dead = self.heard.pop("", [])
        wanted = sorted(one.body for one in poison)
        if sorted(one.body for one in dead) != wanted or any("ce-errorreason" not in one.headers for one in dead):
            msg = (
                f"check: events: of {len(poison)} events that cannot be answered, {len(dead)} are dead letters, or not as they came\n"
                "  the server's output is in the log"
            )
            raise StageFailed(msg)

    def _check_answers(self) -> None:
        """Check that each answer has the id that a second answer to its event would have, and its event's trace."""
        traces = {one.id: trace for events_ in self._rounds for one in events_ if (trace := one.headers.get(_TRACE))}
        for cause, heard in self.heard.items():
            for one in heard:
                if one.headers.get("ce-id") != events.answer_id(one):
                    msg = f"check: events: an answer to {cause} has an id of its own: a duplicate would not be known"
                    raise StageFailed(msg)
                if cause in traces and one.headers.get(_TRACE, "")[:_TRACE_ID] != traces[cause][:_TRACE_ID]:
                    msg = f"check: events: the answer to {cause} is not in the trace of its event"
                    raise StageFailed(msg)


def _forms(samples: Samples, facts: ModelFacts) -> list[Form]:
    """Return how a sample can be sent: as JSON beside header fields, as JSON with them in it, and as bytes if those say it all."""
    forms: list[Form] = [
        lambda sample, name: events.traced(events.event_of_sample(sample, name)),
        lambda sample, name: events.structured(events.event_of_sample(sample, name)),
    ]
    arrays = list(samples.values())
    own = [(one.dtype, tuple(one.shape)) for one in facts.inputs]
    are_texts = len(arrays) == 1 and isinstance(arrays[0][0], bytes)
    if are_texts or (len(arrays) == 1 and own == [(str(arrays[0].dtype), arrays[0].shape[1:])]):
        forms.append(events.raw_event_of_sample)
    return forms
