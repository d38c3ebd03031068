"""What a target is given: it asks before it takes something away, and writes files that are the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelyard.contexts import DeployContext, Rendered

if TYPE_CHECKING:
    from pathlib import Path


def deploy(tmp_path: Path, *, agrees: bool, yes: bool) -> DeployContext:
    def never(_key: str) -> None:
        raise AssertionError

    return DeployContext(
        task="deploy:toy",
        push_task="push",
        target="toy",
        name="toy",
        version="1",
        repository="toy",
        insecure=False,
        who="a person",
        rendered=Rendered(folder=tmp_path, key="", commit="", when=""),
        earlier=never,  # type: ignore[arg-type] # nobody goes back
        asks=lambda _question: agrees,
        yes=yes,
    )


@pytest.mark.parametrize(("agrees", "yes", "agreed"), [(True, False, True), (False, True, True), (False, False, False)])
def test_a_person_is_asked_but_who_has_agreed_already(tmp_path: Path, *, agrees: bool, yes: bool, agreed: bool) -> None:
    assert deploy(tmp_path, agrees=agrees, yes=yes).agreed("remove it?") is agreed
