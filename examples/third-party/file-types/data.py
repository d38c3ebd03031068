"""Files whose suffix says what they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from modelyard.artifacts import Splits
from modelyard.params import InputPath

KNOWN = {"js": "javascript", "jpg": "jpeg", "md": "markdown", "py": "python"}
KNOWN |= {one: one for one in ("gif", "h5", "json", "onnx", "png", "wasm", "xml")}


def files(_context, *, folder: InputPath, config: InputPath):
    """Return files of a folder."""
    names = json.loads(Path(config).read_text())["target_labels_space"]
    found = sorted(one for one in Path(folder).rglob("*.*") if one.suffix[1:] in KNOWN and one.stat().st_size > 64)
    labels = np.array([names.index(KNOWN[one.suffix[1:]]) for one in found])
    return Splits(found[::4], labels[::4], found, labels, names)
