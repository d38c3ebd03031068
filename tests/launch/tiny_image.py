"""An image of a few MB that starts at once: this machine's shell, under the name of Python, with the libraries that it needs."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.facts import image_facts

from modelyard.oci.image import Recipe, assemble, write_archive
from modelyard.oci.layers import LayerCache
from modelyard.oci.python import MACHINES
from modelyard.oci.reference import parse
from modelyard.oci.rootfs import elf_interpreter
from modelyard.oci.tree import Entry, Tree

if TYPE_CHECKING:
    from modelyard.artifacts import ImageFacts

SHELL = Path(shutil.which("sh") or "/bin/sh").resolve()
ARCHITECTURES = {kernels: name for name, kernels in MACHINES.items()}
SERVE = 'trap "exit 7" TERM; export -p; echo ready; while :; do :; done'
"""Tells its variables, and then runs until it is asked to end."""
needs_glibc = pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc" or shutil.which("ldd") is None,
    reason="the image is made of programs of Linux with glibc",
)


def libraries(program: Path) -> list[Path]:
    """Return what the program is linked with, its loader included."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"(?:=> )?(/\S+) \(0x", told)
    return [Path(one) for one in dict.fromkeys([elf_interpreter(program), *found])]


def write_image(folder: Path) -> ImageFacts:
    """Write `image.tar`, which is like that of no other folder, into `folder`; its entrypoint has the shell run `SERVE`."""
    tree = Tree()
    for library in libraries(SHELL):
        tree.add(str(library).lstrip("/"), Entry.from_path(library))
    tree.add("usr/bin/python3.11", Entry.from_path(SHELL))
    tree.add("usr/bin/python3", Entry.link("python3.11"))
    layer = LayerCache(folder / "layers", "gzip", 1).layer("all", tree.digest(), lambda: tree)
    settings = {
        "Entrypoint": ["python3", "-c", SERVE, str(folder)],
        "Env": ["PATH=/usr/bin", "MODELYARD_GRPC_PORT=9000"],
    }
    image = assemble([layer], Recipe(parse("team/tiny", "1"), ARCHITECTURES[platform.machine()], settings, {}, 1))
    write_archive(image, folder / "image.tar")
    return msgspec.structs.replace(image_facts(), archive="image.tar", image_id=image.image_id, digest=image.digest)
