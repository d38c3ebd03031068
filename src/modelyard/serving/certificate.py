"""The server's certificate and key: the context for TLS, and the day on which the certificate ends."""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .errors import StartError

if TYPE_CHECKING:
    from pathlib import Path

_FIRST = re.compile(r"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.+?)-----END ", re.DOTALL)
_VERSION, _UTC_TIME = 0xA0, 0x17


@dataclass(frozen=True)
class Certificate:
    """What connections are encrypted with.

    Attributes:
        context: for TLS 1.2 and later.
        expires_s: when the certificate ends, in seconds since the epoch; None: it could not be told.
    """

    context: ssl.SSLContext
    expires_s: float | None

    @classmethod
    def read(cls, certificate: Path, key: Path) -> Certificate:
        """Read a chain of certificates, the server's own first, and its key.

        Raises:
            StartError: they are no pair, or not to be read.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # The first that the client speaks, too, is taken; those of gRPC speak the second alone.
        context.set_alpn_protocols(["http/1.1", "h2"])
        try:
            # Without a password here, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(certificate, key, password=lambda: "")
            text = certificate.read_text("latin-1")
        except OSError as exc:  # SSLError is one
            unreadable = next((str(path) for path in (certificate, key) if not os.access(path, os.R_OK)), None)
            unfit = f"{certificate} and {key} are no pair in PEM without a pass phrase"
            reason = f"{unreadable} cannot be read" if unreadable else unfit
            msg = f"MODELYARD_TLS_CERT_FILE, MODELYARD_TLS_KEY_FILE: {reason}"
            raise StartError(msg) from exc
        return cls(context, expires_s(text))


def expires_s(pem: str) -> float | None:
    """Return when the first certificate in `pem` ends, in seconds since the epoch; None: it could not be told.

    Python's ssl tells it of a peer's certificate only.

    Source: RFC 5280, 4.1, in the encoding of X.690, 8.1.
    """
    try:
        der = ssl.PEM_cert_to_DER_cert(f"{ssl.PEM_HEADER}{_FIRST.findall(pem)[0]}{ssl.PEM_FOOTER}")
        _, at, _ = _element(der, _element(der, 0)[1])  # Certificate, and its first field: what is signed
        tag, _, end = _element(der, at)
        if tag != _VERSION:
            end = at
        for _field in ("serialNumber", "signature", "issuer"):
            _, _, end = _element(der, end)
        _, _, end = _element(der, _element(der, end)[1])  # validity, and its first field: notBefore
        tag, start, end = _element(der, end)
        form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
        return datetime.strptime(der[start:end].decode("ascii"), form).replace(tzinfo=UTC).timestamp()
    except (IndexError, ValueError):
        return None


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the tag of the element that begins at `at`, and where its content begins and ends."""
    tag, size, start = data[at], data[at + 1], at + 2
    if size & 0x80:
        start, size = start + (size & 0x7F), int.from_bytes(data[start : start + (size & 0x7F)], "big")
    return tag, start, start + size
