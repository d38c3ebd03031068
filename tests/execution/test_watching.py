"""What is heard of a stage, and what is thought of it, in a process of its own: an audit hook cannot be taken back."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import json, os, sys
from pathlib import Path
from modelyard.errors import StageFailed
from modelyard.code.lookups import mark_of
from modelyard.execution.watching import Rules, Watch
from modelyard.code.imports import watch_sources

project = os.getcwd()
sys.path.insert(0, project)
watch_sources()
watch = Watch(project)
{early}
watch.rest()
rules = dict(
    sources={{f"{{project}}/{{name}}": mark_of(f"{{project}}/{{name}}") for name in {sources!r}}},
    files=tuple(f"{{project}}/{{name}}" for name in {files!r}),
    variables=frozenset({variables!r}),
    undeclared={undeclared!r},
    harmless_files=["*.log"],
    harmless_variables=["COLOR"],
)
answer = {{}}
try:
    watch.begin("train:net", Rules(**rules), {notes!r})
{stage}
    seen = watch.end()
    answer = {{kind: sorted(getattr(seen, kind)) for kind in seen.__struct_fields__}}
    answer["marks_hold"] = all(mark_of(path) == tuple(mark) for path, mark in seen.files.items())
except BaseException as exc:
    answer["error"] = str(watch.cause(exc))
    answer["raised"] = type(exc).__name__
print(json.dumps(answer))
"""


MODEL = """import os

def read(name):
    return open(name).read()

def ask(name):
    return os.environ.get(name)

def load(name):
    return __import__(name)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "model.py").write_text(MODEL)
    (folder / "helper.py").write_text("VALUE = 1\n")
    for name in ("sizes.json", "data/a.txt", "run.log"):
        (folder / name).write_text("1")
    return folder


def watch(project: Path, stage: str, early: str = "", undeclared: str = "error", **rules: Any) -> dict[str, Any]:
    """Run `stage` as a stage's code would be, after `early` while the project is loaded, and return what was seen."""
    given = {"sources": ["model.py"], "files": ["data"], "variables": ["KNOWN"], **rules}
    script = SCRIPT.format(
        early=early,
        stage=textwrap.indent(stage, "    "),
        undeclared=undeclared,
        notes=str(project.parent / "seen"),
        **given,
    )
    (project.parent / "stage.py").write_text(script)
    (project.parent / "seen").unlink(missing_ok=True)
    command = [sys.executable, str(project.parent / "stage.py")]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


LOADED = "import model"


@pytest.mark.parametrize(
    "stage",
    [
        "model.read('data/a.txt')",
        "model.read('run.log')",
        "model.read('/etc/hostname')",
        "open('out.txt', 'w').write('1'); model.read('out.txt')",
        "model.ask('KNOWN'), model.ask('COLOR')",
        "os.environ['MINE'] = '1'; model.ask('MINE')",
        "os.listdir('.'), os.path.exists('sizes.json')",
        "os.open('data', os.O_RDONLY | os.O_DIRECTORY)",
        "os.makedirs('../tree/sizes.json'); import shutil; shutil.rmtree('../tree')",
        "os.open('a.txt', os.O_RDONLY, dir_fd=os.open('data', os.O_RDONLY | os.O_DIRECTORY))",
    ],
)
def test_what_counts_is_made_or_is_harmless_is_no_error_and_nothing_to_record(project: Path, stage: str) -> None:
    seen = watch(project, stage, LOADED)
    assert "error" not in seen, seen
    assert seen["files"] == seen["variables"] == []


def test_what_counts_through_a_link_counts_by_the_way_that_it_leads_to(project: Path) -> None:
    (project / "link").symlink_to("data")
    seen = watch(project, "model.read('data/a.txt'), model.read('link/a.txt')", LOADED, files=["link"])
    assert "error" not in seen, seen
    assert seen["files"] == []


UNDECLARED = [
    ("model.read('sizes.json')", "files", "sizes.json", "model.py:4: reads sizes.json"),
    ("os.chdir('data'); model.read('../sizes.json')", "files", "sizes.json", "model.py:4: reads sizes.json"),
    ("os.open('sizes.json', os.O_RDONLY)", "files", "sizes.json", "train:net: reads sizes.json"),
    (
        "here = os.open('.', os.O_RDONLY | os.O_DIRECTORY); os.chdir('/'); os.open('sizes.json', os.O_RDONLY, dir_fd=here)",
        "files",
        "sizes.json",
        "train:net: reads sizes.json",
    ),
    ("model.load('helper')", "files", "helper.py", "model.py:10: imports helper.py"),
    ("model.ask('SECRET')", "variables", "SECRET", "model.py:7: reads the environment variable SECRET"),
]


@pytest.mark.parametrize(("stage", "kind", "name", "says"), UNDECLARED)
def test_what_does_not_count_is_an_error_that_says_where_and_how(
    project: Path, stage: str, kind: str, name: str, says: str
) -> None:
    seen = watch(project, stage, LOADED)
    assert seen["error"].startswith(f"{says}, which does not count: a change of it would go unseen\n"), seen
    assert "docs/explanation/incremental.md" in seen["error"]


@pytest.mark.parametrize(("stage", "kind", "name", "says"), UNDECLARED)
def test_what_does_not_count_is_recorded_or_allowed_if_the_project_says_so(
    project: Path, stage: str, kind: str, name: str, says: str
) -> None:
    recorded = watch(project, stage, LOADED, "record")
    expected = str(project / name) if kind == "files" else name
    assert recorded[kind] == [expected], recorded
    assert recorded["marks_hold"]
    allowed = watch(project, stage, LOADED, "allow")
    assert "error" not in allowed, allowed
    assert allowed[kind] == []


def test_an_error_that_the_code_hid_is_told_in_the_end(project: Path) -> None:
    seen = watch(project, "try:\n    model.read('sizes.json')\nexcept Exception:\n    pass", LOADED)
    assert seen["raised"] == "StageFailed"
    assert seen["error"].startswith("model.py:4: reads sizes.json")


def test_an_error_that_the_code_made_another_of_is_still_the_one_that_is_told(project: Path) -> None:
    stage = "try:\n    model.read('sizes.json')\nexcept Exception:\n    raise KeyError('sizes')"
    seen = watch(project, stage, LOADED)
    assert seen["raised"] == "KeyError"
    assert seen["error"].startswith("model.py:4: reads sizes.json")


def test_an_error_of_the_stage_s_own_stays(project: Path) -> None:
    assert watch(project, "raise KeyError('mine')", LOADED) == {"error": "'mine'", "raised": "KeyError"}


def test_what_the_code_read_while_it_was_loaded_counts_for_its_stages_alone(project: Path) -> None:
    (project / "model.py").write_text("SIZES = open('sizes.json').read()\n")
    (project / "other.py").write_text("")
    seen = watch(project, "pass", LOADED)
    assert seen["error"].startswith("model.py:1: reads sizes.json, which does not count"), seen
    assert "error" not in watch(project, "pass", LOADED, sources=["other.py"])


def test_code_that_is_another_than_that_of_the_key_is_refused(project: Path) -> None:
    early = f"{LOADED}\nwith open('model.py', 'a') as file: file.write('# later\\n')"
    seen = watch(project, "pass", early)
    assert seen["error"].startswith("train:net: changed while the stage ran: model.py\n"), seen


def test_code_that_is_read_as_a_file_and_programs_are_noted_once(project: Path) -> None:
    stage = "import subprocess\nfor _ in range(2):\n    model.read('model.py')\n    subprocess.run(['true'])"
    seen = watch(project, stage, LOADED)
    assert seen["opened"] == [str(project / "model.py")]
    assert seen["programs"] == ["true"]
    assert len((project.parent / "seen").read_text().splitlines()) == 2


def test_what_a_forked_process_reads_is_heard(project: Path) -> None:
    stage = "child = os.fork()\nif child == 0:\n    model.read('sizes.json')\n    os._exit(0)\nos.waitpid(child, 0)"
    assert watch(project, stage, LOADED, "record")["files"] == [str(project / "sizes.json")]


def test_a_process_that_multiprocessing_starts_anew_is_noted_as_a_program(project: Path) -> None:
    stage = "import _posixsubprocess, multiprocessing.util as util\nos.waitpid(util.spawnv_passfds(b'/bin/true', [b'/bin/true'], []), 0)"
    assert watch(project, stage, LOADED)["programs"] == ["true"]


def test_what_is_unheard_may_read_what_it_likes_and_no_longer(project: Path) -> None:
    stage = "with watch.unheard():\n    model.read('sizes.json'); model.ask('SECRET')"
    assert watch(project, stage, LOADED)["files"] == []
    seen = watch(project, f"{stage}\nmodel.ask('SECRET')", LOADED)
    assert seen["error"].startswith("model.py:7: reads the environment variable SECRET")


def test_code_that_is_loaded_unheard_must_be_that_of_the_key(project: Path) -> None:
    stage = "with watch.unheard():\n    Path('helper.py').write_text('VALUE = 2\\n')\n    import helper"
    seen = watch(project, stage, LOADED, sources=["model.py", "helper.py"])
    assert seen["error"].startswith("train:net: changed while the stage ran: helper.py\n"), seen


def test_nothing_is_heard_when_the_stage_has_ended(project: Path) -> None:
    seen = watch(project, "result = watch.end()\nmodel.read('sizes.json')\nassert result.files == {}", LOADED)
    assert "error" not in seen, seen
