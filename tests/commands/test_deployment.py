"""The options of `doit deploy` and `doit undeploy`, with a target that writes down what it is given."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Run

PLUGIN = '''
import json

from modelyard import hookimpl


def written(context, *, text: str = "one", where: str = ""):
    """A file."""
    context.write("note.txt", text)


def tell(context, **params):
    text = (context.rendered.folder / "note.txt").read_text()
    if context.to:
        with context.earlier(context.to) as earlier:
            text = (earlier.folder / "note.txt").read_text()
    told = {name: getattr(context, name) for name in ("task", "target", "name", "who", "to", "diff", "dry_run", "yes")}
    told |= {"text": text, "agreed": context.agreed("really?"), "params": params, "commit": context.rendered.commit}
    with open("told.jsonl", "a") as file:
        file.write(json.dumps(told) + "\\n")


@hookimpl
def modelyard_register_targets(register):
    register("written", written, templates=(), deploy=tell, undeploy=tell, deploy_only=("where",))
'''


@pytest.fixture
def project(toy: Path) -> Path:
    (toy / "plugins" / "written.py").write_text(PLUGIN)
    with (toy / "pyproject.toml").open("a") as file:
        file.write('\n[tool.modelyard.targets.here]\nuse = "written"\nwhere = "there"\n')
    return toy


def told(project: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project / "told.jsonl").read_text().splitlines()]


def test_a_target_is_given_what_was_rendered_and_what_was_asked_for(project: Path, run: Run) -> None:
    done = run("deploy", "--diff", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    [one] = told(project)
    assert (one["task"], one["target"], one["name"], one["text"]) == ("deploy:here", "here", "toy", "one")
    assert (one["diff"], one["yes"], one["dry_run"], one["agreed"], one["to"]) == (True, True, False, True, "")
    assert one["params"] == {"text": "one", "where": "there"}
    assert one["commit"].endswith("+")
    assert one["who"]


def test_without_a_terminal_nobody_agrees(project: Path, run: Run) -> None:
    assert run("deploy:here", "--dry-run", stdin="y\n").returncode == 0
    assert (told(project)[0]["agreed"], told(project)[0]["dry_run"]) == (False, True)


def test_going_back_builds_nothing(project: Path, run: Run) -> None:
    run("deploy")
    key = json.loads(run("history", "render:here", "--json").stdout)["render:here"][0]["key"]
    run("deploy", "targets.here.text=two")
    shutil.rmtree(project / "artifacts")
    (project / "artifacts/render/here").mkdir(parents=True)
    (project / "artifacts/render/here/note.txt").write_text("three")
    done = run("deploy:here", "--to", key[:8])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "built" not in done.stdout
    assert [one["text"] for one in told(project)] == ["one", "two", "one"]


def test_a_render_that_nobody_knows_is_told(project: Path, run: Run) -> None:
    run("deploy")
    done = run("deploy", "--to", "beefbeef")
    assert done.returncode != 0
    assert "--to 'beefbeef': no render of render:here begins so\n  known: " in done.stdout + done.stderr


def test_a_render_that_the_store_has_lost_is_told(project: Path, run: Run) -> None:
    run("deploy")
    key = json.loads(run("history", "render:here", "--json").stdout)["render:here"][0]["key"]
    shutil.rmtree(project / ".modelyard" / "store")
    done = run("deploy:here", "--to", key)
    assert done.returncode != 0
    assert f"render {key[:12]}: the store has it no longer\n  check out " in done.stdout + done.stderr


def test_undeploy_waits_for_no_build_and_needs_to_know_what_was_rendered(project: Path, run: Run) -> None:
    done = run("undeploy")
    assert done.returncode != 0
    assert "undeploy:here: nothing is rendered\n  run: doit render:here" in done.stdout + done.stderr
    run("render:here")
    assert run("undeploy", "--yes", "targets.here.text=two").returncode == 0
    assert [(one["task"], one["text"]) for one in told(project)] == [("undeploy:here", "one")]
