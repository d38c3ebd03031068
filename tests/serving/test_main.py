"""The command line of the server: what its options stand above, and the code that it ends with."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

from tests.serving.conftest import Running


def test_options_stand_above_the_environment(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    options = ["--model-name", "other", "--port", "0"]
    command = [sys.executable, "-m", "modelyard.serving", *options]
    with start(models / "float32", command, PORT="1") as server, server.client() as client:
        assert client.get("/v1/models/other").status_code == 200
        assert client.get("/v1/models/digits").status_code == 404
