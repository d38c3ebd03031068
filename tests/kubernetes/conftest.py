from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.api_stub import Cluster, serve

from modelyard.artifacts import ImageFacts
from modelyard.contexts import TargetContext
from modelyard.kubernetes.manifests import objects_in, read_folder
from modelyard.rendering import renderer
from modelyard_plugins.targets.kubernetes import kubernetes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGE = ImageFacts(
    builder="oci",
    repository="registry.example/team/digits",
    tag="0.1.0",
    digest="sha256:" + "a" * 64,
    image_id="sha256:" + "b" * 64,
    size_bytes=1,
    archive="image.tar",
    platform="linux/amd64",
    user="65532:65532",
    port=8080,
    labels={},
    layers=(),
)
MODEL = {"variant": "int8", "format": "tflite", "accuracy": 0.98, "sha256": "c" * 64}


def make_context(folder: Path) -> TargetContext:
    """Make a context as the render stage does; `folder` is the project, `folder/out` takes what is written."""
    (folder / "out").mkdir()
    always = {"name": "digits", "version": "0.1.0", "image": IMAGE, "model": MODEL, "params": {}}
    return TargetContext(
        out=folder / "out",
        project=folder,
        cache=folder,
        seed=0,
        progress=lambda *_, **__: None,
        log=print,
        name="digits",
        version="0.1.0",
        image=IMAGE,
        model=MODEL,
        render=renderer(folder, (), always),
    )


@pytest.fixture
def context(tmp_path: Path) -> TargetContext:
    return make_context(tmp_path)


@pytest.fixture(scope="session")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the built-in target with everything on; not to be changed."""
    made = make_context(tmp_path_factory.mktemp("kubernetes"))
    kubernetes(made, namespace="digits", create_namespace=True, ingress_host="digits.example.org")
    return made.out


@pytest.fixture
def good(manifests: Path) -> list[dict[str, Any]]:
    """The objects in `manifests`, parsed: they break no rule."""
    return objects_in(read_folder(manifests))


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """An API on loopback that the real kubectl talks to, with the namespace and the Secrets that the objects need."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH")
    made, server = serve(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
    monkeypatch.setenv("KUBECACHEDIR", str(tmp_path / "cache"))
    made.add("api/v1/namespaces/digits")
    made.add("api/v1/namespaces/digits/secrets/digits-auth", data={"username": "", "password": ""})
    for name in ("digits-tls", "digits-ingress-tls"):
        made.add(f"api/v1/namespaces/digits/secrets/{name}", data={"tls.crt": "", "tls.key": ""})
    yield made
    server.shutdown()
    server.server_close()
