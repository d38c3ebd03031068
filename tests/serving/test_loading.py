"""A model comes into memory: what is known of it then, what it is called, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from modelyard.serving.errors import StartError
from modelyard.serving.loading import TOGETHER, Loaded, check_alone, load
from modelyard.serving.repository import Place
from modelyard.serving.settings import Settings

OWN = """
class Model:
    def __init__(self, folder):
        self.asked = []

    def run(self, inputs):
        (samples,) = inputs.values()
        self.asked.append(len(samples))
        return {"probabilities": samples.reshape(len(samples), -1)[:, :10].astype("float32")}


def open_model(folder, threads=1):
    return Model(folder)
"""


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A backend of one's own, which needs no framework."""
    (tmp_path / "own_backend.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_backend", raising=False)
    return "own_backend:open_model"


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    """A model's folder, to be changed."""
    return Path(shutil.copytree(models / "float32", tmp_path / "model"))


def change(folder: Path, **changes: Any) -> None:
    facts = json.loads((folder / "model.json").read_bytes())
    (folder / "model.json").write_text(json.dumps(facts | changes))


def loaded(folder: Path, name: str | None = None, *, workers: int = 1, **settings: Any) -> Loaded:
    return load(Settings(model_dir=folder, **settings), Place(folder, name, "3"), workers)


def test_a_model_of_a_built_in_backend_is_timed(folder: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
    one = loaded(folder, batching="on", max_batch=7)
    assert one.sample_s is not None
    assert 0 < one.sample_s < 5
    assert (one.together, one.kept) == (TOGETHER, ())
    assert (one.model.version, one.model.max_batch) == ("3", 7)


def test_another_s_predictor_may_take_its_time_and_was_asked_before_the_first_client(
    folder: Path, backend: str
) -> None:
    predictor: Any = (one := loaded(folder, backend=backend)).predictor
    assert one.sample_s is None, "a median would be no promise"
    assert predictor.asked[0] == 1
    assert one.together == 1, "nothing was measured"
    assert loaded(folder, backend=backend, batching="on").together == TOGETHER


def test_handlers_take_their_time(folder: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
    step = {"name": "same", "open": f"{__name__}:same", "params": {}}
    one = loaded(folder, handlers=json.dumps({"before": [], "after": [step]}))
    assert one.sample_s is None


def same(place: Any) -> Any:
    """A handler that answers what the model does."""
    taken = place.tensor("probabilities", shape=("classes",))
    return place.handler(lambda tensors: tensors, [taken], [taken])


@pytest.mark.parametrize(
    ("of_place", "of_settings", "of_facts", "expected"),
    [
        ("of-folder", "of-settings", "of-facts", "of-folder"),
        (None, "of-settings", "of-facts", "of-settings"),
        (None, None, "of-facts", "of-facts"),
        (None, None, None, "model"),
    ],
)
def test_a_model_is_called_as_its_folder_is_or_as_the_settings_or_its_facts_say(
    folder: Path, backend: str, of_place: str | None, of_settings: str | None, of_facts: str | None, expected: str
) -> None:
    if of_facts is not None:
        change(folder, name=of_facts)
    assert loaded(folder, of_place, backend=backend, model_name=of_settings).model.name == expected


def test_a_name_that_no_url_may_have_is_told_with_what_to_set(folder: Path, backend: str) -> None:
    change(folder, name="a/b")
    with pytest.raises(StartError, match=r"model\.json: name 'a/b'; allowed: letters.*; or set MODELYARD_MODEL_NAME"):
        loaded(folder, backend=backend)


HANDLERS = {"one": '{"before": []}', "by model": '{"net/1": {}}'}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"events_url": "nats://b"}, "EVENTS_URL"),
        ({"handlers": HANDLERS["one"]}, "HANDLERS"),
        ({"handlers": HANDLERS["by model"]}, ""),
        ({}, ""),
    ],
)
def test_settings_about_one_model_are_refused_where_there_are_several(changes: dict[str, str], said: str) -> None:
    settings = Settings(model_dir=Path("/models"), **changes)  # type: ignore[arg-type]
    places = [Place(Path("/models"), name, version) for name, version in (("net", "1"), ("net", "3"), ("raw", "1"))]
    check_alone(settings, places[:1])
    if not said:
        check_alone(settings, places)
        return
    with pytest.raises(StartError) as told:
        check_alone(settings, places)
    assert str(told.value) == f"MODELYARD_{said}: it is about one model, and /models holds several: net, raw"
