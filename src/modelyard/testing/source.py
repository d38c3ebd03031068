"""The contract of sources of events, as a check that runs. Plugin authors import it from `modelyard.testing`."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from modelyard.launch.events import Event
from modelyard.project.load import load
from modelyard.serving.events.source import Answer, Ending, Place, Tls
from modelyard.testing.component import check_component

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from modelyard.component import Component
    from modelyard.serving.events.peer import Heard, Peer
    from modelyard.serving.events.source import Delivery, Source

    Login = Callable[[], tuple[str | None, str | None]]

_ALONE = (
    "import sys; sys.modules['modelyard'] = None; sys.path.insert(0, sys.argv[1]); __import__(sys.argv[2]).open_source"
)
"""The image has the client, and no modelyard."""
_LEASE_S, _REST_S = 2.0, 0.3
_MOST, _AT_ONCE = 16, 4


def _nobody() -> tuple[str | None, str | None]:
    return None, None


def check_source(
    name: str,
    *,
    project: Path,
    url: str,
    login: Login = _nobody,
    ca_file: Path | None = None,
    refuses: Iterable[str] = ("nowhere://127.0.0.1",),
    wait_s: float = 30,
) -> None:
    """Check the source `name` against a broker that runs: the contract of `modelyard_register_sources`.

    It is documented and light to load, and its client needs nothing of modelyard. Its `open_peer` makes what is not there
    and sends events; `open_source` takes them, as they were sent, and no more of them than it is asked for. What was answered or put
    aside is heard with its headers and byte for byte, and comes no more; what rests comes again, later; what nobody settled comes
    again after its holder has gone, and what is kept does not. A delivery of before `open` was called again can be settled,
    be it that it comes once more.

    Args:
        name: the source's name.
        project: a project.
        url: the broker's; it may hold other things, but nothing called `check-...`.
        login: gives the user name and the password that it asks for.
        ca_file: the certificates of whom the broker's is trusted, PEM.
        refuses: URLs that it must refuse.
        wait_s: how long the broker may take for anything, in seconds.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    component = load(project).plugins.get("source", name, "check_source")
    check_component(component, project)
    run = f"check-{token_hex(4)}"
    place = Place(
        url=url,
        input=f"{run}-in",
        output=f"{run}-out",
        dead_letter=f"{run}-dead",
        group=run,
        member=f"{run}-1",
        client_id=run,
        lease_s=_LEASE_S,
        most=_MOST,
        order="none",
        login=login,
        tls=Tls(ca_file),
    )
    with _client(component) as client:
        for refused in refuses:
            _check_refused(component, client, dataclasses.replace(place, url=refused))
        assert hasattr(client, "open_peer"), (
            f"source {name!r}: its client has no open_peer, so nothing can send what it takes"
        )
        asyncio.run(_Trial(f"source {name!r}", client, place, wait_s).run())


@contextmanager
def _client(component: Component) -> Iterator[Any]:
    """Give the client's package, imported as the image's server does."""
    folder = component.client
    assert folder is not None
    with tempfile.TemporaryDirectory(prefix="modelyard-client-") as copies:
        Path(copies, folder.name).symlink_to(folder)
        done = subprocess.run(
            [sys.executable, "-c", _ALONE, copies, folder.name], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (
            f"source {component.name!r}: its client {folder} cannot be opened without modelyard:\n{done.stderr}"
        )
        sys.path.insert(0, copies)
        try:
            yield importlib.import_module(folder.name)
        finally:
            sys.path.remove(copies)
            for module in [one for one in sys.modules if one.partition(".")[0] == folder.name]:
                del sys.modules[module]


def _check_refused(component: Component, client: Any, place: Place) -> None:
    where = f"source {component.name!r}"
    try:
        client.open_source(place)
    except ValueError as exc:
        said = str(exc)
    else:
        msg = f"{where} takes {place.url!r}; raise ValueError('URL: ...') for what can be no broker of its own"
        raise AssertionError(msg)
    assert said.startswith("URL: "), f"{where}: {place.url!r} is refused, but not as 'URL: ...': {said}"


class _Trial:
    """A broker, the side that sends and hears, and one consumer after the other."""

    def __init__(self, where: str, client: Any, place: Place, wait_s: float) -> None:
        self._where, self._client, self._place, self._wait_s = where, client, place, wait_s
        self._peer: Peer = client.open_peer(place)
        self._heard: list[Heard] = []
        self._sent: list[Event] = []

    async def run(self) -> None:
        """Send events, and have each end otherwise.

        Raises:
            AssertionError: the source did not do as it should.
        """
        preparing: Peer = self._client.open_peer(self._place)
        await preparing.open()
        told = await preparing.prepare()
        assert told, f"{self._where}: `prepare` does not say what is there then"
        await preparing.close()
        await self._peer.open()
        try:
            await self._try()
        finally:
            await self._peer.close()

    async def _try(self) -> None:
        first = await self._opened(1)
        await self._send(6)
        taken = await self._take(first, 6)
        self._check_taken(taken)
        await self._check_endings(first, taken)
        await first.close()
        second = await self._opened(2)
        left = await self._take(second, 2)
        self._check_left_behind(left)
        await self._check_kept(second, left)
        await second.open()
        await self._settle(second, [_answered(one) for one in left])
        await self._hear({self._sent[4].id, self._sent[5].id})
        await second.close()
        third = await self._opened(3)
        await self._check_quiet(third, {_id(one) for one in left})
        await third.close()

    async def _opened(self, number: int) -> Source[Any]:
        """Return another process' source, as of a server that is started anew."""
        source: Source[Any] = self._client.open_source(
            dataclasses.replace(self._place, member=f"{self._place.group}-{number}")
        )
        await source.open()
        return source

    async def _send(self, count: int) -> None:
        for number in range(count):
            identity = f"{self._place.group}-{number}"
            headers = {
                "ce-specversion": "1.0",
                "ce-id": identity,
                "ce-source": "urn:modelyard:check",
                "ce-type": "dev.modelyard.check",
                "content-type": "application/octet-stream",
            }
            self._sent.append(Event(identity, headers, b"\x00\xff\r\n%d" % number))
        await self._peer.send(self._sent)

    async def _take(self, source: Source[Any], count: int, held: Sequence[Delivery] = ()) -> list[Delivery]:
        """Return `count` events of different ids, in the order of their ids; those that are `held` are kept meanwhile."""
        found: dict[str, Delivery] = {}
        end = time.monotonic() + self._wait_s
        while len(found) < count:
            assert time.monotonic() < end, (
                f"{self._where}: of {count} events, {len(found)} came in {self._wait_s:g} s: {', '.join(found) or 'none'}"
            )
            if held:
                await source.keep(held)
            taken = await source.take(_AT_ONCE)
            assert len(taken) <= _AT_ONCE, f"{self._where}: take({_AT_ONCE}) gave {len(taken)} events"
            found |= {_id(one): one for one in taken}
        return [found[key] for key in sorted(found)]

    def _check_taken(self, taken: Sequence[Delivery]) -> None:
        for sent, one in zip(self._sent, taken, strict=True):
            told = {name: one.headers.get(name.encode()) for name in sent.headers}
            wanted = {name: value.encode() for name, value in sent.headers.items()}
            assert told == wanted, f"{self._where}: an event's headers are {told}, and were {wanted}"
            assert bytes(one.body) == sent.body, (
                f"{self._where}: an event's body is {one.body!r}, and was {sent.body!r}"
            )
            assert one.attempt == 1, f"{self._where}: an event that is handed out first is attempt {one.attempt}"
            assert one.origin, f"{self._where}: an event does not say where in the broker it was"

    async def _check_endings(self, source: Source[Any], taken: Sequence[Delivery]) -> None:
        """Have the first be answered, the second put aside, the third forgotten, and the fourth rest; two are held."""
        endings = [_answered(taken[0]), Ending(taken[1], dead_letter={"ce-errorreason": "check"}), Ending(taken[2])]
        await self._settle(source, endings)
        await source.keep(taken[4:])
        await self._hear({self._sent[0].id, self._sent[1].id})
        if not source.rests:
            await self._settle(source, [_answered(taken[3])])
            return
        await self._settle(source, [Ending(taken[3], rest_s=_REST_S)])
        (again,) = await self._take(source, 1, taken[4:])
        assert _id(again) == self._sent[3].id, (
            f"{self._where}: {_id(again)} came again, and {self._sent[3].id} was to rest"
        )
        assert again.attempt in (1, 2), f"{self._where}: an event that has rested once is attempt {again.attempt}"
        await self._settle(source, [_answered(again)])

    async def _settle(self, source: Source[Any], endings: list[Ending[Any]]) -> None:
        told = await source.settle(endings)
        assert [*told] == [None] * len(endings), (
            f"{self._where}: `settle` says {told} of {len(endings)} that it must take"
        )

    async def _hear(self, ids: set[str]) -> None:
        """Wait until the events `ids` have come back, and check how."""
        end = time.monotonic() + self._wait_s
        while missing := ids - {_cause(one) for one in self._heard}:
            assert time.monotonic() < end, f"{self._where}: settled, and not heard of: {', '.join(sorted(missing))}"
            self._heard += await self._peer.read()
        for sent in self._sent:
            found = [one for one in self._heard if _cause(one) == sent.id and sent.id in ids]
            for one in found:
                is_dead = sent is self._sent[1]
                assert one.is_dead == is_dead, (
                    f"{self._where}: {sent.id} came back as {'an answer' if is_dead else 'a dead letter'}"
                )
                wanted = sent.body if is_dead else b"answer\x00\xff"
                assert bytes(one.body) == wanted, f"{self._where}: {sent.id} came back as {one.body!r}, not {wanted!r}"
                reason = "ce-errorreason"
                assert not is_dead or one.headers.get(reason) == "check", (
                    f"{self._where}: a dead letter has lost {reason!r}"
                )

    def _check_left_behind(self, left: Sequence[Delivery]) -> None:
        wanted = [self._sent[4].id, self._sent[5].id]
        found = [_id(one) for one in left]
        assert found == wanted, (
            f"{self._where}: {found} came after their holder had gone, and {wanted} were not settled"
        )
        counts = {one.attempt for one in left}
        assert counts <= {1, 2}, f"{self._where}: events that were handed out twice are attempts {sorted(counts)}"

    async def _check_kept(self, source: Source[Any], held: Sequence[Delivery]) -> None:
        """Hold events for longer than a lease, and see that they do not come to their holder anew."""
        end = time.monotonic() + 1.6 * _LEASE_S
        while time.monotonic() < end:
            if held:
                await source.keep(held)
            again = [_id(one) for one in await source.take(_AT_ONCE)]
            assert not again, f"{self._where}: {', '.join(again)} came again, while `keep` was called for them"

    async def _check_quiet(self, source: Source[Any], doubtful: set[str]) -> None:
        """See that nothing comes any more; those of `doubtful` once, since a broker may not know that they were settled."""
        end = time.monotonic() + 1.6 * _LEASE_S
        while time.monotonic() < end:
            for one in await source.take(_AT_ONCE):
                assert _id(one) in doubtful, f"{self._where}: {_id(one)} came again, and was settled"
                doubtful.discard(_id(one))
                await self._settle(source, [Ending(one)])


def _id(delivery: Delivery) -> str:
    return delivery.headers.get(b"ce-id", b"").decode()


def _cause(heard: Heard) -> str:
    return heard.headers.get("ce-id" if heard.is_dead else "ce-causationid", "")


def _answered(delivery: Delivery) -> Ending[Any]:
    cause = _id(delivery)
    headers = {
        "ce-specversion": "1.0",
        "ce-id": f"{cause}-answer",
        "ce-source": "urn:modelyard:check",
        "ce-type": "dev.modelyard.check.answer",
        "ce-causationid": cause,
        "content-type": "application/octet-stream",
    }
    return Ending(delivery, answer=Answer(f"{cause}-answer", headers, b"answer\x00\xff"))
