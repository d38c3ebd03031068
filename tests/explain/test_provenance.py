"""The chain behind a result, from records that are left; what a build writes of it is in tests/commands/test_provenance.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.facts import image_facts
from tests.results import leave

from modelyard.artifacts import ImageFacts
from modelyard.errors import PlanError
from modelyard.explain.provenance import (
    Link,
    builder,
    chain,
    facts,
    find,
    image_of,
    records,
    source,
    split_commit,
    statement,
    write_build,
)
from modelyard.store.record import RECORD, Accepted, InputRecord

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import OpenToy

    from modelyard.build.state import BuildState
    from modelyard.store.record import Record

DATA, TRAIN, PLAIN, SELECT, IMAGE = "dataset:points", "train:model.build", "optimize:plain", "select:toy", "image:toy"
DIGEST = f"sha256:{'1234567890' * 6}abcd"


@pytest.fixture
def state(open_toy: OpenToy) -> BuildState:
    return open_toy()


def link(state: BuildState, name: str, record: Record) -> Link:
    return Link(state.plan.stages[name], record)


def build_image(state: BuildState, **known: Any) -> ImageFacts:
    """Leave what an image is made of, and the image."""
    names = [name for name in state.plan.stages if not name.startswith(("image:", "render:"))]
    for name in names:
        leave(state, name, {"model/model.json": "{}", "reference/answers.npy": ""} if name == SELECT else None)
    image = msgspec.structs.replace(image_facts(), **{"digest": DIGEST, **known})
    leave(state, IMAGE, {"image.json": msgspec.json.encode(image).decode()})
    return image


@pytest.mark.parametrize(
    ("git", "expected"), [("", ("", None)), ("c0ffee", ("c0ffee", True)), ("c0ffee+", ("c0ffee", False))]
)
def test_a_commit_says_whether_the_tree_was_clean(git: str, expected: tuple[str, bool | None]) -> None:
    assert split_commit(git) == expected


def test_facts_stand_in_groups_by_role(open_toy: OpenToy, new_toy: Path) -> None:
    (new_toy / "points.csv").write_text("0,0,0\n")
    state = open_toy({"dataset.table": "points.csv"})
    data = facts(state, link(state, DATA, leave(state, DATA)))
    assert (data.parameters["dataset.samples"], "dataset.table" in data.parameters) == (60, False)
    assert data.files.keys() == {"dataset.table"}
    who = Accepted("a@b", "2026-01-01T00:00:00+00:00", "k")
    made = leave(state, TRAIN, git="c0ffee+", made_on="x86-64", reproducible=False, accepted=who)
    found = facts(state, link(state, TRAIN, made))
    assert found.components == {"model": "model:build", "trainer": "centroids"}
    assert found.parameters["trainer.passes"] == 1
    assert "python" in found.tools
    assert (found.commit, found.clean, found.duration_s) == ("c0ffee", False, 2.5)
    assert (found.made_on, found.reproducible, found.accepted) == ("x86-64", False, who)
    assert found.sources.keys() == made.code.keys()
    assert {len(digest) for digest in found.sources.values()} == {16}
    assert found.inputs["dataset"].key == data.key


def test_what_a_file_of_code_means_does_not_hang_on_the_order_of_its_functions(state: BuildState) -> None:
    leave(state, DATA)
    one = leave(state, TRAIN, code={"a.py": {"f": "1", "g": "2"}})
    other = leave(state, TRAIN, code={"a.py": {"g": "2", "f": "1"}})
    third = leave(state, TRAIN, code={"a.py": {"f": "1", "g": "3"}})
    digests = [facts(state, link(state, TRAIN, record)).sources["a.py"] for record in (one, other, third)]
    assert digests[0] == digests[1] != digests[2]


def test_an_input_leads_to_the_artifact_or_to_what_the_store_keeps(state: BuildState, open_toy: OpenToy) -> None:
    first = leave(state, DATA, {"x.npy": "1"})
    second = leave(open_toy({"dataset.noise": "0.3"}), DATA, {"x.npy": "2"})
    for made in (first, second):
        assert source(state, InputRecord(DATA, "", made.digest)) == link(state, DATA, made)
    assert source(state, InputRecord(DATA, "", "0" * 64)) is None
    assert source(state, InputRecord("dataset:renamed", "", first.digest)) is None
    assert source(state, InputRecord(DATA, "no such part", first.digest)) is None


def test_a_part_is_found_by_its_own_digest(state: BuildState) -> None:
    build_image(state)
    read = state.judge.inputs(state.plan.stages[IMAGE])["model"]
    assert (read.stage, read.part) == (SELECT, "model")
    found = source(state, read)
    assert found is not None
    assert found.record.digest != read.digest
    assert found.stage.id == SELECT


def test_records_are_the_artifacts_and_then_the_stores_each_key_once(state: BuildState, open_toy: OpenToy) -> None:
    stage = state.plan.stages[DATA]
    made = [leave(open_toy({"dataset.noise": noise}), DATA) for noise in ("0.2", "0.3", "0.4")]
    leave(open_toy({"dataset.noise": "0.2"}), DATA, how="restored")
    assert [one.key for one in records(state, stage)] == [made[0].key, made[2].key, made[1].key]
    trace = next(path for path in state.store.root.rglob("*.json") if path.stem == made[2].key[2:])
    trace.unlink()
    assert [one.key for one in records(state, stage)] == [made[0].key, made[1].key]


def test_a_chain_has_each_result_once_the_first_first_and_tells_what_is_lost(state: BuildState) -> None:
    data, train = leave(state, DATA), leave(state, TRAIN)
    last = link(state, PLAIN, leave(state, PLAIN))
    links, lost = chain(state, last)
    assert [one.stage.id for one in links] == [DATA, TRAIN, PLAIN]
    assert lost == []
    (state.workspace.folder(state.plan.stages[DATA]) / RECORD).unlink()
    next(path for path in state.store.root.rglob("*.json") if path.stem == data.key[2:]).unlink()
    links, lost = chain(state, last)
    assert [one.record.key for one in links] == [train.key, last.record.key]
    assert lost == [InputRecord(DATA, "", data.digest)]
    assert facts(state, last).inputs["dataset"].key is None


def test_only_the_result_of_an_image_whose_facts_are_left_is_an_image(state: BuildState) -> None:
    image = build_image(state)
    found = find(state, IMAGE)
    assert image_of(state, found) == image
    assert image_of(state, find(state, TRAIN)) is None
    named_alike = leave(state, TRAIN, {"image.json": msgspec.json.encode(image).decode()})
    assert image_of(state, link(state, TRAIN, named_alike)) is None
    state.store.object_file(found.record.outputs["image.json"].digest).unlink()
    assert image_of(state, found) is None


def test_an_image_is_named_by_its_digest_its_id_or_eight_digits_of_either(state: BuildState) -> None:
    build_image(state, image_id=f"sha256:{'f' * 64}")
    for name in ("", DIGEST, DIGEST.removeprefix("sha256:")[:8], f"sha256:{'f' * 8}", IMAGE, "image@0"):
        assert find(state, name).stage.id == IMAGE
    assert find(state, TRAIN).stage.id == TRAIN
    with pytest.raises(PlanError, match=r"^provenance: '1234567' names no result"):
        find(state, "1234567")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "provenance: there is no image yet\n  run `doit image`, or name a stage; `doit history image` lists them"),
        (DIGEST, f"provenance: there is no image {DIGEST!r} that was built here\n  run `doit image`, or name a stage"),
        ("render", "provenance: render:note has 0 results, and no '0'"),
    ],
)
def test_what_there_is_not_is_refused(state: BuildState, name: str, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        find(state, name)
    assert str(caught.value).startswith(message)


def test_a_result_without_a_record_is_refused(state: BuildState) -> None:
    leave(state, DATA, {"x.npy": "1"})
    leave(state, DATA, {"x.npy": "2"})
    with pytest.raises(PlanError) as caught:
        find(state, "dataset@1")
    assert str(caught.value) == (
        "provenance: neither artifacts/ nor the store has the record of dataset:points@1 any more"
    )


def test_a_statement_names_the_image_and_all_that_it_came_from(state: BuildState) -> None:
    image = build_image(state)
    made = statement(state, find(state, ""))
    assert made["subject"] == [{"name": image.repository, "digest": {"sha256": DIGEST.removeprefix("sha256:")}}]
    definition = made["predicate"]["buildDefinition"]
    assert list(definition["internalParameters"]["stages"]) == [*state.plan.stages][:-1]
    assert definition["externalParameters"][TRAIN]["trainer.passes"] == 1
    assert definition["externalParameters"][TRAIN]["trainer"] == "centroids"
    uris = [one["uri"] for one in definition["resolvedDependencies"] if "uri" in one]
    assert [uri for uri in uris if uri.startswith("pkg:pypi/numpy@")]
    assert uris == sorted(set(uris))
    assert not [uri for uri in uris if "/python@" in uri or "not installed" in uri]


def test_a_statement_on_a_stage_names_its_files_and_each_commit_once(state: BuildState) -> None:
    leave(state, DATA, git="c0ffee")
    made = leave(state, TRAIN, {"model.toy": "1", "log": "2"}, git="c0ffee")
    last = link(state, PLAIN, leave(state, PLAIN, git="c0ffee+"))
    found = statement(state, link(state, TRAIN, made))
    assert found["subject"] == [
        {"name": name, "digest": {"sha256": entry.digest}} for name, entry in made.outputs.items()
    ]
    git = [
        one
        for one in statement(state, last)["predicate"]["buildDefinition"]["resolvedDependencies"]
        if one.get("uri") == "git+."
    ]
    assert [(one["digest"], one["annotations"]) for one in git] == [
        ({"gitCommit": "c0ffee"}, {"clean": False}),
        ({"gitCommit": "c0ffee"}, {"clean": True}),
    ]


def test_the_times_of_a_statement_are_of_the_first_beginning_and_the_last_end_in_utc(state: BuildState) -> None:
    leave(state, DATA, started="2026-01-02T09:00:00+09:00", duration_s=1.0)  # midnight in UTC
    leave(state, TRAIN, started="2026-01-02T01:00:00+00:00", duration_s=7200.0)
    last = leave(state, PLAIN, started="2026-01-01T21:30:00-05:00", duration_s=60.5)  # 02:30 in UTC
    metadata = statement(state, link(state, PLAIN, last))["predicate"]["runDetails"]["metadata"]
    assert metadata == {
        "invocationId": last.key,
        "startedOn": "2026-01-02T00:00:00Z",
        "finishedOn": "2026-01-02T03:00:00Z",
    }


def test_a_statement_on_results_that_nobody_timed_has_no_times(state: BuildState) -> None:
    made = leave(state, DATA, started="")
    metadata = statement(state, link(state, DATA, made))["predicate"]["runDetails"]["metadata"]
    assert metadata == {"invocationId": made.key}


def test_build_json_has_what_is_there(state: BuildState) -> None:
    write_build(state)
    file = state.workspace.artifacts / "build.json"
    assert json.loads(file.read_text())["stages"] == {}
    image = build_image(state)
    write_build(state)
    found = json.loads(file.read_text())
    assert found["format"] == 1
    assert found["project"] == {"name": "toy", "version": "1.0"}
    assert found["builder"] == builder()
    assert set(builder()) == {"modelyard", "doit", "python"}
    assert found["source"] == {"commit": "", "clean": None}
    assert set(found["stages"]) == set(state.plan.stages) - {"render:note"}
    assert found["images"] == {IMAGE: json.loads(msgspec.json.encode(image))}
    assert sorted(path.name for path in state.workspace.artifacts.glob("*.json")) == ["build.json"]
