"""The server's settings, from the environment and from mounted files.

Every `MODELYARD_X` may be given as `MODELYARD_X_FILE` instead: a file whose text (without the last
line end) is the value, as Kubernetes and Docker mount secrets.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .credentials import (
    BEARER,
    BY_ISSUER,
    EVENTS_AUTH,
    EVENTS_LOGIN,
    EVENTS_TOKEN,
    LOGIN,
    OIDC,
    read_events_login,
    read_events_token,
    read_login,
    read_oidc,
)
from .environment import Environment, check_together
from .errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG_LEVELS = ("debug", "info", "warning", "error")
_URI = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_STREAM = re.compile(r"[!-~]+")
_STREAMS = "printable ASCII without spaces"
_CLIENT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_GROUP = re.compile(r"[A-Za-z0-9_-]+")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Settings:
    """How to serve. The field `port` is set by `MODELYARD_PORT`, and so on.

    Attributes:
        model_dir: the folder with `model.json` and the file that it names.
        model_name: the name in the URLs; None: the `name` in `model.json`, or `model`.
        model_version: the version in the URLs, a whole number as text.
        backend: `litert`, `onnxruntime`, or `module:function` with `function(folder, threads=1)` returning a predictor.
        parameters: the variables that are the backend's or the source's own, separated by commas.
        handlers: the handlers around the model, as JSON; None: clients send and get the model's own tensors.
        host: the address to listen on.
        port: the TCP port to listen on; 0: any free one (it is logged).
        grpc_port: the TCP port for gRPC; 0: any free one; None: gRPC is not spoken.
        username: the name that HTTP Basic asks for; None: no password is asked for.
        password: the password that HTTP Basic asks for; several lines are several, each of which is good.
        events_auth: who may send events: `basic`, as everything else asks for it, `bearer`: who has a token, `oidc`: who has one of
            an issuer, see `Oidc`, or `none`: everybody.
        events_token: the token, a line for each that is good.
        events_client: what speaks with the broker: `module:function`, see `events.source`.
        events_url: the broker that events are taken from, `SCHEME://HOST:PORT`; None: none.
        events_username: the user name that the broker asks for; None: none.
        events_password: the password that it asks for.
        events_ca_file: whom the broker's certificate is trusted from, PEM; None: as the system has it.
        events_cert_file: the certificate that is shown to the broker, PEM; None: none.
        events_key_file: its private key, PEM.
        events_input: the stream, or subject, that they come from.
        events_output: the one that answers go to.
        events_dead_letter: the one for what cannot be answered; None: the input's name and `.dead`.
        events_group: the name under which the broker knows all consumers that share the work.
        events_consumer: the name of this server among them, the same when it is started anew; None: the group's.
        events_order: `none`, or `key`: events with the same `partitionkey` are answered one after another.
        events_ack_wait_s: seconds after which an event whose consumer says nothing more is handed to another.
        events_attempts: how often an event is tried that the model fails on, or that whoever had it did not survive.
        events_retry_s: seconds that it rests after the first time; each time twice as long.
        events_max_in_flight: events that one worker holds at a time.
        events_source: what answers to events say that they come from; None: the model's name and version.
        tls_cert_file: certificate chain in PEM; None: plain HTTP.
        tls_key_file: the certificate's private key in PEM.
        threads: threads that one prediction uses.
        workers: processes that serve, each with its own copy of the model; 0: as many as the CPU limit has room for.
        batching: whether requests that wait are predicted together: `auto` where that is measured to pay, `on`, `off`.
        max_queue: requests that may wait for a worker; one more is refused.
        queue_s: seconds that a request may wait for a worker.
        max_batch: samples that a request may hold.
        max_length: how long an axis that varies may be; 0: as long as the memory allows.
        max_body_bytes: the size of a request's body, as sent and after decompression.
        max_header_bytes: the size of a request's line and header fields.
        max_sequences: sequences that may be open at a time, of a model that keeps a state.
        sequence_idle_s: seconds that a sequence is kept in which no step of it comes.
        max_connections: connections that one worker has at a time.
        memory_bytes: the memory that all workers may take; 0: the container's limit.
        header_s: seconds that a request's line and header fields may take to come.
        body_s: seconds that a request's body may take to come, and its answer to go.
        idle_s: seconds that a connection may stay open between two requests.
        drain_s: seconds from SIGTERM, with readiness off, to the last accepted connection.
        grace_s: seconds that requests in flight then have to finish.
        log_level: one of `LOG_LEVELS`.
    """

    model_dir: Path = Path("/model")
    model_name: str | None = None
    model_version: str = "1"
    backend: str = "litert"
    handlers: str | None = None
    host: str = "0.0.0.0"
    port: int = 8080
    grpc_port: int | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    events_auth: str = "basic"
    events_token: str | None = field(default=None, repr=False)
    events_source: str | None = None
    events_client: str | None = None
    events_url: str | None = None
    events_username: str | None = None
    events_password: str | None = field(default=None, repr=False)
    events_ca_file: Path | None = None
    events_cert_file: Path | None = None
    events_key_file: Path | None = None
    events_input: str | None = None
    events_output: str | None = None
    events_dead_letter: str | None = None
    events_group: str | None = None
    events_consumer: str | None = None
    events_order: str = "none"
    events_ack_wait_s: float = 30.0
    events_attempts: int = 5
    events_retry_s: float = 1.0
    events_max_in_flight: int = 64
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    threads: int = 1
    workers: int = 1
    batching: str = "auto"
    max_queue: int = 256
    queue_s: float = 30.0
    max_batch: int = 1024
    max_length: int = 0
    max_body_bytes: int = 32 * 1024 * 1024
    max_header_bytes: int = 16 * 1024
    max_sequences: int = 1024
    sequence_idle_s: float = 60.0
    max_connections: int = 512
    memory_bytes: int = 0
    header_s: float = 10.0
    body_s: float = 30.0
    idle_s: float = 75.0
    drain_s: float = 5.0
    grace_s: float = 8.0
    log_level: str = "info"
    parameters: str | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings from `environment` and the files that it names.

        Raises:
            StartError: a variable is misspelt, or its value is not allowed; the message names the variable.
        """
        _refuse_misspelt(environment)
        source = Environment(environment)
        username, password = read_login(environment)
        events_username, events_password = read_events_login(environment)
        settings = cls(
            model_dir=Path(source.text("MODELYARD_MODEL_DIR") or cls.model_dir),
            model_name=source.matching("MODELYARD_MODEL_NAME", NAME, "letters, digits, '.', '_', '-'"),
            model_version=source.matching("MODELYARD_MODEL_VERSION", re.compile(r"\d{1,18}"), "a whole number") or "1",
            backend=source.text("MODELYARD_BACKEND") or cls.backend,
            handlers=source.text("MODELYARD_HANDLERS"),
            host=source.text("MODELYARD_HOST") or cls.host,
            port=source.integer("MODELYARD_PORT", cls.port, 0, 65535),
            grpc_port=source.number("MODELYARD_GRPC_PORT", 0, 65535),
            username=username,
            password=password,
            events_auth=source.choice(EVENTS_AUTH, cls.events_auth, ("basic", BEARER, BY_ISSUER, "none")),
            events_token=read_events_token(environment),
            events_source=source.matching("MODELYARD_EVENTS_SOURCE", _URI, "a URI reference"),
            events_client=source.matching("MODELYARD_EVENTS_CLIENT", _CLIENT, "module:function"),
            events_url=source.broker("MODELYARD_EVENTS_URL"),
            events_username=events_username,
            events_password=events_password,
            events_ca_file=source.path("MODELYARD_EVENTS_CA_FILE"),
            events_cert_file=source.path("MODELYARD_EVENTS_CERT_FILE"),
            events_key_file=source.path("MODELYARD_EVENTS_KEY_FILE"),
            events_input=source.matching("MODELYARD_EVENTS_INPUT", _STREAM, _STREAMS),
            events_output=source.matching("MODELYARD_EVENTS_OUTPUT", _STREAM, _STREAMS),
            events_dead_letter=source.matching("MODELYARD_EVENTS_DEAD_LETTER", _STREAM, _STREAMS),
            events_group=source.matching("MODELYARD_EVENTS_GROUP", _GROUP, "letters, digits, '_', '-'"),
            events_consumer=source.matching("MODELYARD_EVENTS_CONSUMER", NAME, "letters, digits, '.', '_', '-'"),
            events_order=source.choice("MODELYARD_EVENTS_ORDER", cls.events_order, ("none", "key")),
            events_ack_wait_s=source.seconds("MODELYARD_EVENTS_ACK_WAIT_S", cls.events_ack_wait_s),
            events_attempts=source.integer("MODELYARD_EVENTS_ATTEMPTS", cls.events_attempts, 1, 1000),
            events_retry_s=source.seconds("MODELYARD_EVENTS_RETRY_S", cls.events_retry_s),
            events_max_in_flight=source.integer("MODELYARD_EVENTS_MAX_IN_FLIGHT", cls.events_max_in_flight, 1, 10000),
            tls_cert_file=source.path("MODELYARD_TLS_CERT_FILE"),
            tls_key_file=source.path("MODELYARD_TLS_KEY_FILE"),
            threads=source.integer("MODELYARD_THREADS", cls.threads, 1, 256),
            workers=source.integer("MODELYARD_WORKERS", cls.workers, 1, 256, auto=True),
            batching=source.choice("MODELYARD_BATCHING", cls.batching, ("auto", "on", "off")),
            max_queue=source.integer("MODELYARD_MAX_QUEUE", cls.max_queue, 1, 1_000_000),
            queue_s=source.seconds("MODELYARD_QUEUE_S", cls.queue_s),
            max_batch=source.integer("MODELYARD_MAX_BATCH", cls.max_batch, 1, 1_000_000),
            max_length=source.integer("MODELYARD_MAX_LENGTH", cls.max_length, 1, 1 << 31, auto=True),
            max_body_bytes=source.integer("MODELYARD_MAX_BODY_BYTES", cls.max_body_bytes, 1, 1 << 40),
            max_header_bytes=source.integer("MODELYARD_MAX_HEADER_BYTES", cls.max_header_bytes, 1024, 1 << 20),
            max_sequences=source.integer("MODELYARD_MAX_SEQUENCES", cls.max_sequences, 1, 1_000_000),
            sequence_idle_s=source.seconds("MODELYARD_SEQUENCE_IDLE_S", cls.sequence_idle_s),
            max_connections=source.integer("MODELYARD_MAX_CONNECTIONS", cls.max_connections, 1, 1_000_000),
            memory_bytes=source.integer("MODELYARD_MEMORY_BYTES", cls.memory_bytes, 1, 1 << 50, auto=True),
            header_s=source.seconds("MODELYARD_HEADER_S", cls.header_s),
            body_s=source.seconds("MODELYARD_BODY_S", cls.body_s),
            idle_s=source.seconds("MODELYARD_IDLE_S", cls.idle_s),
            drain_s=source.seconds("MODELYARD_DRAIN_S", cls.drain_s),
            grace_s=source.seconds("MODELYARD_GRACE_S", cls.grace_s),
            log_level=source.choice("MODELYARD_LOG_LEVEL", cls.log_level, LOG_LEVELS),
            parameters=source.text("MODELYARD_PARAMETERS"),
        )
        check_together(
            "MODELYARD_TLS_CERT_FILE", settings.tls_cert_file, "MODELYARD_TLS_KEY_FILE", settings.tls_key_file
        )
        check_together(
            "MODELYARD_EVENTS_CERT_FILE",
            settings.events_cert_file,
            "MODELYARD_EVENTS_KEY_FILE",
            settings.events_key_file,
        )
        _check_events(settings)
        read_oidc(environment)
        return settings

    @classmethod
    def to_ask(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings of a server that is to be asked: its secrets, which may just be changing, are left alone.

        Raises:
            StartError: as `read`.
        """
        secrets = (*LOGIN, *EVENTS_LOGIN, EVENTS_TOKEN)
        secret = {*secrets, *(f"{name}_FILE" for name in secrets), EVENTS_AUTH, *OIDC}
        return cls.read({name: value for name, value in environment.items() if name not in secret})


KNOWN = (*(f"MODELYARD_{name.upper()}" for name in Settings.__dataclass_fields__), *OIDC)
"""The variables that the server reads, without their `_FILE` forms."""


def _check_events(settings: Settings) -> None:
    """Refuse a broker without what is needed to consume from it, and what would go round."""
    needed = {"CLIENT": settings.events_client, "INPUT": settings.events_input, "OUTPUT": settings.events_output}
    for name, value in needed.items() if settings.events_url is not None else ():
        if value is None:
            msg = f"MODELYARD_EVENTS_URL is set without MODELYARD_EVENTS_{name}; set both, or neither"
            raise StartError(msg)
    for name, value in (("OUTPUT", settings.events_output), ("DEAD_LETTER", settings.events_dead_letter)):
        if value is not None and value == settings.events_input:
            msg = f"MODELYARD_EVENTS_{name}: {value!r} is MODELYARD_EVENTS_INPUT, too: events would go round"
            raise StartError(msg)


def _refuse_misspelt(environment: Mapping[str, str]) -> None:
    """Refuse a name that nearly fits: a misspelt `MODELYARD_PASSWORD` would serve without one. Others are not ours.

    Neither are those that an image says are a plugin's own, and `MODELYARD_EVENTS_...` where what follows is like no other.
    """
    own = environment.get("MODELYARD_PARAMETERS", "").split(",")
    known = {*KNOWN, *(f"{name}_FILE" for name in KNOWN), *own}
    for name in sorted(environment):
        if not name.startswith("MODELYARD_") or name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.87)
        if close and not _is_of_source(name, close[0]):
            msg = f"{name}: unknown setting, did you mean {close[0]}?"
            raise StartError(msg)


def _is_of_source(name: str, close: str) -> bool:
    prefix = "MODELYARD_EVENTS_"
    rests = (name.removeprefix(prefix), close.removeprefix(prefix))
    return name.startswith(prefix) and difflib.SequenceMatcher(None, *rests).ratio() < 0.6
