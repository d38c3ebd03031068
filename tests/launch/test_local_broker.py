"""A broker that is started for a check; the real ones are in tests/stages/test_check_events.py."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from modelyard.contexts import BrokerCommand, BrokerPlace
from modelyard.errors import StageFailed
from modelyard.launch import local_broker

if TYPE_CHECKING:
    from pathlib import Path

LISTEN = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True: server.accept()[0].close()
"""


def source(*words: str, places: list[BrokerPlace] | None = None) -> Any:
    def broker(place: BrokerPlace) -> BrokerCommand:
        if places is not None:
            places.append(place)
        return BrokerCommand(f"odd://127.0.0.1:{place.port}", (*words, str(place.port)))

    return used(broker)


def used(broker: Any) -> Any:
    return SimpleNamespace(component=SimpleNamespace(name="odd", broker=broker), params={"pace": "slow"})


def test_what_is_missing_is_said() -> None:
    assert local_broker.lack(used(None)) is not None
    assert "no-such-program" in str(local_broker.lack(source("no-such-program")))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_what_a_broker_cannot_do_that_the_project_asks_for_is_said() -> None:
    def broker(place: BrokerPlace) -> BrokerCommand:
        return BrokerCommand("odd://", ("true",), lacks=f"no {place.settings['pace']} broker here")

    assert local_broker.lack(used(broker)) == "no slow broker here"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_it_is_given_a_certificate_and_a_password_that_the_server_reads_as_files(tmp_path: Path) -> None:
    import sys

    places: list[BrokerPlace] = []
    odd = source(sys.executable, "-c", LISTEN, places=places)
    with local_broker.started(odd, tmp_path, tmp_path / "log") as broker:
        settings = broker.settings()
        assert settings["MODELYARD_EVENTS_URL"] == f"odd://127.0.0.1:{places[-1].port}"
        password = (broker.files / "password").read_text()
        assert settings["MODELYARD_EVENTS_PASSWORD_FILE"] == str(broker.files / "password")
        assert password == places[-1].password != (broker.files / "wrong").read_text()
        assert "BEGIN CERTIFICATE" in places[-1].certificate.read_text()
        assert not (broker.files / "tls.key").exists()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_one_that_ends_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(StageFailed, match="the broker false did not start"),
        local_broker.started(source("false"), tmp_path, tmp_path / "log"),
    ):
        pass
