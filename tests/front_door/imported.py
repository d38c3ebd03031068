"""A project around an ONNX model that nobody here made, whose samples are generated: what it answers is what is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_DODO = Path(__file__).parents[2] / "dodo.py"
_CONFIG = """
[tool.modelyard]
name = "{name}"

[tool.modelyard.dataset]
use = "generated"
model = "model.onnx"
{dataset}

[tool.modelyard.task]
use = "agreement"

[tool.modelyard.train]
use = "import"
path = "model.onnx"

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
whole = []

[tool.modelyard.evaluate]
latency_samples = 12
warmup = 0

[tool.modelyard.check]
start = false
{tables}"""


def config(name: str, *, dataset: str, tables: str) -> str:
    """Return the project's pyproject.toml, with further lines for the data set and further tables."""
    return _CONFIG.format(name=name, dataset=dataset, tables=tables)


def write(folder: Path, model: Any, pyproject: str) -> Path:
    """Write the project with an `onnx.ModelProto` into a folder, and return that."""
    import onnx

    onnx.save(model, folder / "model.onnx")
    (folder / "pyproject.toml").write_text(pyproject)
    (folder / "dodo.py").write_text(_DODO.read_text())
    return folder
