"""A SavedModel that somebody brings: it takes and answers what its own signature says, not what clients send and get.

Source: TensorFlow, meta_graph.proto, `SignatureDef`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.artifacts import FileFacts
from modelyard.errors import DataError, did_you_mean, listing
from modelyard.signature import Signature, TensorSpec
from modelyard_plugins.support.keras.saved_model_files import check_saved_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from modelyard.artifacts import ModelFacts

_USUAL = "serving_default"


def signature_key(path: Path, name: str = "") -> str:
    """Return the name of the signature that is meant: `name`, or `serving_default`, or the only one.

    Raises:
        DataError: the folder holds no SavedModel, one that does more than compute, or no such signature.
    """
    names = list(_signatures(path))
    if name in names:
        return name
    if name:
        msg = f"{path}: the model has no signature {name!r}{did_you_mean(name, names)}\n  signatures: {listing(names)}"
        raise DataError(msg)
    if _USUAL in names or len(names) == 1:
        return _USUAL if _USUAL in names else names[0]
    msg = (
        f"{path}: its signatures are {listing(names)}; none is called {_USUAL!r}\n"
        '  name the one that is meant: signature = "..."'
    )
    raise DataError(msg)


def keep_signature(path: Path, name: str) -> None:
    """Take every signature but `name` out of the SavedModel in `path`: it is the one that is meant then.

    Raises:
        DataError: it has no such signature.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    known = list(_signatures(path))
    if name not in known:
        msg = f"[tool.modelyard.train]: key 'signature': the model has no signature {name!r}{did_you_mean(name, known)}\n  signatures: {listing(known)}"
        raise DataError(msg)
    file = path / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for meta in saved.meta_graphs:
        for other in known:
            if other != name and other in meta.signature_def:
                del meta.signature_def[other]
    file.write_bytes(saved.SerializeToString(deterministic=True))
    (path / "fingerprint.pb").unlink(missing_ok=True)  # it is of the file as it was


def brought_facts(path: Path, name: str = "") -> FileFacts:
    """Return what its signature `name`, or else the one that is meant, says of the SavedModel in `path`; nothing if it cannot be read."""
    from tensorflow import dtypes

    try:
        said = _signatures(path)[signature_key(path, name)]
    except DataError:
        return FileFacts()
    sides = (
        tuple(TensorSpec(name, dtypes.as_dtype(one.dtype).name, _axes(one)) for name, one in sorted(side.items()))
        for side in (said.inputs, said.outputs)
    )
    return FileFacts(signature=Signature(*sides))


def load_function(path: Path) -> Any:
    """Load the SavedModel and return its signature's function: tensors by name in, a dict of tensors by name out.

    Raises:
        DataError: it cannot be read, or its graph does more than compute.
    """
    import tensorflow as tf

    key = signature_key(path)
    try:
        loaded = tf.saved_model.load(str(path))
        function = loaded.signatures[key]
    except Exception as exc:  # TensorFlow and protobuf have errors of their own, and TensorFlow indexes what it expects
        line = next(iter(str(exc).strip().splitlines()), type(exc).__name__)
        msg = f"{path}: cannot be read as a SavedModel: {line}\n  export the model again"
        raise DataError(msg) from exc
    function.owner = loaded  # the variables live as long as what they belong to
    return function


def input_types(path: Path) -> dict[str, str]:
    """Return the type of each input of the signature by its name."""
    return {one.name: one.dtype for one in _told(path).inputs}


def specs(path: Path) -> dict[str, Any]:
    """Return the `tf.TensorSpec` of each input of the signature by its name."""
    import tensorflow as tf

    return {
        one.name: tf.TensorSpec(
            [axis if isinstance(axis, int) else None for axis in one.shape or ()], one.dtype, one.name
        )
        for one in _told(path).inputs
    }


def answer_names(facts: ModelFacts, answers: Mapping[str, Any]) -> dict[str, str]:
    """Return the name, among those of `answers`, of each output; an only one that none is called after is the first."""
    only = next(iter(answers)) if len(facts.outputs) == 1 else ""
    return {one.name: one.tensor or (one.name if one.name in answers else only) for one in facts.outputs}


def _told(path: Path) -> Signature:
    told = brought_facts(path).signature
    assert isinstance(told, Signature), "the model was checked when it was brought"
    return told


def _signatures(path: Path) -> dict[str, Any]:
    """Return the signatures of the first graph that has some, by name, without the one that initializes.

    Raises:
        DataError: `path` holds no SavedModel, or one whose graph does more than compute.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        check_saved_model(path)
        saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    except (OSError, DecodeError) as exc:
        msg = f"{path}: cannot be read as a SavedModel: {exc}\n  export the model again"
        raise DataError(msg) from exc
    return next((dict(_served(meta)) for meta in saved.meta_graphs if dict(_served(meta))), {})


def _served(meta: Any) -> Iterator[tuple[str, Any]]:
    for name, said in meta.signature_def.items():
        if not name.startswith("__saved_model"):
            yield name, said


def _axes(tensor: Any) -> tuple[int | str, ...] | None:
    """Return the axes of a tensor; None where its number of axes is not known."""
    shape = tensor.tensor_shape
    return None if shape.unknown_rank else tuple(one.size if one.size >= 0 else "" for one in shape.dim)
