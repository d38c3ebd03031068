"""What a builder puts above its base, the same for every builder: where it lies, how it starts, how it is labelled."""

from __future__ import annotations

import functools
import posixpath
from copy import copy
from typing import TYPE_CHECKING, Any

from modelyard.errors import ToolError
from modelyard.oci.debian import USER
from modelyard.oci.image import timestamp
from modelyard.oci.tree import Tree
from modelyard.oci.wheels import site_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from modelyard.contexts import ImageContent

SITE = "/app/site"
"""Where the wheels are unpacked; not a folder that a base knows, so that nothing of the base is mixed with them."""

OCI_LABEL = "org.opencontainers.image."
USER_GROUP = f"{USER}:{USER}"
MODEL = "model"
"""The layer with the model, and how the names of further ones begin."""
FACTS = "model.json"
"""What is known of a model, its accuracy and its variant's name among them; see `app_trees`."""


def app_trees(
    content: ImageContent,
    wheels: Iterable[Path],
    interpreter: str,
    log: Callable[[str], None],
    optional: Sequence[Path] = (),
    layer_max: int = 0,
) -> dict[str, Callable[[], Tree]]:
    """Return what makes the trees of the layers `wheels`, `optional`, `server`, `model` and `facts`, in this order.

    `optional` has the wheels that not every image of this server has, if there are any. Where the base brings the server there are no wheels, and `interpreter` is empty. `facts` has model.json: so the layer
    `model` is the same for the same model, whatever its variant is called and however well it does, and it is sent and
    pulled once. Each of several models begins a layer of its own. A model that is larger than `layer_max` bytes (0: no limit) goes on in layers `model-2`, `model-3` ...

    Raises:
        ToolError: one file of the model is larger than that.
    """
    made = {} if content.base else {"wheels": lambda: site_tree(wheels, SITE, interpreter, log)}
    if optional:
        made["optional"] = lambda: site_tree(optional, SITE, interpreter, log)
    if content.server:
        made["server"] = lambda: mapped_tree(content.server)
    for number, tree in enumerate((part for whole in _models(content) for part in _parts(whole, layer_max)), 1):
        made[MODEL if number == 1 else f"{MODEL}-{number}"] = functools.partial(copy, tree)
    if _facts_places(content.model):
        made["facts"] = lambda: _model_tree(content.model, facts=True)
    return made


def _models(content: ImageContent) -> Iterator[Tree]:
    """Yield the trees of the models without what is known of them: of several, each alone."""
    if not content.several:
        yield _model_tree(content.model, facts=False)
        return
    for place, path in sorted(content.model.items()):
        tree = _model_tree({place: path}, facts=False)
        if any(entry.size for _, entry in tree):
            yield tree


def _model_tree(places: Mapping[str, Path], *, facts: bool) -> Tree:
    """Return the tree of the model with all but its model.json, or with that alone."""
    apart, tree = _facts_places(places), Tree()
    for path, entry in mapped_tree(places):
        if path in apart if facts else path not in apart:
            tree.add(path, entry)
    return tree


def model_layers(names: Iterable[str]) -> list[str]:
    """Return those of the layers' names that are of the model."""
    return [name for name in names if name == MODEL or name.startswith(f"{MODEL}-")]


def model_size(content: ImageContent) -> int:
    """Return the size of the model in bytes, of all its files together."""
    return sum(entry.size for _, entry in _model_tree(content.model, facts=False))


def _parts(tree: Tree, most: int) -> Iterator[Tree]:
    """Yield `tree` in parts of at most `most` bytes (0: no limit), its paths in their order."""
    part, size = Tree(), 0
    for path, entry in tree:
        if most and entry.size > most:
            raise _too_large(path, entry.size, most)
        if most and size + entry.size > most:
            yield part
            part, size = Tree(), 0
        part.add(path, entry)
        size += entry.size
    yield part


def _too_large(path: str, size: int, most: int) -> ToolError:
    return ToolError(
        f"image: the model's file {path!r} has {size:,} bytes, and a layer may have {most:,} (layer_max)\n"
        "  save its weights in several files, for instance ONNX with external data; "
        "or set layer_max higher in [tool.modelyard.image], if your registry takes larger layers"
    )


def _facts_places(places: Mapping[str, Path]) -> set[str]:
    """Return where model.json lies in the image."""
    found = {place.strip("/") for place, path in places.items() if path.name == FACTS}
    return found | {f"{place.strip('/')}/{FACTS}" for place, path in places.items() if (path / FACTS).is_file()}


def mapped_tree(places: Mapping[str, Path]) -> Tree:
    """Return the tree of `places`: path in the image -> file or folder here."""
    tree = Tree()
    for place, path in sorted(places.items()):
        tree.add_folder(place.strip("/"), path)
    return tree


def environment(content: ImageContent, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the image's environment variables: those of the base, Python's, and the content's own, which win."""
    if content.base:
        return {**inherited, **content.environment}
    folders = sorted({posixpath.dirname(f"/{place.strip('/')}") for place in content.server})
    python = {
        "PYTHONPATH": ":".join([*folders, SITE]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }
    return {**inherited, **python, **content.environment}


def entrypoint(content: ImageContent, interpreter: str) -> list[str]:
    """Return the command of the image, with the base's interpreter for `python3`."""
    first, *rest = content.entrypoint
    return [interpreter if first == "python3" else first, *rest]


def labels(content: ImageContent, epoch: int, base_name: str, base_digest: str) -> dict[str, str]:
    """Return the image's labels: the standard ones, and the content's own, which win."""
    standard = {
        f"{OCI_LABEL}title": posixpath.basename(content.repository),
        f"{OCI_LABEL}version": content.tag,
        f"{OCI_LABEL}ref.name": content.tag,
        f"{OCI_LABEL}created": timestamp(epoch),
        f"{OCI_LABEL}base.name": base_name,
        f"{OCI_LABEL}base.digest": base_digest,
    }
    return {name: value for name, value in {**standard, **content.labels}.items() if value}


def settings(
    content: ImageContent, interpreter: str, inherited: Mapping[str, str], marks: Mapping[str, str]
) -> dict[str, Any]:
    """Return the `config` object of the image's config; `marks` are its labels.

    Source: OCI image-spec, config.md.
    """
    variables = environment(content, inherited)
    return {
        "User": USER_GROUP,
        "Env": [f"{name}={value}" for name, value in sorted(variables.items())],
        "Entrypoint": entrypoint(content, interpreter),
        "WorkingDir": "/",
        "ExposedPorts": {f"{port}/tcp": {} for port in (content.port, content.facts.grpc_port) if port},
        "Labels": dict(marks),
        "StopSignal": "SIGTERM",
    }
