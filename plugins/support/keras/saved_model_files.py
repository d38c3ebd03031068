"""What a SavedModel may hold that somebody else may have written: a graph that computes, and its weights.

A SavedModel is a program of TensorFlow, which has operators that write files, call Python and open connections.

Source: TensorFlow, saved_model.proto; "Using TensorFlow Securely": "TensorFlow models are programs".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FILES = (
    r"saved_model\.pb|fingerprint\.pb|variables/variables\.(index|data-\d{5}-of-\d{5})|assets/[^/]+|keras_metadata\.pb"
)
_REACHES_OUT = (
    r"(Read|Write)File|MatchingFiles|\w*PyFunc\w*|\w*Reader(V2)?|(TFRecord|TextLine|FixedLengthRecord|Load|Save|DataService)Dataset\w*"
    r"|Snapshot\w*|Debug\w+|PrintV2|Save|SaveSlices|Restore|RestoreSlice|\w*Summary\w*|LoadAndRemapMatrix|ImportEvent"
    r"|(De|En)codeProto\w*|RemoteCall|Rpc\w*|(_Host)?(Send|Recv)|Gcs\w+|Bigtable\w+|Configure\w+"
)
_CHECKPOINT = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints"})
"""How a SavedModel saves itself: in functions of its own, which nothing in the model calls."""


def check_saved_model(folder: Path) -> None:
    """Check that `folder` holds the files of a SavedModel, and that its graph computes and does nothing else.

    Raises:
        DataError: it holds something else.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir() or p.is_symlink())
    foreign = [name for name in names if not re.fullmatch(_FILES, name) or (folder / name).is_symlink()]
    if foreign or "saved_model.pb" not in names:
        found = repr(foreign[0]) if foreign else "no saved_model.pb"
        msg = f"{folder}: holds {found}, so it is not just a SavedModel\n  write it with tf.saved_model.save"
        raise DataError(msg)
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for meta in saved.meta_graphs:
        found = next(_wrong(meta.graph_def), "")
        if found:
            msg = f"{folder}: its graph has the operator {found!r}, which can do more than compute\n  take the operator out"
            raise DataError(msg)


def _wrong(graph: Any) -> Iterator[str]:
    """Yield each operator that reaches out of the graph, in the graph or in one of its functions."""
    functions = {function.signature.name: function.node_def for function in graph.library.function}
    called = {name for nodes in functions.values() for node in nodes for name in _calls(node)}
    for name, nodes in {"": graph.node, **functions}.items():
        saves = not name or name not in called
        for node in nodes:
            if re.fullmatch(_REACHES_OUT, node.op) or (node.op in _CHECKPOINT and not saves):
                yield node.op


def _calls(node: Any) -> Iterator[str]:
    for attribute in node.attr.values():
        yield attribute.func.name
        yield from (function.name for function in attribute.list.func)
