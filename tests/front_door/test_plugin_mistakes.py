"""What a plugin may take as its configuration and where it may write, seen by a person who runs `doit`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.front_door.builds import build

SIZED = """
from modelyard import hookimpl
from modelyard.params import PositiveInt


def tiles(context, {parameters}):
    \"\"\"Make tiles.\"\"\"


@hookimpl
def modelyard_register_datasets(register):
    register("tiles", tiles)
"""


@pytest.mark.parametrize(("size", "shape"), [("[6, 4]", [6, 4, 3]), ("5", [5, 5, 3])])
def test_pictures_of_a_size_become_a_data_set(new_toy: Path, size: str, shape: list[int]) -> None:
    for name in ("blue", "red"):
        (new_toy / "pictures" / name).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (8, 8), name).save(new_toy / "pictures" / name / f"{number}.png")
    table = f'[tool.modelyard.dataset]\nuse = "image-folder"\nfolder = "pictures"\nsize = {size}'
    pyproject = new_toy / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('[tool.modelyard.dataset]\nuse = "points"', table))

    done = build(new_toy, "dataset")

    assert done.code == 0, done.output
    assert (
        json.loads((new_toy / "artifacts/dataset/image-folder/dataset.json").read_text())["inputs"][0]["shape"] == shape
    )


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        (
            "*, size: PositiveInt | tuple[int, int] = 1",
            "parameter 'size' holds a value with bounds or a tuple of fixed",
        ),
        ("levels=3", "parameter 'levels' is positional, so no configuration reaches it\n  put a `*` before it"),
    ],
)
def test_a_parameter_that_no_value_can_reach_is_told_when_its_plugin_is_loaded(
    new_toy: Path, parameters: str, told: str
) -> None:
    (new_toy / "plugins" / "tiles.py").write_text(SIZED.format(parameters=parameters))

    done = build(new_toy, "list")

    assert done.code == 3, done.output
    assert told in done.output
    assert "Traceback" not in done.output


CARELESS = """
from modelyard import hookimpl


def careless(context):
    \"\"\"Round in place.\"\"\"
    data = context.model.path.read_text()
    context.model.path.write_text(data + " ")
    (context.out / "model.toy").write_text(data)


@hookimpl
def modelyard_register_optimizers(register):
    register("careless", careless, accepts=("toy",), produces="toy")
"""


def test_a_plugin_that_writes_into_its_parents_artifact_is_named(new_toy: Path) -> None:
    (new_toy / "plugins" / "careless.py").write_text(CARELESS)

    done = build(new_toy, 'variants.plain=["careless", "pack"]', "optimize:plain")

    assert done.code != 0
    told = "the artifact of train:model.build changed while the stage ran, which only reads it: artifacts/train/"
    assert told in done.output
    assert "if the model optimizer 'careless' (" in done.output
    assert "plugins/careless.py) wrote there, it must write below context.out only" in done.output
