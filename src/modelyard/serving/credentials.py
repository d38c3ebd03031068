"""The secrets that clients and brokers are asked for, or shown, from the environment and from mounted files.

They are read again while the server runs: a mounted Secret may change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .environment import Environment, check_together
from .errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping

LOGIN = ("MODELYARD_USERNAME", "MODELYARD_PASSWORD")
EVENTS_LOGIN = ("MODELYARD_EVENTS_USERNAME", "MODELYARD_EVENTS_PASSWORD")
EVENTS_AUTH, EVENTS_TOKEN, BEARER, BY_ISSUER = "MODELYARD_EVENTS_AUTH", "MODELYARD_EVENTS_TOKEN", "bearer", "oidc"
_TOKEN = re.compile(r"[-.~+/\w]+=*", re.ASCII)
"""What RFC 6750 lets be sent."""


def read_login(environment: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the user name and the password, a line for each that is good.

    Raises:
        StartError: one of them without the other, or not to be read.
    """
    source = Environment(environment)
    username, password = (source.text(name) for name in LOGIN)
    check_together(LOGIN[0], username, LOGIN[1], password)
    if username is not None and ":" in username:
        msg = "MODELYARD_USERNAME: a user name cannot hold ':' (HTTP Basic ends the name there)"
        raise StartError(msg)
    if password is not None and not password.strip("\r\n"):
        msg = "MODELYARD_PASSWORD: nothing but empty lines; give a password in one of them"
        raise StartError(msg)
    return username, password


def read_events_login(environment: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the user name and the password for the broker; some ask for a password alone.

    Raises:
        StartError: the name without the password, or not to be read.
    """
    source = Environment(environment)
    username, password = (source.text(name) for name in EVENTS_LOGIN)
    if username is not None and password is None:
        msg = f"{EVENTS_LOGIN[0]} is set without {EVENTS_LOGIN[1]}; set both, or the password alone, or neither"
        raise StartError(msg)
    return username, password


def read_events_token(environment: Mapping[str, str]) -> str | None:
    """Return the token for sending events, a line for each that is good; None: none is asked for.

    Raises:
        StartError: it is missing, is not asked for, cannot be sent, or is not to be read.
    """
    source = Environment(environment)
    token, wanted = source.text(EVENTS_TOKEN), source.text(EVENTS_AUTH) == BEARER
    if wanted != (token is not None):
        which = (EVENTS_TOKEN, f"{EVENTS_AUTH}={BEARER}")
        msg = "{} is set without {}; set both, or neither".format(*(which[::-1] if wanted else which))
        raise StartError(msg)
    tokens = [line for line in re.split(r"\r?\n", token or "") if line]
    if token is not None and not (tokens and all(_TOKEN.fullmatch(one) for one in tokens)):
        msg = f"{EVENTS_TOKEN}: allowed: letters, digits, '-', '.', '_', '~', '+', '/', and '=' at the end; one token a line"
        raise StartError(msg)
    return token


def login_files(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files that `read_login` and `read_events_token` read."""
    names = (f"{name}_FILE" for name in (*LOGIN, EVENTS_TOKEN))
    return tuple(Path(environment[name]) for name in names if name in environment)


@dataclass(frozen=True)
class Oidc:
    """Whose tokens let events in.

    Attributes:
        issuer: the URL that the tokens name, below which it says where its keys are.
        audience: whom the tokens must be for.
        subjects: whom they must be given to; one that ends with `*` is all that begin so; empty: anybody.
        ca_file: whom the issuer's certificate is trusted from, PEM; None: as the system has it.
        token_file: a token that the issuer is shown when it is asked for its keys; None: none.
    """

    issuer: str
    audience: str
    subjects: tuple[str, ...] = ()
    ca_file: Path | None = None
    token_file: Path | None = None


OIDC = tuple(f"MODELYARD_EVENTS_OIDC_{name.upper()}" for name in Oidc.__dataclass_fields__)
"""The variables that say whose tokens let events in."""


_ISSUER = re.compile(r"(https://[^\s/?#@]+|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?)(/[^\s?#]*)?")


def read_oidc(environment: Mapping[str, str]) -> Oidc | None:
    """Return whose tokens let events in; None: events are not asked for one of an issuer.

    Raises:
        StartError: something is missing, is not asked for, or is not to be read.
    """
    source = Environment(environment)
    given = [name for name in OIDC if name in environment]
    if source.text(EVENTS_AUTH) != BY_ISSUER:
        if given:
            msg = f"{given[0]} is set without {EVENTS_AUTH}={BY_ISSUER}; set both, or neither"
            raise StartError(msg)
        return None
    issuer = source.matching(OIDC[0], _ISSUER, "https://HOST[:PORT][/PATH]; http:// of this machine alone")
    audience, subjects = source.text(OIDC[1]), source.text(OIDC[2])
    for name, value in zip(OIDC, (issuer, audience), strict=False):
        if value is None:
            msg = f"{EVENTS_AUTH}={BY_ISSUER} is set without {name}; set both, or neither"
            raise StartError(msg)
    assert issuer is not None
    assert audience is not None
    return Oidc(issuer, audience, tuple((subjects or "").split()), source.path(OIDC[3]), source.path(OIDC[4]))
