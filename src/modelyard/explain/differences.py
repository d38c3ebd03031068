"""What differs between two results, said by name. Pure: dictionaries in, differences out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

from modelyard.component import KINDS

if TYPE_CHECKING:
    from modelyard.files.manifest import Manifest

Label = tuple[str, str, str]
"""What a value is: its kind, its component's role or nothing, and its name."""
Code = Mapping[str, Mapping[str, str]]
"""The code of a stage: for each file, the digest of each function."""

_BARE = ("kind", "seed", "machine", "accelerator", "threads", "isa")
"""Parts of a key that are called by their kind alone."""
_DIGEST = r"[0-9a-f]{64}"
_SERVER_FILE = r"server|requirements( \w+)?"
"""The parts of a component that are files of its server; further requirements are called after their parameter."""
_PREFIXES = {"setting": "setting", "input": "input", "code": "code", "version": "version", "environment": "environment"}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that differs.

    Attributes:
        kind: `parameter`, `setting`, `seed`, `component`, `file`, `template`, `code`, `version`, `environment`,
            `machine`, `accelerator`, `threads`, `isa`, `made on` or `input`.
        name: the parameter's, the setting's, the tool's ... name.
        role: the component's role, for what belongs to one.
        old: the value before; left out if there was none.
        new: the value after; left out if there is none.
    """

    kind: str
    name: str
    role: str = ""
    old: Any | UnsetType = UNSET
    new: Any | UnsetType = UNSET


class CodeChange(msgspec.Struct, frozen=True):
    """A file whose code differs, by its functions and classes; `(module)` is all that stands outside of them."""

    file: str
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def compare_parts(old: Mapping[str, Any], new: Mapping[str, Any], files: Collection[str] = ()) -> list[Change]:
    """Return what differs between the parts of two action keys.

    Args:
        old: the parts of the earlier key.
        new: the parts of the later one.
        files: the parts that are digests of files or folders which a parameter names.
    """
    before, after = dict(named(old, files)), dict(named(new, files))
    return [
        Change(kind=kind, role=role, name=name, old=before.get(key, UNSET), new=after.get(key, UNSET))
        for key in [*before, *(k for k in after if k not in before)]
        if not same(before.get(key, UNSET), after.get(key, UNSET))
        for kind, role, name in [key]
    ]


def same(one: Any, other: Any) -> bool:
    """Tell whether two values make the same action key: `1`, `1.0` and `true` do not."""
    if one is UNSET or other is UNSET:
        return one is other
    return msgspec.json.encode(one, order="deterministic") == msgspec.json.encode(other, order="deterministic")


def named(parts: Mapping[str, Any], files: Collection[str] = ()) -> Iterator[tuple[Label, Any]]:
    """Yield every single value of an action key's parts, with its kind (see `Change`), role and name."""
    templates: dict[str, int] = {}
    for part, value in msgspec.json.decode(msgspec.json.encode(parts)).items():
        if part.startswith("template "):
            file = part.split(" ", 2)[2]  # its place in the order shifts when another template is added
            templates[file] = templates.get(file, 0) + 1
            count = templates[file]
            yield ("template", "", file if count == 1 else f"{file} ({count})"), value
            continue
        kind, role, name = _label(part, value, files)
        for path, leaf in _leaves(name, value):
            yield (kind, role, path), leaf


def _label(part: str, value: Any, files: Collection[str]) -> Label:
    first, _, rest = part.partition(" ")
    if part in _BARE:
        return part, "", part
    if part == "python":
        return "version", "", "python"
    if rest and first in _PREFIXES:
        return _PREFIXES[first], "", rest
    if not rest and first.partition(":")[0] in KINDS:
        return "component", "", first
    if part in files or (re.fullmatch(_SERVER_FILE, rest) and isinstance(value, str) and re.fullmatch(_DIGEST, value)):
        return "file", first, rest
    return "parameter", first, rest


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}", inner)
    else:
        yield name, value


def compare_code(old: Code, new: Code) -> list[CodeChange]:
    """Return the files whose code differs; one that only moved does not."""
    gone = [file for file in old if file not in new]
    come = [file for file in new if file not in old]
    for file in list(gone):
        moved = next((other for other in come if dict(new[other]) == dict(old[file])), None)
        if moved is not None:
            gone.remove(file)
            come.remove(moved)
    both = [file for file in old if file in new and dict(old[file]) != dict(new[file])]
    return [_code_change(file, old.get(file, {}), new.get(file, {})) for file in (*both, *gone, *come)]


def _code_change(file: str, old: Mapping[str, str], new: Mapping[str, str]) -> CodeChange:
    changed = tuple(name for name in old if name in new and old[name] != new[name])
    return CodeChange(file, changed, tuple(n for n in new if n not in old), tuple(n for n in old if n not in new))


def compare_values(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return the metrics that differ, nested ones by dotted name."""
    before = {path: leaf for name, value in old.items() for path, leaf in _leaves(name, value)}
    after = {path: leaf for name, value in new.items() for path, leaf in _leaves(name, value)}
    return [
        Change(kind="metric", name=name, old=before.get(name, UNSET), new=after.get(name, UNSET))
        for name in dict.fromkeys((*before, *after))
        if not same(before.get(name, UNSET), after.get(name, UNSET))
    ]


def compare_machines(old: str, new: str) -> Change | None:
    """Return that two results were made on machines that compute differently; None if not, or if one is not known."""
    return Change(kind="made on", name="made on", old=old, new=new) if old and new and old != new else None


def compare_outputs(old: Manifest, new: Manifest) -> list[Change]:
    """Return the files of two artifacts that differ, with their digests."""
    return [
        Change(kind="output", name=name, old=_digest(old, name), new=_digest(new, name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _digest(manifest: Manifest, name: str) -> str | UnsetType:
    return manifest[name].digest if name in manifest else UNSET


def say(change: Change | CodeChange) -> str:
    """Return a change in words, on one line."""
    if isinstance(change, CodeChange):
        return _say_code(change)
    owner = f" of the {change.role}" if change.role else ""
    bare = change.name == change.kind or change.kind in ("metric", "output")
    subject = change.name if bare else f"{change.kind} {change.name}{owner}"
    return f"{subject}: {show(change.old)} -> {show(change.new)}"


def _say_code(change: CodeChange) -> str:
    if not change.changed and not change.removed:
        return f"code {change.file}: new"
    if not change.changed and not change.added:
        return f"code {change.file}: no longer used"
    words = [f"{', '.join(names)} {verb}" for names, verb in _verbs(change) if names]
    return f"code {change.file}: {'; '.join(words)}"


def _verbs(change: CodeChange) -> tuple[tuple[tuple[str, ...], str], ...]:
    return (change.changed, "changed"), (change.added, "added"), (change.removed, "removed")


def show(value: Any) -> str:
    """Return a value as a person reads it, on one line: digests short, a missing one as `none`."""
    if value is UNSET:
        return "(none)"
    if isinstance(value, str):
        if re.fullmatch(_DIGEST, value):
            return value[:12]
        return value if value and value.isprintable() else repr(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return "not set" if value is None else msgspec.json.encode(value).decode()
