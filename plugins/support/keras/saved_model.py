"""Write TensorFlow SavedModels that keep the contract of the format `saved_model`, the same model always as the same bytes.

Source: TensorFlow, saved_model.proto, meta_graph.proto, fingerprint.proto.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from modelyard.artifacts import self_contained
from modelyard.errors import DataError
from modelyard.tensors import is_kept
from modelyard_plugins.support.keras.inputs import given, type_name
from modelyard_plugins.support.keras.saved_model_files import check_saved_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from modelyard.artifacts import Model, ModelFacts
    from modelyard.tensors import InputFacts, OutputFacts

INPUT, SIGNATURE = "input", "serving_default"
"""The names that the contract of the format gives (see `modelyard.artifacts.FORMAT_FILES`)."""

_NUMBER = r"_(\d+)(?=_|$)"
"""In a function's name: TensorFlow numbers functions through the life of a process."""
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""In the attributes of recurrent layers: it pairs implementations for processors and GPUs."""
_INITIALIZER = r"(?<=key_value_init)\d+"
"""In the names of what fills a table, which are numbered through the life of a process, too."""
_TRACED = r"__(?:inference|forward|backward)_\w+"


def write_saved_model(
    folder: Path,
    facts: ModelFacts,
    call: Callable[[Any], Any],
    variables: Iterable[Any],
    tables: Sequence[Any] = (),
) -> None:
    """Write a SavedModel whose signature takes raw samples and answers what clients get.

    Args:
        folder: where to; it is made.
        facts: of the model that is wrapped: its preprocessing and activation become part of the graph.
        call: `call(inputs)` answers a batch: float32 tensors (or whole numbers and texts as they are), `(N, *input_shape)` in, a dict
            of them by the names in the file where there are several, and float32, `(N, *output_shape)`, out, a dict of
            these by the names of the outputs where there are several.
        variables: every `tf.Variable` that `call` reads.
        tables: every table that it looks something up in, such as the words of a vocabulary.
    """
    import tensorflow as tf

    module = tf.Module()
    module.weights = list(variables)
    if tables:
        module.tables = list(tables)
    activations = {"none": lambda answer: answer, "softmax": tf.nn.softmax, "sigmoid": tf.sigmoid}
    specs = {name: tf.TensorSpec(_batch(one), type_name(one.dtype), name=name) for name, one in taken(facts).items()}

    @tf.function(input_signature=list(specs.values()))  # type: ignore[untyped-decorator]
    def serve(*samples: Any) -> dict[str, Any]:
        pairs = zip(facts.inputs, samples, strict=True)
        prepared = {one.name: _preprocess(raw, one) for one, raw in pairs}
        answer = call(given(facts.inputs, prepared))
        each = answer if isinstance(answer, dict) else {facts.answer.name: answer}
        return {one.name: activations[one.outside](tf.cast(each[one.name], tf.float32)) for one in facts.outputs}

    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: serve})
    _normalize(folder)


def tables_of(model: Any) -> list[Any]:
    """Return the tables of a model that is loaded, such as those in which a text vectorization looks up words."""
    import tensorflow as tf

    found = tf.train.TrackableView(model).descendants()
    return [one for one in found if isinstance(one, tf.saved_model.experimental.TrackableResource)]


def kept(facts: ModelFacts) -> ModelFacts:
    """Return the facts of what `write_saved_model` makes of a model with `facts`."""
    outputs = tuple(replace(one, tensor="") for one in facts.outputs)
    return self_contained(replace(facts, outputs=outputs))


def taken(facts: ModelFacts) -> dict[str, InputFacts]:
    """Return the inputs by what the signature calls them."""
    return {one.name: one for one in facts.inputs} if len(facts.inputs) > 1 else {INPUT: facts.input}


def _batch(one: InputFacts | OutputFacts) -> list[int | None]:
    """Return the shape of a batch; None: any length."""
    return [None, *(axis if isinstance(axis, int) else None for axis in one.shape)]


def _preprocess(samples: Any, one: InputFacts) -> Any:
    """Do what `modelyard.tensors.model_inputs` does, in the graph."""
    import tensorflow as tf

    if is_kept(one.dtype):
        return samples
    how = one.preprocessing
    scaled = tf.cast(samples, tf.float32) * tf.constant(how.scale, tf.float32)
    return (scaled - tf.constant(how.mean, tf.float32)) / tf.constant(how.std, tf.float32)


def _normalize(folder: Path) -> None:
    """Take out what differs from one run to the next: the numbers and the order of functions, the order of maps, a random UUID."""
    from tensorflow.core.protobuf import fingerprint_pb2, saved_model_pb2

    graph = folder / "saved_model.pb"
    content = graph.read_bytes()
    saved = saved_model_pb2.SavedModel.FromString(content)
    functions = [f.signature.name for meta in saved.meta_graphs for f in meta.graph_def.library.function]
    names = _Names(functions, map(bytes.decode, re.findall(_INITIALIZER.encode(), content)))
    for meta in saved.meta_graphs:  # first: a UUID is numbered when it is met
        meta.graph_def.library.function.sort(key=lambda function: names.new(function.signature.name))
    names.put_into(saved)
    _name_tables(saved)
    for meta in saved.meta_graphs:
        for function in meta.graph_def.library.function:
            _forget_captures(function)
    graph.write_bytes(saved.SerializeToString(deterministic=True))
    mark = folder / "fingerprint.pb"
    fingerprint = fingerprint_pb2.FingerprintDef.FromString(mark.read_bytes())
    fingerprint.saved_model_checksum = 0  # of the graph as it was
    fingerprint.uuid = ""
    mark.write_bytes(fingerprint.SerializeToString(deterministic=True))


def _name_tables(saved: Any) -> None:
    """Give tables names that do not say how many objects were made before them in the process."""
    graphs = [meta.graph_def for meta in saved.meta_graphs]
    lists = [nodes for graph in graphs for nodes in (graph.node, *(one.node_def for one in graph.library.function))]
    attributes = [node.attr["shared_name"] for nodes in lists for node in nodes if "HashTable" in node.op]
    old = {one.s.decode() for one in attributes if one.s}
    new = {name: f"table_{place}" for place, name in enumerate(sorted(old, key=_numbers))}
    for one in attributes:
        if one.s:
            one.s = new[one.s.decode()].encode()


def _numbers(name: str) -> tuple[list[int], str]:
    """Return what puts names in the order in which they were made."""
    return list(map(int, re.findall(r"\d+", name))), name


def _forget_captures(function: Any) -> None:
    """Remove the hint that names an argument after the number of the variable that was captured for it."""
    for argument in function.arg_attr.values():
        if "_user_specified_name" in argument.attr and argument.attr["_user_specified_name"].s.isdigit():
            del argument.attr["_user_specified_name"]


class _Names:
    """The names that take the place of those with a number of the process, or a random UUID, in them."""

    def __init__(self, functions: Iterable[str], initializers: Iterable[str]) -> None:
        numbered = sorted((tuple(map(int, re.findall(_NUMBER, name)))[::-1], name) for name in functions)
        self._new = {
            name: f"{re.sub(_NUMBER, '', name)}_{place}" for place, (numbers, name) in enumerate(numbered) if numbers
        }
        self._uuids: dict[str, str] = {}
        self._initializers = {number: str(place) for place, number in enumerate(sorted(set(initializers), key=int))}

    def new(self, text: str) -> str:
        """Return what takes the place of `text`."""
        if text in self._new:
            return self._new[text]
        if re.fullmatch(_TRACED, text):
            return re.sub(_NUMBER, "", text)
        text = re.sub(_INITIALIZER, lambda found: self._initializers[found[0]], text)
        return re.sub(_UUID, lambda found: self._uuids.setdefault(found[0], f"uuid-{len(self._uuids)}"), text)

    def put_into(self, message: Any) -> None:
        """Put the new names wherever `message`, or a message inside of it, holds an old one."""
        for field, value in message.ListFields():
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                self._put_into_map(field, value)
            elif field.type == field.TYPE_MESSAGE:
                for inner in value if field.is_repeated else (value,):
                    self.put_into(inner)
            elif field.type in (field.TYPE_STRING, field.TYPE_BYTES) and field.name != "tensor_content":
                new = [self._text(one) for one in value] if field.is_repeated else self._text(value)
                self._set(message, field, new)

    def _set(self, message: Any, field: Any, value: Any) -> None:
        if field.is_repeated:
            getattr(message, field.name)[:] = value
        else:
            setattr(message, field.name, value)

    def _text(self, value: str | bytes) -> str | bytes:
        if isinstance(value, str):
            return self.new(value)
        return self.new(value.decode()).encode() if value.isascii() else value

    def _put_into_map(self, field: Any, entries: Any) -> None:
        if field.message_type.fields_by_name["value"].message_type is None:
            renamed = {self._key(key): self._key(value) for key, value in entries.items()}
            entries.clear()
            entries.update(renamed)
            return
        before = {}
        for key in sorted(entries):
            self.put_into(entries[key])
            before[self._key(key)] = type(entries[key]).FromString(entries[key].SerializeToString())
        entries.clear()
        for key, value in before.items():
            entries[key].CopyFrom(value)

    def _key(self, value: Any) -> Any:
        return self.new(value) if isinstance(value, str) else value


def load_signature(model: Model) -> Any:
    """Load the SavedModel `model` and return its signature: a function of its tensors that answers a dict of one.

    Raises:
        DataError: it cannot be loaded, or its signature does not keep the contract of the format.
    """
    import tensorflow as tf

    try:
        check_saved_model(model.path)
        loaded = tf.saved_model.load(str(model.path))
    except DataError:
        raise
    except Exception as exc:  # TensorFlow and protobuf have errors of their own, and TensorFlow indexes what it expects
        msg = (
            f"{model.path}: cannot be read as a SavedModel: {(str(exc).strip().splitlines() or [type(exc).__name__])[0]}\n"
            "  build it again: doit -a optimize"
        )
        raise DataError(msg) from exc
    signature = loaded.signatures.get(SIGNATURE)
    found = "no such signature" if signature is None else _described(signature)
    wanted = _wanted(model)
    if found != wanted:
        msg = (
            f"{model.path}: its signature {SIGNATURE!r} is {found}, not {wanted}\n"
            "  let the model optimizer write it with modelyard_plugins.support.keras.saved_model.write_saved_model"
        )
        raise DataError(msg)
    signature.owner = loaded  # the variables live as long as what they belong to
    return signature


def _described(signature: Any) -> str:
    inputs = signature.structured_input_signature[1]
    return f"{_specs(inputs)} -> {_specs(signature.structured_outputs)}"


def _specs(specs: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {spec.dtype.name} {list(spec.shape)}" for name, spec in sorted(specs.items()))


def _wanted(model: Model) -> str:
    facts = model.facts
    wanted = ", ".join(f"{name}: {type_name(one.dtype)} {_batch(one)}" for name, one in sorted(taken(facts).items()))
    outputs = sorted(facts.outputs, key=lambda one: one.name)
    return f"{wanted} -> {', '.join(f'{one.name}: float32 {_batch(one)}' for one in outputs)}"
