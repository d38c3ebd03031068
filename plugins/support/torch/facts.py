"""What a program of torch.export (`.pt2`) shows of itself: read from its graph, which is JSON, without torch."""

from __future__ import annotations

import json
import re
import zipfile
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import FileFacts
from modelyard.signature import Signature, TensorSpec
from modelyard.tensors import Activation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    12: "bool",
    13: "bfloat16",
}
"""Source: `torch/_export/serde/schema.py`, `ScalarType`."""
_ACTIVATIONS: dict[str, Activation] = {
    "torch.ops.aten.softmax.int": "softmax",
    "torch.ops.aten._softmax.default": "softmax",
    "torch.ops.aten.sigmoid.default": "sigmoid",
}


def torch_facts(path: Path) -> FileFacts:
    """Return what the program in `path` shows of itself; nothing if it cannot be read.

    Source: `torch/_export/serde/schema.py`: each node names its outputs, and the graph its own.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(one for one in archive.namelist() if one.endswith("models/model.json"))
            module = json.loads(archive.read(name))["graph_module"]
        signature, ends = _signature(module), [_made_by(module["graph"], one) for one in module["graph"]["outputs"]]
    except (OSError, ValueError, LookupError, TypeError, StopIteration, zipfile.BadZipFile):
        return FileFacts()
    names = [one.name for one in signature.outputs] if len(ends) > 1 else []
    return FileFacts(activation=ends[0], activations=dict(zip(names, ends, strict=False)), signature=signature)


def activation_of(target: str) -> Activation | None:
    """Return the activation that the operator `target` of a graph is, for instance `torch.ops.aten.sigmoid.default`."""
    return _ACTIVATIONS.get(target)


def _signature(module: Mapping[str, Any]) -> Signature:
    said, values = module["signature"], module["graph"]["tensor_values"]
    inputs = [one["user_input"]["arg"] for one in said["input_specs"] if "user_input" in one]
    outputs = [one["user_output"]["arg"] for one in said["output_specs"] if "user_output" in one]
    taken, made = (tuple(_tensor(one["as_tensor"]["name"], values) for one in side) for side in (inputs, outputs))
    names = _keys(module) or [one.name for one in made]
    return Signature(
        taken, tuple(TensorSpec(name, one.dtype, one.shape) for name, one in zip(names, made, strict=True))
    )


def _keys(module: Mapping[str, Any]) -> list[str]:
    """Return the keys of the dict that a program answers; none if it answers something else."""
    called = next(one["signature"] for one in module["module_call_graph"] if not one["fqn"])
    spec = json.loads(called["out_spec"])[1]
    return list(json.loads(spec["context"])) if spec["type"] == "builtins.dict" else []


def _tensor(name: str, values: Mapping[str, Any]) -> TensorSpec:
    value = values[name]
    return TensorSpec(name, _DTYPES.get(value["dtype"], ""), tuple(_axis(one) for one in value["sizes"]))


def _axis(size: Mapping[str, Any]) -> int | str:
    """Return the length of an axis, or the name of its symbol."""
    if "as_int" in size:
        return int(size["as_int"])
    found = re.search(r"'(\w+)'", size["as_expr"]["expr_str"])
    return found[1] if found else ""


def _made_by(graph: Mapping[str, Any], output: Mapping[str, Any]) -> Activation | None:
    """Return the activation that makes an output of `graph`; None: neither softmax nor sigmoid."""
    node: Mapping[str, Any] = next((node for node in reversed(graph["nodes"]) if output in node["outputs"]), {})
    return activation_of(node.get("target", ""))
