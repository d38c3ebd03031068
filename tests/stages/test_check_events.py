"""A real broker and a real server; that the server comes from an image is tried where images are built."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec.structs import asdict, replace
from tests.facts import image_facts
from tests.plugins.conftest import model_facts
from tests.serving.events.brokers import wait_until
from tests.shared import there, usual

from modelyard.errors import StageFailed, ToolError
from modelyard.files.json import write_json
from modelyard.frontend import scaffold
from modelyard.launch import local_broker
from modelyard.launch.python_server import environment
from modelyard.project.load import load
from modelyard.stage import Stage
from modelyard.stage_settings import CheckSettings, ServerSettings
from modelyard.stages import check_events as checking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from modelyard.artifacts import Dataset

SOURCES = ("kafka", "mqtt", "nats", "redis", "amqp")
MODEL = """
import time
import numpy as np


class Sums:
    def predict(self, raw):
        time.sleep(0.02)
        return raw.reshape(len(raw), -1)[:, :3].astype(np.float32)


def open_model(folder, threads=1):
    return Sums()
"""
FACTS = image_facts(port=8080)


@pytest.fixture
def job(dataset: Dataset, tmp_path: Path) -> Callable[..., Any]:
    """Make the job of a project whose server takes events."""

    def made(source: str, **settings: Any) -> Any:
        project = tmp_path / "net"
        scaffold.new_project(project)
        with (project / "pyproject.toml").open("a") as file:
            file.write(f'\n[tool.modelyard.events]\nuse = "{source}"\n')
        config = load(project).config
        model = tmp_path / "model"
        model.mkdir()
        (model / "model.tflite").write_bytes(b"weights")
        write_json(model / "model.json", model_facts(dataset, "tflite"))
        (tmp_path / "sums.py").write_text(MODEL)
        checked = CheckSettings(**{**asdict(config.settings.check), **settings})
        return SimpleNamespace(
            stage=Stage("check", "net", {"source": there(config.events)}, checked),
            plan=SimpleNamespace(config=config),
            config=config,
            inputs={"image": tmp_path / "image", "model": model},
            base=SimpleNamespace(log=print, metrics={}),
            log_file=tmp_path / "check.log",
        )

    return made


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have the server started from this checkout; `settings` are further ones."""

    def use(job: Any, **settings: str) -> None:
        @contextlib.contextmanager
        def running(_folder: Path, _facts: Any, _timeout_s: float, log: Path, beside: Any) -> Iterator[Any]:
            config, source = job.plan.config, job.stage.uses["source"]
            events = config.settings.events.of_server()
            own = environment(ServerSettings(name=config.name, port=0, events=events), config.uses["runtime"], source)
            client = f"modelyard_plugins.sources.{source.component.client.name}:open_source"
            own |= {"MODELYARD_EVENTS_CLIENT": client, "MODELYARD_BACKEND": "sums:open_model", "MODELYARD_DRAIN_S": "0"}
            own |= {"MODELYARD_MODEL_DIR": str(job.inputs["model"]), **beside.settings}
            own |= {name: value.format(files=beside.files) for name, value in settings.items()}
            command = [sys.executable, "-m", "modelyard.serving"]
            with log.open("ab") as output:
                before = output.tell()
                process = subprocess.Popen(command, env=os.environ | own, cwd=tmp_path, stdout=output, stderr=output)
            try:
                wait_until(lambda: b'"event":"listening"' in log.read_bytes()[before:])
                yield SimpleNamespace(end=functools.partial(ended, process))
            finally:
                process.kill()
                process.wait()

        monkeypatch.setattr(checking, "running", running)
        monkeypatch.setattr(checking, "unpacked", lambda *_: None)

    return use


def ended(process: subprocess.Popen[bytes], number: int) -> int:
    process.send_signal(number)
    return process.wait(30)


def needs(made: Any) -> None:
    if why := local_broker.lack(made.stage.uses["source"]):
        missing = pytest.fail if os.environ.get("MODELYARD_REQUIRE_SERVICES") else pytest.skip
        missing(f"needs a broker: {why}")


def samples_of(dataset: Dataset) -> dict[str, Any]:
    return {"input": np.asarray(dataset.x("test")[:12])}


def compared(expected: Any) -> Callable[[Any, str], float]:
    return lambda answers, _: float(np.abs(answers - expected).max())


def test_samples_are_sent_as_bytes_where_these_say_it_all() -> None:
    def forms(samples: dict[str, Any], *inputs: tuple[str, tuple[Any, ...]]) -> int:
        facts = SimpleNamespace(inputs=[SimpleNamespace(dtype=dtype, shape=shape) for dtype, shape in inputs])
        return len(checking._forms(samples, facts))  # type: ignore[arg-type]

    pixels, words = np.zeros((3, 8, 8), np.uint8), np.array([b"a", b"b"], object)
    assert forms({"x": pixels}, ("uint8", (8, 8))) == 3
    assert forms({"x": words}, ("float32", (8, 8))) == 3  # a handler makes these of the text
    assert forms({"x": pixels}, ("float32", (8, 8))) == 2
    assert forms({"x": pixels}, ("uint8", (8, None))) == 2
    assert forms({"x": pixels, "y": pixels}, ("uint8", (8, 8)), ("uint8", (8, 8))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("source", usual(SOURCES, 4))
def test_a_server_answers_events_as_it_was_evaluated_through_a_stop_and_a_kill(
    source: str, job: Callable[..., Any], server: Callable[..., None], dataset: Dataset
) -> None:
    made = job(source, timeout_s=60)
    needs(made)
    server(made)
    samples = samples_of(dataset)
    expected = samples["input"].reshape(12, -1)[:, :3]
    assert checking.check_events(made, FACTS, samples, compared(expected)) == 0
    assert made.base.metrics == {"events": f"36 by {source}, through a stop and a kill"}


def test_an_answer_that_differs_is_told(job: Callable[..., Any], server: Callable[..., None], dataset: Dataset) -> None:
    made = job("redis", timeout_s=60)
    needs(made)
    server(made)
    samples = samples_of(dataset)
    expected = samples["input"].reshape(12, -1)[:, :3]
    assert checking.check_events(made, FACTS, samples, compared(expected + 1)) == 1


@pytest.mark.parametrize(
    ("settings", "wait_s", "said"),
    [
        ({"MODELYARD_EVENTS_URL": "redis://127.0.0.1:1"}, 3, "12 of 12 have no answer after 3 s"),
        # before it waits for these, it has had answers
        ({"MODELYARD_EVENTS_DEAD_LETTER": "elsewhere"}, 10, "of 3 events that cannot be answered, 0 are dead letters"),
        ({"MODELYARD_EVENTS_PASSWORD_FILE": "{files}/password"}, 3, "the image's server had a wrong password, and"),
    ],
)
def test_a_server_that_does_not_do_as_it_should_is_refused(
    settings: dict[str, str],
    wait_s: int,
    said: str,
    job: Callable[..., Any],
    server: Callable[..., None],
    dataset: Dataset,
) -> None:
    made = job("redis", timeout_s=wait_s)
    needs(made)
    server(made, **settings)
    with pytest.raises(StageFailed, match=said):
        checking.check_events(made, FACTS, samples_of(dataset), compared(0))


def test_a_broker_that_lets_anybody_in_proves_nothing(
    job: Callable[..., Any], server: Callable[..., None], dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = job("redis", timeout_s=3)
    needs(made)
    server(made)
    strict = local_broker._command

    def open_to_all(*args: Any) -> Any:
        command = strict(*args)
        words = [word for word in command.words if word != "off"]
        at = words.index("default") + 1
        return type(command)(command.url, (*words[:at], "on", "nopass", "~*", "+@all", *words[at:]))

    monkeypatch.setattr(local_broker, "_command", open_to_all)
    with pytest.raises(StageFailed, match="the broker lets in nobody"):
        checking.check_events(made, FACTS, samples_of(dataset), compared(0))


def test_without_the_brokers_program_it_is_said_that_nothing_was_tried(
    job: Callable[..., Any], dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    made = job("redis")
    assert checking.check_events(made, FACTS, samples_of(dataset), compared(0)) is None
    assert made.base.metrics == {"events": "not tried: redis-server and openssl not found on PATH"}
    made.stage = replace(made.stage, settings=replace(made.stage.settings, events=True))
    with pytest.raises(ToolError, match="events = false"):
        checking.check_events(made, FACTS, samples_of(dataset), compared(0))


def test_what_the_broker_cannot_do_that_the_project_asks_for_is_not_tried(
    job: Callable[..., Any], dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = job("kafka")
    made.stage.uses["source"].params["exactly_once"] = True
    monkeypatch.setattr(shutil, "which", lambda program, **_: program)
    assert checking.check_events(made, FACTS, samples_of(dataset), compared(0)) is None
    assert made.base.metrics == {"events": "not tried: tansu has no transactions, which exactly_once needs"}
