"""The check of sources of events: the built-in ones pass against real brokers, each broken promise is seen."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.conftest import PROJECTS
from tests.serving.events.brokers import BROKERS
from tests.shared import usual

from modelyard.launch import local_broker
from modelyard.testing import check_source
from modelyard_plugins.sources import kafka as kafka_source
from modelyard_plugins.sources import redis as redis_source

REDIS = Path(redis_source.__file__)
CHECK = """
import sys
from pathlib import Path
from modelyard.testing import check_source
check_source(sys.argv[1], project=Path(sys.argv[2]), url=sys.argv[3])
"""
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


@pytest.fixture(scope="module")
def checks(request: pytest.FixtureRequest, running: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Gives the process that checks the source of a name: all that are chosen go side by side, for most of it is waiting."""
    folder = tmp_path_factory.mktemp("checks")
    project = folder / "toy"
    shutil.copytree(PROJECTS / "toy", project, ignore=shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts"))
    with contextlib.ExitStack() as stack:
        started = {}
        for name in _chosen(request):
            with contextlib.suppress(pytest.skip.Exception):  # the test of that one says so
                words = [sys.executable, "-c", CHECK, name, project, running(name).url]
                output = stack.enter_context((folder / name).open("w"))
                started[name] = stack.enter_context(subprocess.Popen(words, stdout=output, stderr=output))
                stack.callback(started[name].kill)
        yield lambda name: (started[name].wait(180), (folder / name).read_text())


def _chosen(request: pytest.FixtureRequest) -> list[str]:
    """Return the sources that are to be checked in this run, and can be."""
    items = [one for one in request.session.items if isinstance(one, pytest.Function) and one.path == request.path]
    names = [str(one.callspec.params["name"]) for one in items if "checks" in one.fixturenames]
    return [name for name in names if BROKERS[name].sets_up]


@pytest.mark.parametrize("name", usual(sorted(BROKERS, key="amqp".__eq__), len(BROKERS) - 1))  # it is slow to start
def test_each_built_in_source_keeps_the_contract(name: str, running: Any, checks: Any) -> None:
    if not BROKERS[name].sets_up:
        pytest.skip("the broker that can be installed makes a topic when one is named, and not otherwise")
    running(name)  # skips what is not here
    code, said = checks(name)
    assert code == 0, said


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
