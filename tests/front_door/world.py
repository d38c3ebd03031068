"""A project as data: its files, what is installed beside it, and the environment; and changes to any of them.

root/project/               the toy project, with more to change in it
root/lib/site-packages/     an installed plugin, a library that the project imports, and a tool that is not imported
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

TOY = Path(__file__).parents[1] / "projects" / "toy"
SITE = "lib/site-packages"
_BUILT = {"artifacts", ".modelyard", "__pycache__"}


@dataclass
class World:
    """Files below a root folder, by relative path, and the environment variables of a build."""

    files: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, root: Path, before: World | None = None) -> None:
        """Write what differs from the files in `root`, and remove what `before` had and this has not."""
        for name in (before.files.keys() - self.files.keys()) if before else ():
            path = root / name
            path.unlink()
            if path.parent.name.endswith(".dist-info") and not any(path.parent.iterdir()):
                path.parent.rmdir()
        for name, text in self.files.items():
            path = root / name
            if not path.exists() or path.read_text() != text:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)

    def changed(self, *changes: Change) -> World:
        """Return the world after `changes`."""
        after = World(dict(self.files), dict(self.environment))
        for change in changes:
            change(after)
        return after


Change = Callable[[World], None]


def edit(file: str, old: str, new: str) -> Change:
    """Return a change that replaces `old`, which is there once, by `new` in a file of the project."""

    def change(world: World) -> None:
        text = world.files[f"project/{file}"]
        assert text.count(old) == 1, (file, old, text)
        world.files[f"project/{file}"] = text.replace(old, new)

    return change


def edit_all(file: str, old: str, new: str) -> Change:
    """Return a change that replaces each `old` by `new` in a file of the project."""

    def change(world: World) -> None:
        text = world.files[f"project/{file}"]
        assert old in text, (file, old, text)
        world.files[f"project/{file}"] = text.replace(old, new)

    return change


def append(file: str, text: str) -> Change:
    """Return a change that adds `text` to the end of a file of the project."""

    def change(world: World) -> None:
        world.files[f"project/{file}"] += text

    return change


def put(file: str, text: str) -> Change:
    """Return a change that gives a file of the project the content `text`."""

    def change(world: World) -> None:
        world.files[f"project/{file}"] = text

    return change


def setting(table: str, line: str) -> Change:
    """Return a change that adds `line` to `[tool.modelyard.TABLE]`, which is made if need be."""

    def change(world: World) -> None:
        text, head = world.files["project/pyproject.toml"], f"[tool.modelyard.{table}]\n".replace(".]", "]")
        text = text.replace(head, f"{head}{line}\n") if head in text else f"{text.rstrip()}\n\n{head}{line}\n"
        world.files["project/pyproject.toml"] = text

    return change


def variable(name: str, value: str) -> Change:
    """Return a change that sets an environment variable."""

    def change(world: World) -> None:
        world.environment[name] = value

    return change


def installed(name: str, version: str) -> Change:
    """Return a change that installs another version of a distribution, with the same files."""

    def change(world: World) -> None:
        for file in [file for file in world.files if re.match(rf"{SITE}/{name}-[^/]*\.dist-info/", file)]:
            world.files[re.sub(rf"{name}-[^/]*\.dist-info", f"{name}-{version}.dist-info", file)] = world.files.pop(
                file
            )

    return change


def both(*changes: Change) -> Change:
    """Return a change that does all of `changes`."""

    def change(world: World) -> None:
        for one in changes:
            one(world)

    return change


def move_function(world: World) -> None:
    """Move a function of the project's plugin to the end of its file."""
    text = world.files["project/plugins/toy.py"]
    function = re.search(r"def pack\(.*?\n\n\n", text, re.DOTALL)
    assert function
    world.files["project/plugins/toy.py"] = text.replace(function[0], "") + f"\n\n{function[0].rstrip()}\n"


def move_table(world: World) -> None:
    """Move a table of pyproject.toml to the end of its file."""
    text = world.files["project/pyproject.toml"]
    gates = re.search(r"\[tool\.modelyard\.gates\]\n.*?\n\n", text, re.DOTALL)
    assert gates
    world.files["project/pyproject.toml"] = f"{text.replace(gates[0], '').rstrip()}\n\n{gates[0]}"


_PLUGIN = '''"""A plugin that is installed."""

import json

from modelyard import hookimpl


def shift(context, *, amount: float = 0.25):
    """Move the centers.

    Args:
        amount: how far.
    """
    model = json.loads(context.model.path.read_text())
    model["centers"] = [[value + amount for value in center] for center in model["centers"]]
    (context.out / "model.toy").write_text(json.dumps(model, sort_keys=True))


@hookimpl
def modelyard_register_optimizers(register):
    register("shift", shift, accepts=("toy",), produces="toy", tools=("toy-tool",))
'''
_HELPER = '''"""A module that the model imports."""

from toy_library import half


def shrink(value):
    """Halve it."""
    return half(value)
'''


def start() -> World:
    """Return the world before any change."""
    paths = [p for p in TOY.rglob("*") if p.is_file() and not _BUILT & set(p.relative_to(TOY).parts)]
    files = {f"project/{p.relative_to(TOY)}": p.read_text() for p in sorted(paths)}
    files |= {f"project/data/names/{n}.txt": f"{name}\n" for n, name in enumerate(("origin", "right", "up"))}
    files |= {f"{SITE}/toy_extras.py": _PLUGIN, f"{SITE}/toy_library.py": "def half(value):\n    return value / 2\n"}
    files[f"{SITE}/toy_extras-1.0.dist-info/entry_points.txt"] = "[modelyard]\ntoy-extras = toy_extras\n"
    for name, module in (("toy_extras", "toy_extras"), ("toy_library", "toy_library"), ("toy_tool", "")):
        files[f"{SITE}/{name}-1.0.dist-info/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        files[f"{SITE}/{name}-1.0.dist-info/top_level.txt"] = f"{module}\n"
    return World(files).changed(
        put("helper.py", _HELPER),
        edit(
            "pyproject.toml",
            'plain = ["pack"]',
            'plain = ["pack"]\nshifted = [{ use = "shift", amount = 0.25 }, "pack"]',
        ),
        setting("dataset", 'names = "data/names"'),
    )
