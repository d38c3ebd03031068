"""Read Kubernetes objects from a target's folder, and write them back."""

from __future__ import annotations

import copy
import functools
import posixpath
import re
from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed, ToolError
from modelyard.rendering.yaml import block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


_SUFFIXES = {".yaml", ".yml", ".json"}
AMENDED = "90-amended.yaml"
"""The file that holds what plugins add to a target's objects."""


def read_folder(folder: Path) -> dict[str, list[Any]]:
    """Return the documents of each YAML or JSON file in `folder` and below that holds Kubernetes objects, by its path.

    The files stand in their order, those of a folder before those of its folders. Left out is what holds no whole object of
    the cluster: Kustomize's own files and the patches that they name, and Helm charts, which are read when Helm rendered them.

    Raises:
        StageFailed: a file that holds objects is not YAML, or says a key twice.
    """
    found = {name: read_file(file) for name, file in _files(folder).items()}
    patches = {name for path, documents in found.items() for name in _patches(path, documents)}
    return {
        name: documents
        for name, documents in found.items()
        if name not in patches and any(_is_object(one) for one in documents)
    }


def _files(folder: Path) -> dict[str, Path]:
    """Return the files that may hold objects, by their paths below `folder`."""
    charts = [path.parent for path in folder.rglob("Chart.yaml")]
    files = [file for file in folder.rglob("*") if file.suffix in _SUFFIXES and file.is_file()]
    kept = [file for file in files if not any(chart in file.parents for chart in charts)]
    ordered = sorted(kept, key=lambda file: (file.parent.relative_to(folder).parts, file.name))
    return {file.relative_to(folder).as_posix(): file for file in ordered}


def _patches(path: str, documents: list[Any]) -> Iterator[str]:
    """Yield the paths of the patches that a kustomization names, as `_files` has them."""
    for one in documents:
        if not isinstance(one, dict) or not str(one.get("apiVersion", "")).startswith("kustomize.config.k8s.io/"):
            continue
        listed = [*(one.get("patches") or ()), *(one.get("patchesStrategicMerge") or ())]
        names = [patch.get("path") if isinstance(patch, dict) else patch for patch in listed]
        yield from (posixpath.normpath(posixpath.join(posixpath.dirname(path), str(name))) for name in names if name)


def read_file(file: Path) -> list[Any]:
    """Return the documents of a YAML file, as Kubernetes reads them; none of one that is not YAML and holds no object.

    Raises:
        StageFailed: the file seems to hold objects, and is not YAML or says a key twice.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return []
    try:
        return read_text(text, str(file))
    except StageFailed:
        if re.search(r"\bapiVersion\b", text) and re.search(r"\bkind\b", text):
            raise
        return []  # another program's: tags of its own, or a template of it


def read_text(text: str, where: str) -> list[Any]:
    """Return the documents of a YAML text, as Kubernetes reads them.

    Args:
        text: the text.
        where: where it comes from, for messages.

    Raises:
        StageFailed: it is not YAML, or says a key twice.
    """
    try:
        import yaml
    except ModuleNotFoundError as exc:
        msg = "objects cannot be checked without PyYAML\n  run: python -m pip install 'modelyard[validate]'"
        raise ToolError(msg) from exc
    try:
        return list(yaml.load_all(text, Loader=_loader()))
    except yaml.YAMLError as exc:
        msg = f"{where}: is not YAML: {exc}\n  mend the template that made it"
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
    _follow(folder / "kustomization.yaml", gone={name for name, each in after.items() if not each}, added=bool(added))
    return True


def _follow(kustomization: Path, *, gone: set[str], added: bool) -> None:
    """Leave what is gone out of a kustomization, and add what plugins added."""
    if not kustomization.is_file():
        return
    told = read_file(kustomization)[0]
    kept = [name for name in told.get("resources") or () if name not in gone and name != AMENDED]
    write_folder(kustomization.parent, {kustomization.name: [{**told, "resources": kept + [AMENDED] * added}]})


def objects_in(documents: dict[str, list[Any]]) -> list[Any]:
    """Return the documents of all files, in order."""
    return [one for each in documents.values() for one in each]


def _is_object(document: object) -> bool:
    """Tell whether a document is meant for the cluster, not for a program such as kustomize, skaffold or kubectl itself."""
    if not isinstance(document, dict) or "apiVersion" not in document or "kind" not in document:
        return False
    group = str(document["apiVersion"]).rpartition("/")[0]
    return not (group.endswith("config.k8s.io") or (document["kind"] == "Config" and "." not in group))


@functools.cache
def _loader() -> Any:
    import yaml

    # libyaml, which Kubernetes' own parser is a port of, takes a seventh of the time; PyYAML may be built without it
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        """YAML as Kubernetes reads it: a key that is said twice is an error."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys: Sequence[Any] = [self.construct_object(key, deep=True) for key, _ in node.value]
            for index, key in enumerate(keys):
                if key in keys[:index]:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key!r} is there twice", node.start_mark
                    )
            made: dict[Any, Any] = super().construct_mapping(node, deep=deep)
            return made

    return Loader
