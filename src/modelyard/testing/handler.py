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
groups = handler.groups(pickle.loads(open(sys.argv[3], "rb").read()))
open(sys.argv[4], "wb").write(pickle.dumps([(one.rows, dict(one.tensors)) for one in groups]))
"""


def check_handler(
    name: str,
    *,
    project: Path,
    samples: Mapping[str, Sequence[Any] | NDArray[Any]],
    params: Mapping[str, Any] | None = None,
    refuses: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Check the handler `name` in `project`: the contract of `modelyard_register_handlers`, by giving it `samples`.

    It is documented and light to load, gives what it says, gives each sample what it gives it alone, and does the same
    where the server runs it: in a process that has its package, and no modelyard. What it refuses, it refuses in words.

    Args:
        name: the handler's name.
        project: a project; its own `[tool.modelyard.handlers]` does not count.
        samples: what it takes by name, one or more samples each, in a list or an array: texts, `bytes`, or rows of numbers.
        params: its parameters.
        refuses: samples that it must refuse, a dict each, of one sample.

    Returns:
        What it gave, by name: an array, or a list of arrays where samples are of several lengths.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    registry = load(project).plugins
    component = registry.components["handler", name]
    check_component(component, project)
    use = Use(component, check_values(component.parameters, params or {}, f"handler {name!r}"))
    handler = named(component.function(Place(), **use.params), name)
    given = Chain((handler,)).arrays(samples)
    found = _samples(handler.groups(given))
    for row, own in enumerate(found):
        (alone,) = _samples(handler.groups({key: one[row : row + 1] for key, one in given.items()}))
        _check_same(alone, own, row, f"handler {name!r}: alone")
    for row, one in enumerate(_run_alone(use, project, given)):
        _check_same(one, found[row], row, f"handler {name!r}: where the server runs it")
    for refused in refuses:
        with pytest.raises(InputError, match=r"\w"):
            handler.groups(Chain((handler,)).arrays({key: [value] for key, value in refused.items()}))
    return {key: _together([one[key] for one in found]) for key in found[0]}


def _samples(groups: Iterable[tuple[NDArray[Any], Mapping[str, NDArray[Any]]]]) -> list[dict[str, NDArray[Any]]]:
    """Return what a handler gave for each sample, in their order."""
    import numpy as np

    found = {
        int(row): {key: np.asarray(array[at]) for key, array in tensors.items()}
        for rows, tensors in groups
        for at, row in enumerate(rows)
    }
    return [found[row] for row in sorted(found)]


def _together(samples: Sequence[NDArray[Any]]) -> Any:
    import numpy as np

    return np.stack(samples) if len({one.shape for one in samples}) == 1 else list(samples)


def _check_same(one: Mapping[str, NDArray[Any]], many: Mapping[str, NDArray[Any]], row: int, how: str) -> None:
    import numpy as np

    for key, own in many.items():
        is_float = own.dtype.kind == "f" and one[key].shape == own.shape
        same = np.allclose(one[key], own, atol=1e-6) if is_float else np.array_equal(one[key], own)
        assert same, f"{how}, sample {row} gets another {key!r} than among the others"


def _run_alone(use: Use, project: Path, given: Mapping[str, NDArray[Any]]) -> list[dict[str, NDArray[Any]]]:
    """Return what the handler gives for each sample in a process of its own, as an image has it."""
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
        return _samples(pickle.loads(files["found"].read_bytes()))
