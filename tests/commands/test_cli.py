"""The program `modelyard`: how it is called, and how a mistake is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.commands.cli import main


def test_the_command_says_a_mistake_in_two_lines_and_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dodo.py").write_text("")
    assert main(["init", str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("modelyard: init: ")
    assert len(told.err.splitlines()) == 2


def test_the_command_is_installed_and_knows_its_version(tmp_path: Path) -> None:
    command = Path(sys.executable).parent / "modelyard"
    done = subprocess.run([command, "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("modelyard 0.")
    done = subprocess.run([command, "init"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n  next: doit\n")
    assert (tmp_path / "dodo.py").exists()


def test_a_package_of_plugins_goes_to_a_folder_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--plugin", "modelyard-acme"]) == 0
    assert "next: cd modelyard-acme && python -m pip install" in capsys.readouterr().out
    assert (tmp_path / "modelyard-acme/src/modelyard_acme/__init__.py").exists()
    assert main(["init", "--plugin", "modelyard-acme"]) == 2
    assert main(["init", "--plugin", "other", "--kind", "gate", "--kind", "kind"]) == 0
    assert {file.stem for file in (tmp_path / "other/src/other").glob("[a-z]*.py")} == {"gate", "kind"}
    assert main(["init", "project", "--kind", "gate"]) == 2
    assert "goes with --plugin\n  usage: modelyard init --plugin NAME --kind gate" in capsys.readouterr().err


def test_a_reader_that_stops_is_no_error(toy: Path) -> None:
    command = [sys.executable, "-m", "modelyard.commands.cli", "doctor"]
    with subprocess.Popen(command, cwd=toy, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout
        running.stdout.close()
        assert running.stderr
        assert running.stderr.read() == ""
    assert running.returncode in {0, 1}, "what the doctor finds"
