from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.errors import ToolError
from modelyard.oci import bytecode
from modelyard.oci.archive import read_image
from modelyard.oci.tree import Entry, Tree

from .conftest import tar_bytes
from .test_archive import docker_save


def tree(*paths: str) -> Tree:
    made = Tree()
    for path in paths:
        made.add(path, Entry.file(path.encode()))
    return made


def test_the_servers_bytecode_lies_in_its_layer_and_that_of_what_it_imports_in_one_below() -> None:
    asked: list[list[str]] = []

    def compile_(texts: Tree, places: list[str]) -> Tree:
        asked.append([path for path, entry in texts if entry.kind == "file"])
        return tree(
            "app/server/__pycache__/a.cpython-311.pyc", "app/__pycache__/one.cpython-311.pyc", "app/site/__pycache__/x.cpython-311.pyc"
        )  # fmt: skip

    trees = {
        "wheels": lambda: tree("app/site/x.py", "app/site/x.so"),
        "server": lambda: tree("app/server/a.py", "app/one.py"),
        "model": lambda: tree("model/m"),
    }
    places = {"/app/server", "/app/one.py"}
    layers = bytecode.Bytecode(trees, places, compile_).layers(trees)

    assert list(layers) == ["wheels", "bytecode", "server", "model"]
    found = {name: [path for path, entry in layers[name]() if entry.kind == "file"] for name in layers}
    assert found["bytecode"] == ["app/site/__pycache__/x.cpython-311.pyc"]
    own = [
        "app/__pycache__/one.cpython-311.pyc",
        "app/one.py",
        "app/server/__pycache__/a.cpython-311.pyc",
        "app/server/a.py",
    ]
    assert found["server"] == own
    assert asked == [["app/one.py", "app/server/a.py", "app/site/x.py"]], "once, and the texts alone"


def test_what_an_engine_gives_is_read_without_its_folder() -> None:
    data = tar_bytes([("out", None), ("out/usr", None), ("out/usr/a.pyc", b"code")])

    assert [(path, entry.read()) for path, entry in bytecode.packed(data) if entry.kind == "file"] == [
        ("usr/a.pyc", b"code")
    ]


def test_a_base_whose_python_does_not_run_here_is_refused_with_the_way_out(tmp_path: Path) -> None:
    loader, python = b"no program", bytearray(elf_of(b"/lib/ld-none.so.1"))
    layers: list[list[tuple[str, bytes | str | None]]] = [
        [
            ("lib/ld-none.so.1", loader),
            ("usr/lib/libc.so.6", LIBC),
            ("usr/bin/python3.11", bytes(python)),
            ("usr/bin/python3", "python3.11"),
        ]
    ]
    image = read_image(docker_save(tmp_path / "base.tar", layers))

    with pytest.raises(ToolError, match="does not run here") as told:
        bytecode.by_the_images_own(
            image.layers, "amd64", {"PATH": "/usr/bin"}, tree("app/server/a.py"), ["/app/server"]
        )
    assert "bytecode = false" in str(told.value)


def test_no_text_is_written_through_a_link_of_the_base(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    (outside / "folder").mkdir(parents=True)
    (outside / "file.py").write_text("the host's")
    (root / "app").mkdir(parents=True)
    (root / "app/linked").symlink_to(outside / "folder")
    (root / "app/file.py").symlink_to(outside / "file.py")
    bytecode._add(tree("app/file.py", "app/linked/deep/x.py"), root)

    assert (outside / "file.py").read_text() == "the host's"
    assert list((outside / "folder").iterdir()) == []
    assert (root / "app/linked/deep/x.py").read_text() == "app/linked/deep/x.py"


LIBC = b"GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36."


def elf_of(interpreter: bytes) -> bytes:
    """Return a program of 64 bits that names its loader, and nothing else."""
    head = b"\x7fELF\x02\x01".ljust(32, b"\0") + (64).to_bytes(8, "little") + bytes(14) + b"\x38\0\x01\0"
    entry = (3).to_bytes(4, "little") + bytes(4) + (120).to_bytes(8, "little") + bytes(16)
    entry += (len(interpreter) + 1).to_bytes(8, "little")
    return head.ljust(64, b"\0") + entry.ljust(56, b"\0") + interpreter + b"\0"
