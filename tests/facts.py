"""Facts of models that take one tensor and answer one score for each class, and of an image of one, in a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from modelyard.artifacts import DatasetFacts, ImageFacts, ModelFacts, format_file
from modelyard.tensors import InputFacts, OutputFacts, Preprocessing


def dataset_facts(
    *,
    input_shape: Sequence[int],
    class_names: Sequence[str],
    dtype: str = "uint8",
    preprocessing: Preprocessing | None = None,
    value_range: tuple[float, float] | None = None,
    **more: Any,
) -> DatasetFacts:
    """Return facts of a data set of classes."""
    shape, names = tuple(input_shape), tuple(class_names)
    taken = InputFacts(
        name="input", dtype=dtype, shape=shape, preprocessing=preprocessing or Preprocessing(), value_range=value_range
    )
    answer = OutputFacts(name="probabilities", shape=(len(names),), activation="softmax", labels=names)
    return DatasetFacts(task="classification", inputs=(taken,), outputs=(answer,), **{"splits": {}, **more})


def model_facts(
    *,
    format: str,  # noqa: A002
    output: str = "logits",
    input_dtype: str = "uint8",
    file: str | None = None,
    **known: Any,
) -> ModelFacts:
    """Return facts of a classifier; the rest is that of `dataset_facts`."""
    own = {name: known.pop(name) for name in ("batch", "warnings", "signature") if name in known}
    facts = ModelFacts.of(dataset_facts(dtype=input_dtype, **known), format).answering(output)  # type: ignore[arg-type]
    return msgspec.structs.replace(facts, file=format_file(format) if file is None else file, **own)


def image_facts(*, port: int = 8501) -> ImageFacts:
    """Return facts of an image that nobody built."""
    return ImageFacts(
        builder="toy",
        repository="registry.example/team/digits",
        tag="1",
        digest="sha256:ab",
        image_id="sha256:cd",
        size_bytes=0,
        archive=None,
        platform="linux/amd64",
        user="1:1",
        port=port,
        labels={},
        layers=(),
    )


def model_json(
    *,
    input_shape: Any,
    class_names: Sequence[str],
    input_dtype: str = "uint8",
    preprocessing: Any = None,
    output: str = "logits",
    value_range: Any = None,
    **more: Any,
) -> dict[str, Any]:
    """Return what `model.json` says of a classifier; nothing is checked, so that it may be wrong."""
    taken = {"name": "input", "dtype": input_dtype, "shape": input_shape, "preprocessing": preprocessing or {}}
    if value_range is not None:
        taken["value_range"] = value_range
    answer: dict[str, Any] = {
        "name": "probabilities",
        "shape": [len(class_names)],
        "activation": "softmax",
        "labels": class_names,
    }
    if output == "probabilities":
        answer["inside"] = True
    return {**more, "task": "classification", "inputs": [taken], "outputs": [answer]}
