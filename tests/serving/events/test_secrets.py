"""Events from real brokers: passwords and certificates; those of one broker in thorough runs alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.events.brokers import Broker
from tests.serving.events.conftest import SETTINGS
from tests.serving.events.seen import bodies_of


def files_for(broker: Broker, folder: Path, password: str) -> dict[str, str]:
    assert broker.certificate
    (folder / "user").write_text(f"{broker.user}\n")
    (folder / "password").write_text(f"{password}\n")
    return {
        **SETTINGS,
        **broker.settings,
        **broker.places,
        "EVENTS_USERNAME_FILE": str(folder / "user"),
        "EVENTS_PASSWORD_FILE": str(folder / "password"),
        "EVENTS_CA_FILE": str(broker.certificate / "tls.crt"),
    }


def test_password_and_certificate_come_from_files_and_a_new_password_is_read(
    secured: Broker,
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    raw: np.ndarray,
    tmp_path: Path,
) -> None:
    secured.make()
    secured.send(bodies_of(raw, 3))
    with start(models / "float32", **files_for(secured, tmp_path, "wr0ng")) as server:
        refused = server.wait_for_log("broker")
        assert secured.answered() == 0
        (tmp_path / "password").write_text(secured.password)
        answers = secured.collect(secured.output, 3)
        assert server.stop() == 0

    assert len(answers) == 3
    assert refused["reason"]
    assert not [line for line in server.logs if secured.password in str(line) or "wr0ng" in str(line)]


@pytest.mark.parametrize("wrong", ["not trusted", "of another name"])
def test_a_broker_whose_certificate_is_not_good_is_told_no_password(
    wrong: str,
    secured: Broker,
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    tmp_path: Path,
) -> None:
    settings = files_for(secured, tmp_path, secured.password)
    if wrong == "not trusted":
        del settings["EVENTS_CA_FILE"]
    else:
        settings["EVENTS_URL"] = secured.url.replace("127.0.0.1", "localhost")
    with start(models / "float32", **settings) as server:
        assert "certificate" in server.wait_for_log("broker")["reason"].lower()
        assert server.stop() == 0
