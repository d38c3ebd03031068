"""`doit events:setup` and `doit events:send`: a project's broker, from the other side."""

from __future__ import annotations

import contextlib
import functools
import math
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelyard.build.engine import Engine
    from modelyard.launch.events import Event
    from modelyard.plan.planner import Plan
    from modelyard.serving.events.peer import Heard, Peer

_SHOWN = 300
"""Characters of an answer that are printed."""


def _option(name: str, kind: type, default: Any, text: str) -> dict[str, Any]:
    return {"name": name, "long": name, "short": "", "type": kind, "default": default, "help": text}


PARAMS = [
    _option("samples", int, 3, "how many samples of the test split are sent"),
    _option("file", str, "", "send what this file holds instead, as one event; -: standard input"),
    _option("type", str, "", "the media type of the file; left out, as its name says, and JSON for standard input"),
    _option("wait", float, 10.0, "how many seconds answers are waited for; 0: not at all"),
]
"""The options of `events:send`, in doit's form."""


def tasks(engine: Engine, doc: str, act: Callable[[Callable[..., None]], Any]) -> Iterator[dict[str, Any]]:
    """Yield the doit tasks `events:setup` and `events:send`, and their group, which does one after the other.

    Args:
        engine: the project's.
        doc: what the group does.
        act: makes a doit action of a function that takes the options.
    """
    plans = [one for one in engine.plan.pipelines if one.config.events is not None]
    if not plans:
        yield {"name": None, "actions": [act(_refuse)], "doc": doc}
        return
    yield {"name": None, "actions": None, "doc": doc, "params": PARAMS}
    for plan in plans:
        yield from _tasks(engine, plan, act)


def _tasks(engine: Engine, plan: Plan, act: Callable[[Callable[..., None]], Any]) -> Iterator[dict[str, Any]]:
    usual = {"uptodate": [False], "verbosity": 2}
    setup, called = act(functools.partial(set_up, engine, plan)), plan.config.called
    yield {"name": called("setup"), "doc": "make what the broker lacks", "actions": [setup], **usual}
    yield {
        "name": called("send"),
        "doc": "send samples of the test split, or a file, as events, and show what comes back",
        "file_dep": [stage.handle() for stage in plan.of_kind("dataset")[:1]],
        "params": PARAMS,
        "actions": [act(functools.partial(send, engine, plan))],
        **usual,
    }


def set_up(engine: Engine, plan: Plan) -> None:
    """Make at the broker what it lacks, and say what is there then.

    Raises:
        ToolError: it is not there, or does not do what it is asked.
    """
    from modelyard.launch.events import run

    async def prepared(peer: Peer) -> Sequence[str]:
        return await peer.prepare()

    with _peer(engine, plan, "events:setup") as peer:
        for line in run(peer, prepared, "events:setup"):
            print(f"   {line}")


def send(engine: Engine, plan: Plan, samples: int, file: str, type: str, wait: float) -> None:  # noqa: A002 - doit's options
    """Send events, and print what comes back of each.

    Raises:
        ToolError: an option is not right, the broker does not take the events, or something has not come back in time.
    """
    from modelyard.launch import events

    _check_options(samples, file, type, wait)
    made = [_of_file(file, type)] if file else _of_samples(engine, plan, samples)
    place = plan.config.settings.events.input
    fewer = "" if file or len(made) == samples else ": the test split has no more"

    async def exchange(peer: Peer) -> Sequence[str]:
        await events.send(made, peer)
        print(f"   {len(made)} {'event' if len(made) == 1 else 'events'} to {place!r}{fewer}", flush=True)
        return await events.hear(made, wait, _print, peer)

    with _peer(engine, plan, "events:send") as peer:
        missing = events.run(peer, exchange, "events:send")
    if wait and missing:
        msg = (
            f"events:send: {len(missing)} of {len(made)} {'has' if len(missing) == 1 else 'have'} not come back after {wait:g} s: "
            f"{', '.join(missing[:3])}\n  does the server run? start it with `doit serve`, or wait longer: --wait"
        )
        raise ToolError(msg)


def _check_options(samples: int, file: str, media_type: str, wait: float) -> None:
    """Refuse options that are not right.

    Raises:
        ToolError: one is not.
    """
    if samples < 1:
        what = f"--samples {samples}: there would be no event\n  allowed: 1 or more"
    elif not 0 <= wait < math.inf:
        what = f"--wait {wait}: it is no time\n  allowed: 0 or more seconds"
    elif media_type and not file:
        what = f"--type {media_type}: samples of the test split are sent as JSON\n  name a file, too: --file"
    else:
        return
    msg = f"events:send: {what}"
    raise ToolError(msg)


def _refuse() -> None:
    msg = "events: the project's server takes no events of a broker\n  add [tool.modelyard.events] to pyproject.toml"
    raise ToolError(msg)


@contextlib.contextmanager
def _peer(engine: Engine, plan: Plan, task: str) -> Iterator[Peer]:
    """Give the other side of the project's broker.

    Raises:
        ToolError: the project names no broker, or its client is not there.
    """
    from modelyard.commands.serving import prepare
    from modelyard.launch.events import peer_of

    with tempfile.TemporaryDirectory(prefix="modelyard-events-") as folder:
        variables = prepare(engine, plan, Path(folder), task)
        sys.path.insert(0, folder)
        try:
            yield peer_of(variables, task)
        finally:
            sys.path.remove(folder)


def _of_file(name: str, media_type: str) -> Event:
    import mimetypes

    from modelyard.launch.events import event

    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as exc:
        msg = f"events:send: {name}: {exc.strerror}\n  --file names a file, or is - for standard input"
        raise ToolError(msg) from exc
    usual = "application/json" if name == "-" else mimetypes.guess_type(name)[0]
    guessed = media_type or usual or "application/octet-stream"
    return event(data, guessed, "stdin" if name == "-" else Path(name).stem)


def _of_samples(engine: Engine, plan: Plan, count: int) -> list[Event]:
    from modelyard.artifacts import Dataset
    from modelyard.asking import rows_of
    from modelyard.launch.events import event_of_sample

    (stage,) = plan.of_kind("dataset")[:1]
    sent = Dataset.open(engine.workspace.folder(stage)).sent()
    rows = range(min(count, len(next(iter(sent.values())))))
    return [event_of_sample(rows_of(sent, row), f"test-{row}") for row in rows]


def _print(heard: Heard, cause: str) -> None:
    if heard.is_dead:
        told = ": ".join(unquote(heard.headers.get(name, "")) for name in ("ce-errorreason", "ce-errordetail"))
        print(f"   dead letter of {cause}: {told}")
        return
    text = heard.body.decode("utf-8", "replace")
    print(f"   answer to {cause}: {text if len(text) <= _SHOWN else text[:_SHOWN] + ' ...'}")
