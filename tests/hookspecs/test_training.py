from __future__ import annotations

from typing import Any

import pytest
from tests.hookspecs.registering import refusal, register, traits_of, untold

from modelyard.component import Use
from modelyard.hookspecs.training import GivesByParameters, ModelTraits, OptimizerTraits, TrainerTraits
from modelyard.hookspecs.traits import Gives, Takes


def build(input_shape: tuple[int, ...], classes: int, *, width: int = 8) -> None:
    """Build a network."""


def train(context: object, *, half: bool = False) -> None:
    """Train."""


@pytest.mark.parametrize(
    ("kind", "traits", "musts"),
    [
        ("model", ModelTraits, (Gives,)),
        ("trainer", TrainerTraits, (GivesByParameters,)),
        ("optimizer", OptimizerTraits, (Gives, Takes)),
    ],
)
def test_each_trait_is_told_and_typed(kind: str, traits: Any, musts: tuple[Any, ...]) -> None:
    assert traits_of(kind) is traits
    assert untold(traits, *musts) == set()


def test_a_model_says_the_format_that_the_trainer_must_give_and_may_say_what_it_answers() -> None:
    assert register("model", build, produces="raw").answers == "", "its file says it"
    found = register("model", build, produces="raw", answers="probabilities")
    assert (found.produces, found.answers, [*found.parameters]) == ("raw", "probabilities", ["width"])
    assert "write 'logits' or 'probabilities'" in refusal("model", build, produces="raw", answers="classes")


def test_a_trainers_format_may_follow_from_its_parameters() -> None:
    found = register("trainer", train, produces=lambda half: "half" if half else "raw")
    assert [Use(found, {"half": half}).produces for half in (False, True)] == ["raw", "half"]
    assert register("trainer", train, produces="raw").produces == "raw"


def test_a_trainer_trains_the_projects_model_with_cross_entropy_unless_it_says_otherwise() -> None:
    bare = register("trainer", train, produces="raw")
    assert (bare.takes_model, bare.learns, bare.trains, bare.trained_losses) == (True, True, True, ("cross-entropy",))
    assert not bare.trains_several
    brought = register("trainer", train, produces="raw", takes_model=False, learns=False, losses=["", "squared-error"])
    assert (brought.trains, brought.learns, brought.trained_losses) == (False, False, ("", "squared-error"))


def test_a_model_optimizer_trains_further_if_it_says_like_which() -> None:
    bare = register("optimizer", train, accepts=["raw", "onnx"], produces="raw")
    assert (bare.accepts, bare.trains) == (("raw", "onnx"), False)
    tuned = register("optimizer", train, accepts=("raw",), produces="raw", trains_like="fine-tune", trains_several=True)
    assert (tuned.trains, tuned.trains_like, tuned.trains_several) == (True, "fine-tune", True)


@pytest.mark.parametrize(
    ("kind", "traits", "said"),
    [
        ("model", {}, "trait 'produces' is missing"),
        ("trainer", {"takes_model": False}, "trait 'produces' is missing"),
        ("trainer", {"produces": "raw", "accepts": ("raw",)}, "unknown trait 'accepts'"),
        ("trainer", {"produces": "raw", "learns": 0}, "trait 'learns' is 0\n  write True or False"),
        ("optimizer", {"produces": "raw"}, "trait 'accepts' is missing"),
        ("optimizer", {"accepts": ("raw",)}, "trait 'produces' is missing"),
        ("optimizer", {"accepts": ("raw",), "produces": len}, "trait 'produces' is <built-in"),
        ("optimizer", {"accepts": (), "produces": "raw", "trains_like": True}, "trait 'trains_like' is True"),
    ],
)
def test_what_does_not_say_it_is_refused(kind: str, traits: dict[str, Any], said: str) -> None:
    assert said in refusal(kind, build if kind == "model" else train, **traits)
