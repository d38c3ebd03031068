"""The check of sources of events: the built-in ones pass against real brokers, each broken promise is seen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.serving.events.brokers import BROKERS

from modelyard.launch import local_broker
from modelyard.testing import check_source
from modelyard_plugins.sources import kafka as kafka_source
from modelyard_plugins.sources import redis as redis_source

REDIS = Path(redis_source.__file__)
OURS = """
from pathlib import Path

from modelyard import hookimpl


def ours(place):
    \"\"\"Redis, spoken with by a client of our own.\"\"\"


@hookimpl
def modelyard_register_sources(register):
    register("ours", ours, client=Path(__file__).parent / "support" / "ours_client", schemes={"redis": 6379})
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Gives the broker of a name, which is started when it is first asked for."""
    brokers: dict[str, Any] = {}

    def run(name: str) -> Any:
        if name not in brokers:
            broker = BROKERS[name](tmp_path_factory.mktemp(name) / "broker")
            broker.start()
            brokers[name] = broker
        return brokers[name]

    yield run
    for broker in brokers.values():
        broker.kill()


@pytest.mark.parametrize("name", BROKERS)
def test_each_built_in_source_keeps_the_contract(name: str, running: Any, toy_project: Path) -> None:
    if not BROKERS[name].sets_up:
        pytest.skip("the broker that can be installed makes a topic when one is named, and not otherwise")
    check_source(name, project=toy_project, url=running(name).url)


@pytest.mark.thorough
def test_the_source_kafka_keeps_the_contract_with_the_broker_of_a_check(toy_project: Path, tmp_path: Path) -> None:
    """It makes topics when it is asked to, and asks for TLS and a password."""
    use: Any = SimpleNamespace(component=SimpleNamespace(name="kafka", broker=kafka_source.broker), params={})
    if why := local_broker.lack(use):
        missing = pytest.fail if os.environ.get("MODELYARD_REQUIRE_SERVICES") else pytest.skip
        missing(f"needs a broker: {why}")
    with local_broker.started(use, tmp_path, tmp_path / "log") as broker:
        login = ((broker.files / "username").read_text(), (broker.files / "password").read_text())
        check_source("kafka", project=toy_project, url=broker.url, login=lambda: login, ca_file=broker.files / "ca.crt")


@pytest.fixture
def ours(toy_project: Path) -> Path:
    """The folder of a client in the project `toy`: a copy of that of Redis."""
    (toy_project / "plugins/ours.py").write_text(OURS)
    client = toy_project / "plugins/support/ours_client"
    shutil.copytree(REDIS.with_name("redis_streams"), client, ignore=shutil.ignore_patterns("__pycache__"))
    return client


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("import re\n", "import re\nimport modelyard\n", "cannot be opened without modelyard"),
        ('"redis", "rediss") or', '"redis", "nowhere") or', "takes 'nowhere://127.0.0.1'"),
        ('msg = f"URL: {', 'msg = f"{', "is refused, but not as 'URL: ...'"),
        ("def open_peer(", "def open_pear(", "its client has no open_peer"),
        ('b"%d" % most, b"BLOCK"', 'b"9", b"BLOCK"', r"take\(4\) gave 6 events"),
        ("name.lower(): value for", "name.lower(): value[:20] for", "an event's headers are"),
        (').get(DATA, b"")', ').get(DATA, b"").replace(bytes([13]), b"")', "an event's body is"),
        ('self.origin = f"{key}/{self.id.decode()}"', 'self.origin = ""', "does not say where in the broker"),
        ("entry, 1) for _", "entry, 3) for _", "handed out first is attempt 3"),
        (
            "    return [_problem(one) for one in replies]",
            "    return replies",
            "`settle` says",
        ),
        ("place.output\n", "place.input\n", "came again|not heard of"),
        (
            "[*delivery.fields, *_flat(ending.dead_letter)]",
            "delivery.fields",
            "a dead letter has lost 'ce-errorreason'",
        ),
        ("return redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])", "return 1", "came after their holder had gone"),
        (
            "        taken = await self._left_behind(self._reading, most)\n",
            "        taken = []\n",
            "events, 0 came in 4 s",
        ),
        (
            '        await self._telling.ask(b"XCLAIM", self._input, self._group, self._member, b"0", *ids, b"JUSTID")',
            "        del ids",
            "while `keep` was called",
        ),
    ],
)
def test_each_promise_that_is_broken_is_seen(
    ours: Path, running: Any, toy_project: Path, old: str, new: str, said: str
) -> None:
    file = ours / "__init__.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(AssertionError, match=said):
        check_source("ours", project=toy_project, url=running("redis").url, wait_s=4)
