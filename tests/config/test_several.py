from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.plans import TRAINER, plugins_of

from modelyard.component import Use
from modelyard.config.several import MOST, chosen, several
from modelyard.config.training import Training
from modelyard.errors import ConfigError
from modelyard.plugins.load import Plugins
from modelyard.toml.places import ConfigSource, Where

VARIANTS = ("plain", "pruned", "int8")
BELOW = {"model": {"use": "net"}, "train": {"use": "trainer", "amount": 1}}


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    return plugins_of(tmp_path)


def uses_of(tables: Mapping[str, Mapping[str, Any]], where: Mapping[str, Where], *, is_asked: bool) -> dict[str, Use]:
    """Take the trainer's table as it is, and tell whether a model is asked for."""
    if tables["train"].get("amount") == "bad":
        msg = f"{where['train']}: no"
        raise ConfigError(msg)
    return {"train": Use(TRAINER, {**tables["train"], "is_asked": is_asked})}


def read(plugins: Plugins, variants: tuple[str, ...] = VARIANTS, **trainings: Any) -> list[Training]:
    return list(several({**BELOW, "trainings": trainings}, ConfigSource(), plugins, uses_of, variants, 7))


def test_each_has_its_tables_its_variants_and_the_seed_of_the_project_or_its_own(plugins: Plugins) -> None:
    short, other = read(plugins, short={"train": {"amount": 2}}, other={"seed": 3, "variants": ["pr*"], "model": {}})
    assert (short.name, short.seed, short.variants) == ("short", 7, VARIANTS)
    assert short.uses["train"].params == {"use": "trainer", "amount": 2, "is_asked": False}
    assert (other.seed, other.variants) == (3, ("pruned",))
    assert other.uses["train"].params == {"use": "trainer", "amount": 1, "is_asked": True}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["*"], VARIANTS),
        (["int8", "plain"], ("plain", "int8")),
        (["*[nd]"], ("plain", "pruned")),
        (["p*", "pruned"], ("plain", "pruned")),
    ],
)
def test_variants_are_chosen_by_name_or_pattern_in_the_order_of_all(wanted: list[str], found: tuple[str, ...]) -> None:
    assert chosen(wanted, "here", VARIANTS) == found


@pytest.mark.parametrize("wanted", ["plain", [], [3], {"plain": 1}, None])
def test_what_is_no_list_of_names_is_refused(wanted: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(wanted, "here", VARIANTS)
    assert str(caught.value).startswith(f"here: key 'variants': {wanted!r} is not allowed\n  write a list of ")


def test_a_name_that_no_variant_has_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="there is no variant 'plan', did you mean 'plain'") as caught:
        chosen(["int8", "plan"], "here", VARIANTS)
    assert str(caught.value).endswith("\n  variants: int8, plain, pruned")


def test_a_mistake_in_one_of_a_matrix_is_told_with_its_values(plugins: Plugins) -> None:
    with pytest.raises(ConfigError) as caught:
        read(plugins, sweep={"matrix": {"train": {"amount": [1, "bad"]}}})
    assert "in the training 'sweep.amount-bad': train.amount = 'bad'" in str(caught.value)


@pytest.mark.parametrize(("name", "said"), [("Short", "of a training"), ("a" * 100, "of a variant")])
def test_a_name_that_no_task_can_have_is_refused(name: str, said: str, plugins: Plugins) -> None:
    with pytest.raises(ConfigError, match=said):
        read(plugins, VARIANTS, **{name: {}})


def test_as_many_variants_as_a_table_holds_may_be_there_and_no_more(plugins: Plugins) -> None:
    variants = tuple(f"v{number}" for number in range(MOST // 4))
    seeds = {"matrix": {"seed": [1, 2, 3, 4]}}
    assert sum(len(one.variants) for one in read(plugins, variants, sweep=seeds)) == MOST
    with pytest.raises(ConfigError, match="the trainings have more than 1,024 variants together"):
        read(plugins, variants, sweep=seeds, more={"variants": ["v0"]})
