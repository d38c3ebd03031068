from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.hookspecs.registering import refusal, register, traits_of, untold

from modelyard.hookspecs.serving import Connects, HandlerTraits, RuntimeTraits, Ships, SourceTraits
from modelyard.hookspecs.traits import Takes


def run(folder: Path, *, threads: int = 1, workers: int = 1) -> None:
    """Run a model."""


def place(place: object, *, table: str = "") -> None:
    """Stand somewhere."""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "__init__.py").write_text("")
    (tmp_path / "requirements.txt").write_text("")
    return tmp_path / "client"


@pytest.mark.parametrize(
    ("kind", "traits", "must"),
    [("runtime", RuntimeTraits, Takes), ("handler", HandlerTraits, Ships), ("source", SourceTraits, Connects)],
)
def test_each_trait_is_told_and_typed(kind: str, traits: Any, must: Any) -> None:
    assert traits_of(kind) is traits
    assert untold(traits, must) == set()


def test_a_server_in_python_is_a_package_a_command_and_what_they_need(package: Path) -> None:
    requirements = package.parent / "requirements.txt"
    server = {"server": package.parent, "requirements": requirements, "entrypoint": ["python3", "x.py"]}
    found = register(
        "runtime",
        run,
        accepts=("raw",),
        **server,
        package=package,
        optional_requirements={"workers": requirements},
        server_environment={"N": "1"},
        serving_only=("workers",),
        serves_several=True,
    )
    assert (found.entrypoint, found.image, found.serves_several) == (("python3", "x.py"), None, True)
    assert found.serving_only == ("workers",)
    assert register("runtime", run, accepts=("raw",), **server).serves_several is False


def test_a_server_that_a_base_image_brings_has_that_instead() -> None:
    found = register("runtime", run, accepts=("raw",), image=run, base="server:1", reads_settings=False)
    assert (found.base, found.reads_settings, found.server) == ("server:1", False, None)
    assert register("runtime", run, accepts=("raw",), image=run).reads_settings


def test_a_handler_is_a_package_with_what_it_needs(package: Path) -> None:
    found = register("handler", place, package=package, requirements=package.parent / "requirements.txt")
    assert (found.package, found.requirements) == (package, package.parent / "requirements.txt")


def test_a_source_is_a_client_and_the_urls_that_it_connects_to(package: Path) -> None:
    found = register("source", place, client=package, schemes={"amqp": 5672}, broker=place)
    assert (found.client, found.schemes) == (package, {"amqp": 5672})


@pytest.mark.parametrize(
    ("kind", "traits", "said"),
    [
        ("runtime", {}, "trait 'accepts' is missing"),
        ("runtime", {"accepts": ("raw",)}, "trait 'entrypoint' is missing"),
        ("runtime", {"accepts": ("raw",), "image": run, "server": Path()}, "traits 'image' and 'server' exclude"),
        ("runtime", {"accepts": ("raw",), "base": "x"}, "trait 'base' says something of the image"),
        (
            "runtime",
            {"accepts": ("raw",), "image": run, "serving_only": ("worker",)},
            "trait 'serving_only' names 'worker', did you mean 'workers'?",
        ),
        ("handler", {}, "trait 'package' is missing"),
        ("handler", {"package": Path("/lacks")}, "write the Path of the folder of a Python package"),
        ("source", {"schemes": {"amqp": 1}}, "trait 'client' is missing"),
        ("source", {"client": Path("/lacks"), "schemes": {}}, "write the Path of the folder of a Python package"),
    ],
)
def test_what_cannot_serve_is_refused(kind: str, traits: dict[str, Any], said: str) -> None:
    assert said in refusal(kind, run if kind == "runtime" else place, **traits)


@pytest.mark.parametrize("schemes", [{}, {"amqp": "5672"}, ["amqp"], {5672: 5672}])
def test_the_schemes_of_a_source_have_ports(schemes: Any, package: Path) -> None:
    assert "write a dict from schemes of URLs to their usual ports" in refusal(
        "source", place, client=package, schemes=schemes
    )
