"""An image's content with a toy server, and a way to build it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelyard.contexts import ImageContent, ImageContext
from modelyard.oci.cache import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVER = """\
import ctypes, json, os, ssl, sys
import ai_edge_litert.interpreter, httptools, numpy
root = os.environ["MODELYARD_MODEL_DIR"]
print(json.dumps({
    "uid": os.getuid(), "numpy": numpy.__file__, "python": list(sys.version_info[:2]),
    "model": len(open(root + "/model.tflite", "rb").read()), "path": sys.path,
}), flush=True)
sys.stdin.read()
"""
REQUIREMENTS = Path(__file__).parents[3] / "plugins" / "runtimes" / "litert-requirements.txt"


@pytest.fixture(scope="session")
def cache() -> Path:
    """The cache of all images of this run, so that packages and wheels are fetched once."""
    return Path(os.environ[SHARED])


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that every user may enter; pytest closes its own to others."""
    with tempfile.TemporaryDirectory(prefix="modelyard-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def make_context(tmp_path: Path, cache: Path) -> Callable[..., ImageContext]:
    def make(name: str = "first", *, parent: Path = tmp_path, **changes: Any) -> ImageContext:
        folder = parent / name
        for part in ("server", "model", "out", "project"):
            (folder / part).mkdir(parents=True)
        (folder / "server" / "__main__.py").write_text(SERVER)
        (folder / "server" / "__init__.py").write_text("")
        (folder / "model" / "model.tflite").write_bytes(bytes(range(256)) * 400)
        (folder / "model" / "model.json").write_text('{"variant": "int8"}\n')
        caches = changes.pop("cache", cache)
        values = {
            "repository": "modelyard-test-digits",
            "tag": "v1",
            "requirements": tuple(REQUIREMENTS.read_text().splitlines()),
            "server": {"/app/toy_server": folder / "server"},
            "model": {"/model": folder / "model"},
            "entrypoint": ("python3", "-m", "toy_server"),
            "environment": {"MODELYARD_MODEL_DIR": "/model"},
            "labels": {"dev.modelyard.model.variant": 'int8 "quoted" $HOME \\'},
            "port": 8080,
        }
        return ImageContext(
            out=folder / "out",
            project=folder / "project",
            cache=caches,
            seed=0,
            progress=lambda *_, **__: None,
            log=print,
            content=ImageContent(**{**values, **changes}),
        )

    return make


@pytest.fixture(scope="session")
def docker_client() -> Any:
    """A client of the engine that is running; skips where there is none."""
    sdk = pytest.importorskip("docker")
    try:
        client = sdk.from_env()
        client.ping()
    except Exception as exc:
        pytest.skip(f"no Docker engine answers: {exc}")
    yield client
    client.close()
