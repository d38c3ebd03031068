"""Kinds of stage that a plugin adds, between modelyard's own: planned, built, stale, explained and refused as those are."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.frontend.task_names import FOREGROUND
from tests.front_door.builds import build
from tests.shared import usual

Doit = Callable[..., "subprocess.CompletedProcess[str]"]

NOTIFY = '''
"""A message about the model that ships, and one about each variant."""

from modelyard import hookimpl
from modelyard.stage import Input


def plan(context, *, variants, **params):
    selected = Input("model", f"select:{context.name}", "model")
    yield context.stage("ships", selected, about="what ships")
    for variant in variants:
        yield context.stage(variant, Input("evaluation", f"evaluate:{variant}"), about=variant)


def notify(context, *, to: str, variants: list[str] = []):
    """Write a message.

    Args:
        to: who gets it.
        variants: which variants have a message of their own.
    """
    assert variants == []
    text = f"{to}: {context.settings['about']} of {sorted(context.inputs)}"
    with (context.project / "sent.txt").open("a") as file:
        file.write(f"{text}\\n")
    (context.out / "message.txt").write_text(text)
    context.metrics["characters"] = len(text)


@hookimpl
def modelyard_register_kinds(register):
    register(
        "notify", notify, after="select", plan=plan, plan_only=("variants",), parts={"message.txt": "message.txt"}
    )
'''
TABLE = '\n[tool.modelyard.notify]\nto = "ops"\nvariants = ["plain"]\n'
NAMED = '''

def task_notify():
    """tell people"""
    yield from project.tasks(task_notify)
'''
MINIMAL = """
from modelyard.tasks import load_project

project = load_project(__file__)
DOIT_CONFIG = project.config()


def task_modelyard():
    yield from project.tasks()
"""


def asked(project: Path, table: str = TABLE, plugin: str = NOTIFY) -> Path:
    """Add the plugin and its table to a project."""
    (project / "plugins" / "notify.py").write_text(plugin)
    file = project / "pyproject.toml"
    file.write_text(file.read_text() + table)
    return project


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def sent(project: Path) -> list[str]:
    file = project / "sent.txt"
    return file.read_text().splitlines() if file.exists() else []


# Planned and built


def test_a_plugin_s_kind_is_built_between_modelyard_s_own_and_changes_none_of_them(toy: Path) -> None:
    done = build(asked(toy))
    assert done.code == 0, done.output
    assert done.built == {"notify:ships", "notify:plain"}
    assert done.having("fresh") == done.stages.keys() - done.built
    assert sorted(sent(toy)) == ["ops: plain of ['evaluation']", "ops: what ships of ['model']"]
    assert "notify:ships: built in" in done.output
    assert "(characters 28)" in done.output
    assert build(toy).built == set()
    assert len(sent(toy)) == 2


def test_a_plugin_that_nobody_asks_for_plans_nothing(toy: Path) -> None:
    (toy / "plugins" / "notify.py").write_text(NOTIFY)
    assert set(build(toy).stages.values()) == {"fresh"}
    assert "notify" not in build(toy, "list", "--all").output


def test_list_plan_why_history_and_report_know_the_kind(toy: Path) -> None:
    asked(toy)
    listed = build(toy, "list", "--all").output
    assert re.search(r"^notify +Write a message$", listed, re.MULTILINE)
    assert re.search(r"^notify:plain +Write a message$", listed, re.MULTILINE)
    assert not re.search(r"^(_?others|task_others)", listed, re.MULTILINE)
    assert re.search(r"notify:ships.*\n", build(toy, "plan").output)
    assert build(toy).code == 0
    edit(toy / "pyproject.toml", 'to = "ops"', 'to = "dev"')
    why = build(toy, "why", "notify:ships").output
    assert "parameter to of the kind: ops -> dev" in why, why
    assert "notify:plain" in build(toy, "graph").output
    assert build(toy, "history", "notify:ships").code == 0
    assert build(toy, "report").code == 0
    report = json.loads((toy / "artifacts/report/toy/report.json").read_text())
    states = {stage["stage"]: stage["state"] for stage in report["stages"] if stage["stage"].startswith("notify:")}
    assert states == {"notify:ships": "stale", "notify:plain": "stale"}
    assert re.search(r"^kind +notify ", build(toy, "plugins").output, re.MULTILINE)


def test_it_runs_again_when_what_it_reads_changes_and_at_no_other_time(toy: Path) -> None:
    build(asked(toy))
    edit(toy / "plugins/notify.py", "Write a message.", "Write a short message.")
    assert build(toy).built == set(), "a docstring means nothing"
    edit(toy / "plugins/notify.py", ": {context", " gets {context")
    assert build(toy).built == {"notify:ships", "notify:plain"}
    edit(toy / "pyproject.toml", '["plain"]', '["plain", "rounded"]')
    assert build(toy).built == {"notify:rounded"}, "the parameter concerns the plan alone"
    build(toy, "notify", "notify.to=dev")
    assert build(toy, "notify", "notify.to=ops").having("restored") == {
        "notify:ships",
        "notify:plain",
        "notify:rounded",
    }
    (toy / "artifacts/notify/ships/message.txt").write_text("edited")
    assert build(toy).having("restored") == {"notify:ships"}


def test_a_stage_of_modelyard_s_own_can_wait_for_one_of_a_plugin_s(toy: Path) -> None:
    gate = (
        NOTIFY
        + """

@hookimpl
def modelyard_amend_plan(stages):
    from msgspec.structs import replace

    for number, stage in enumerate(stages):
        if stage.kind == "image":
            stages[number] = replace(stage, inputs=(*stage.inputs, Input("notified", "notify:ships", "message.txt")))
"""
    )
    asked(toy, plugin=gate)
    done = build(toy, "image")
    assert done.code == 0, done.output
    order = list(done.stages)
    assert order.index("notify:ships") < order.index("image:toy")
    assert done.built == {"notify:ships", "image:toy"}
    edit(toy / "plugins/notify.py", 'f"{to}: {', 'to and f"{to}: {')
    assert build(toy, "image").built == {"notify:ships"}, "early cutoff: the message is the same"
    edit(toy / "plugins/notify.py", "text = to and", "raise ValueError(to) #")
    failed = build(toy, "image")
    assert failed.code == 1
    assert "!! notify:ships failed: " in failed.output
    assert "plugins/notify.py:" in failed.output


def test_a_kind_that_draws_computes_and_measures_is_told_what_it_needs(toy: Path) -> None:
    plugin = NOTIFY.replace('after="select",', 'after="select", seeded=True, host_bound=True, measures=True,')
    asked(toy, plugin=plugin.replace('text = f"', 'text = f"{context.seed} {context.threads} '))
    edit(toy / "pyproject.toml", '[tool.modelyard]\nname = "toy"', '[tool.modelyard]\nname = "toy"\nseed = 7')
    assert build(toy, "notify").code == 0
    parts = json.loads((toy / "artifacts/notify/ships/stage.json").read_text())["parts"]
    assert {"seed", "machine", "python", "threads", "accelerator"} <= parts.keys()
    assert (toy / "artifacts/notify/ships/message.txt").read_text().startswith("7 2 ops")
    assert build(toy, "verify").code == 0


def test_the_settings_of_a_kind_may_be_a_struct_whose_values_count(toy: Path) -> None:
    asked(toy)
    plugin = toy / "plugins" / "notify.py"
    edit(plugin, "from modelyard import hookimpl", "import msgspec\n\nfrom modelyard import hookimpl")
    edit(plugin, "def plan(", "class About(msgspec.Struct):\n    about: str\n    copies: int = 1\n\n\ndef plan(")
    edit(plugin, "about=variant)", "about=variant, copies=len(variants))")
    edit(plugin, "settings['about']", "settings.about * context.settings.copies")
    edit(plugin, "plan=plan,", "plan=plan, settings=About,")
    assert build(toy, "notify").built == {"notify:ships", "notify:plain"}
    message = toy / "artifacts/notify/plain/message.txt"
    assert message.read_text() == "ops: plain of ['evaluation']"

    edit(toy / "pyproject.toml", '["plain"]', '["plain", "rounded"]')
    assert build(toy, "notify").built == {"notify:plain", "notify:rounded"}
    assert message.read_text() == "ops: plainplain of ['evaluation']"

    edit(plugin, "copies=len", "copeis=len")
    told = build(toy, "plan")
    assert told.code == 3
    assert "gives the stage 'plain' settings that do not fit: it has no 'copeis', did you mean 'copies'?" in told.output
    assert "plugins/notify.py: the plan of the kind of stage 'notify' gives" in told.output
    assert "Traceback" not in told.output


# dodo.py


@pytest.mark.parametrize(
    "names", usual([("select", "image"), ("dataset",), ("check", "render", "deploy", "report")], 1)
)
def test_an_old_dodo_without_the_newest_kinds_still_builds(names: tuple[str, ...], toy_project: Path) -> None:
    file = toy_project / "dodo.py"
    text = file.read_text()
    for name in names:
        text, count = re.subn(rf"\n\ndef task_{name}\(\):\n.*\n.*\n", "", text)
        assert count == 1
    file.write_text(text)
    done = build(asked(toy_project))
    assert done.code == 0, done.output
    kinds = ["dataset", "train", "optimize", "evaluate", "select", "notify", "image", "render"]  # the toy has no check
    assert list(dict.fromkeys(stage.partition(":")[0] for stage in done.stages)) == kinds
    assert build(toy_project).built == set()
    listed = [line.split()[0] for line in build(toy_project, "list").output.splitlines()]
    assert listed == sorted({*kinds, *FOREGROUND, "check"} - ({"check"} & {*names}))


def test_a_dodo_that_names_nothing_has_everything(toy: Path, doit: Doit) -> None:
    full = doit(asked(toy), "list", "--all").stdout.splitlines()
    (toy / "dodo.py").write_text(MINIMAL)
    empty = "check "  # the toy has no check, but its dodo.py names one
    assert doit(toy, "list", "--all").stdout.splitlines() == [line for line in full if not line.startswith(empty)]
    done = build(toy)
    assert done.built == {"notify:ships", "notify:plain"}


def test_a_kind_that_dodo_names_is_described_there(toy: Path) -> None:
    asked(toy)
    file = toy / "dodo.py"
    file.write_text(file.read_text() + NAMED)
    assert re.search(r"^notify +tell people$", build(toy, "list").output, re.MULTILINE)
    assert build(toy).built == {"notify:ships", "notify:plain"}


def test_a_dodo_that_lacks_the_tasks_is_told_what_to_add(toy: Path) -> None:
    asked(toy)
    file = toy / "dodo.py"
    file.write_text(file.read_text().partition("\n\n\ndef task_others")[0] + "\n")
    done = build(toy)
    assert done.code != 0
    assert "dodo.py: it has no tasks for the stages of the kind 'notify'\n  add to it" in done.output
    assert "yield from project.tasks()" in done.output
    assert "Traceback" not in done.output
    assert build(toy, "image").code == 0, "what does not need them is built"
    file.write_text(re.sub(r"\n\ndef task_train\(\):\n.*\n.*\n", "", file.read_text()))
    done = build(toy, "optimize")
    assert "dodo.py: it has no tasks for the stages of the kind 'train'" in done.output


# What is refused


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("\n[tool.modelyard.notfy]\n", "unknown key 'notfy', did you mean 'notify'?\n  allowed: "),
        (
            '\n[tool.modelyard.notify]\ntoo = "x"\n',
            "unknown key 'too', did you mean 'to'?\n  the kind 'notify' takes: to",
        ),
        ("\n[tool.modelyard.notify]\n", "[tool.modelyard.notify]: key 'to' is missing\n  it is str; add `to = ...`"),
        ("\n[tool.modelyard.notify]\nto = 3\n", "key 'to': 3 is not allowed"),
        ('\n[tool.modelyard]\nnotify = "x"\n', "'x' is not a table\n  write [tool.modelyard.notify]"),
        (
            '\n[tool.modelyard.notify]\nto = "x"\nvariants = ["plian"]\n',
            "stage 'notify:plian' reads 'evaluate:plian', which no stage makes",
        ),
        ('\n[tool.modelyard.profiles.p.notfy]\nto = "x"\n', "unknown key 'notfy', did you mean 'notify'?"),
    ],
)
def test_what_is_misspelt_in_the_table_is_refused(table: str, message: str, toy_project: Path) -> None:
    (toy_project / "plugins" / "notify.py").write_text(NOTIFY)
    file = toy_project / "pyproject.toml"
    text = file.read_text()
    if table.startswith("\n[tool.modelyard]\n"):
        file.write_text(text.replace("[tool.modelyard]\n", table.lstrip()))
    else:
        file.write_text(text + table)
    done = build(toy_project, "list")
    assert done.code != 0
    assert message in done.output, done.output
    assert "Traceback" not in done.output


def test_a_profile_and_the_command_line_can_ask_for_the_kind(toy: Path) -> None:
    asked(toy, '\n[tool.modelyard.profiles.told.notify]\nto = "ops"\n')
    assert build(toy).built == set()
    assert build(toy, "notify", "profile=told").built == {"notify:ships"}
    assert build(toy, "notify", "notify.to=dev").built == {"notify:ships"}
    refused = build(toy, "notify", "notfy.to=dev").output
    assert "command line: unknown key 'notfy.to', did you mean 'notify.to'?" in refused


@pytest.mark.parametrize("name", ["deploy", "list", "why", "help"])
def test_a_name_that_doit_has_for_something_else_is_refused(name: str, toy_project: Path) -> None:
    asked(toy_project, plugin=NOTIFY.replace('"notify", notify', f'"{name}", notify'), table="")
    done = build(toy_project)
    assert f"register({name!r}): `doit {name}` is something else already\n  taken: " in done.output
    assert "Traceback" not in done.output
