"""A broker's client is loaded by its name, and what is wrong with it, or with its certificates, is told by a variable."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.standins.tls import certificate

from modelyard.serving.errors import StartError
from modelyard.serving.events.source import Place, Tls, open_source

PLACE = Place(
    url="spool://here",
    input="in",
    output="out",
    dead_letter="dead",
    group="group",
    member="me",
    client_id="me",
    lease_s=1.0,
    most=8,
    order="none",
    login=lambda: (None, None),
    tls=Tls(),
)
CLIENT = """
def open_source(place):
    if place.input == "wrong":
        raise ValueError("INPUT: 'wrong' is no queue")
    return "source of", place
"""
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@pytest.fixture(autouse=True)
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spool_of_test_source.py").write_text(CLIENT)
    (tmp_path / "broken_of_test_source.py").write_text("import no_such_module_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)


def refusal(name: str, **changes: Any) -> str:
    place = Place(**{**vars(PLACE), **changes})
    with pytest.raises(StartError) as caught:
        open_source(name, place)
    return str(caught.value)


def test_a_client_opens_the_source_of_its_place() -> None:
    assert open_source("spool_of_test_source:open_source", PLACE) == ("source of", PLACE)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("spool_of_test_source", "'spool_of_test_source'; allowed: module:function"),
        ("no_such_module:open_source", "'no_such_module:open_source' cannot be loaded: No module named 'no_such_module'"),
        ("spool_of_test_source:opne", "'spool_of_test_source:opne' cannot be loaded: module 'spool_of_test_source' has no"),
        ("broken_of_test_source:open_source", "cannot be loaded: No module named 'no_such_module_at_all'"),
    ],
)  # fmt: skip
def test_a_client_that_is_not_there_is_named(name: str, said: str) -> None:
    told = refusal(name)
    assert told.startswith("MODELYARD_EVENTS_CLIENT: ")
    assert said in told


def test_what_a_client_refuses_is_told_by_the_variable_that_it_names() -> None:
    told = refusal("spool_of_test_source:open_source", input="wrong")
    assert told == "MODELYARD_EVENTS_INPUT: 'wrong' is no queue"


def test_without_a_file_the_systems_certificates_are_trusted() -> None:
    context = Tls().context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def told_by(tls: Tls) -> str:
    with pytest.raises(ConnectionError) as caught:
        tls.context()
    return str(caught.value)


def test_a_file_that_is_not_there_or_holds_no_certificate_is_told_by_its_variable(tmp_path: Path) -> None:
    assert told_by(Tls(ca_file=tmp_path / "none")) == "MODELYARD_EVENTS_CA_FILE: No such file or directory"
    (tmp_path / "rubbish").write_text("rubbish")
    assert told_by(Tls(ca_file=tmp_path / "rubbish")).startswith("MODELYARD_EVENTS_CA_FILE: ")
    assert told_by(Tls(ca_file=Path("a\0b"))) == "MODELYARD_EVENTS_CA_FILE: embedded null byte"
    both = "MODELYARD_EVENTS_CERT_FILE, MODELYARD_EVENTS_KEY_FILE: "
    assert told_by(Tls(cert_file=tmp_path / "none")).startswith(f"{both}No such file")
    assert told_by(Tls(cert_file=tmp_path / "rubbish", key_file=tmp_path / "rubbish")).startswith(both)


@needs_openssl
def test_the_files_are_read_as_they_are_now(tmp_path: Path) -> None:
    certificate(tmp_path)
    tls = Tls(tmp_path / "tls.crt", tmp_path / "tls.crt", tmp_path / "tls.key")
    (trusted,) = tls.context().get_ca_certs()
    assert ("commonName", "localhost") in [pair for part in trusted["subject"] for pair in part]
    (tmp_path / "tls.key").write_text("half a key")
    assert "MODELYARD_EVENTS_KEY_FILE" in told_by(tls)


@needs_openssl
def test_a_key_that_asks_for_a_password_asks_nobody(tmp_path: Path) -> None:
    certificate(tmp_path)
    plain, locked = tmp_path / "tls.key", tmp_path / "locked.key"
    words = ["openssl", "pkey", "-in", str(plain), "-aes256", "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(words, check=True, capture_output=True)
    assert "MODELYARD_EVENTS_KEY_FILE" in told_by(Tls(cert_file=tmp_path / "tls.crt", key_file=locked))
