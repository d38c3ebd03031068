from __future__ import annotations

import os
import py_compile
import shutil
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from modelyard.code.imports import installed_folders


def run(folder: Path, code: str, **variables: str) -> str:
    script = f"from modelyard.code.imports import watch_sources; watch_sources()\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.utime(path, (1_700_000_000, 1_700_000_000))


@pytest.mark.parametrize("name", ["helper.py", "package/__init__.py"])
def test_an_edit_that_keeps_size_and_mtime_is_imported(name: str, tmp_path: Path) -> None:
    module = name.partition("/")[0].removesuffix(".py")
    write(tmp_path / name, "VALUE = 1\n")
    py_compile.compile(str(tmp_path / name))
    write(tmp_path / name, "VALUE = 2\n")
    plain = subprocess.run(
        [sys.executable, "-c", f"import {module}; print({module}.VALUE)"], cwd=tmp_path, capture_output=True, text=True
    )
    assert plain.stdout == "1\n", "Python itself takes the old bytecode"
    assert run(tmp_path, f"import {module}; print({module}.VALUE)") == "2\n"
    write(tmp_path / name, "VALUE = 3\n")
    assert run(tmp_path, f"import {module}; print({module}.VALUE)") == "3\n"


def test_bytecode_is_kept_for_the_same_source(tmp_path: Path) -> None:
    write(tmp_path / "helper.py", "VALUE = 1\n")
    run(tmp_path, "import helper")
    cached = Path(cache_from_source(str(tmp_path / "helper.py")))
    before = cached.stat()
    run(tmp_path, "import helper")
    assert cached.stat().st_ino == before.st_ino
    assert cached.stat().st_mtime_ns == before.st_mtime_ns
    plain = subprocess.run([sys.executable, "-c", "import helper"], cwd=tmp_path)
    assert plain.returncode == 0, "plain Python can read it too"


def test_damaged_bytecode_of_another_source_is_not_used(tmp_path: Path) -> None:
    write(tmp_path / "helper.py", "VALUE = 1\n")
    cached = Path(cache_from_source(str(tmp_path / "helper.py")))
    cached.parent.mkdir()
    cached.write_bytes(b"nothing like it")
    assert run(tmp_path, "import helper; print(helper.VALUE)") == "1\n"


def test_bytecode_that_breaks_off_is_not_used(tmp_path: Path) -> None:
    write(tmp_path / "helper.py", "VALUE = 1\n")
    run(tmp_path, "import helper")
    cached = Path(cache_from_source(str(tmp_path / "helper.py")))
    cached.write_bytes(cached.read_bytes()[:-5])

    assert run(tmp_path, "import helper; print(helper.VALUE)") == "1\n"


def test_code_of_a_copied_folder_says_where_it_is_now(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    write(here / "helper.py", "def where():\n    pass\n")
    names = "import helper; print(helper.__file__, helper.where.__code__.co_filename)"
    run(here, names)
    shutil.copytree(here, there)

    assert run(there, names).split() == [str(there / "helper.py")] * 2


def test_no_bytecode_is_written_where_python_is_told_so(tmp_path: Path) -> None:
    write(tmp_path / "helper.py", "VALUE = 1\n")
    assert run(tmp_path, "import helper; print(helper.VALUE)", PYTHONDONTWRITEBYTECODE="1") == "1\n"
    assert not (tmp_path / "__pycache__").exists()


def test_installed_and_standard_modules_are_imported_as_ever(tmp_path: Path) -> None:
    code = "import msgspec, wave; print(type(msgspec.__loader__).__name__, type(wave.__loader__).__name__)"
    assert run(tmp_path, code) == "SourceFileLoader SourceFileLoader\n"


def test_folders_of_a_user_and_of_the_system_count_as_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/project", "/home/me/lib/site-packages", "/usr/lib/dist-packages", "/opt/src"])
    assert installed_folders()[-2:] == ("/home/me/lib/site-packages/", "/usr/lib/dist-packages/")
    assert not any(folder.startswith(("/project", "/opt/src")) for folder in installed_folders())
