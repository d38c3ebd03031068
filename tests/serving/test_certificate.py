"""The certificate and its key: a pair that connections can be encrypted with, and the day on which it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.serving.servers import make_certificate

from modelyard.serving.certificate import Certificate, expires_s


@pytest.mark.parametrize("days", [1, 20_000, 200_000])
def test_the_end_of_a_certificate_is_read_in_both_forms_of_a_date(tmp_path: Path, days: int) -> None:
    from cryptography import x509

    make_certificate(tmp_path, days)
    pem = (tmp_path / "tls.crt").read_bytes()

    found = expires_s(pem.decode())

    assert found == x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
    assert Certificate.read(tmp_path / "tls.crt", tmp_path / "tls.key").expires_s == found
    assert expires_s(f"a chain\n{pem.decode()}{pem.decode()}") == found


@pytest.mark.parametrize("pem", ["", "rubbish", "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----"])
def test_an_end_that_cannot_be_told_is_none(pem: str) -> None:
    assert expires_s(pem) is None
