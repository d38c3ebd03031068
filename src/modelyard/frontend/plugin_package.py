"""Start a package of plugins from the files in `templates/plugin/`: a component of each kind that is asked for, with its test."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.frontend.scaffold import SIGNS, go, not_allowed, slug, template, write_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class _Offer(NamedTuple):
    """A component that a package may begin with; `src/package/KIND.py.txt` and `tests/test_KIND.py.txt` are its templates.

    Attributes:
        title: what its kind is called.
        name: its name.
        does: what it does, for the README.
        toml: how a project uses it.
        files: its further files below the package's folder, each with its template.
        needs: what its test needs besides.
    """

    title: str
    name: str
    does: str
    toml: str
    files: Mapping[str, str] = {}
    needs: tuple[str, ...] = ()


_USE = '[tool.modelyard.{table}]\nuse = "{name}"'
_TABLE = "[tool.modelyard.{table}.{name}]"
_VARIANT = """\
[tool.modelyard.variants]
float32 = ["float32"]
rounded = [{ use = "@short@-round", levels = 16 }, "float32"]"""

OFFERS = {
    "dataset": _Offer(
        "data set",
        "@short@-stripes",
        "makes images of stripes, across or down",
        _USE.format(table="dataset", name="@short@-stripes"),
    ),
    "task": _Offer(
        "task",
        "@short@-shortlist",
        "names the few classes that a sample is likeliest of",
        _USE.format(table="task", name="@short@-shortlist"),
    ),
    "model": _Offer(
        "model",
        "@short@-dense",
        "has one hidden layer of units that see every pixel",
        _USE.format(table="model", name="@short@-dense"),
    ),
    "trainer": _Offer(
        "trainer",
        "@short@-fit",
        "trains a classifier with the loop that Keras has",
        _USE.format(table="train", name="@short@-fit"),
    ),
    "optimizer": _Offer(
        "model optimizer",
        "@short@-round",
        "rounds each layer's weights to a few values, so that the model compresses better",
        _VARIANT,
    ),
    "runtime": _Offer(
        "runtime",
        "@short@-onnx",
        "runs variants that end as ONNX models, behind the server that modelyard has",
        _USE.format(table="runtime", name="@short@-onnx"),
        {"@package@_backend/__init__.py": "backend/__init__.py"},
        needs=("modelyard[onnx]",),
    ),
    "metric": _Offer(
        "metric",
        "@short@-log-loss",
        "measures how much probability the right answers lack",
        _TABLE.format(table="metrics", name="@short@-log-loss"),
    ),
    "gate": _Offer(
        "gate",
        "@short@-confusion",
        "rules out what takes one class for a certain other too often",
        "[tool.modelyard.gates]\n@short@-confusion = { most = 0.2 }",
    ),
    "handler": _Offer(
        "handler",
        "@short@-lower",
        "gives the model texts in lower case",
        '[tool.modelyard.handlers]\nbefore = ["@short@-lower"]',
        {"@package@_handlers/__init__.py": "handlers/__init__.py"},
    ),
    "source": _Offer(
        "source of events",
        "@short@-table",
        "takes events from a table in a file of SQLite",
        '[tool.modelyard.events]\nuse = "@short@-table"',
        {"@package@_table/__init__.py": "client/__init__.py"},
    ),
    "builder": _Offer(
        "image builder",
        "@short@-archive",
        "puts the server and the model into a plain tar archive",
        _USE.format(table="image", name="@short@-archive"),
    ),
    "target": _Offer(
        "deploy target",
        "@short@-script",
        "renders a shell script that runs the image",
        _TABLE.format(table="targets", name="@short@-script") + "\nport = 9000",
        {"templates/@short@-script/run.sh.j2": "templates/run.sh"},
    ),
    "kind": _Offer(
        "kind of stage",
        "@word@_card",
        "writes down in a sentence how a variant does",
        '[tool.modelyard.@word@_card]\ntitle = "digits"',
    ),
    "executor": _Offer(
        "executor",
        "@short@-processes",
        "runs stages as processes in a folder of their own",
        _USE.format(table="executor", name="@short@-processes"),
        needs=("fsspec",),
    ),
}
"""For each kind of component that is offered, the one that a package begins with."""

USUAL = ("optimizer", "target")
"""What a package has where nothing is said."""
_COMMON = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    "src/@package@/__init__.py": "src/package/__init__.py",
    "tests/conftest.py": "tests/conftest.py",
}
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?")
_TAKEN = {"modelyard", "modelyard_plugins", "modelyard_templates", *sys.stdlib_module_names}
"""Packages that an import finds first, or that must not be hidden."""


def new_plugin(folder: Path, name: str, kinds: Sequence[str] = USUAL) -> str:
    """Write a package of plugins that can be installed and whose tests pass, and return what to do next.

    Args:
        folder: where to.
        name: the distribution's name, for instance `modelyard-edge`; its components are called after it.
        kinds: the kinds of component that it has one of each, some of `OFFERS`.

    Raises:
        ConfigError: the name or a kind is not allowed, a file that it would write is there already, or the folder cannot be written.
    """
    package = name.replace("-", "_")
    if not _NAME.fullmatch(name) or package in _TAKEN or keyword.iskeyword(package):
        nearest = f"modelyard-{slug(name.removeprefix('modelyard')) or 'mine'}"
        allowed = f"{SIGNS}, a letter first and no dash last; no name of Python's or modelyard's own"
        raise not_allowed(name, nearest, allowed)
    for kind in kinds:
        if kind not in OFFERS:
            msg = f"init: no kind {kind!r} is offered{did_you_mean(kind, OFFERS)}\n  offered: {listing(OFFERS)}"
            raise ConfigError(msg)
    short = name.removeprefix("modelyard-")
    chosen = {kind: OFFERS[kind] for kind in OFFERS if kind in kinds}
    words = {"name": name, "package": package, "short": short, "word": short.replace("-", "_")}
    sections = _sections(chosen)
    texts = {
        _fill(file, words): _fill(_fill(template(f"plugin/{source}"), sections), words)
        for file, source in _files(chosen).items()
    }
    write_all(folder, texts)
    return f"{name}: {len(texts)} files in {folder}\n  next: {go(folder)}python -m pip install -e '.[test]' && python -m pytest"


def _files(chosen: Mapping[str, _Offer]) -> dict[str, str]:
    """Return each file of the package, and the template that it is made from."""
    files = dict(_COMMON)
    for kind, offer in chosen.items():
        files[f"src/@package@/{kind}.py"] = f"src/package/{kind}.py"
        files |= {f"src/@package@/{file}": f"src/package/{source}" for file, source in offer.files.items()}
        files[f"tests/test_{kind}.py"] = f"tests/test_{kind}.py"
    return files


def _sections(chosen: Mapping[str, _Offer]) -> dict[str, str]:
    """Return what stands in the package's files for all of its components."""
    hooks = {kind: f"modelyard_register_{kind}s" for kind in sorted(chosen)}
    named = [f"the {one.title} {one.name}" for one in chosen.values()]
    needs = dict.fromkeys(("pytest", *(need for one in chosen.values() for need in one.needs)))
    return {
        "imports": "\n".join(f"from @package@.{kind} import {hook}" for kind, hook in hooks.items()),
        "hooks": "".join(f'    "{hook}",\n' for hook in sorted(hooks.values())),
        "components": " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named),
        "rows": "\n".join(f"| {one.title} | `{one.name}` | {one.does} |" for one in chosen.values()),
        "toml": "\n\n".join(one.toml for one in chosen.values()),
        "needs": ", ".join(f'"{need}"' for need in needs),
    }


def _fill(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text
