"""Start the server of an image from the image's own files, without an engine and without root."""

from __future__ import annotations

import contextlib
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import StageFailed
from modelyard.launch.local_broker import free_port
from modelyard.launch.started import END_S, Started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.artifacts import ImageFacts
    from modelyard.launch.started import Beside
    from modelyard.oci.rootfs import Rootfs


@contextlib.contextmanager
def from_files(
    folder: Path, facts: ImageFacts, settings: dict[str, str], log: Path, beside: Beside | None = None
) -> Iterator[Started]:
    """Run the image's own Python on the image's own files; what it takes of this machine is refused at the end."""
    from modelyard.oci import rootfs

    assert facts.archive is not None
    with tempfile.TemporaryDirectory(prefix="modelyard-check-") as scratch:
        unpacked = beside.root if beside else None
        root = unpacked or rootfs.unpack(folder / facts.archive, Path(scratch, "root"))
        settings = settings | dict(beside.settings if beside else {})
        port = free_port()
        variables = rootfs.environment(root) | settings | {"MODELYARD_HOST": "127.0.0.1", "MODELYARD_PORT": str(port)}
        if "MODELYARD_GRPC_PORT" in variables:
            variables["MODELYARD_GRPC_PORT"] = "0"  # the image's own may be taken on this machine
        with log.open("ab") as output:
            process = subprocess.Popen(
                rootfs.start_command(root), env=variables, cwd=scratch, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            end = functools.partial(_end, process)
            yield Started(f"http://127.0.0.1:{port}", "image files", lambda: process.poll() is None, end)
            if process.poll() is None:
                _check_complete(root, process.pid)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)
            process.kill()
            process.wait()
            if unpacked is None:
                shutil.rmtree(root.folder, ignore_errors=True)


def _end(process: subprocess.Popen[bytes], number: int) -> int:
    process.send_signal(number)
    return process.wait(timeout=END_S)


def _check_complete(root: Rootfs, pid: int) -> None:
    """Refuse an image that ran only because this machine has a library that the image lacks."""
    from modelyard.oci.rootfs import foreign_libraries

    foreign = foreign_libraries(root, pid)
    if foreign:
        msg = f"check: the image's server uses files of this machine: {', '.join(foreign)}\n  add the packages that hold them to the image: [tool.modelyard.image] packages"
        raise StageFailed(msg)
