from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.preflight.conftest import Find, add_trait

from modelyard.errors import PluginError
from modelyard.keys import pinning
from modelyard.keys.platform import describe
from modelyard.oci.cache import SHARED
from modelyard.preflight import needs
from modelyard.preflight.needs import Finding, called, shown
from modelyard.project.load import load

PREFLIGHT = """
from modelyard.contexts import Lack


def preflight(context, **params):
    {body}
"""


def preflight(project: Path, component: str, body: str, more: str = "") -> None:
    add_trait(project, component, f"preflight=preflight{more}", PREFLIGHT.format(body=body))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (1, "s0"), (4, "s0, s1, s2, s3"), (5, "s0, s1, s2, s3, s4"), (6, "s0, s1, s2, s3 and 2 more")],
)
def test_some_of_many_names_are_shown(count: int, text: str) -> None:
    assert shown([f"s{n}" for n in range(count)]) == text


def test_a_finding_is_two_lines() -> None:
    finding = Finding(who=["train:a", "train:b"], what="no GPU", instead="plug one in")
    assert str(finding) == "train:a, train:b: no GPU\n  plug one in"


def test_what_a_stage_calls_is_what_its_kind_says(toy_project: Path) -> None:
    stages = load(toy_project).plan.stages
    of = {name: {use.component.name for use in called(stages[name])} for name in stages}
    assert of["image:toy"] == {"tarball"}, "the runtime is packed, not called"
    assert of["dataset:points"] >= {"points"}
    assert of["train:model.build"] >= {"centroids"}
    assert of["render:note"] >= {"note"}


def test_where_nothing_is_missing_nothing_is_found(lacks: Find) -> None:
    assert lacks() == []


def test_distributions_are_one_finding_with_one_command(toy_project: Path, lacks: Find) -> None:
    add_trait(toy_project, "points", 'needs=("no-such-data", "numpy", "torch-of-none")')
    add_trait(toy_project, "centroids", 'needs=("no-such-data",)')
    names = "no-such-data, torch-of-none are not installed"
    command = "run: python -m pip install no-such-data torch-of-none"
    assert lacks() == [Finding(who=["dataset:points", "train:model.build"], what=names, instead=command)]
    [one] = lacks(stages=("train:model.build",))
    assert (one.who, one.what) == (["train:model.build"], "no-such-data is not installed")
    assert lacks(stages=("optimize:plain",)) == []


def test_what_a_preflight_finds_is_told_for_all_who_need_it_and_it_is_asked_once(
    toy_project: Path, lacks: Find
) -> None:
    body = 'open(context.project / "asked", "a").write("x"); yield Lack("no packer", "make one")'
    preflight(toy_project, "pack", body)
    [one] = lacks()
    assert (one.what, one.instead) == ("no packer", "make one")
    assert len(one.who) == 3
    assert all(name.startswith("optimize:") for name in one.who)
    assert (toy_project / "asked").read_text() == "x"


def test_a_preflight_is_asked_again_for_other_parameters(toy_project: Path, lacks: Find) -> None:
    code = 'yield from [] if params["decimals"] < 2 else [Lack(f"no {params[\'decimals\']} decimals", "take one")]'
    preflight(toy_project, "round", code)
    assert lacks() == []
    config = toy_project / "pyproject.toml"
    config.write_text(config.read_text().replace("decimals = 1", "decimals = 2", 1))
    [one] = lacks()
    assert one.what == "no 2 decimals"
    assert len(one.who) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return None", []),
        ("return []", []),
        ('return [Lack("", install=("numpy", "msgspec"))]', []),
        ('return [Lack("", install=("numpy", "no-such"))]', ["no-such is not installed"]),
        ('return [Lack("one"), Lack("two"), Lack("one")]', ["one", "two"]),
    ],
)
def test_a_preflight_may_find_nothing_or_several_things(
    body: str, said: list[str], toy_project: Path, lacks: Find
) -> None:
    preflight(toy_project, "points", body)
    assert [one.what for one in lacks()] == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise OSError('no route')", r"its preflight raised OSError: no route\n  it must yield what is missing, not"),
        ("yield 'no disk'", r"its preflight gave 'no disk', which is no Lack\n  yield Lack\(what, instead\)"),
        ("return 3", r"its preflight raised TypeError: 'int' object is not iterable"),
    ],
)
def test_a_preflight_that_breaks_its_contract_is_the_plugins_mistake(
    body: str, said: str, toy_project: Path, lacks: Find
) -> None:
    preflight(toy_project, "points", body)
    with pytest.raises(PluginError, match=rf"^the dataset 'points' \(.*toy\.py\): {said}"):
        lacks()


def test_a_builder_is_told_where_images_are_kept_and_others_where_downloads_are(
    toy_project: Path, lacks: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    preflight(toy_project, "points", "yield Lack(f'{context.name}: {context.cache}')")
    preflight(toy_project, "tarball", "yield Lack(f'{context.name}: {context.cache}')")
    monkeypatch.setenv(SHARED, "/shared")
    own = toy_project / ".modelyard" / "cache"
    assert [one.what for one in lacks(stages=("dataset:points", "image:toy"))] == [f"toy: {own}", "toy: /shared"]
    monkeypatch.delenv(SHARED)
    assert [one.what for one in lacks(stages=("image:toy",))] == [f"toy: {own}"]
    assert not own.exists(), "to ask makes nothing"


def test_a_processor_without_the_instructions_is_told(lacks: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinning, "has_instruction_set", lambda _: False)
    assert lacks(stages=("train:model.build",)) == []
    [one] = lacks(stages=("train:model.build",), overrides={"isa": "avx2"})
    assert (one.who, one.instead) == (["train:model.build"], pinning.INSTEAD)


# Tasks


def test_a_push_needs_a_repository_and_what_its_builder_says(toy_project: Path, lacks: Find) -> None:
    preflight(toy_project, "tarball", "yield from [Lack('tarballs stay here')] if context.pushes else []")
    assert lacks(stages=("image:toy",)) == []
    found = lacks("push:toy", stages=())
    assert [one.what for one in found] == [
        "tarballs stay here", "no repository is named, and docker.io/library/toy is Docker's own",
    ]  # fmt: skip
    assert all(one.who == ["push:toy"] for one in found)
    assert lacks("push:other", stages=()) == []


def test_a_push_needs_a_registry_that_answers(lacks: Find) -> None:
    [one] = lacks("push:toy", stages=(), overrides={"image.repository": "127.0.0.1:1/team/toy"})
    assert one.what == "registry '127.0.0.1:1': cannot be reached: [Errno 111] Connection refused"
    assert one.instead


def test_a_deploy_is_told_to_the_target_s_preflight(toy_project: Path, lacks: Find) -> None:
    code = "yield from [Lack('no cluster')] if context.deploys else []"
    preflight(toy_project, "note", code, ", deploy=lambda context, *, greeting: None")
    assert lacks(stages=("render:note",)) == []
    assert [(one.who, one.what) for one in lacks("deploy:note", stages=())] == [(["deploy:note"], "no cluster")]
    assert lacks("deploy:other", stages=()) == []


def test_a_server_needs_those_of_its_requirements_that_an_extra_brings(
    toy_project: Path, lacks: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("no-such-runtime == 1", "numpy==1", "no-extra-has-this==1", 'no-such-other==1; sys_platform == "win32"')
    requirements = "\n".join(f"{line} --hash=sha256:00" for line in names)
    (toy_project / "server" / "requirements.txt").write_text(requirements)
    assert lacks("serve:toy", stages=()) == [], "nobody could say how to install what no extra brings"
    brought = {"no-such-runtime", "numpy", "no-such-other"}
    monkeypatch.setattr(needs, "extras_of", lambda name: {"serve": brought} if name == "modelyard" else {})
    [one] = lacks("serve:toy", stages=())
    assert (one.who, one.what) == (["serve:toy"], "no-such-runtime is not installed")
    assert lacks("serve:other", stages=()) == []


def test_a_server_that_is_in_its_image_cannot_be_started_here(toy_project: Path, lacks: Find) -> None:
    file = toy_project / "plugins" / "toy.py"
    text = file.read_text()
    start = text.index("        server=server,")
    end = text.index("        serving_only=", start)
    brought = "        image=lambda context, *, threads, batching, users: None,\n"
    file.write_text(text[:start] + brought + text[end:])
    [one] = lacks("serve:toy", stages=())
    assert one.what == "the server of the runtime 'toy' is in its image, not here"
    assert one.instead.startswith("run `doit image`")


# Other machines

ELSEWHERE = """
from modelyard import hookimpl


class There:
    def identity(self):
        return ""

    def ask(self, command):
        return {told!r}

    submit = state = cancel = close = lambda self, *given: None


def there(context):
    return There()


@hookimpl
def modelyard_register_executors(register):
    register("there", there, needs={needs!r})
"""
REMOTE = {"executor.use": "there", "store.remote": "memory://there"}


def go_elsewhere(project: Path, told: str, needs: tuple[str, ...] = ()) -> None:
    (project / "plugins" / "there.py").write_text(ELSEWHERE.format(told=told, needs=needs))


def as_they_say() -> str:
    return msgspec.json.encode(describe([])).decode()


def test_what_runs_elsewhere_needs_a_store_to_meet_in_and_what_the_executor_needs(
    toy_project: Path, lacks: Find
) -> None:
    go_elsewhere(toy_project, as_they_say(), ("no-such-client",))
    overrides = {"executor.use": "there"}
    package, store = lacks(stages=("train:model.build", "image:toy"), overrides=overrides)
    assert (package.who, package.what) == (["train:model.build"], "no-such-client is not installed")
    assert store.who == ["train:model.build"]
    assert store.what.startswith("the executor 'there' runs it on another machine, and there is no remote store")
    for mode, count in (("read-only", 2), ("read-write", 1)):
        found = lacks(stages=("train:model.build",), overrides=REMOTE | {"store.mode": mode})
        assert len(found) == count
    assert lacks(stages=("image:toy",), overrides=overrides) == [], "it runs here"


def test_what_is_not_installed_there_is_told_and_what_is_missing_here_does_not_count(
    toy_project: Path, lacks: Find
) -> None:
    go_elsewhere(toy_project, as_they_say())
    add_trait(toy_project, "centroids", 'needs=("no-such-torch", "numpy")')
    [one] = lacks(stages=("train:model.build",), overrides=REMOTE)
    assert one.what == "no-such-torch is not installed on the machines of the executor 'there'"
    assert one.instead == "install it there"


def test_machines_that_cannot_say_what_they_are_are_told(toy_project: Path, lacks: Find) -> None:
    go_elsewhere(toy_project, "no python")
    [one] = lacks(stages=("dataset:points", "train:model.build"), overrides=REMOTE)
    assert one.who == ["dataset:points", "train:model.build"]
    assert one.what == "the executor 'there' was asked what its machines are, and said 'no python'"
    assert one.instead.startswith("modelyard must be installed there")
