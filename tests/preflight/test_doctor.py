from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import msgspec
from tests.preflight.conftest import add_trait

from modelyard.preflight.doctor import Check, Diagnosis, as_text, examine
from modelyard.project.load import load


def of(found: Diagnosis, state: str) -> list[Check]:
    return [check for check in found.checks if check.state == state]


def test_a_machine_that_has_all_is_fine_and_what_comes_later_is_told_apart(toy_project: Path) -> None:
    project = load(toy_project)
    found = examine(project)
    assert (found.ok, found.project, found.modelyard) == (True, str(toy_project), version("modelyard"))
    assert (found.python, found.platform) == (platform.python_version(), f"{platform.system()} {platform.machine()}")
    content, disk = of(found, "ok")
    assert content == Check(state="ok", who=list(project.plan.stages), what=f"numpy {version('numpy')}")
    assert disk.who == []
    assert disk.what.endswith(" MB free on the disk of the project")
    assert of(found, "missing") == []
    [push] = of(found, "later")
    assert (push.who, push.what[:25]) == (["push:toy"], "no repository is named, a")
    assert msgspec.json.decode(msgspec.json.encode(found), type=Diagnosis) == found


def test_what_a_build_needs_is_missing_and_the_other_stages_stand_on_what_is_there(toy_project: Path) -> None:
    add_trait(toy_project, "points", 'needs=("no-such-data",)')
    add_trait(toy_project, "centroids", 'needs=("msgspec",)')
    found = examine(load(toy_project))
    assert not found.ok
    [missing] = of(found, "missing")
    assert (missing.who, missing.what) == (["dataset:points"], "no-such-data is not installed")
    content = of(found, "ok")[0]
    assert "dataset:points" not in content.who
    assert "train:model.build" in content.who
    assert content.what == f"msgspec {version('msgspec')}, numpy {version('numpy')}"


def test_a_deploy_is_looked_at_and_what_a_build_lacks_is_not_told_again(toy_project: Path) -> None:
    code = """
from modelyard.contexts import Lack


def preflight(context, *, greeting):
    yield Lack("no template")
    if context.deploys:
        yield Lack("no cluster", "start one")
"""
    add_trait(toy_project, "note", "preflight=preflight, deploy=lambda context, *, greeting: None", code)
    found = examine(load(toy_project))
    assert [(one.who, one.what) for one in of(found, "missing")] == [(["render:note"], "no template")]
    assert Check(state="later", who=["deploy:note"], what="no cluster", instead="start one") in of(found, "later")
    assert all(one.what != "no template" for one in of(found, "later"))


def test_nothing_is_built_or_left_open(toy_project: Path) -> None:
    examine(load(toy_project))
    assert not (toy_project / "artifacts").exists()


def diagnosis(*checks: Check) -> Diagnosis:
    facts = {"modelyard": "1.0", "python": "3.11.2", "platform": "Linux x86_64", "project": "/p"}
    return Diagnosis(ok=False, checks=list(checks), **facts)


def test_a_person_reads_one_line_for_each_thing_and_what_to_do() -> None:
    found = diagnosis(
        Check(state="ok", who=["train:a", "train:b"], what="numpy 2.0"),
        Check(state="missing", who=["image:toy"], what="no engine", instead="start one"),
        Check(state="later", who=["push:toy"], what="no registry", instead="name one"),
        Check(state="ok", what="10 MB free"),
    )
    assert as_text(found).splitlines() == [
        "modelyard 1.0, Python 3.11.2, Linux x86_64; project /p",
        "ok    train:a, train:b: numpy 2.0",
        "!!    image:toy: no engine",
        "        start one",
        "later push:toy: no registry",
        "        name one",
        "ok    10 MB free",
        "1 thing is missing that a build needs",
    ]


def test_the_last_line_counts_what_a_build_needs() -> None:
    missing, later = Check(state="missing", what="x"), Check(state="later", what="y")
    assert as_text(diagnosis(later)).splitlines()[-1] == "nothing is missing that a build needs"
    assert as_text(diagnosis(missing, later, missing)).splitlines()[-1] == "2 things are missing that a build needs"
