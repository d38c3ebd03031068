from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.configs import Load

from modelyard.errors import ConfigError, PlanError
from modelyard.plan.planner import build_plan
from modelyard.toml.places import ConfigSource, KeyPlace, at, placed

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
[tool.modelyard]
seed = 7
dataset.use = "data"
model = { use = "net" }

[tool.modelyard.train]
use = "trainer"
epochs = 3

[tool.modelyard.runtime]
use = "runner"

[tool.modelyard.variants]
plain = ["pack"]
pruned = [
    { use = "prune", sparsity = 0.5 },
    "pack",
]

[tool.modelyard.matrix.many]
sparsity = [0.2, 0.3]
chain = [
    { use = "prune", sparsity = "{sparsity}" },
    "pack",
]

[tool.modelyard.profiles.quick]
train.epochs = 1
"""


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    return Load(tmp_path_factory.mktemp("places") / "project")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("seed = 7", "sed = 7", "pyproject.toml:2: [tool.modelyard]: unknown key 'sed'"),
        ("dataset.use", "dataset.uses", "pyproject.toml:3: [tool.modelyard.dataset]: key 'use' is missing"),
        ('"net"', '"nett"', "pyproject.toml:4: [tool.modelyard.model]: unknown model 'nett'"),
        ("epochs = 3", "epocs = 3", "pyproject.toml:8: [tool.modelyard.train]: unknown key 'epocs'"),
        ("epochs = 3", "epochs = 0", "pyproject.toml:8: [tool.modelyard.train]: key 'epochs': 0 is not allowed"),
        ('"trainer"', '"trainr"', "pyproject.toml:7: [tool.modelyard.train]: unknown trainer 'trainr'"),
        ("sparsity = 0.5", "sparsity = 2", "pyproject.toml:16: [tool.modelyard.variants.pruned]: key 'sparsity': 2"),
        ("sparsity = 0.5", "a = 1", "pyproject.toml:16: [tool.modelyard.variants.pruned]: unknown key 'a'"),
        ('    "pack",\n]\n\n[tool.modelyard.m', "    3,\n]\n\n[tool.modelyard.m", "pyproject.toml:17: [tool.modelyard.variants.pruned]: 3 is"),
        ("[0.2, 0.3]", "0.2", "pyproject.toml:21: [tool.modelyard.matrix.many]: axis 'sparsity': 0.2 is not a list"),
        ("[0.2, 0.3]", "[0.2, 3]", "pyproject.toml:23: [tool.modelyard.matrix.many]: key 'sparsity': 3 is not"),
        ("train.epochs = 1", "train.epochs = 0", "pyproject.toml:28: [tool.modelyard.profiles.quick.train]: key 'epochs'"),
        ("train.epochs = 1", "trian.epochs = 1", "pyproject.toml:28: [tool.modelyard.profiles.quick]: unknown key 'trian'"),
        ("[tool.modelyard.runtime]", '[tool.modelyard.select]\nrule = "x"\n[tool.modelyard.runtime]', "pyproject.toml:11: [tool.modelyard.select]: key 'rule': 'x'"),
        ("[tool.modelyard.runtime]", "[tool.modelyard.resources]\nx = 1\n[tool.modelyard.runtime]", "pyproject.toml:11: [tool.modelyard.resources]: unknown resource 'x'"),
        ("[tool.modelyard.runtime]", '[tool.modelyard.gates]\nmax_size = "1 furlong"\n[tool.modelyard.runtime]', "pyproject.toml:11: [tool.modelyard.gates]: key 'max_size'"),
        ('plain = ["pack"]', "plain = []", "pyproject.toml:14: [tool.modelyard.variants]: plain: the trainer gives raw"),
    ],
)  # fmt: skip
def test_whatever_is_refused_has_its_line(old: str, new: str, place: str, load: Load) -> None:
    assert old in FILE
    load.write(FILE.replace(old, new))
    with pytest.raises((ConfigError, PlanError)) as caught:
        build_plan(load.read(), load.plugins)
    assert str(caught.value).startswith(place)


@pytest.mark.parametrize(
    ("overrides", "place"),
    [
        ({"train.epochs": "0"}, "command line: train.epochs=0: key 'epochs': 0 is not allowed"),
        ({"train.epocs": "1"}, "command line: train.epocs=1: unknown key 'epocs'"),
        ({"variants.plain": '["pak"]'}, "command line: variants.plain=[\"pak\"]: unknown model optimizer 'pak'"),
        ({"variants.plain": "[]"}, "command line: variants.plain=[]: plain: the trainer gives raw"),
        ({"profile": "quick", "select.rule": "x"}, "command line: select.rule=x: key 'rule': 'x' is not allowed"),
    ],
)
def test_what_the_command_line_sets_is_named_as_it_was_written(
    overrides: dict[str, str], place: str, load: Load
) -> None:
    load.write(FILE)
    with pytest.raises((ConfigError, PlanError)) as caught:
        build_plan(load.read(overrides), load.plugins)
    assert str(caught.value).startswith(place)
    assert "the command line sets" not in str(caught.value)


def test_what_is_missing_is_said_where_it_belongs_or_nearest_to_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n[tool.modelyard]\nseed = 1\n")
    source = ConfigSource(tmp_path / "pyproject.toml")
    assert str(source.where("train").at("epochs")) == "pyproject.toml:2: [tool.modelyard.train]"
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    assert str(source.where("train")) == "pyproject.toml: [tool.modelyard.train]"
    (tmp_path / "pyproject.toml").unlink()
    assert str(source.where("train")) == "pyproject.toml: [tool.modelyard.train]"


def test_a_key_of_both_is_the_profiles_and_one_of_the_base_alone_is_not(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("[tool.modelyard.train]\na = 1\nb = 1\n[tool.modelyard.profiles.p.train]\na = 2\n")
    where = ConfigSource(file, "p").where("train")
    assert str(where.at("a")) == "pyproject.toml:5: [tool.modelyard.profiles.p.train]"
    assert str(where.at("b")) == "pyproject.toml:3: [tool.modelyard.train]"


def test_words_stay_words() -> None:
    assert at("target 'x'", "key") == "target 'x'"
    assert str(KeyPlace("target 'x'", "replicas")) == "target 'x': key 'replicas'"


def test_what_a_stage_says_of_a_key_gets_its_line(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.modelyard.signature]\n"ids:0" = { constant = 1 }\nh = { state = "hm" }\n')
    source = ConfigSource(file)
    said = "[tool.modelyard.signature.h]: key 'state': there is no output 'hm'\n  there are: hn"
    assert placed(said, source) == f"pyproject.toml:3: {said}"
    other = "[tool.modelyard.signature]: key 'ids:0': nobody sends it"
    assert placed(other, source) == f"pyproject.toml:2: {other}"
    for elsewhere in ("the trainer 'x' gave a model", "see [tool.modelyard.signature.h]: key 'state': no"):
        assert placed(elsewhere, source) == elsewhere
