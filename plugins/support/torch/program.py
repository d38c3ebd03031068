"""A model of the format `torch`: a program of torch.export, in a `.pt2` file without pickle, paths or times.

The program takes samples of the data set's own shape (channels last): float32, or whole numbers as they are; several inputs
by their names. It answers
logits or probabilities. It needs none of the code that the module was written in, and can be trained further, quantized and exported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError, PluginError
from modelyard_plugins.support.torch.archive import check_archive
from modelyard_plugins.support.torch.calling import Given, varying

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from modelyard.tensors import InputFacts

_OF_THE_SOURCE = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")
"""What torch notes about where a step came from: paths and line numbers of this machine."""


def export_program(module: Any, given: Given, name: str, log: Any, inputs: Sequence[InputFacts] = ()) -> Any:
    """Return `module` as a program for batches of any size, and samples of any length where they have several.

    Args:
        module: a `torch.nn.Module` on the CPU, in evaluation mode.
        given: two samples, as it takes them.
        name: what to call the module in messages.
        log: called with the whole of torch's complaint.
        inputs: what is known of its inputs; nothing: samples are all of one shape.

    Raises:
        PluginError: torch.export cannot follow the module's code, or only for one size of batch, or one length.
    """
    import torch

    batch, varies = {0: torch.export.Dim("batch")}, varying(inputs)
    names = list(given) if isinstance(given, dict) else [*varies][:1] or [""]
    axes = {one: batch | dict.fromkeys(varies.get(one, ()), torch.export.Dim.DYNAMIC) for one in names}
    try:
        if isinstance(given, dict):
            return torch.export.export(module, (), given, dynamic_shapes=axes)
        return torch.export.export(module, (given,), dynamic_shapes=tuple(axes.values()))
    except Exception as exc:  # the module's own code runs in there
        log(f"{type(exc).__name__}: {exc}")
        lengths = f", and any length of {', '.join(map(repr, varies))}" if varies else ""
        msg = (
            f"the model {name!r} cannot be exported: {first_line(exc)}\n"
            f"  forward must run under torch.export for any size of batch{lengths}; the log has all of what torch says"
        )
        raise PluginError(msg) from exc


def first_line(exc: Exception) -> str:
    """Return the first line that says something of an error's text, or its type."""
    lines = (line.strip() for line in str(exc).splitlines())
    return next((line for line in lines if line), type(exc).__name__)


def save_program(program: Any, path: Path) -> None:
    """Write `program` to `path`: the same weights always as the same bytes."""
    import torch

    for graph in _graphs(program.graph_module):
        for node in graph.nodes:
            for key in _OF_THE_SOURCE:
                node.meta.pop(key, None)
    program.example_inputs = None
    torch.export.save(program, path)


def output_names(program: Any) -> list[str]:
    """Return what the outputs of `program` are called, in order: the keys of the dict that it answers, or as its graph calls them."""
    spec = program.call_spec.out_spec
    return list(spec.context) if spec.type is dict else list(program.graph_signature.user_outputs)


def load_program(path: Path) -> Any:
    """Read the program in `path`. A file that would have Python objects unpickled, or a text evaluated, is refused.

    Raises:
        DataError: the file is damaged, or holds what could run code.
    """
    try:
        check_archive(path)
        return _loaded(path)
    except DataError:
        raise
    except Exception as exc:  # torch asserts what it expects of a file, and has no error of its own for it
        msg = f"{path}: cannot be read as a program of torch.export: {first_line(exc)}\n  build the stage that wrote it again"
        raise DataError(msg) from exc


def _loaded(path: Path) -> Any:
    """Return the program, read by the format's own loader: torch.export.load falls back to one that unpickles."""
    from torch.export.pt2_archive._package import load_pt2

    return load_pt2(str(path)).exported_programs["model"]


def _graphs(module: Any) -> Iterator[Any]:
    """Yield the graph of `module` and of every graph module in it."""
    import torch

    return (one.graph for one in module.modules() if isinstance(one, torch.fx.GraphModule))


def trainable(program: Any) -> Any:
    """Return `program` as a module to train, in training mode; it shares its weights with `program`.

    Dropout and batch normalization work as in training; what the original code did under `if self.training` is gone.
    """
    module = program.module(check_guards=False)
    for graph in _graphs(module):
        for node in graph.nodes:
            _set_training(node)
    for one in module.modules():
        if hasattr(one, "recompile"):
            one.recompile()
    return module


def _set_training(node: Any) -> None:
    """Set the flag of an operator that works otherwise in training: dropout, batch normalization, LSTM ..."""
    schema = getattr(node.target, "_schema", None)
    for index, argument in enumerate(schema.arguments if schema else ()):
        if argument.name in ("train", "training"):
            if index < len(node.args):
                node.update_arg(index, True)
            else:
                node.update_kwarg(argument.name, True)
