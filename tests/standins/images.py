"""Base images with the stand-in for TensorFlow Serving's program, for the engine that is running."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.standins.tensorflow_model_server import key_of

if TYPE_CHECKING:
    import numpy as np

PROGRAM = Path(__file__).with_name("tensorflow_model_server.py")
DOCKERFILE = """\
FROM {base}
COPY tensorflow_model_server answers.json /opt/stand-in/
RUN ln -s /opt/stand-in/tensorflow_model_server /usr/bin/tensorflow_model_server
"""


def table_of(samples: np.ndarray, probabilities: np.ndarray) -> dict[str, list[float]]:
    """Return the answers of the stand-in: to `samples` (N, ...), `probabilities` (N, classes)."""
    return {key_of(sample.tolist()): row.tolist() for sample, row in zip(samples, probabilities, strict=True)}


def build_stand_in(client: Any, base: str, tag: str, answers: dict[str, list[float]]) -> None:
    """Build the image `tag` on `base`, with the stand-in and its answers where TensorFlow Serving's image has its own."""
    files = {
        "Dockerfile": (DOCKERFILE.format(base=base).encode(), 0o644),
        "tensorflow_model_server": (PROGRAM.read_bytes(), 0o755),
        "answers.json": (json.dumps(answers).encode(), 0o644),
    }
    _build(client, tag, files)


def build_nginx(client: Any, base: str, tag: str) -> None:
    """Build the image `tag` on `base`, a Debian of the same release, with this machine's nginx: nothing is fetched."""
    nginx = Path(shutil.which("nginx") or "")
    told = subprocess.run(["ldd", nginx], check=True, capture_output=True, text=True).stdout
    paths = [nginx, *(Path(found) for found in re.findall(r"=> (/\S+)", told))]
    copies = "".join(f"COPY {path.name} {path}\n" for path in paths)
    files = {path.name: (path.resolve().read_bytes(), 0o755) for path in paths}
    _build(client, tag, {"Dockerfile": (f"FROM {base}\n{copies}".encode(), 0o644), **files})


def _build(client: Any, tag: str, files: dict[str, tuple[bytes, int]]) -> None:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, (data, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True)
