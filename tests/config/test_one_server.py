"""Can one server serve the models of several pipelines?"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.configs import Load

from modelyard.config.one_server import pins

LEFT, RIGHT = "tool.modelyard.pipelines.left", "tool.modelyard.pipelines.right"
SHOP = {"tool.modelyard.images.shop": 'models = ["left", "right"]'}
HANDLER = """\
def same(place):
    "Let all go by."
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return Load(tmp_path / "project")


@pytest.mark.parametrize(
    ("tables", "parts"),
    [
        (
            {LEFT: "", RIGHT: 'runtime = { use = "single" }'},
            ["[tool.modelyard.images.shop]: a server has one runtime, here 'runner', but", "'runner' for left; 'single' for right"],
        ),
        (
            {LEFT: "", RIGHT: "runtime = { threads = 2 }"},
            ["key 'threads': 1 for all models of the image, but 'right' was measured with 2"],
        ),
        (
            {LEFT: "", RIGHT: "", "tool.modelyard.runtime": 'use = "single"'},
            ["the server of the runtime 'single' serves one model alone", "serves_several = True"],
        ),
    ],
)  # fmt: skip
def test_one_runtime_serves_all_or_the_image_is_refused(load: Load, tables: dict[str, str], parts: list[str]) -> None:
    message = load.refused(tables | SHOP)
    for part in parts:
        assert part in message


def test_what_concerns_the_server_alone_may_differ_and_is_the_images(load: Load) -> None:
    tables = {LEFT: "", RIGHT: "runtime = { workers = 2 }", **SHOP}
    assert load(tables).pipelines[2].uses["runtime"].params["workers"] == 1
    own = tables | {"tool.modelyard.images.shop.runtime": "workers = 4"}
    assert load(own).pipelines[2].uses["runtime"].params["workers"] == 4


def test_two_versions_of_one_package_are_refused_with_both_who_need_them(load: Load) -> None:
    (load.project / "own.py").write_text(HANDLER)
    (load.project / "one.txt").write_text("Text_Tools==1.0 \\\n    --hash=sha256:00\n")
    (load.project / "two.txt").write_text("text-tools==2.0 --hash=sha256:01\n")

    def handlers(file: str) -> str:
        return f'handlers = {{ before = ["own:same"], requirements = "{file}" }}'

    message = load.refused({LEFT: handlers("one.txt"), RIGHT: handlers("two.txt"), **SHOP})
    assert "one server cannot have two versions of text-tools: the pipeline 'left' needs 1.0 (one.txt), " in message
    assert "the pipeline 'right' 2.0 (two.txt)" in message
    assert load({LEFT: handlers("one.txt"), RIGHT: handlers("one.txt"), **SHOP}).pipelines[2].models


def test_pins_are_read_with_their_markers(tmp_path: Path) -> None:
    file = tmp_path / "pins.txt"
    file.write_text(
        "# all\nA.b[c]==1.0 ; python_version < '3.12' --hash=sha256:00\n"
        "a-b==2.0 ; python_version >= '3.12' \\\n    --hash=sha256:01\nd==3  # why\n-r other.txt\n"
    )
    assert [*pins(file)] == [
        ("a-b", "python_version < '3.12'", "1.0"),
        ("a-b", "python_version >= '3.12'", "2.0"),
        ("d", "", "3"),
    ]
