"""What can go wrong in the server: before it starts, and in a request."""

from __future__ import annotations

import errno

EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What the system says when this process, or the machine, has no more to give for now."""


class StartError(Exception):
    """The server cannot start: a setting, a file or the port. The message is one line, and says what to do."""


class InputError(ValueError):
    """The samples of a request are not what the model takes; a protocol answers it as a client's mistake."""


class HandlerError(Exception):
    """A handler does not do what it says, or does not fit what stands beside it."""


class Overloaded(Exception):
    """Too many requests wait already, or one has waited for too long."""


class RequestError(Exception):
    """A request cannot be answered; the message goes to the client.

    Attributes:
        status: the HTTP status, 400 to 599.
        message: what is wrong, in the protocol's own words where it has some.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
