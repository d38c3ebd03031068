"""Outputs of a model's file that have no axis of the batch, because the file takes one sample: boxes, a score, a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.artifacts import ModelFacts
    from modelyard.signature import Signature, TensorSpec


def without_batch(facts: ModelFacts, signature: Signature | None, told: Mapping[str, Mapping[str, Any]]) -> ModelFacts:
    """Return facts that say which outputs have no axis of the batch; such a model is run on one sample at a time.

    The project says so, or the file: it has no axis at all, or it takes one sample and its first axis is of another length.
    One that varies may be that of the batch, whatever it is called: exporters lose lengths.

    Args:
        facts: what the model takes and answers.
        signature: what the file shows.
        told: what the project says of each tensor, by what the file calls it.
    """
    tensors = {one.name: one for one in signature.outputs} if signature else {}
    sent = [one for one in signature.inputs if one.name not in facts.fed] if signature else []
    alone = bool(sent) and all(one.shape is not None and one.shape[:1] == (1,) for one in sent)
    only = next(iter(tensors.values())) if len(tensors) == 1 else None

    def has_batch(name: str) -> bool:
        file = tensors.get(name, only)
        said = told.get(file.name if file else name, {}).get("batch")
        return _has_batch(file, alone=alone) if said is None else bool(said)

    replace = msgspec.structs.replace
    outputs = tuple(
        one if has_batch(one.tensor or one.name) else replace(one, batch_axis=None) for one in facts.outputs
    )
    is_one = any(one.batch_axis is None for one in outputs)
    return replace(facts, outputs=outputs, batch=1) if is_one else facts


def _has_batch(file: TensorSpec | None, *, alone: bool) -> bool:
    if file is None or file.shape is None:
        return True
    return file.shape != () and not (alone and isinstance(file.shape[0], int) and file.shape[0] != 1)
