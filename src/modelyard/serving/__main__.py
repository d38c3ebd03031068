"""`python3 -m modelyard_serving`: the command line of the server."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from .errors import StartError
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .otel import Otel

OPTIONS = {
    "--model-dir": "folder with model.json and the model",
    "--model-name": "name of the model in the URLs",
    "--host": "address to listen on",
    "--port": "TCP port to listen on; 0: any free one",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve, or probe a server; return the exit code: 0, 1 (the probe says no) or 2 (cannot start)."""
    # A container's first process gets no default action for signals: a stop while the model loads would be ignored.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    options = _parser().parse_args(arguments)
    try:
        environment = _environment(options)
        if options.probe:
            return _probe(Settings.to_ask(environment), options.probe)
        if options.events_setup:
            return _set_up(Settings.read(environment), environment)
        return _serve(Settings.read(environment), environment, once=options.events_once)
    except StartError as exc:
        print(f"{__package__ or 'modelyard_serving'}: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _serve(settings: Settings, environment: Mapping[str, str], *, once: bool) -> int:
    if once and settings.events_url is None:
        msg = "MODELYARD_EVENTS_URL is not set: with --events-once there is nothing to do"
        raise StartError(msg)
    from .logs import configure
    from .mounted import Secrets
    from .workers import serve

    configure(settings.log_level)
    return serve(settings, Secrets(settings, environment), _otel(environment), once=once)


def _otel(environment: Mapping[str, str]) -> Otel | None:
    """Return where spans are sent to, if anywhere; most servers send none, and load nothing for it."""
    if not any(name.startswith("OTEL_") for name in environment):
        return None
    from .otel import read

    return read(environment)


def _probe(settings: Settings, what: str) -> int:
    from .probe import probe

    return 0 if probe(settings, what) else 1


def _set_up(settings: Settings, environment: Mapping[str, str]) -> int:
    from .events.setup import set_up

    for line in set_up(settings, environment, settings.model_name or "model"):
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python3 -m {__package__}",
        description="Serve a model over TF Serving's REST API and the Open Inference Protocol v2.",
        epilog="Every setting is an environment variable, MODELYARD_...; an option here stands above it.",
        allow_abbrev=False,
    )
    for option, text in OPTIONS.items():
        parser.add_argument(option, help=text)
    parser.add_argument(
        "--events-setup", action="store_true", help="make what is missing at the broker of events, and exit"
    )
    parser.add_argument(
        "--events-once", action="store_true", help="answer the events that wait at the broker, and exit"
    )
    parser.add_argument("--probe", choices=("live", "ready"), help="ask the server that listens on this port, and exit")
    return parser


def _environment(options: argparse.Namespace) -> Mapping[str, str]:
    """Return the environment with the options of the command line put over it."""
    environment = dict(os.environ)
    for option in OPTIONS:
        key = option.removeprefix("--").replace("-", "_")
        value = getattr(options, key)
        if value is not None:
            environment[f"MODELYARD_{key.upper()}"] = value
            environment.pop(f"MODELYARD_{key.upper()}_FILE", None)
    return environment


if __name__ == "__main__":
    sys.exit(main())
