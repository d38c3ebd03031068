"""The person at the terminal: what they are called, and whether they agree."""

from __future__ import annotations

import getpass
import sys


def user() -> str:
    """Return their name on this machine; `unknown` where they have none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def is_there() -> bool:
    """Return whether there is a terminal to ask on."""
    return sys.stdin.isatty()


def agrees(question: str) -> bool:
    """Ask, and return whether they agree; without a terminal nobody does."""
    if not is_there():
        return False
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        print()
        return False
