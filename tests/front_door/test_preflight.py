"""A build that cannot reach its end says so before its first stage runs, all at once; `modelyard doctor` any time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.execution.extras import missing
from tests.front_door.builds import Build, build, copy

DOWN = {"TOY_DOWN": "1"}
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent.sock"}
PREFLIGHT = """

def tarball_preflight(context, *, note, base, lock):
    import os

    from modelyard.contexts import Lack

    if os.environ.get("TOY_DOWN"):
        yield Lack(f"the tarball service of {context.name} is down", "start it")
    if os.environ.get("TOY_STAYS") and context.pushes:
        yield Lack("tarballs stay here", "use the builder 'oci'")
"""


def with_preflight(project: Path) -> Path:
    file = project / "plugins" / "toy.py"
    text = file.read_text().replace(
        'register("tarball", tarball', 'register("tarball", tarball, preflight=tarball_preflight'
    )
    assert "preflight" in text
    file.write_text(text.replace("\n\ndef note(", f"{PREFLIGHT}\n\ndef note(", 1))
    return project


def lacking(project: Path) -> Path:
    """Let components need what no machine has, and the builder what this one has not."""
    file = project / "plugins" / "toy.py"
    text = file.read_text().replace(
        'register("points", points', 'register("points", points, needs=("no-such-data", "torch-of-none")'
    )
    file.write_text(
        text.replace('register("centroids", centroids', 'register("centroids", centroids, needs=("no-such-data",)')
    )
    config = project / "pyproject.toml"
    config.write_text(config.read_text().replace('use = "tarball"', 'use = "docker"'))
    return project


def doctor(project: Path, *arguments: str, env: dict[str, str]) -> Build:
    import os

    done = subprocess.run(
        [sys.executable, "-m", "modelyard.commands.cli", "doctor", *arguments],
        cwd=project, env={**os.environ, **env}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Build(done.returncode, done.stdout + done.stderr, {})


@pytest.fixture(scope="module")
def served_toy(built_toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a built project whose image needs a service; not to be changed."""
    folder = with_preflight(copy(built_toy, tmp_path_factory.mktemp("preflight") / "toy"))
    done = build(folder)
    assert done.code == 0, done.output
    return folder


@pytest.fixture
def served(served_toy: Path, tmp_path: Path) -> Path:
    return copy(served_toy, tmp_path / "served")


def test_all_that_is_missing_is_told_at_once_and_nothing_is_started(new_toy: Path) -> None:
    done = build(lacking(new_toy), env=NO_ENGINE)

    assert done.code == 3
    assert done.output.splitlines() == [
        "ERROR: this build cannot reach its end, so that nothing was started:",
        "  dataset:points, train:model.build: no-such-data, torch-of-none are not installed",
        "    run: python -m pip install no-such-data torch-of-none",
        "  image:toy: no Docker engine answers: unix:///nonexistent.sock: No such file or directory",
        '    start one, or set `use = "oci"` in [tool.modelyard.image], which needs no engine',
        "  then run `doit` again",
    ]
    assert not list((new_toy / "artifacts").glob("[!.]*"))


def test_the_doctor_tells_the_same_in_the_same_words(new_toy: Path) -> None:
    told = build(lacking(new_toy), env=NO_ENGINE).output.splitlines()[1:-1]
    done = doctor(new_toy, env=NO_ENGINE)
    assert done.code == 1
    for line in told:
        assert line.strip() in done.output
    assert done.output.splitlines()[-1] == "2 things are missing that a build needs"
    answer = json.loads(doctor(new_toy, "--json", env=NO_ENGINE).output)
    assert answer["ok"] is False
    missing = [check for check in answer["checks"] if check["state"] == "missing"]
    assert [check["who"] for check in missing] == [["dataset:points", "train:model.build"], ["image:toy"]]
    assert all(check["what"] in done.output and check["instead"] in done.output for check in missing)


def test_the_doctor_finds_nothing_where_nothing_is_missing(served: Path) -> None:
    done = doctor(served, env={})
    assert done.code == 0, done.output
    assert done.output.splitlines()[-1] == "nothing is missing that a build needs"
    assert "later push:toy: no repository is named, and docker.io/library/toy is Docker's own" in done.output
    done = doctor(served, env=DOWN)
    assert done.code == 1
    assert "!!    image:toy: the tarball service of toy is down\n        start it\n" in done.output


def test_the_doctor_takes_overrides_and_tells_mistakes_as_doit_does(served: Path) -> None:
    assert doctor(served, "image.use=oci", env=DOWN).code == 0
    done = doctor(served, "image.used=oci", env={})
    assert done.code == 2
    assert done.output.startswith("modelyard: command line: image.used=oci: ")
    assert doctor(served, "image", env={}).output.startswith("modelyard: doctor: 'image' is no KEY=VALUE")


def test_what_is_up_to_date_or_in_the_store_needs_nothing(served: Path) -> None:
    done = build(served, env=DOWN)
    assert done.code == 0, done.output
    assert set(done.stages.values()) == {"fresh"}
    assert build(served, "clean").code == 0
    done = build(served, env=DOWN)
    assert done.code == 0, done.output
    assert set(done.stages.values()) == {"restored"}


def test_a_stage_that_will_run_or_may_is_looked_at_and_others_are_not(served: Path) -> None:
    done = build(served, "train.passes=2", env=DOWN)
    assert done.code == 3
    assert "  image:toy: the tarball service of toy is down\n    start it\n" in done.output
    assert "what needs none of this can be built: `doit select:toy`\n" in done.output
    done = build(served, "select:toy", "train.passes=2", env=DOWN)
    assert done.code == 0, done.output
    assert "train:model.build" in done.built
    done = build(served, "-n", "2", "train.passes=3", env=DOWN)
    assert done.code == 3, done.output


def test_a_stage_that_is_forced_to_run_is_looked_at(served: Path) -> None:
    done = build(served, "-a", env=DOWN)
    assert done.code == 3
    assert "  image:toy: the tarball service of toy is down\n" in done.output


@pytest.mark.skipif(
    not missing(["litert-torch"]), reason="litert-torch is installed, which this test takes for missing"
)
def test_what_the_server_stands_on_is_looked_at_before_it_is_served(served: Path) -> None:
    (served / "server" / "requirements.txt").write_text("litert-torch==0.10 --hash=sha256:00\nno-extra-has-this==1\n")
    done = build(served, "serve", "train.passes=2")
    assert done.code == 3, done.output
    assert "  serve:toy: litert-torch is not installed\n" in done.output
    assert "    run: python -m pip install 'modelyard[torch-litert]'\n" in done.output


def test_a_push_is_looked_at_before_anything_is_trained(served: Path) -> None:
    words = ("push", "train.passes=2", 'image.repository="127.0.0.1:1/team/toy"')
    done = build(served, *words)
    assert done.code == 3
    assert "  push:toy: registry '127.0.0.1:1': cannot be reached: [Errno 111] Connection refused\n" in done.output
    assert "train:model.build" not in done.stages
    done = build(served, *words, env={"TOY_STAYS": "1"})
    assert "  push:toy: tarballs stay here\n    use the builder 'oci'\n" in done.output
    assert "stay here" not in build(served, env={"TOY_STAYS": "1"}).output


def test_a_preflight_that_breaks_its_contract_is_the_plugins_mistake(served: Path) -> None:
    file = served / "plugins" / "toy.py"
    file.write_text(file.read_text().replace('yield Lack(f"the', 'yield (f"the'))
    done = build(served, env=DOWN)
    assert done.code == 3
    assert "its preflight gave ('the tarball service of toy is down', 'start it'), which is no Lack" in done.output
