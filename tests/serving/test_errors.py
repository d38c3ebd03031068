"""Errors whose message goes to a client, and those that stop the server."""

from __future__ import annotations

import errno
import os
import resource

import pytest

from modelyard.serving.errors import EXHAUSTED, RequestError


def test_a_request_that_cannot_be_answered_has_a_status_and_words() -> None:
    exc = RequestError(413, "too large")

    assert (exc.status, exc.message, str(exc)) == (413, "too large", "too large")


def test_running_out_of_files_is_what_the_system_says_then() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files") as told:
            os.open("/", os.O_RDONLY)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert told.value.errno in EXHAUSTED


def test_a_file_that_is_not_there_is_no_exhaustion() -> None:
    assert not {errno.ENOENT, errno.EACCES, errno.EBADF, errno.ECONNABORTED} & set(EXHAUSTED)
