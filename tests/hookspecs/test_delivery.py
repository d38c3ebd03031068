from __future__ import annotations

from typing import Any

import pytest
from tests.hookspecs.registering import refusal, register, traits_of, untold

from modelyard.hookspecs.delivery import BuilderTraits, Renders, TargetTraits


def pack(context: object, *, base: str = "scratch") -> None:
    """Pack."""


def render(context: object, *, replicas: int = 1, timeout_s: float = 60.0) -> None:
    """Render."""


def act(context: object, **params: Any) -> None:
    """Do something with a cluster."""


def test_a_builder_may_have_templates_and_something_to_lock_and_needs_neither() -> None:
    assert traits_of("builder") is BuilderTraits
    assert untold(BuilderTraits) == set()
    bare = register("builder", pack)
    assert (bare.templates, bare.lock) == ((), None)
    found = register("builder", pack, templates=["Dockerfile.j2"], lock=act)
    assert found.templates == ("Dockerfile.j2",)
    assert found.lock is not None
    assert register("builder", pack, lock=None).lock is None


def test_a_target_names_its_templates_and_deploys_only_if_it_says_how() -> None:
    assert traits_of("target") is TargetTraits
    assert untold(TargetTraits, Renders) == set()
    bare = register("target", render, templates=())
    assert (bare.deploy, bare.undeploy, bare.deploy_only) == (None, None, ())
    found = register("target", render, templates=("a.j2",), deploy=act, undeploy=act, deploy_only=["timeout_s"])
    assert callable(found.deploy)
    assert callable(found.undeploy)
    assert found.deploy_only == ("timeout_s",)


@pytest.mark.parametrize(
    ("kind", "traits", "said"),
    [
        ("target", {}, "trait 'templates' is missing"),
        ("target", {"templates": "a.j2"}, "trait 'templates' is 'a.j2'\n  write a tuple of strings"),
        ("target", {"templates": (), "deploy": "kubectl"}, "trait 'deploy' is 'kubectl'\n  write a function"),
        (
            "target",
            {"templates": (), "deploy_only": ("timeout",)},
            "trait 'deploy_only' names 'timeout', did you mean 'timeout_s'?",
        ),
        ("builder", {"lock": "file"}, "trait 'lock' is 'file'\n  write a function"),
        ("builder", {"deploy": act}, "unknown trait 'deploy'"),
    ],
)
def test_what_is_none_is_refused(kind: str, traits: dict[str, Any], said: str) -> None:
    assert said in refusal(kind, pack if kind == "builder" else render, **traits)
