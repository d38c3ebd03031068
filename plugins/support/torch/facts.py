"""What a program of torch.export (`.pt2`) shows of itself: read from its graph, which is JSON, without torch."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import FileFacts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SOFTMAX = ("torch.ops.aten.softmax.int", "torch.ops.aten._softmax.default")


def torch_facts(path: Path) -> FileFacts:
    """Return what the program in `path` shows of itself; nothing if it cannot be read.

    Source: `torch/_export/serde/schema.py`: each node names its outputs, and the graph its own.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(one for one in archive.namelist() if one.endswith("models/model.json"))
            graph = json.loads(archive.read(name))["graph_module"]["graph"]
        is_softmax = _maker(graph).get("target") in _SOFTMAX
    except (OSError, ValueError, LookupError, TypeError, StopIteration, zipfile.BadZipFile):
        return FileFacts()
    return FileFacts(output="probabilities" if is_softmax else None)


def _maker(graph: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the node that makes the first output of `graph`, or an empty one."""
    made = graph["outputs"][0]
    return next((node for node in reversed(graph["nodes"]) if made in node["outputs"]), {})
