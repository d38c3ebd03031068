from __future__ import annotations

from tests.plans import PACK, SOURCE, nothing, use

from modelyard.component import Component, Use
from modelyard.config.training import Training


def training(name: str, **uses: Use) -> Training:
    return Training(name=name, uses=uses, seed=0, variants=("plain",), where={})


def test_its_variants_are_called_after_it_unless_it_is_the_only_one() -> None:
    assert training("").full("plain") == "plain"
    assert training("sweep.seed-1").full("plain") == "sweep.seed-1.plain"


def test_its_format_is_the_trainers_which_may_follow_from_a_parameter() -> None:
    by = Component("trainer", "import", nothing, SOURCE, produces_by=lambda amount, note: f"{note}-{amount}")
    assert training("", model=use(PACK), train=use(by, note="raw")).produces == "raw-0.5"
    assert training("", train=use(Component("trainer", "fit", nothing, SOURCE, produces="raw"))).produces == "raw"
