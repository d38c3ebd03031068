"""Fixtures for tests of whole projects: write one, copy the toy, run `doit` in it as a person does."""

from __future__ import annotations

import gc
import os
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from modelyard.files.digests import DigestTable
from modelyard.oci.cache import SHARED
from tests import known
from tests.known import know
from tests.shared import made_once
from tests.warm import run_doit

if TYPE_CHECKING:
    from modelyard.build.state import BuildState

PROJECTS = Path(__file__).parent / "projects"
MOST_PROCESSES = 8
"""Of the processes that tests run in side by side: each makes what its tests share."""
DEBIAN_BASE = f"modelyard-test-minbase:{os.getpid()}"  # one that no process beside this one removes

settings.register_profile("default", deadline=None)
settings.load_profile("default")

MakeProject = Callable[[Mapping[str, str] | str], Path]
Doit = Callable[..., "subprocess.CompletedProcess[str]"]
OpenToy = Callable[..., "BuildState"]


QUICK = (
    "artifacts",
    "build",
    "code",
    "component",
    "concurrency",
    "config",
    "contexts",
    "execution",
    "explain",
    "files",
    "frontend",
    "hookspecs",
    "keys",
    "launch",
    "plan",
    "preflight",
    "project",
    "rendering",
    "stages",
    "toml",
    "variants",
)
"""The rooms whose tests, with those above all rooms, take seconds together; see `pytest -m quick` in CONTRIBUTING.md."""
_OF_BROKER = re.compile(r"tests/serving/events/.*\[(amqp|kafka|mqtt|nats|redis)\b")
_FRAMEWORKS = "frameworks"
_OF_FRAMEWORKS = re.compile(
    r"tests/(plugins/(formats|optimizers|support|trainers|test_(ragged|several_inputs|several_outputs|texts)\b)"
    r"|docs/test_snippets|fuzz/test_models|serving/grpc/test_tfserving)"
)
"""Files whose tests import TensorFlow or PyTorch themselves: seconds for each, and the models that they train are shared."""
_ELSEWHERE = {"slow", "tensorflow", "torch", "docker", "registry", "network", "thorough"}
_THOROUGH = re.compile(r"\bthorough\b|\busual\(")
_SECONDS = {"slow": 20.0, "docker": 5.0, "network": 5.0, "registry": 5.0, "tensorflow": 2.0, "torch": 2.0}
"""What a test with such a mark takes, roughly; any other takes `_OTHER_SECONDS`."""
_OTHER_SECONDS = 0.2
_LEFT_OUT = pytest.StashKey[int]()
"""How many thorough tests a run leaves out, of all its processes each of which collects the same."""


def _is_quick(path: Path) -> bool:
    """Tell whether a file or folder of tests is one of the quick rooms or in one, or above all rooms."""
    parts = path.relative_to(Path(__file__).parent).parts
    return not parts or parts[0] in QUICK or parts[0].endswith(".py")


def _has_thorough(path: Path) -> bool:
    """Tell whether a file of tests has one that is thorough, by what is written there, or is a folder or no test."""
    return not path.match("test_*.py") or bool(_THOROUGH.search(path.read_text(encoding="utf-8")))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what `-m quick` or `-m thorough` leaves out: that takes longer than many of the tests."""
    has_some = {"quick": _is_quick, "thorough": _has_thorough}.get(config.option.markexpr)
    is_test = collection_path.is_relative_to(Path(__file__).parent)
    return True if has_some and is_test and not has_some(collection_path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of the quick rooms, but for those that say that they take long, or need what not every machine has.

    Thorough tests are left out where no `-m` and no test by name ask for them. Side by side, what takes longest in one
    process comes first, so that all processes end together.
    """
    if not config.option.markexpr and not any("::" in argument for argument in config.args):
        _leave_out_thorough(config, items)
    seconds: dict[str, float] = defaultdict(float)
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        seconds[_together(item.nodeid)] += max(_SECONDS.get(mark, _OTHER_SECONDS) for mark in (*marks, ""))
        if _is_quick(item.path) and not _ELSEWHERE & marks:
            item.add_marker(pytest.mark.quick)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: -seconds[_together(item.nodeid)])


def pytest_collection_finish() -> None:
    """Have garbage looked for among what tests make, seldom, and not among the hundred thousand objects of what was imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _together(nodeid: str) -> str:
    """Return what a test is in one process with: those that import a framework, those of a broker, those of its file."""
    if _OF_FRAMEWORKS.match(nodeid):
        return _FRAMEWORKS
    broker = _OF_BROKER.match(nodeid)
    return broker[1] if broker else nodeid.split("::", maxsplit=1)[0]


def pytest_configure(config: pytest.Config) -> None:
    """Let the images of a run share what they are packed of: Debian packages, wheels and layers take longest.

    What tests start keeps bytecode and buffers its output, as it does for a person: what goes wrong with either would
    not be seen else.
    """
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
        os.environ.pop(name, None)
    if known.SHARED not in os.environ:
        os.environ[known.SHARED] = temporary = tempfile.mkdtemp(prefix="modelyard-test-")
        config.add_cleanup(lambda: shutil.rmtree(temporary, ignore_errors=True))
    if SHARED not in os.environ:  # as it is in the processes of pytest-xdist, whose first one sets it
        os.environ[SHARED] = folder = tempfile.mkdtemp(prefix="modelyard-test-images-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def _leave_out_thorough(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    unseen = {item.path for item in left_out if not _has_thorough(item.path)}
    if unseen:
        msg = f"-m thorough would not look into these files: {', '.join(map(str, sorted(unseen)))}\n  write the mark there"
        raise pytest.UsageError(msg)
    items[:] = [item for item in items if not item.get_closest_marker("thorough")]
    config.stash[_LEFT_OUT] = len(left_out)
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = len(left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep what a process of pytest-xdist says at its end of the tests that it left out."""
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which tests the run left out, and how to run them."""
    if count := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.write_line(f"{count} thorough tests are left out: `python -m pytest -m thorough` runs them")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run all the tests in three processes for two processors, each file in one; a few tests are faster without.

    Many tests wait, for brokers, for `kubectl`, for servers that end: meanwhile another computes.

    `-n 0` runs them in one process, one after another, as `--pdb` and `-s` do.
    """
    option = config.option
    if getattr(option, "dist", None) is None or "PYTEST_XDIST_WORKER" in os.environ:
        return  # without pytest-xdist; or in one of its processes, which would start as many again, without end
    option.loadscopereorder = False  # it puts the files with the most tests first: those of the quickest
    apart = option.usepdb or option.collectonly or option.capture == "no"
    if option.numprocesses is None and config.args_source is pytest.Config.ArgsSource.TESTPATHS and not apart:
        processors = len(os.sched_getaffinity(0))
        option.numprocesses = min(processors + processors // 2, MOST_PROCESSES)
    if option.numprocesses and option.dist == "no":
        option.dist = "loadfile"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Have all tests of one broker in one process, for it is started there; otherwise those of a file.

    A run of everything has those that import a framework in one process, too: others are busy with the rest meanwhile.
    """
    if config.option.dist != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            scope = _together(nodeid)
            return super()._split_scope(nodeid) if scope == _FRAMEWORKS and not whole else scope

    return Together(config, log)


@pytest.fixture
def make_project(tmp_path: Path) -> MakeProject:
    """Return a function that writes a project: a dict of file -> text, or the name of a folder of tests/projects.

    A key in brackets is a table of pyproject.toml: `{"[tool.modelyard.train]": "epochs = 3"}`.
    """

    def make(files: Mapping[str, str] | str) -> Path:
        folder = tmp_path / "project"
        if isinstance(files, str):
            made = shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts")
            shutil.copytree(PROJECTS / files, folder, ignore=made)
            return folder
        tables = "\n".join(f"{name}\n{text}\n" for name, text in files.items() if name.startswith("["))
        plain = {name: text for name, text in files.items() if not name.startswith("[")}
        for name, text in ({"pyproject.toml": tables} if tables else {}).items() | plain.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        folder.mkdir(exist_ok=True)
        return folder

    return make


@pytest.fixture
def table(tmp_path: Path) -> Iterator[DigestTable]:
    """Return a digest table that knows nothing yet."""
    table = DigestTable(tmp_path / "state.sqlite")
    yield table
    table.close()


@pytest.fixture
def toy_project(make_project: MakeProject) -> Path:
    """Return a copy of the toy project: every component in one plugin that needs nothing but numpy."""
    return make_project("toy")


@pytest.fixture
def new_toy(toy_project: Path) -> Path:
    """Return a toy project that was never built, and that knows modelyard's own code; for what runs it in other ways than `doit`."""
    return know(toy_project)


@pytest.fixture
def open_toy(new_toy: Path) -> Iterator[OpenToy]:
    """Return a function that opens the build of a toy project that was never built, with what a command line sets."""
    from modelyard.build.state import BuildState
    from modelyard.project.load import load

    found: list[BuildState] = []

    def opened(overrides: Mapping[str, str] | None = None) -> BuildState:
        found.append(BuildState(load(new_toy, overrides), lambda _: None))
        return found[-1]

    yield opened
    for state in found:
        state.close()


@pytest.fixture(scope="session")
def doit() -> Doit:
    """Return a function that runs `doit` in a project as a person does; its output comes back as text."""

    def run(
        project: Path, *arguments: str, env: Mapping[str, str] | None = None, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        return run_doit(project, *arguments, env=doit_environment() | dict(env or {}), timeout_s=timeout_s)

    return run


def doit_environment() -> dict[str, str]:
    """Return the environment of a person's shell: what a test run sets for its own sake is left out."""
    own = ("MODELYARD_DEBUG", "DOIT_CONFIG")
    return {name: value for name, value in os.environ.items() if name not in own and not name.startswith("PYTEST_")}


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """Skip the test, saying why, where no Docker engine answers."""
    docker = pytest.importorskip("docker", reason="the docker SDK is not installed")
    try:
        client = docker.from_env()
        client.ping()
        client.close()
    except Exception as exc:
        pytest.skip(f"no Docker engine answers: {type(exc).__name__}: {exc}")


@pytest.fixture(scope="session")
def debian_base(docker_engine: None) -> Iterator[str]:
    """A Debian with python3 and no pip, made once for this machine."""
    if shutil.which("mmdebstrap") is None:
        pytest.skip("the program mmdebstrap is not installed")
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=python3", "bookworm"]
    archive = made_once(
        Path(tempfile.gettempdir(), "modelyard-test-minbase.tar"),
        lambda file: subprocess.run([*command, str(file)], check=True, capture_output=True),
    )
    subprocess.run(["docker", "import", str(archive), DEBIAN_BASE], check=True, capture_output=True)
    yield DEBIAN_BASE
    subprocess.run(["docker", "rmi", "-f", DEBIAN_BASE], capture_output=True)
