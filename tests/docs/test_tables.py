"""Every table of `[tool.modelyard]` that a page shows makes a project that loads."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.frontend import scaffold
from modelyard.project.load import load
from tests.docs.pages import PAGES, ROOT, Block, blocks, merged, write, write_files


def pictures(project: Path) -> None:
    """Two folders of pictures, as the page says that they are."""
    from PIL import Image

    for name, color in (("cats", "white"), ("dogs", "black")):
        (project / "pictures" / name).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (40, 30 + number), color).save(project / "pictures" / name / f"{number}.png")


def torch_net(project: Path) -> None:
    """The network of the guide to PyTorch."""
    for block in blocks("docs/how-to/use-pytorch.md", "python"):
        write(project, block)


def edge(project: Path) -> None:
    """The plugin of the example, as a file of the project."""
    source = ROOT / "examples/modelyard-edge/src/modelyard_edge"
    shutil.copy(source / "__init__.py", project / "plugins/edge.py")
    shutil.copytree(source / "templates", project / "plugins/templates")


def base_image(project: Path) -> None:
    """An archive of TensorFlow Serving's image; whether it is one is seen when the image is built."""
    (project / "tensorflow-serving.tar").touch()


def pinned(project: Path) -> None:
    """What the page's handler is installed with; it needs nothing beside numpy."""
    (project / "handlers-requirements.txt").touch()


def arrays(project: Path) -> None:
    """The data that the page's scripts make, where their projects are."""
    pictures(project)
    for script in blocks("docs/how-to/use-your-own-data.md", "python"):
        if Path(script.file).name.startswith("make_"):
            folder = (project / script.file).parent
            folder.mkdir(exist_ok=True)
            with contextlib.chdir(folder):
                exec(script.text, {})


def imported(project: Path) -> None:
    """The models that the page's scripts make, where their projects are."""
    for script in blocks("docs/how-to/import-a-model.md", "python"):
        folder = (project / script.file).parent
        folder.mkdir()
        with contextlib.chdir(folder):
            exec(script.text, {})
    (project / "weights/digits.safetensors").touch()  # looked into when it is brought


def kind_of_stage(project: Path) -> None:
    """The page's plugin that adds a kind of stage."""
    hook(project, "modelyard_register_kinds")


def executor(project: Path) -> None:
    """The executor of the page on hooks."""
    hook(project, "modelyard_register_executors")


def hook(project: Path, name: str) -> None:
    """The plugin that the page on hooks shows for one."""
    source = next(b for b in blocks("docs/reference/hooks.md", "python") if f"def {name}(" in b.text)
    (project / "plugins/from_the_page.py").write_text(source.text)


BEFORE: dict[str, Callable[[Path], None]] = {
    "docs/how-to/handlers.md": pinned,
    "docs/how-to/import-a-model.md": imported,
    "docs/how-to/use-your-own-data.md": arrays,
    "docs/how-to/serve-with-tensorflow-serving.md": base_image,
    "docs/reference/hooks.md": kind_of_stage,
    "docs/how-to/run-stages-on-other-machines.md": executor,
    "docs/reference/optimizers.md": torch_net,
    "docs/reference/selection.md": edge,
    "examples/modelyard-edge/README.md": edge,
}
"""What a page takes for granted before its tables hold."""


def tables() -> list[Block]:
    return [block for page in PAGES for block in blocks(page, "toml") if "[tool.modelyard" in block.text]


@pytest.mark.parametrize("block", tables(), ids=str)
def test_the_table_makes_a_project_that_loads(block: Block, tmp_path: Path) -> None:
    project = tmp_path / "net"
    scaffold.new_project(project)
    if prepare := BEFORE.get(block.page):
        prepare(project)
    write_files(block.page, project)
    if block.file.endswith("/pyproject.toml"):  # a project of its own
        assert load((project / block.file).parent).plan.stages
        return
    file = project / "pyproject.toml"
    file.write_text(merged(file.read_text(encoding="utf-8"), block.text), encoding="utf-8")
    assert load(project).plan.stages


def test_every_table_is_one_that_is_loaded() -> None:
    """Other TOML would need a test of its own: this one has it in the test of the hooks' page."""
    loaded = tables()
    others = [b for page in PAGES for b in blocks(page, "toml") if b not in loaded]
    assert [b.page for b in others] == ["docs/reference/hooks.md"]
    assert "[project.entry-points.modelyard]" in others[0].text
