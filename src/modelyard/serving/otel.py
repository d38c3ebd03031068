"""The standard settings of OpenTelemetry, `OTEL_...`: whether spans are sent, which, and where to.

They are often the same for every program of a cluster, so one that is not understood turns tracing off, and a line in
the log says why: a server does not stay down for want of a collector.

Source: OpenTelemetry's specification, "Environment Variable Specification" and "OpenTelemetry Protocol Exporter".
"""

from __future__ import annotations

import logging
import math
import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from .logs import log
from .traces import Sampler

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SAMPLERS = ("always_on", "always_off", "traceidratio")
SAMPLERS = (*_SAMPLERS, *(f"parentbased_{name}" for name in _SAMPLERS))


class OtelError(ValueError):
    """A setting that is not understood; the message is one line."""


def read(environment: Mapping[str, str]) -> Otel | None:
    """Return the settings; None: no spans are asked for, or a setting is not understood, which the log then says."""
    try:
        return Otel.read(environment)
    except OtelError as exc:
        log(logging.WARNING, "no spans are sent", reason=str(exc))
        return None


@dataclass(frozen=True)
class Otel:
    """Where spans go, and which.

    Attributes:
        url: where batches are posted to, `http` or `https`.
        headers: what else the collector asks for, by name.
        tls: what checks the collector's certificate; None: the connection is plain.
        gzip: whether batches are compressed.
        timeout_s: how long sending one may take, in seconds.
        sampler: which traces are sent.
        resource: what is set to describe this server, by the conventional names.
        delay_s: the longest time that a span waits for others, in seconds.
        queue: spans that may wait; one more is dropped.
        batch: spans that are sent at once.
    """

    url: str
    headers: dict[str, str] = field(repr=False)
    tls: ssl.SSLContext | None
    gzip: bool
    timeout_s: float
    sampler: Sampler
    resource: dict[str, str]
    delay_s: float
    queue: int
    batch: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Otel | None:
        """Return the settings, or None if spans are not asked for.

        Raises:
            OtelError: a value is not allowed, or names what this server cannot do.
        """
        source = _Source(environment)
        if source.choice("OTEL_SDK_DISABLED", ("true", "false"), "false") == "true":
            return None
        exporter = source.choice("OTEL_TRACES_EXPORTER", ("otlp", "none"), "")
        url = source.url(otlp=exporter == "otlp")
        if exporter == "none" or url is None:
            return None
        source.choice(source.name("PROTOCOL"), ("http/json", "http/protobuf"), "http/json")
        queue = source.whole("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1, 1_000_000)
        return cls(
            url=url,
            headers=source.headers(),
            tls=source.tls() if url.startswith("https:") else None,
            gzip=source.choice(source.name("COMPRESSION"), ("gzip", "none"), "none") == "gzip",
            timeout_s=source.whole(source.name("TIMEOUT"), 10_000, 1, 600_000) / 1000,
            sampler=source.sampler(),
            resource=source.resource(),
            delay_s=source.whole("OTEL_BSP_SCHEDULE_DELAY", 5000, 1, 600_000) / 1000,
            queue=queue,
            batch=min(queue, source.whole("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1, 1_000_000)),
        )


@dataclass(frozen=True)
class _Source:
    """Reads one setting at a time; an empty value is as good as none, as the specification says."""

    environment: Mapping[str, str]

    def text(self, name: str) -> str:
        return self.environment.get(name, "").strip()

    def name(self, what: str) -> str:
        """Return the variable that says `what` of the exporter: that of traces stands above that of all signals."""
        own = f"OTEL_EXPORTER_OTLP_TRACES_{what}"
        return own if self.text(own) else f"OTEL_EXPORTER_OTLP_{what}"

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name).lower() or default
        if value != default and value not in allowed:
            raise _wrong(name, self.text(name), ", ".join(allowed))
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name)
        if not value:
            return default
        if not re.fullmatch(r"[0-9]{1,18}", value) or not low <= int(value) <= high:
            raise _wrong(name, value, f"a whole number, {low} to {high}")
        return int(value)

    def tls(self) -> ssl.SSLContext:
        """Return what checks the collector's certificate, against the system's authorities or those that are set."""
        name = self.name("CERTIFICATE")
        try:
            return ssl.create_default_context(cafile=self.text(name) or None)
        except OSError as exc:  # ssl.SSLError is one
            raise _wrong(name, self.text(name), "a file of certificates in PEM") from exc

    def url(self, *, otlp: bool) -> str | None:
        """Return where traces go: as set for traces, else below what is set for all signals; None: nowhere."""
        name, own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", self.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        if not own:
            name = "OTEL_EXPORTER_OTLP_ENDPOINT"
            base = self.text(name) or ("http://localhost:4318" if otlp else "")
            if not base:
                return None
            own = f"{base.rstrip('/')}/v1/traces"
        if "@" in own:
            msg = f"{name}: a URL with a password would be seen by many; use OTEL_EXPORTER_OTLP_HEADERS"
            raise OtelError(msg)
        if not _is_url(own):
            raise _wrong(name, self.text(name), "http://HOST:PORT or https://HOST:PORT, with a path if need be")
        return own

    def headers(self) -> dict[str, str]:
        """Return the headers that are set; a message says nothing of them, for one may be a key."""
        name = self.name("HEADERS")
        headers = _pairs(self.text(name))
        if headers is None or not all(_TOKEN.fullmatch(key) and _is_field(value) for key, value in headers.items()):
            msg = f"{name}: not a list of NAME=VALUE with ',' between them"
            raise OtelError(msg)
        return headers

    def resource(self) -> dict[str, str]:
        name = "OTEL_RESOURCE_ATTRIBUTES"
        attributes = _pairs(self.text(name))
        if attributes is None:
            raise _wrong(name, self.text(name), "NAME=VALUE, with ',' between them")
        set_here = self.text("OTEL_SERVICE_NAME")
        return attributes | ({"service.name": set_here} if set_here else {})

    def sampler(self) -> Sampler:
        kind = self.choice("OTEL_TRACES_SAMPLER", SAMPLERS, "parentbased_always_on")
        parent_based, kind = kind.startswith("parentbased_"), kind.removeprefix("parentbased_")
        ratio = {"always_on": 1.0, "always_off": 0.0}.get(kind)
        return Sampler(self._ratio() if ratio is None else ratio, parent_based)

    def _ratio(self) -> float:
        name = "OTEL_TRACES_SAMPLER_ARG"
        try:
            ratio = float(self.text(name) or 1.0)
        except ValueError:
            ratio = math.nan
        if not 0 <= ratio <= 1:
            raise _wrong(name, self.text(name), "a number, 0 to 1")
        return ratio


def _is_url(text: str) -> bool:
    """Return whether `text` names where to post to, without what would have to be quoted."""
    try:
        parts = urlsplit(text)
        return bool(
            parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and re.fullmatch(r"[!-~]+", text)
        )
    except ValueError:  # no number for a port, or no end to an address
        return False


def _pairs(text: str) -> dict[str, str] | None:
    """Return `a=b,c=d`, percent-decoded; None: it is not written so."""
    pairs = [one.partition("=") for one in text.split(",") if one.strip()]
    if not all(key.strip() and equals for key, equals, _ in pairs):
        return None
    return {unquote(key.strip()): unquote(value.strip()) for key, _, value in pairs}


def _is_field(value: str) -> bool:
    return value.isascii() and (value.isprintable() or not value)


def _wrong(name: str, value: str, allowed: str) -> OtelError:
    return OtelError(f"{name}: {value!r}; allowed: {allowed}")
