"""`doit lock`: what the image's builder writes down of today's base; a builder that has nothing to lock says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from modelyard.contexts import Locked
from modelyard.errors import ToolError
from modelyard.oci import apt
from modelyard.plugins.load import load_plugins
from tests.commands.conftest import run_doit

if TYPE_CHECKING:
    from pathlib import Path

PINNED = """

def pin(file, **params):
    from modelyard.contexts import Locked

    file.write_text("numpy 2\\n")
    return Locked(file, ({"name": "numpy", "version": "2"},))


@hookimpl
def modelyard_register_builders(register):
    register("pinned", tarball, lock=pin)
"""


def with_a_lock(toy: Path) -> Path:
    (toy / "plugins" / "pinned.py").write_text(
        "from modelyard import hookimpl\n\n\ndef tarball(context):\n    pass\n" + PINNED
    )
    file = toy / "pyproject.toml"
    file.write_text(file.read_text().replace('use = "tarball"', 'use = "pinned"'))
    return toy


def test_a_builder_that_has_nothing_to_lock_is_told_with_those_that_have(toy: Path) -> None:
    done = run_doit(toy, "lock")
    assert done.returncode != 0
    assert "lock: the builder 'tarball' has nothing to lock\n  builders that have: oci" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_builder_of_a_plugin_writes_its_lock(toy: Path) -> None:
    done = run_doit(with_a_lock(toy), "lock")
    assert done.stdout == (
        'image.lock.json: 1 packages\n  now write `lock = "image.lock.json"` below [tool.modelyard.image], and commit both\n'
    )
    assert (toy / "image.lock.json").read_text() == "numpy 2\n"
    told = json.loads(run_doit(toy, "lock", "--json").stdout)
    assert told == {"file": str(toy / "image.lock.json"), "packages": [{"name": "numpy", "version": "2"}]}


def test_pipelines_that_lock_the_same_share_a_file_and_others_have_one_each(toy: Path) -> None:
    file = with_a_lock(toy) / "pyproject.toml"
    plugin = toy / "plugins/pinned.py"
    plugin.write_text(plugin.read_text().replace("def tarball(context)", "def tarball(context, *, extra: str = '')"))
    file.write_text(file.read_text() + "[tool.modelyard.pipelines.left]\n[tool.modelyard.pipelines.right]\n")
    assert run_doit(toy, "lock").stdout.startswith("image.lock.json: 1 packages\n")
    done = run_doit(toy, "lock", "pipelines.right.image.extra=x")
    assert done.stdout == "".join(
        f'{name}.image.lock.json: 1 packages\n  now write `lock = "{name}.image.lock.json"` below '
        f"[tool.modelyard.pipelines.{name}.image], and commit both\n"
        for name in ("left", "right")
    )
    assert (toy / "right.image.lock.json").exists()


def test_the_built_in_builder_locks_debian_packages_and_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def write_lock(*arguments: object) -> Locked:
        asked.extend(arguments)
        return Locked(tmp_path, ("bash",))  # of apt's lock, only the packages are read

    monkeypatch.setattr(apt, "write_lock", write_lock)
    lock = load_plugins(tmp_path).components["builder", "oci"].lock
    assert lock is not None
    params = {"base_image": None, "suite": "bookworm", "profile": "slim", "packages": ("curl",), "lock": None}
    assert lock(tmp_path / "x", **params) == Locked(tmp_path / "x", ("bash",))
    assert asked == [tmp_path / "x", "bookworm", "slim", ("curl",)]
    assert lock(tmp_path / "x", **{**params, "lock": str(tmp_path / "own")}).file == tmp_path / "own"
    with pytest.raises(ToolError, match="not made of Debian packages\n  remove it from"):
        lock(tmp_path / "x", **{**params, "base_image": "base.tar"})
