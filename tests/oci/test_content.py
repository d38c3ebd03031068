from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.artifacts import Model
from modelyard.contexts import ImageContent
from modelyard.errors import ToolError
from modelyard.oci import content as parts
from modelyard.oci.image import FIXED_EPOCH
from modelyard.oci.layers import Layer, LayerCache
from modelyard.stages.sizes import model_layer_size
from modelyard.tensors import Preprocessing
from tests.facts import model_facts


def content(**changes: object) -> ImageContent:
    values = {
        "repository": "team/digits",
        "tag": "1",
        "requirements": (),
        "server": {"/app/server": Path("server")},
        "model": {"/model": Path("model")},
        "entrypoint": ("python3", "-m", "server"),
        "environment": {"PYTHONUNBUFFERED": "0", "X": "1"},
        "labels": {"org.opencontainers.image.title": "mine", "a": "b"},
        "port": 8080,
    }
    return ImageContent(**{**values, **changes})  # type: ignore[arg-type]


def test_settings_start_the_server_as_a_numeric_user() -> None:
    found = parts.settings(content(), "/usr/bin/python3", {"PATH": "/bin"}, {"a": "b"})
    assert found["User"] == "65532:65532"
    assert found["Entrypoint"] == ["/usr/bin/python3", "-m", "server"]
    assert found["ExposedPorts"] == {"8080/tcp": {}}
    assert {"PYTHONPATH=/app:/app/site", "PATH=/bin", "X=1", "PYTHONUNBUFFERED=0"} <= set(found["Env"])
    assert found["Env"] == sorted(found["Env"])


def test_labels_given_win_over_the_standard_ones() -> None:
    found = parts.labels(content(), 1, "debian:bookworm", "sha256:0")
    assert found["org.opencontainers.image.title"] == "mine"
    assert found["org.opencontainers.image.base.name"] == "debian:bookworm"
    assert found["org.opencontainers.image.created"] == "1970-01-01T00:00:01Z"
    assert found["a"] == "b"


def test_trees_hold_server_and_model_where_they_belong(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "main.py").write_text("")
    (tmp_path / "m.tflite").write_bytes(b"x")
    made = content(server={"/app/server": tmp_path / "server"}, model={"/model/m.tflite": tmp_path / "m.tflite"})
    trees = parts.app_trees(made, [], "/usr/bin/python3", print)
    assert list(trees) == ["wheels", "server", "model"]
    assert [path for path, _ in trees["server"]()] == ["app", "app/server", "app/server/main.py"]
    assert [path for path, _ in trees["model"]()] == ["model", "model/m.tflite"]


def test_what_only_some_images_have_lies_between_the_wheels_and_the_server(tmp_path: Path) -> None:
    made = content(server={"/app/server": tmp_path}, model={"/model": tmp_path})
    trees = parts.app_trees(made, [], "/usr/bin/python3", print, [tmp_path / "one.whl"])
    assert list(trees) == ["wheels", "optional", "server", "model"]


def model_folder(folder: Path, facts: str) -> Path:
    """Return a model's folder as `select` writes it."""
    (folder / "saved" / "variables").mkdir(parents=True)
    (folder / "saved" / "variables" / "v.index").write_bytes(bytes(range(256)) * 40)
    (folder / "saved" / "model.json").write_text("the model's own")
    (folder / "model.json").write_text(facts)
    return folder


def layers(places: dict[str, Path], cache: Path) -> dict[str, Layer]:
    trees = parts.app_trees(content(server={}, model=places), [], "/usr/bin/python3", print)
    made = LayerCache(cache, "gzip", FIXED_EPOCH)
    return {name: made.layer(name, trees[name]().digest(), trees[name]) for name in trees if name != "wheels"}


def test_what_is_known_of_a_model_has_a_layer_of_its_own_so_that_the_same_model_is_the_same_layer(
    tmp_path: Path,
) -> None:
    one, other = (model_folder(tmp_path / name, f"accuracy of {name}") for name in ("one", "other"))
    trees = parts.app_trees(content(model={"/model": one}), [], "/usr/bin/python3", print)
    assert [path for path, _ in trees["facts"]()] == ["model", "model/model.json"]
    assert [path for path, entry in trees["model"]() if entry.kind == "file"] == [
        "model/saved/model.json",
        "model/saved/variables/v.index",
    ]
    first, second = (layers({"/model": folder}, tmp_path / "cache") for folder in (one, other))
    assert first["model"].digest == second["model"].digest
    assert first["facts"].digest != second["facts"].digest


def test_the_facts_that_a_server_of_a_base_has_elsewhere_are_apart_too(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "one", "{}")
    places = {"/models/n/1": folder / "saved", "/models/n/1/assets.extra/model.json": folder / "model.json"}
    made = layers(places, tmp_path / "cache")
    assert list(made) == ["model", "facts"]
    facts = parts.app_trees(content(model=places), [], "", print)["facts"]()
    assert "models/n/1/assets.extra/model.json" in facts


def test_each_of_several_models_has_a_layer_of_its_own(tmp_path: Path) -> None:
    one, other = (model_folder(tmp_path / name, name) for name in ("one", "other"))
    (other / "saved" / "more").write_text("more")
    places = {"/models/net/1": one, "/models/net/2": other}
    trees = parts.app_trees(content(server={}, model=places, several=True), [], "/usr/bin/python3", print)
    assert list(trees) == ["wheels", "model", "model-2", "facts"]
    files = {
        name: [path for path, entry in trees[name]() if entry.kind == "file"] for name in trees if name != "wheels"
    }
    assert all(path.startswith("models/net/1/") for path in files["model"])
    assert all(path.startswith("models/net/2/") for path in files["model-2"])
    assert files["facts"] == ["models/net/1/model.json", "models/net/2/model.json"]


def shards(folder: Path, **sizes: int) -> Path:
    (folder / "saved").mkdir(parents=True)
    (folder / "model.json").write_text("{}")
    for name, size in sizes.items():
        (folder / "saved" / name).write_bytes(bytes([len(name)]) * size)
    return folder


def test_a_model_larger_than_a_layer_may_be_is_split_between_its_files(tmp_path: Path) -> None:
    places = {"/model": shards(tmp_path, a=600, b=500, c=400, d=1000)}

    def files(limit: int) -> dict[str, list[str]]:
        trees = parts.app_trees(content(model=places), [], "", print, layer_max=limit)
        return {name: [path for path, entry in make() if entry.kind == "file"] for name, make in trees.items()}

    whole = [f"model/saved/{name}" for name in "abcd"]
    assert files(0)["model"] == files(2500)["model"] == whole
    split = files(1000)
    assert parts.model_layers(split) == ["model", "model-2", "model-3"]
    assert [split[name] for name in parts.model_layers(split)] == [whole[:1], whole[1:3], whole[3:]]
    assert list(split)[-1] == "facts"
    assert parts.model_size(content(model=places)) == 2500


def test_one_file_larger_than_a_layer_may_be_is_refused_with_the_ways_out(tmp_path: Path) -> None:
    places = {"/model": shards(tmp_path, a=600, b=5000)}
    with pytest.raises(
        ToolError, match=r"'model/saved/b' has 5,000 bytes, and a layer may have 1,000 .*\n.*external data; or set"
    ):
        parts.app_trees(content(model=places), [], "", print, layer_max=1000)


def test_the_size_that_evaluation_tells_is_that_of_the_layer(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "one", "{}")
    facts = model_facts(
        format="saved_model", file="saved", input_shape=(2,), input_dtype="uint8",
        preprocessing=Preprocessing(scale=1.0), class_names=("a", "b"),
    )  # fmt: skip
    made = layers({"/model": folder}, tmp_path / "cache")["model"]
    assert model_layer_size(Model(folder, facts)) == made.size_bytes > 300
    with made.blob() as blob:
        assert len(blob.read()) == made.size_bytes
