"""Read Kubernetes objects from a target's folder, and write them back."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed, ToolError
from modelyard.quoting import block

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import yaml


AMENDED = "90-amended.yaml"
"""The file that holds what plugins add to a target's objects."""


def read_folder(folder: Path) -> dict[str, list[Any]]:
    """Return the documents of each YAML file in `folder` that holds Kubernetes objects, in the files' order.

    Kustomize's own file is left out: it is no object of the cluster.

    Raises:
        StageFailed: a file is not YAML, or says a key twice.
    """
    found = {file.name: read_file(file) for file in sorted(folder.glob("*.y*ml")) if file.stem != "kustomization"}
    return {name: documents for name, documents in found.items() if any(_is_object(one) for one in documents)}


def read_file(file: Path) -> list[Any]:
    """Return the documents of a YAML file, as Kubernetes reads them.

    Raises:
        StageFailed: the file is not YAML, or says a key twice.
    """
    try:
        import yaml
    except ModuleNotFoundError as exc:
        msg = "objects cannot be checked without PyYAML\n  run: python -m pip install 'modelyard[validate]'"
        raise ToolError(msg) from exc
    try:
        return list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=_loader()))
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        msg = f"{file}: is not YAML: {exc}\n  mend the template that made it"
        raise StageFailed(msg) from exc


def write_folder(folder: Path, documents: dict[str, list[Any]]) -> None:
    """Write each file's documents into `folder`, in the style of the built-in templates: the same bytes every time."""
    for name, objects in documents.items():
        text = "---\n".join(block(one).lstrip("\n") + "\n" for one in objects)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def amend(folder: Path, change: Callable[[list[Any]], object]) -> bool:
    """Let `change` alter the list of objects in `folder`, in place, and write what it altered; tell whether it did.

    An object that it adds goes into `90-amended.yaml`; a file whose last object it removes goes away; the kustomization
    follows.
    """
    files = read_folder(folder)
    before, objects = copy.deepcopy(files), objects_in(files)
    change(objects)
    kept = {id(one) for one in objects}
    after = {name: [one for one in each if id(one) in kept] for name, each in files.items()}
    known = {id(one) for one in objects_in(files)}
    after |= {AMENDED: added} if (added := [one for one in objects if id(one) not in known]) else {}
    if after == before:
        return False
    write_folder(folder, {name: each for name, each in after.items() if each})
    for name in [name for name, each in after.items() if not each]:
        (folder / name).unlink()
    _follow(folder / "kustomization.yaml", [name for name, each in after.items() if each])
    return True


def _follow(kustomization: Path, files: list[str]) -> None:
    if kustomization.is_file():
        write_folder(kustomization.parent, {kustomization.name: [{**read_file(kustomization)[0], "resources": files}]})


def objects_in(documents: dict[str, list[Any]]) -> list[Any]:
    """Return the documents of all files, in order."""
    return [one for each in documents.values() for one in each]


def _is_object(document: object) -> bool:
    return isinstance(document, dict) and "apiVersion" in document and "kind" in document


def _loader() -> type[yaml.SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML as Kubernetes reads it: a key that is said twice is an error."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys: Sequence[Any] = [self.construct_object(key, deep=True) for key, _ in node.value]
            for index, key in enumerate(keys):
                if key in keys[:index]:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key!r} is there twice", node.start_mark
                    )
            return super().construct_mapping(node, deep=deep)

    return Loader
