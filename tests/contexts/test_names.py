from __future__ import annotations

import subprocess
import sys

import pytest

from modelyard import contexts


def test_each_name_is_imported_when_it_is_asked_for() -> None:
    assert sorted(name for names in contexts._PLACES.values() for name in names) == contexts.__all__
    for name in contexts.__all__:
        assert getattr(contexts, name).__name__ == name


def test_a_name_that_there_is_not_is_told_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match=r"^module 'modelyard\.contexts' has no attribute 'TrianContext'$"):
        getattr(contexts, "TrianContext")  # noqa: B009 - mypy knows that there is none


def test_who_asks_for_one_does_not_pay_for_the_others() -> None:
    script = "import sys; from modelyard.contexts import Problem; print(*(n for n in sys.modules if '.contexts.' in n))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["modelyard.contexts.checking"]
