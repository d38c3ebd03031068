"""What is mounted and may change while the server runs: the password, and the certificate.

The files are read once a second and compared as they are, for what a kubelet, an editor and `cp` do to links, names and
times of change differs. What is not fit to be used leaves the value that was there before.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from .auth import BasicAuth
from .certificate import Certificate
from .credentials import login_files, read_events_login, read_events_token, read_login, read_oidc
from .errors import EXHAUSTED, StartError
from .logs import log

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from .metrics import Metrics
    from .oidc import Tokens
    from .settings import Settings

T = TypeVar("T")

EVERY_S = 1.0


class Mounted(Generic[T]):
    """A value that is made of files, and made anew when these change.

    Attributes:
        value: of the files as they were when they last were fit to be used.
    """

    def __init__(self, files: Sequence[Path], read: Callable[[], T]) -> None:
        self._files, self._read = files, read
        self._seen = _contents(files)
        self.value = read()

    def look(self) -> bool:
        """Return whether there is another value.

        Raises:
            StartError: the files have changed, and are not fit to be used; it is raised once for each such change.
        """
        seen = _contents(self._files)
        if seen is None or seen == self._seen:
            return False
        try:
            value = self._read()
        except StartError:
            if _contents(self._files) != seen:
                return False  # somebody writes: next time
            self._seen = seen
            raise
        if _contents(self._files) != seen:
            return False
        self._seen, self.value = seen, value
        return True


class Secrets:
    """The password and the certificate.

    Attributes:
        auth: who is let in.
        certificate: what connections are encrypted with; None: nothing.
        events_login: gives the user name and the password for the broker of events, read at each connection to it.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        certificate, key = settings.tls_cert_file, settings.tls_key_file
        open_events, self._issued = settings.events_auth == "none", _issued(environment)
        self.events_login = lambda: read_events_login(environment)
        self.auth = Mounted(
            login_files(environment),
            lambda: BasicAuth(
                *read_login(environment),
                open_events=open_events,
                events_token=read_events_token(environment),
                issued=self._issued,
            ),
        )
        self.certificate: Mounted[Certificate | None] = (
            Mounted((), lambda: None)
            if certificate is None or key is None
            else Mounted((certificate, key), lambda: Certificate.read(certificate, key))
        )

    def start(self, loop: AbstractEventLoop, metrics: Metrics) -> None:
        """Begin to watch; in the process that serves."""
        if self._issued is not None:
            self._issued.start()
        self.watch(loop, metrics)

    def watch(self, loop: AbstractEventLoop, metrics: Metrics) -> None:
        """Look at the files, now and every `EVERY_S` seconds."""
        self._look("password", self.auth, metrics)
        self._look("certificate", self.certificate, metrics)
        certificate = self.certificate.value
        metrics.certificate_expires((certificate and certificate.expires_s) or 0.0)
        loop.call_later(EVERY_S, self.watch, loop, metrics)

    def _look(self, what: str, mounted: Mounted[T], metrics: Metrics) -> None:
        try:
            if not mounted.look():
                return
        except StartError as exc:
            metrics.reloaded(what, failed=True)
            log(logging.ERROR, "cannot reload", what=what, reason=str(exc), action="the one that was there is kept")
            return
        metrics.reloaded(what, failed=False)
        log(logging.INFO, "reloaded", what=what, **_details(mounted.value))


def _issued(environment: Mapping[str, str]) -> Tokens | None:
    """Return who judges the tokens that events bring, if an issuer signs them; nobody else loads what that takes.

    Raises:
        StartError: what that takes is not installed.
    """
    oidc = read_oidc(environment)
    if oidc is None:
        return None
    try:
        from .oidc import Tokens
    except ImportError as exc:
        msg = (
            f"MODELYARD_EVENTS_AUTH=oidc needs the package 'joserfc': {exc}; "
            "an image has it if its runtime has events_oidc = true; here, run: pip install 'modelyard[oidc]'"
        )
        raise StartError(msg) from exc
    return Tokens(oidc)


def _details(value: object) -> dict[str, str]:
    """Return what may be told of a value: when the certificate ends."""
    if not isinstance(value, Certificate) or value.expires_s is None:
        return {}
    return {"expires": datetime.fromtimestamp(value.expires_s, UTC).isoformat()}


def _contents(files: Sequence[Path]) -> list[bytes] | None:
    """Return what tells the contents of `files` from others, without keeping a secret; None: this is no time to look."""
    try:
        return [_digest(file) for file in files]
    except OSError:
        return None


def _digest(file: Path) -> bytes:
    """Return a digest of a file; an empty one if it cannot be read.

    Raises:
        OSError: it may well be there, but this process has too many files open, or no memory.
    """
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError as exc:
        if exc.errno in EXHAUSTED:
            raise
        return b""
