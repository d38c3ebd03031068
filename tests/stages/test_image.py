"""Stage `image`: what the builder is given, and what is checked of what it gives back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.stages.toy import Toy

from modelyard.artifacts import ImageFacts, ServerFacts
from modelyard.component import Use
from modelyard.contexts import ImageContext, ServerContext, ServerImage
from modelyard.errors import PluginError
from modelyard.files.json import read_json
from modelyard.stage import Stage
from modelyard.stages import image
from modelyard.testing.target import IMAGE

NAME = "image:toy"


def served(**changes: Any) -> ServerImage:
    return ServerImage(**{"entrypoint": ("serve",), "model": {}, "port": 8500, "facts": ServerFacts(), **changes})


@pytest.fixture
def toy(toy_project: Path) -> Toy:
    return Toy(toy_project)


@pytest.fixture
def inputs(toy: Toy) -> dict[str, Path]:
    return {"model": toy.selected()}


def test_an_image_is_built_of_the_server_and_the_model(toy: Toy, inputs: dict[str, Path]) -> None:
    job = toy.job(toy.project.plan.stages[NAME], inputs)
    image.run(job)
    facts = read_json(job.base.out / "image.json", ImageFacts)
    assert (job.base.out / "image.tar").is_file()
    assert facts.tag == "ab" * 6, "without one of its own it is the model's digest"
    assert facts.labels["dev.modelyard.model.variant"] == "plain"
    assert facts.labels["dev.modelyard.model.accuracy"] == "0.5"
    assert facts.labels["org.opencontainers.image.version"] == "1.0"
    assert job.base.metrics["image"] == f"{facts.repository}:{facts.tag}"
    assert job.base.metrics["size_MB"] == facts.size_bytes / 1e6


def test_the_builder_is_told_where_all_lies_in_the_image(toy: Toy, inputs: dict[str, Path]) -> None:
    content = image.image_content(toy.job(toy.project.plan.stages[NAME], inputs))
    assert content.model == {"/model": inputs["model"]}
    assert content.entrypoint == ("python3", "-m", "toy_server")
    assert content.environment["MODELYARD_MODEL_NAME"] == "toy"
    assert not content.several
    assert content.labels["org.opencontainers.image.title"] == "toy"


def test_what_is_said_of_the_server_is_kept_with_the_image(toy: Toy, inputs: dict[str, Path]) -> None:
    def builder(context: ImageContext) -> ImageFacts:
        return msgspec.structs.replace(IMAGE, archive=None)

    job = toy.job(toy.stage(NAME, builder=builder), inputs)
    server = image.image_content(job).facts
    image.run(job)
    assert read_json(job.base.out / "image.json", ImageFacts) == msgspec.structs.replace(
        IMAGE, archive=None, server=server
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, r"the builder 'tarball' \(.*\) returned None, not ImageFacts"),
        (IMAGE, r"the builder 'tarball' \(.*\) names the archive 'image.tar' but did not write it"),
    ],
)
def test_a_builder_that_gives_no_image_is_told(toy: Toy, inputs: dict[str, Path], given: Any, said: str) -> None:
    job = toy.job(toy.stage(NAME, builder=lambda _: given), inputs)
    with pytest.raises(PluginError, match=said):
        image.run(job)
    assert not (job.base.out / "image.json").exists()


def brought(toy: Toy, told: Any, base: str = "", seen: list[ServerContext] | None = None) -> Stage:
    """Return the stage of an image whose base brings the server, as a runtime says it."""

    def say(context: ServerContext, **params: Any) -> Any:
        if seen is not None:
            seen.append(context)
        return told

    stage = toy.project.plan.stages[NAME]
    runtime = stage.uses["runtime"]
    component = msgspec.structs.replace(runtime.component, image=say, base=base, reads_settings=False)
    return msgspec.structs.replace(stage, uses={**stage.uses, "runtime": Use(component, runtime.params)})


def test_a_server_that_a_base_brings_is_as_the_runtime_says(toy: Toy, inputs: dict[str, Path]) -> None:
    told, seen = served(base="registry.example/serving:1"), list[ServerContext]()
    content = image.image_content(toy.job(brought(toy, told, "registry.example/other:1", seen), inputs))
    assert (content.base, content.entrypoint, content.requirements) == (told.base, ("serve",), ())
    assert not content.facts.reads_settings
    (context,) = seen
    assert (context.name, context.model.folder) == ("toy", inputs["model"])
    assert [(one.name, one.version) for one in context.models] == [("toy", None)]


def test_the_base_of_the_runtime_is_taken_where_it_names_no_other(toy: Toy, inputs: dict[str, Path]) -> None:
    stage = brought(toy, served(), "registry.example/other:1")
    assert image.image_content(toy.job(stage, inputs)).base == "registry.example/other:1"


@pytest.mark.parametrize("told", [None, served(), served(entrypoint=(), base="a:1")])
def test_a_runtime_that_names_no_base_or_nothing_to_start_is_told(toy: Toy, inputs: dict[str, Path], told: Any) -> None:
    with pytest.raises(
        PluginError, match="from its `image`\n  it must return a ServerImage with a base and an entrypoint"
    ):
        image.image_content(toy.job(brought(toy, told), inputs))
