"""The process that runs one stage: what it answers, and what it says of what went wrong."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.plans import SOURCE, job_of, nothing, use

from modelyard.component import Component, Use
from modelyard.errors import DataError, StageFailed
from modelyard.execution.child import CRASHED, emit, explain, how_to_install, run_child, run_request
from modelyard.execution.job import Job
from modelyard.execution.protocol import Request, Result, Seen
from modelyard.execution.watching import Rules, Watch
from modelyard.files.json import decode
from modelyard.project.load import Project, load
from modelyard.stage import Stage, outline

DATA = "dataset:points"


class Deaf(Watch):
    """A watch that hears nothing: an audit hook cannot be taken back."""

    def __init__(self, seen: Seen | Exception | None = None) -> None:
        self.seen, self.rules = seen or Seen(), None

    def begin(self, stage: str, rules: Rules, notes: str) -> None:
        self.rules = rules  # type: ignore[assignment]

    def end(self) -> Seen:
        if isinstance(self.seen, Exception):
            raise self.seen
        return self.seen

    def cause(self, error: Exception | SystemExit) -> Exception | SystemExit:
        return error


@pytest.fixture
def project(toy_project: Path) -> Project:
    return load(toy_project)


@pytest.fixture
def events() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def request_for(project: Project, folder: Path, stage: str = DATA, **changes: Any) -> Request:
    names: dict[str, Any] = {name: str(folder / name) for name in ("out", "cache", "result", "log")}
    (folder / "out").mkdir(exist_ok=True)
    own = outline(project.plan.stages[stage])
    said = {"outline": own, "stage": stage, "inputs": {}, "overrides": {}, **names, **changes}
    return Request(id=7, project=str(project.folder), **said)


def run(request: Request, project: Project | Exception, watch: Watch | None = None, events: int = 1) -> Result:
    return run_request(request, project, watch or Deaf(), events)


def failure(result: Result) -> str:
    assert result.failure is not None
    return result.failure.message


# What it answers


def test_a_stage_writes_its_artifact_and_answers_what_was_seen(project: Project, tmp_path: Path) -> None:
    seen = Seen(programs={"git": None})
    result = run(request_for(project, tmp_path), project, Deaf(seen))
    assert result.failure is None
    assert result.seen is seen
    assert (tmp_path / "out" / "train_x.npy").exists()


def test_what_counts_is_told_to_the_watch(project: Project, tmp_path: Path) -> None:
    watch = Deaf()
    run(request_for(project, tmp_path, files=["/p/data"], sources={"/p/x.py": None}), project, watch)
    rules: Any = watch.rules
    assert rules.files == ("/p/data",)
    assert rules.sources == {"/p/x.py": None}
    assert rules.undeclared == project.config.settings.reads.undeclared
    assert "OMP_NUM_THREADS" in rules.variables


def test_a_project_that_cannot_be_loaded_is_a_failure_in_its_own_words(project: Project, tmp_path: Path) -> None:
    assert failure(run(request_for(project, tmp_path), DataError("here: no\n  mend it"))) == "here: no\n  mend it"


def test_what_was_read_and_does_not_count_fails_the_stage_although_it_reached_its_end(
    project: Project, tmp_path: Path
) -> None:
    result = run(request_for(project, tmp_path), project, Deaf(StageFailed("dataset:points: read x.csv")))
    assert failure(result) == "dataset:points: read x.csv"


HOOK = """
from modelyard import hookimpl


@hookimpl
def modelyard_after_stage_run(stage, context):
    {body}


@hookimpl
def modelyard_on_stage_error(stage, context, error):
    (context.project / "told").write_text(f"{{stage}}: {{error!r}}")
    {then}
"""


def with_hook(folder: Path, body: str, then: str = "pass") -> Project:
    (folder / "plugins" / "hook.py").write_text(HOOK.format(body=body, then=then))
    return load(folder)


def test_numbers_of_numpy_are_numbers_in_the_record(toy_project: Path, tmp_path: Path) -> None:
    body = "import numpy as np; context.metrics.update(loss=np.float32(0.5), rows=np.arange(2), name='x')"
    found = with_hook(toy_project, body)
    assert run(request_for(found, tmp_path), found).metrics.items() >= {"loss": 0.5, "name": "x"}.items()
    assert run(request_for(found, tmp_path), found).metrics["rows"] == [0, 1]


def test_metrics_that_no_record_can_hold_fail_the_stage(toy_project: Path, tmp_path: Path) -> None:
    found = with_hook(toy_project, "context.metrics['odd'] = object()")
    message = failure(run(request_for(found, tmp_path), found))
    assert message.startswith("metrics hold something that is not a number, text, list or dict: object: <object")


@pytest.mark.parametrize("then", ["pass", "raise OSError('of the hook')"])
def test_an_error_is_told_to_the_plugins_and_is_the_one_that_a_person_sees(
    toy_project: Path, tmp_path: Path, then: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = with_hook(toy_project, "raise ValueError('no luck')", then)
    result = run(request_for(found, tmp_path), found)
    assert (toy_project / "told").read_text() == f"{DATA}: ValueError('no luck')"
    assert "raised ValueError: no luck" in failure(result)
    assert "plugins/hook.py:7" in failure(result)
    assert result.failure is not None
    assert "ValueError: no luck" in result.failure.traceback
    assert ("of the hook" in capsys.readouterr().err) == (then != "pass")


def test_code_that_ends_the_process_has_failed_too(toy_project: Path, tmp_path: Path) -> None:
    found = with_hook(toy_project, "raise SystemExit(3)")
    assert "SystemExit: 3" in failure(run(request_for(found, tmp_path), found))
    assert not (toy_project / "told").exists()


def test_progress_is_a_line_with_the_number_of_the_request(
    toy_project: Path, tmp_path: Path, events: tuple[int, int]
) -> None:
    body = "import numpy as np; context.progress(np.int64(1), 4, unit='pass', note='n' * 900)"
    found = with_hook(toy_project, body)
    run(request_for(found, tmp_path), found, events=events[1])
    told = [json.loads(line) for line in os.read(events[0], 1 << 16).splitlines()]
    assert told[-1] == {"id": 7, "done": 1.0, "total": 4.0, "unit": "pass", "note": "n" * 500}


def test_a_line_too_long_to_be_written_whole_loses_its_note(events: tuple[int, int]) -> None:
    emit(events[1], {"id": 1, "note": "x" * 10})
    emit(events[1], {"id": 2, "note": "x" * select.PIPE_BUF})
    told = [json.loads(line) for line in os.read(events[0], 1 << 16).splitlines()]
    assert told == [{"id": 1, "note": "x" * 10}, {"id": 2, "note": ""}]


def test_nobody_there_to_hear_ends_no_stage() -> None:
    read, write = os.pipe()
    os.close(read)
    emit(write, {"id": 1})
    os.close(write)


# The process


def forked(request: Request, loaded: Project | Exception, temporary: Path) -> int:
    """Return the exit code of the process that runs a request."""
    nobody = os.open(os.devnull, os.O_WRONLY)
    pid = os.fork()
    if pid == 0:
        run_child(request, loaded, Deaf(), nobody, temporary)
    os.close(nobody)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_the_process_ends_with_its_answer_in_a_file_and_its_output_in_the_log(
    toy_project: Path, tmp_path: Path
) -> None:
    found = with_hook(
        toy_project, "import os; print('héllo'); context.log(os.environ['TMPDIR']); os.system('echo there')"
    )
    request = request_for(found, tmp_path)
    assert forked(request, found, tmp_path / "temporary") == 0
    assert decode(Path(request.result).read_bytes(), Result).failure is None
    lines = Path(request.log).read_text().splitlines()
    assert lines == ["héllo", str(tmp_path / "temporary"), "there"]
    assert (tmp_path / "temporary").is_dir()


def test_the_process_of_a_stage_that_failed_says_so_by_its_code(project: Project, tmp_path: Path) -> None:
    request = request_for(project, tmp_path)
    assert forked(request, DataError("no"), tmp_path / "temporary") == 1
    assert failure(decode(Path(request.result).read_bytes(), Result)) == "no"


def test_an_answer_that_cannot_be_written_is_told_in_the_log(project: Project, tmp_path: Path) -> None:
    request = request_for(project, tmp_path, result=str(tmp_path / "nowhere" / "result"))
    assert forked(request, DataError("no"), tmp_path / "temporary") == 1
    assert "nowhere" in Path(request.log).read_text()
    assert "Traceback" not in Path(request.log).read_text()


# What it says


def job(folder: Path, *uses: Use) -> Job:
    roles = {one.component.kind: one for one in uses}
    return job_of(Stage("train", "net", uses=roles), {}, folder)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except type(error) as exc:
        return exc


def test_our_own_errors_are_words_already(tmp_path: Path) -> None:
    assert explain(raised(StageFailed("train:net: no")), None) == "train:net: no"
    assert explain(raised(StageFailed("train:net: no")), job(tmp_path)) == "train:net: no"


def test_before_there_is_a_stage_it_is_modelyard_that_failed(tmp_path: Path) -> None:
    assert explain(ValueError("no"), None) == f"modelyard raised ValueError: no\n  {CRASHED}"
    assert explain(ValueError("no"), job(tmp_path)) == f"train:net raised ValueError: no\n  {CRASHED}"


def test_a_component_is_named_with_the_line_of_its_file(tmp_path: Path) -> None:
    here = Component("trainer", "own", nothing, SOURCE)
    assert explain(ValueError("no"), job(tmp_path, use(here))).startswith(f"the trainer 'own' ({here.file}) raised")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "ran out of memory\n  use a smaller batch, or a machine with more"),
        (
            ModuleNotFoundError("x", name="no_such_module"),
            "needs the module 'no_such_module', which is not installed\n  run: python -m pip install no-such-module",
        ),
    ],
)
def test_what_to_do_next_is_said_where_it_is_known(tmp_path: Path, error: Exception, said: str) -> None:
    assert explain(error, job(tmp_path)) == f"train:net {said}"


def test_how_to_install_a_module_names_the_extra_that_brings_it() -> None:
    assert how_to_install("anything", "torch") == "run: python -m pip install 'modelyard[torch]'"
    assert how_to_install("onnxruntime").startswith("run: python -m pip install 'modelyard[")
