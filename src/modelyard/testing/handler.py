"""The contract of handlers, as a check that runs. Plugin authors import it from `modelyard.testing`."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

import modelyard
from modelyard.component import Use, check_values
from modelyard.launch.handlers import SETTING, lay_out, setting
from modelyard.launch.python_server import distributions
from modelyard.project.load import load
from modelyard.serving.errors import InputError
from modelyard.serving.handlers import Chain, Place
from modelyard.serving.handling import named
from modelyard.testing.component import check_component

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

_ALONE = """
import pickle, sys
sys.modules["modelyard"] = None  # the server does not have it
from modelyard_serving.handlers import Place
from modelyard_serving.handling import opened
handler = opened(sys.argv[1], "it", pickle.loads(open(sys.argv[2], "rb").read()), Place())
open(sys.argv[4], "wb").write(pickle.dumps(handler(pickle.loads(open(sys.argv[3], "rb").read()))))
"""


def check_handler(
    name: str,
    *,
    project: Path,
    samples: Mapping[str, Sequence[Any]],
    params: Mapping[str, Any] | None = None,
    refuses: Iterable[Mapping[str, Any]] = (),
) -> dict[str, NDArray[Any]]:
    """Check the handler `name` in `project`: the contract of `modelyard_register_handlers`, by giving it `samples`.

    It is documented and light to load, gives what it says, gives each sample what it gives it alone, and does the same
    where the server runs it: in a process that has its package, and no modelyard. What it refuses, it refuses in words.

    Args:
        name: the handler's name.
        project: a project; its own `[tool.modelyard.handlers]` does not count.
        samples: what it takes by name, one or more samples each: texts, `bytes`, or rows of numbers.
        params: its parameters.
        refuses: samples that it must refuse, a dict each, of one sample.

    Returns:
        What it gave, by name.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    registry = load(project).plugins
    component = registry.components["handler", name]
    check_component(component, project)
    use = Use(component, check_values(component.parameters, params or {}, f"handler {name!r}"))
    handler = named(component.function(Place(), **use.params), name)
    given = Chain((handler,)).arrays(samples)
    found = handler(given)
    rows = len(next(iter(given.values())))
    for row in range(rows):
        _check_same(
            handler({key: one[row : row + 1] for key, one in given.items()}), found, row, f"handler {name!r}: alone"
        )
    elsewhere = _run_alone(use, project, given)
    for row in range(rows):
        one = {key: array[row : row + 1] for key, array in elsewhere.items()}
        _check_same(one, found, row, f"handler {name!r}: where the server runs it")
    for refused in refuses:
        with pytest.raises(InputError, match=r"\w"):
            handler(Chain((handler,)).arrays({key: [value] for key, value in refused.items()}))
    return found


def _check_same(one: Mapping[str, NDArray[Any]], many: Mapping[str, NDArray[Any]], row: int, how: str) -> None:
    import numpy as np

    for key, array in many.items():
        own = array[row : row + 1]
        same = np.array_equal(one[key], own) if own.dtype.kind != "f" else np.allclose(one[key], own, atol=1e-6)
        assert same, f"{how}, sample {row} gets another {key!r} than among the others"


def _run_alone(use: Use, project: Path, given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return what the handler gives in a process of its own, as an image has it."""
    runtime = load(project).config.uses["runtime"]
    handlers = {"before:1": use}
    with TemporaryDirectory(prefix="modelyard-handler-") as folder:
        root = Path(folder)
        lay_out(handlers, project, root / "app", distributions(runtime, handlers))
        (root / "app" / "modelyard_serving").symlink_to(Path(modelyard.__file__).parent / "serving")
        (step,) = json.loads(setting(handlers, str(root / "app"))[SETTING])["before"]
        files = {key: root / key for key in ("params", "given", "found")}
        files["params"].write_bytes(pickle.dumps(step["params"]))
        files["given"].write_bytes(pickle.dumps(dict(given)))
        arguments = [_ALONE, step["open"], *map(str, files.values())]
        done = subprocess.run(
            [sys.executable, "-c", *arguments], cwd=root / "app", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"handler {use.component.name!r}: fails where the server runs it:\n{done.stderr}"
        found: dict[str, NDArray[Any]] = pickle.loads(files["found"].read_bytes())
        return found
