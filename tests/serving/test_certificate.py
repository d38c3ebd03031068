"""The certificate and its key: a pair that connections can be encrypted with, and the day on which it ends."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.servers import make_certificate

from modelyard.serving.certificate import Certificate, expires_s
from modelyard.serving.errors import StartError


@pytest.mark.parametrize("days", [1, 20_000, 200_000])
def test_the_end_of_a_certificate_is_read_in_both_forms_of_a_date(tmp_path: Path, days: int) -> None:
    from cryptography import x509

    make_certificate(tmp_path, days)
    pem = (tmp_path / "tls.crt").read_bytes()

    found = expires_s(pem.decode())

    assert found == x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
    assert Certificate.read(tmp_path / "tls.crt", tmp_path / "tls.key").expires_s == found
    assert expires_s(f"a chain\n{pem.decode()}{pem.decode()}") == found


def test_the_end_is_found_behind_a_long_name_and_a_long_number() -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, end = ec.generate_private_key(ec.SECP256R1()), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
    for times in (1, 2, 5):  # a name of 70, of 140 and of 350 bytes
        name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "x" * 60)] * times)
        made = x509.CertificateBuilder(
            name, name, key.public_key(), (1 << 158) + 1, datetime(2026, 1, 1, tzinfo=UTC), end
        )
        pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        assert expires_s(pem.decode()) == end.timestamp()


@pytest.mark.parametrize("pem", ["", "rubbish", "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----"])
def test_an_end_that_cannot_be_told_is_none(pem: str) -> None:
    assert expires_s(pem) is None


def test_a_chain_is_read_with_the_server_s_own_first(certificate: Path, tmp_path: Path) -> None:
    make_certificate(tmp_path, 900)
    chain = tmp_path / "chain.crt"
    chain.write_bytes((certificate / "tls.crt").read_bytes() + (tmp_path / "tls.crt").read_bytes())

    found = Certificate.read(chain, certificate / "tls.key")

    assert found.expires_s == expires_s((certificate / "tls.crt").read_text())
    assert found.context.minimum_version == ssl.TLSVersion.TLSv1_2
    with pytest.raises(StartError, match="no pair in PEM"):
        Certificate.read(chain, tmp_path / "tls.key")


def test_what_is_not_there_is_named(certificate: Path, tmp_path: Path) -> None:
    for pair in ((certificate / "tls.crt", tmp_path / "no.key"), (tmp_path / "no.key", certificate / "tls.key")):
        with pytest.raises(StartError) as told:
            Certificate.read(*pair)
        assert str(told.value) == f"MODELYARD_TLS_CERT_FILE, MODELYARD_TLS_KEY_FILE: {tmp_path}/no.key cannot be read"


@given(cut=st.integers(0, 2000), put=st.integers(0, 255))
def test_a_damaged_certificate_is_no_failure(certificate: Path, cut: int, put: int) -> None:
    data = bytearray(ssl.PEM_cert_to_DER_cert((certificate / "tls.crt").read_text()))
    data[cut % len(data)] = put
    for damaged in (bytes(data), bytes(data[: cut % len(data)])):
        assert isinstance(expires_s(ssl.DER_cert_to_PEM_cert(damaged)), float | None)
