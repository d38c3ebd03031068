"""Every block of Python on a page runs, in a project that is built and has its report."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, Block, blocks, write_files
from tests.front_door.builds import build


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy project under the name that the pages use, built and reported on; not to be changed."""
    folder = tmp_path_factory.mktemp("reported") / "net"
    made = shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts")
    shutil.copytree(ROOT / "tests/projects/toy", folder, ignore=made)
    file = folder / "pyproject.toml"
    file.write_text(file.read_text().replace('name = "toy"', 'name = "net"'))
    assert build(folder).code == 0
    assert build(folder, "report").code == 0
    return folder


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page, "python")], ids=str)
def test_the_block_runs(block: Block, reported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for framework in ("torch", "tf_keras"):
        if f"\nimport {framework}\n" in f"\n{block.text}":
            pytest.importorskip(framework)
    project = Path(shutil.copytree(reported, tmp_path / "net", symlinks=True))
    write_files(block.page, project)
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(project)
    file = str(project / (block.file or "snippet.py"))
    exec(compile(block.text, file, "exec"), {"__name__": "snippet", "__file__": file})
    assert Path.cwd() == Path(os.path.realpath(project))
