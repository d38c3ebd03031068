"""One image with the models of several pipelines: built by one `doit`, and again when one of them changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.front_door.builds import build, copy, serving
from tests.front_door.test_handlers_road import FILES, ask, write_model

TABLES = """
[tool.modelyard.pipelines.left]

[tool.modelyard.pipelines.right]
train = { passes = 2 }
gates = { min_accuracy = 0.1 }
select = { rule = "coarse" }

[tool.modelyard.images.shop]
models = ["left", { pipeline = "right", name = "left", version = 2 }]
"""
NOTE = "{{ greeting }}: {{ name }} {% for path, one in models | dictsort %}{{ path }}={{ one.variant }} {% endfor %}\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, built_toy: Path) -> Path:
    """Return the toy as two pipelines whose models are in one image, built; not to be changed."""
    project = copy(built_toy, tmp_path_factory.mktemp("several") / "toy")
    file = project / "pyproject.toml"
    file.write_text(file.read_text() + TABLES)
    (project / "templates/note.txt.j2").write_text(NOTE)
    done = build(project)
    assert done.code == 0, done.output
    delivered = {stage for stage in done.stages if stage.partition(":")[0] in ("image", "render")}
    assert delivered == {"image:shop", "render:shop.note"}, "the pipelines have none of their own"
    return project


def test_an_image_has_the_models_by_name_and_version(built: Path) -> None:
    image = json.loads((built / "artifacts/image/shop/image.json").read_text())
    labels = {key.removeprefix("dev.modelyard.model."): value for key, value in image["labels"].items()}
    assert (labels["left.1.variant"], labels["left.2.variant"]) == ("rounded", "coarse")
    assert image["repository"] == labels["org.opencontainers.image.title"] == "shop"
    selected = [
        json.loads((built / f"artifacts/select/{one}/model/model.json").read_text()) for one in ("left", "right")
    ]
    assert image["tag"] not in [one["sha256"][:12] for one in selected]
    note = (built / "artifacts/render/shop.note/note.txt").read_text()
    assert note.split() == ["hello:", "shop", "left/1=rounded", "left/2=coarse"]


def test_a_change_of_one_model_makes_its_road_and_the_image_and_no_more(built: Path, tmp_path: Path) -> None:
    project = copy(built, tmp_path / "toy")
    assert set(build(project).stages.values()) == {"fresh"}
    same = build(project, "pipelines.right.train.passes=3")
    assert same.built == {"train:right.model.build"}, "the same bytes: nothing behind it is made again"
    rule = "pipelines.right.select.rule=rounded"
    why = build(project, rule, "why", "image:shop").output
    assert "input model:left.2: select:right is stale" in why
    planned = build(project, rule, "plan").output
    assert "maybe       image:shop" in planned
    done = build(project, rule)
    assert done.built == {"select:right", "image:shop", "render:shop.note"}
    assert build(project).built == set(), "and back again"
    assert "image:shop" in build(project, "graph", "--json").output


def test_the_report_of_each_pipeline_speaks_of_the_image(built: Path, tmp_path: Path) -> None:
    project = copy(built, tmp_path / "toy")
    assert build(project, "report").code == 0
    for name, variant in {"left": "rounded", "right": "coarse"}.items():
        report = json.loads((project / f"artifacts/report/{name}/report.json").read_text())
        assert (report["image"]["repository"], report["image"]["variant"]) == ("shop", variant)
        stages = {one["stage"]: one for one in report["stages"]}
        assert "render:shop.note" in stages
        assert stages["image:shop"]["reads"] == [f"select:{name}"]
    listed = build(project, "list", "--all", "--quiet").output.split()
    assert {"serve:left", "serve:shop", "push:shop", "export:shop.note"} <= {*listed}
    assert not {"push:left", "report:shop"} & {*listed}


SERVED = """
[tool.modelyard.pipelines.texts]
handlers = { before = [{ use = "letters:count", alphabet = "alphabet.txt" }], after = ["top-labels"] }

[tool.modelyard.pipelines.counts]
dataset = { use = "data:counts", normalize = "none" }

[tool.modelyard.images.shop]
models = ["texts", { pipeline = "counts", name = "numbers", version = 3 }]
"""
COUNTS = '''

def counts(context):
    """Return how often each of three letters is in words."""
    made = words(context)

    def counted(found):
        return np.array([[one.count(letter) for letter in "abc"] for one in found], np.float32)

    return Splits(counted(made.train_x), made.train_y, counted(made.test_x), made.test_y, ["a", "b", "c"])
'''


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """Return a project of two models in one image, one of which has handlers."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "data.py").write_text(FILES["data.py"] + COUNTS)
    head, handlers, rest = FILES["pyproject.toml"].partition("[tool.modelyard.handlers]")
    rest = rest[rest.index("[tool.modelyard.variants]") :]
    (tmp_path / "pyproject.toml").write_text(f"{head}{rest}{SERVED}")
    write_model(tmp_path / "model.onnx")
    (tmp_path / "dodo.py").write_text((Path(__file__).parents[2] / "dodo.py").read_text())
    assert handlers
    return tmp_path


def test_doit_serve_has_all_models_of_an_image_each_with_its_handlers(served: Path) -> None:
    with serving(served, "serve:shop") as address:
        texts = ask(f"{address}/v1/models/texts:predict", {"instances": ["abb"]})["predictions"]
        numbers = ask(f"{address}/v1/models/numbers/versions/3:predict", {"instances": [[1, 2, 0]]})["predictions"]
        index = ask(f"{address}/v2/repository/index", {})
    assert texts[0]["label"] == "b"
    assert numbers[0] == pytest.approx(texts[0]["probabilities"], abs=1e-6)
    assert [(one["name"], one["version"]) for one in index] == [("numbers", "3"), ("texts", "1")]
