"""Every command that a page shows is run, in a project that the page's own files make."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from modelyard.frontend import scaffold
from tests.docs.pages import PAGES, ROOT, Block, blocks, calls, commands, write
from tests.docs.shell import run
from tests.known import know
from tests.kubernetes.api_stub import serve
from tests.standins import tls

BUILT = {
    "docs/how-to/ci-reproducible-builds.md",
    "docs/how-to/harden-the-server.md",
    "docs/how-to/operate-a-service.md",
    "docs/how-to/override-a-template.md",
    "docs/how-to/read-the-report.md",
    "docs/how-to/write-a-target.md",
    "docs/reference/images.md",
    "docs/reference/serving.md",
    "docs/reference/targets.md",
    "docs/tutorial/events.md",
}
"""Pages that speak of a project that is built: the tutorial's, which is built once for all of them."""

BROKER = "docs/tutorial/events.md"
"""The page that starts a broker of events."""

PLANS = {
    "CONTRIBUTING.md": ".",
    "README.md": ".",
    "docs/explanation/published-figures.md": ".",
    "docs/explanation/store.md": "",
    "docs/how-to/choose-among-many-variants.md": "",
    "docs/how-to/compare-trainings.md": "",
    "docs/how-to/several-models.md": "",
    "docs/how-to/use-profiles.md": "",
    "examples/cifar10/README.md": "examples/cifar10",
    "examples/digits-torch/README.md": "examples/digits-torch",
    "examples/fashion-mnist/README.md": "examples/fashion-mnist",
    "examples/modelyard-edge/README.md": "examples/modelyard-edge",
}
"""Pages whose builds take minutes, each with the folder of the checkout that it stands in (empty: a new project); `doit`
plans here, with the page's arguments. What README says is tried by `.ci/run`, what the examples say by tests/examples."""

UNLIKE = {"README.md"}
"""Pages that show times and accuracies."""

ELSEWHERE = {
    "docs/explanation/third-party-models.md": "tests/examples/test_third_party.py",
    "docs/how-to/choose-a-task.md": "tests/docs/test_guides.py",
    "docs/how-to/detect-objects.md": "tests/front_door/test_detection_road.py",
    "docs/how-to/handlers.md": "tests/front_door/test_handlers_road.py",
    "docs/how-to/import-a-model.md": "tests/docs/test_guides.py",
    "docs/how-to/train-with-your-own-script.md": "tests/docs/test_guides.py",
    "docs/reference/commands.md": "tests/docs/test_commands_page.py",
    "docs/reference/hooks.md": "tests/docs/test_hooks.py",
    "docs/tutorial/first-project.md": "the fixture `net`",
    "examples/events/README.md": "tests/examples/test_events.py",
}

SERVED = """
serve() { "$@" >server.log 2>&1 & echo $! >>"$SERVERS"; local end=$((SECONDS + 60))
  until curl -sf -o /dev/null localhost:8080/v2/health/ready; do [ "$SECONDS" -lt "$end" ] && kill -0 $! || { cat server.log >&2; return 1; }; sleep 0.2; done; }
doit() { case ${1-} in serve) serve command doit serve serve.port=$PORT ;; *) command doit "$@" ;; esac; }
curl() { command curl "${@/localhost:8080/localhost:$PORT}"; }
python() { case "$*" in "-m modelyard.serving"*) serve "$PYTHON" "${@/8080/$PORT}" ;; *) elsewhere "$@" ;; esac; }
"""
NATS = """
nats-server() { command nats-server "$@" --port "$NATS_PORT" >nats.log 2>&1 & echo $! >>"$SERVERS"
  until (echo >"/dev/tcp/127.0.0.1/$NATS_PORT") 2>/dev/null; do kill -0 $!; sleep 0.1; done; }
"""
"""What serves until it is stopped goes to the background, on a port that is free."""

ENGINE = """
docker() {
  case "$1 ${2-}" in
    load*) command docker "$@" ;;
    run*) shift; command docker run -d "${@/127.0.0.1:8443/127.0.0.1:}" >>"$CONTAINERS" ;;
    "compose up") docker-compose config -q ;;
    *) return 1 ;;
  esac
}
ctr() { command ctr --address /run/docker/containerd/containerd.sock "${@/k8s.io/modelyard-docs}" --no-unpack; }
"""
"""A container goes to the background, too; Compose is asked whether it can read the file, and started by another test."""

WITHOUT_A_BASE = """
doit() { case ${1-} in render:*|deploy:*) command doit list --all ;; *) command doit "$@" ;; esac; }
curl() { test "$1" = --cacert; }
"""
"""TensorFlow Serving's image cannot be had here, so what stands on it is planned; other tests have a stand-in for it."""

TRAINS = {
    "docs/how-to/serve-with-tensorflow-serving.md": WITHOUT_A_BASE,
    "docs/how-to/use-pytorch.md": "",
    "docs/how-to/use-your-own-data.md": "",
    "docs/how-to/use-your-own-model.md": "",
    "docs/how-to/write-an-optimizer.md": "",
}
"""Pages whose projects train a model of their own, with the words that are held."""

PLAN_ONLY = """
doit() { case ${1-} in list|gc) command doit "$@" ;; *) command doit list --all "$@" ;; esac; }
python() { case ${1-} in paper.py) test -f paper.py ;; *) elsewhere "$@" ;; esac; }
"""
"""In the place of builds of minutes; `python paper.py` runs `doit` for each seed and is looked at alone."""


def shells(page: str) -> list[str]:
    return [commands(block) for block in blocks(page, "console", "sh")]


@pytest.fixture(scope="session")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tutorial's project, made and built by following the tutorial, with its report and the secrets of a server."""
    folder = tmp_path_factory.mktemp("tutorial")
    with background(folder) as env:
        said = run("\n".join(shells("docs/tutorial/first-project.md")), folder, env=env, before=SERVED)
    assert "built 13, restored 0, up to date 0" in said, said
    assert "expected [-1,8,8,1]" in said, said
    project = folder / "net"
    run("doit report && cp -r artifacts/report/net main-report", project)
    secrets(project)
    return project


def secrets(project: Path) -> None:
    """Write a user name, a password and a certificate where the pages have them: here, and in `secrets/`."""
    (project / "secrets").mkdir()
    for folder in (project, project / "secrets"):
        tls.certificate(folder)
        (folder / "username").write_text("user")
        (folder / "password").write_text("secret")
    for file in (project / "secrets").iterdir():
        file.chmod(0o644)


@contextmanager
def background(folder: Path) -> Iterator[dict[str, str]]:
    """Give the variables by which a page's servers and containers are noted, and end them after the block."""
    noted = {"SERVERS": folder / "servers.txt", "CONTAINERS": folder / "containers.txt"}
    for file in noted.values():
        file.touch()
    try:
        yield {"PORT": str(tls.free_port()), **{name: str(file) for name, file in noted.items()}}
    finally:
        for pid in noted["SERVERS"].read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)
        for one in noted["CONTAINERS"].read_text().split():
            subprocess.run(["docker", "rm", "-f", one], check=True, capture_output=True)


def follow(page: str, project: Path, *, env: dict[str, str] | None = None, before: str = "") -> None:
    """Write the files and run the commands of a page, in order; a file may stand below the command that takes it."""
    for block in blocks(page):
        if block.file and block.file != "pyproject.toml":
            write(project, block)
    for block in blocks(page):
        if block.file:
            write(project, block)
        elif block.language in ("console", "sh"):
            said = run(commands(block), project, env=env, before=before)
            assert page in UNLIKE or shown(block) <= lines(said), f"{block}: {shown(block) - lines(said)}"


def commit_all(project: Path) -> None:
    """Let the project be a git repository whose commits are ada's."""
    who = "git config user.name ada && git config user.email ada@example.org"
    run(f"git init -q -b main && {who} && git add . && git commit -q -m first", project)


def shown(block: Block) -> set[str]:
    """Return what a page shows of the output of a `console` block."""
    return (
        lines("\n".join(line for call in calls(block) for line in call.shown)) if block.language == "console" else set()
    )


def lines(text: str) -> set[str]:
    return {" ".join(line.split()) for line in text.splitlines() if line.strip()}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables that lead kubectl to an API on loopback which has the namespace and the Secrets of the pages."""
    made, server = serve(tmp_path)
    made.add("api/v1/namespaces/models")
    made.add("api/v1/namespaces/models/secrets/net-auth", data={"username": "", "password": ""})
    made.add("api/v1/namespaces/models/secrets/net-tls", data={"tls.crt": "", "tls.key": ""})
    yield {"KUBECONFIG": str(made.kubeconfig), "KUBECACHEDIR": str(tmp_path / "cache")}
    server.shutdown()
    server.server_close()


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.network
@pytest.mark.docker
@pytest.mark.parametrize("page", sorted(BUILT))
def test_the_commands_of_a_page_work_in_a_project_that_is_built(
    page: str, net: Path, cluster: dict[str, str], docker_engine: None, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(net, tmp_path / "net", symlinks=True))
    if any("git add" in commands(block) for block in blocks(page) if block.language == "console"):
        commit_all(project)
    if page == BROKER and shutil.which("nats-server") is None and not os.environ.get("MODELYARD_REQUIRE_SERVICES"):
        pytest.skip("needs the program nats-server")
    port = str(tls.free_port())
    broker = {"NATS_PORT": port, "MODELYARD_EVENTS_URL": f"nats://127.0.0.1:{port}"} if page == BROKER else {}
    with background(tmp_path) as env:
        follow(page, project, env=env | cluster | broker, before=SERVED + NATS + ENGINE)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("page", sorted(TRAINS))
def test_the_commands_of_a_page_train_its_model(page: str, tmp_path: Path) -> None:
    project = tmp_path / "net"
    scaffold.new_project(project)
    secrets(project)
    follow(page, project, before=TRAINS[page])
    assert list((project / "artifacts/select/net/model").iterdir())


@pytest.mark.parametrize("page", sorted(PLANS))
def test_the_commands_of_a_page_plan_its_builds(page: str, tmp_path: Path) -> None:
    project = tmp_path / "net"
    if PLANS[page]:
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in filter(None, tracked.stdout.split("\0")):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, project / name, follow_symlinks=False)
    else:
        scaffold.new_project(project)
    commit_all(project)
    follow(page, know(project / PLANS[page]), before=PLAN_ONLY)


def test_every_page_with_commands_is_tried() -> None:
    tried = BUILT | TRAINS.keys() | PLANS.keys() | ELSEWHERE.keys()
    assert {page for page in PAGES if shells(page)} == tried
