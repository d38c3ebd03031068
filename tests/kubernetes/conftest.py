from __future__ import annotations

import contextlib
import hashlib
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.kubernetes.api_stub import Cluster, serve
from tests.renders import IMAGE, target_context
from tests.targets import kubernetes

from modelyard.artifacts import ServerFacts
from modelyard.contexts import DeployContext, Rendered
from modelyard.errors import ToolError
from modelyard.kubernetes.deploying.deploying import deploy
from modelyard.kubernetes.deploying.undeploying import undeploy
from modelyard.kubernetes.deploying.workloads import DEPLOYMENT, Workload
from modelyard.kubernetes.knative_params import KnativeParams
from modelyard.kubernetes.manifests import objects_in, read_folder
from modelyard.kubernetes.target_params import KubernetesParams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from modelyard.contexts import TargetContext


EVENTS = ServerFacts(event_schemes={"redis": 6379}, event_places={"input": "digits.in", "group": "digits"})
"""A server that can take events, if the target says where from."""


@pytest.fixture
def context(tmp_path: Path) -> TargetContext:
    return target_context(tmp_path)


@pytest.fixture(scope="session")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the built-in target with everything on; not to be changed."""
    made = target_context(tmp_path_factory.mktemp("kubernetes"))
    outside = {"ingress_host": "digits.example.org", "gateway": "infra/web", "gateway_ca": "digits-ca"}
    kubernetes(made, namespace="digits", create_namespace=True, **outside)
    return made.out


@pytest.fixture
def good(manifests: Path) -> list[dict[str, Any]]:
    """The objects in `manifests`, parsed: they break no rule."""
    return objects_in(read_folder(manifests))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An API on loopback that the real kubectl talks to, with the namespace and the Secrets that the objects need."""
    with _cluster(tmp_path) as made:
        yield made


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[Cluster]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH")
    made, server = serve(folder)
    made.add("api/v1/namespaces/digits")
    made.add("api/v1/namespaces/digits/secrets/digits-auth", data={"username": "", "password": ""})
    for name in ("digits-tls", "digits-ingress-tls"):
        made.add(f"api/v1/namespaces/digits/secrets/{name}", data={"tls.crt": "", "tls.key": ""})
    made.written.clear()
    variables = {"KUBECONFIG": str(made.kubeconfig), "KUBECACHEDIR": str(folder / "cache")}
    variables["GOGC"] = "off"  # kubectl lives too short to collect what it leaves: a seventh of its time
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        yield made
    server.shutdown()
    server.server_close()


@dataclass
class Deployer:
    """Renders with parameters, and deploys that, as a project would whose store keeps every render.

    Attributes:
        folder: where renders go.
        namespace: where to.
        repository: the image's name; that of no registry that could be asked if it is empty.
        said: the lines of the last deploy.
        renders: the key of each render, in order.
        answer: what a person says when asked; None: there is nobody.
        target: what renders.
        params: its parameters.
        workload: what it renders a service as.
    """

    folder: Path
    namespace: str = "digits"
    repository: str = ""
    said: list[str] = field(default_factory=list)
    renders: list[str] = field(default_factory=list)
    answer: bool | None = None
    asked: list[str] = field(default_factory=list)
    target: Callable[..., None] = kubernetes
    params: type[KubernetesParams | KnativeParams] = KubernetesParams
    workload: Workload = DEPLOYMENT

    def render(self, digest: str = "a", **params: Any) -> str:
        """Render with an image of `digest`, and return the key."""
        work = self.folder / "work"
        work.mkdir(parents=True)
        made = target_context(work)
        image = {"digest": f"sha256:{digest * 64}", "repository": self.repository or IMAGE.repository, "server": EVENTS}
        made = msgspec.structs.replace(made, image=msgspec.structs.replace(IMAGE, **image))
        self.target(made, **{"namespace": self.namespace, **params})
        key = hashlib.sha256(b"".join(one.read_bytes() for one in sorted(made.out.iterdir()))).hexdigest()
        if not (self.folder / key).exists():
            made.out.rename(self.folder / key)
        shutil.rmtree(work)
        self.renders.append(key)
        return key

    def rendered(self, key: str) -> Rendered:
        """Return a render by its key."""
        return Rendered(folder=self.folder / key, key=key, commit="0123456789abcdef", when="2026-11-28T10:00:00")

    @contextlib.contextmanager
    def earlier(self, key: str) -> Iterator[Rendered]:
        """Yield the render whose key begins so."""
        found = [one for one in self.renders if one.startswith(key)]
        if not found:
            msg = f"--to {key!r}: no render begins so"
            raise ToolError(msg)
        yield self.rendered(found[0])

    def context(self, key: str, **options: Any) -> DeployContext:
        """Return the context of a deploy of the render `key`."""

        def asks(question: str) -> bool:
            self.asked.append(question)
            return bool(self.answer)

        self.said = []
        return DeployContext(
            **{"task": "deploy:kubernetes", "target": "kubernetes", "repository": self.repository, **options},
            push_task="push:digits",
            name="digits",
            version="0.1.0",
            insecure=False,
            who="ann@example.org",
            rendered=self.rendered(key),
            earlier=self.earlier,
            say=self.said.append,
            asks=asks,
        )

    def __call__(self, *, options: dict[str, Any] | None = None, digest: str = "a", **params: Any) -> list[str]:
        """Render and deploy, and return what was said."""
        alone = {key: params.pop(key) for key in DEPLOY_ONLY if key in params}
        key = self.render(digest, **params)
        given = {"rollout_timeout_s": 20, "namespace": self.namespace, **alone, **params}
        deploy(self.context(key, **(options or {})), self.params(**given), self.workload)
        return self.said

    def take_away(self, **options: Any) -> list[str]:
        """Undeploy what was rendered last, and return what was said."""
        undeploy(self.context(self.renders[-1], task="undeploy:kubernetes", **options), self.params(), self.workload)
        return self.said


DEPLOY_ONLY = ("kube_context", "rollout_timeout_s", "force_conflicts", "confirm")


@pytest.fixture
def deployer(tmp_path: Path) -> Deployer:
    return Deployer(tmp_path / "renders")


@pytest.fixture(scope="session")
def first_deploy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Deployer, Cluster]:
    """Return who deployed to an empty cluster, and what is there now; not to be changed."""
    folder = tmp_path_factory.mktemp("first-deploy")
    made = Deployer(folder / "renders")
    with _cluster(folder) as cluster:
        assert made()[-1].startswith("deployed render")
    return made, cluster


@pytest.fixture
def deployed_once(first_deploy: tuple[Deployer, Cluster], deployer: Deployer, cluster: Cluster) -> None:
    """Have the first deploy behind one, with all as it is without parameters."""
    done, there = first_deploy
    shutil.copytree(done.folder, deployer.folder)
    deployer.renders.extend(done.renders)
    cluster.take(there)
