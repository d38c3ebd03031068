from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from tests.renders import IMAGE, target_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelyard.artifacts import ImageFacts
    from modelyard.contexts import TargetContext


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., TargetContext]:
    """Make a context as the render stage does, with a new and empty `out`."""
    numbers = itertools.count()

    def make(name: str = "digits", version: str = "0.1.0", image: ImageFacts = IMAGE) -> TargetContext:
        return target_context(tmp_path, f"out{next(numbers)}", name=name, version=version, image=image)

    return make
