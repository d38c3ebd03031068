from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from tests.component import sample
from tests.component.sample import component, prune


def test_a_wrapped_function_keeps_its_parameters_and_file() -> None:
    @functools.wraps(prune)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        prune(*args, **kwargs)

    assert list(component(wrapper).parameters) == ["sparsity", "epochs", "schedule", "mask"]
    assert component(wrapper).file == Path(sample.__file__)


def test_the_summary_is_the_docstrings_first_line() -> None:
    assert component(prune).summary == "Set small weights to zero"
    assert component(lambda: None).summary == ""
