from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from modelyard.contexts import ImageContext
from modelyard.errors import StageFailed, ToolError
from modelyard.oci.archive import open_layer, read_image
from modelyard.oci.image import digest
from modelyard_plugins.builders.docker import docker

if TYPE_CHECKING:
    from modelyard.oci.layers import Layer

Make = Callable[..., ImageContext]


def names(layer: Layer) -> list[str]:
    return [member.name for member, _ in open_layer(layer)]


@pytest.mark.thorough
@pytest.mark.docker
@pytest.mark.network
@pytest.mark.slow
def test_builds_for_the_python_of_a_base_without_pip(make_context: Make, docker_client: Any, debian_base: str) -> None:
    context = make_context()
    facts = docker(context, base=debian_base)
    name = f"{facts.repository}:{facts.tag}"
    try:
        options = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none", "--rm"]
        done = subprocess.run(
            ["docker", "run", *options, name], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["uid"], found["model"]) == (65532, 256 * 400)
        image = docker_client.images.get(name)
        archived = read_image(context.out / "image.tar")
        assert image.id == facts.image_id == digest(archived.config_bytes)
        assert facts.digest == archived.digest
        assert image.labels == facts.labels
        assert image.labels["dev.modelyard.model.variant"] == 'int8 "quoted" $HOME \\'
        assert [layer.diff_id for layer in archived.layers] == image.attrs["RootFS"]["Layers"]
        assert [layer.digest for layer in facts.layers] == [layer.digest for layer in archived.layers]
        assert [layer.name for layer in facts.layers] == ["base-0", "wheels", "bytecode", "server", "model", "facts"]
        assert sorted(path.name for path in context.out.iterdir()) == ["Dockerfile", "image.tar"]
        compiled = {name for layer in archived.layers[2:4] for name in names(layer) if name.endswith(".pyc")}
        assert {
            "app/site/numpy/__pycache__/__init__.cpython-311.pyc",
            "usr/lib/python3.11/json/__pycache__/__init__.cpython-311.pyc",
        } <= compiled
        assert "app/toy_server/__pycache__/__main__.cpython-311.pyc" in compiled
    finally:
        subprocess.run(["docker", "rmi", "-f", name], capture_output=True)


@pytest.mark.docker
@pytest.mark.network
def test_a_failing_template_of_the_project_is_told_in_the_engines_words(
    make_context: Make, docker_client: Any, debian_base: str
) -> None:
    context = make_context(requirements=())
    (context.project / "templates" / "docker").mkdir(parents=True)
    (context.project / "templates" / "docker" / "Dockerfile.j2").write_text("FROM {{ base }}\nRUN exit 7\n")
    with pytest.raises(StageFailed, match="code: 7"):
        docker(context, base=debian_base)


@pytest.mark.thorough
@pytest.mark.docker
@pytest.mark.network
def test_a_template_with_layers_of_its_own_has_them_all_in_the_archive(
    make_context: Make, docker_client: Any, debian_base: str
) -> None:
    context = make_context(requirements=())
    (context.project / "templates" / "docker").mkdir(parents=True)
    text = "FROM {{ base }}\nCOPY model/ /\nRUN echo hello > /hello\n"
    (context.project / "templates" / "docker" / "Dockerfile.j2").write_text(text)
    facts = docker(context, base=debian_base)
    try:
        assert [layer.name for layer in facts.layers] == ["base-0", "layer-0", "layer-1"]
        upper = read_image(context.out / "image.tar").layers[-1]
        assert [member.name for member, _ in open_layer(upper)] == ["hello"]
        assert docker(context, base=debian_base) == facts, "the engine has the layers still"
    finally:
        subprocess.run(["docker", "rmi", "-f", f"{facts.repository}:{facts.tag}"], capture_output=True)


@pytest.mark.docker
def test_a_base_that_the_engine_lacks_is_named(make_context: Make, docker_client: Any) -> None:
    with pytest.raises(ToolError, match=r"no image 'modelyard-test-none:1'\n.*pull"):
        docker(make_context(), base="modelyard-test-none:1")


@pytest.mark.docker
@pytest.mark.network
def test_a_base_without_the_servers_program_is_refused(
    make_context: Make, docker_client: Any, debian_base: str
) -> None:
    context = make_context(base="tensorflow/serving:2.20.0", entrypoint=("/usr/bin/tensorflow_model_server",))
    with pytest.raises(
        ToolError, match=r"has no /usr/bin/tensorflow_model_server, .*\n  take 'tensorflow/serving:2.20.0'"
    ):
        docker(context, base=debian_base)
    assert docker_client.containers.list(all=True, filters={"ancestor": debian_base}) == []


def test_without_an_engine_the_other_builder_is_named(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docker")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(ToolError, match=r'no Docker engine answers.*\n.*"oci"'):
        docker(make_context())
