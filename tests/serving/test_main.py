"""The command line of the server: what its options stand above, and the code that it ends with."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.serving.conftest import Running
from tests.serving.test_probe import listening

from modelyard.serving.__main__ import OPTIONS, _environment, _otel, _parser, main
from modelyard.serving.settings import KNOWN, Settings


@pytest.fixture(autouse=True)
def _own_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`main` is a process's own: what it does to signals is undone, and no setting of ours is one of the server's."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which tests side by side do not hear
    for name in [one for one in os.environ if one.startswith(("MODELYARD_", "OTEL_"))]:
        monkeypatch.delenv(name)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_options_stand_above_the_environment(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    options = ["--model-name", "other", "--port", "0"]
    command = [sys.executable, "-m", "modelyard.serving", *options]
    with start(models / "float32", command, PORT="1") as server, server.client() as client:
        assert client.get("/v1/models/other").status_code == 200
        assert client.get("/v1/models/digits").status_code == 404


def test_what_keeps_it_from_starting_is_one_line_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_MODEL_DIRR", str(tmp_path))
    assert main([]) == 2
    monkeypatch.delenv("MODELYARD_MODEL_DIRR")
    assert main(["--port", "x"]) == 2
    assert main(["--events-once"]) == 2
    assert main(["--events-setup"]) == 2

    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("modelyard.serving: MODELYARD_") for line in lines] == [True] * 4, lines
    assert [name in line for name, line in zip(("DIRR", "PORT: 'x'", "URL", "URL"), lines, strict=True)] == [True] * 4


def test_a_probe_asks_where_the_options_say_and_its_code_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_PASSWORD_FILE", "/no/such")  # which is no probe's concern
    with listening() as port:
        asked = ["--host", "127.0.0.1", "--port", str(port), "--probe"]
        codes = [main([*asked, what]) for what in ("live", "ready")]

    assert codes == [0, 1]


@pytest.mark.parametrize("arguments", [["--probe", "alive"], ["--por", "1"], ["extra"], ["--port"]])
def test_what_is_no_option_is_told_with_those_that_there_are(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as told:
        main(arguments)

    assert told.value.code == 2
    assert "usage: python3 -m modelyard.serving" in capsys.readouterr().err


def test_an_option_stands_above_its_variable_and_above_the_file_that_one_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELYARD_HOST", "192.0.2.1")
    monkeypatch.setenv("MODELYARD_PORT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("MODELYARD_MODEL_NAME_FILE", str(tmp_path / "name"))
    (tmp_path / "name").write_text("theirs")

    found = _environment(_parser().parse_args(["--host", "127.0.0.2", "--port", "0", "--model-dir", "m"]))

    settings = Settings.read(found)
    assert (settings.host, settings.port, settings.model_dir) == ("127.0.0.2", 0, Path("m"))
    assert settings.model_name == "theirs"
    assert "MODELYARD_PORT_FILE" not in found
    assert "MODELYARD_MODEL_DIR" not in os.environ


def test_each_option_is_a_setting() -> None:
    assert {f"MODELYARD_{option.removeprefix('--').replace('-', '_').upper()}" for option in OPTIONS} <= set(KNOWN)


def test_a_stop_while_the_model_loads_is_code_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "read", lambda _: signal.raise_signal(signal.SIGTERM))

    with pytest.raises(SystemExit) as told:
        main([])
    assert told.value.code == 0


def test_ctrl_c_is_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "read", lambda _: signal.raise_signal(signal.SIGINT))

    assert main([]) == 130


def test_spans_are_sent_where_a_variable_of_opentelemetry_says_so() -> None:
    assert _otel({"PATH": "/bin"}) is None
    assert _otel({"OTEL_SDK_DISABLED": "true"}) is None
    assert _otel({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}) is not None
