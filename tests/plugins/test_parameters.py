"""Every built-in component can be configured: each parameter, in each form that its type allows, through pyproject.toml.

In a process of its own, because a value that is checked against the wrong kind of annotation ends the process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import types
import typing
from pathlib import Path
from typing import Any

import msgspec
from tests.configs import Load

from modelyard.component import REQUIRED, Component, Parameter
from modelyard.errors import ConfigError

_CANDIDATES: dict[Any, tuple[Any, ...]] = {
    bool: (True,),
    int: (1, 20, 1024),
    float: (0.25, 1.5),
    str: ("input.txt", "own:loss"),
    Any: ("input.txt",),
}
_GIVEN: dict[tuple[str, str], dict[str, Any]] = {
    ("knative", "broker"): {"event_types": ["dev.example.picture"], "dead_letter": "broker"},
    **{
        ("webdataset", key): {"array": "npy"}
        for key in (
            "path",
            "slices",
            "group",
            "test_sets",
            "target",
            "as_text",
            "pad",
            "masks",
            "test",
            "test_fraction",
            "stratify",
            "class_names",
            "value_range",
        )
    },
    **{("table-encode", key): {"numbers": ["input.txt"]} for key in ("missing", "unknown", "output")},
}
"""What a component's own check wants beside a parameter."""
_TABLES = {
    "dataset": "dataset",
    "task": "task",
    "model": "model",
    "trainer": "train",
    "runtime": "runtime",
    "builder": "image",
    "source": "events",
}


def test_each_parameter_is_taken_in_each_form_of_its_type(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.plugins.test_parameters", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, f"{done.returncode}: {done.stdout[-300:]}\n{done.stderr[-3000:]}"
    lines = done.stdout.splitlines()
    assert "dataset image-folder size = 32" in lines
    assert "dataset image-folder size = [1, 1]" in lines
    assert {line.split()[0] for line in lines} >= {"dataset", "trainer", "optimizer", "runtime", "builder", "target"}


def values(annotation: Any, default: Any = None) -> list[Any]:
    """Return a value for each form that `annotation` allows, as TOML holds it; the default, if it is of that form."""
    plain = annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
    origin, arguments = typing.get_origin(plain), typing.get_args(plain)
    if origin is typing.Literal:
        return list(arguments)
    if origin in (typing.Union, types.UnionType):
        return [value for one in arguments if one is not type(None) for value in values(one, default)]
    if origin in (tuple, list):
        items = [values(one)[0] for one in arguments if one is not ...]
        found: list[Any] = [items, items * 2]
    elif origin is dict:
        found = [dict.fromkeys(values(arguments[0])[:1], values(arguments[1])[0])]
    else:
        found = [*([default] if type(default) is plain and default != "" else []), *_CANDIDATES[plain]]
    return [one for one in found if _fits(one, annotation)][:1]


def _fits(value: Any, annotation: Any) -> bool:
    try:
        msgspec.convert(value, annotation, strict=True)
    except msgspec.ValidationError:
        return False
    return True


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def tables(component: Component, parameter: Parameter, value: Any) -> dict[str, str | None]:
    """Return the tables that set one parameter, and give those that must be given some value."""
    needed = {p.name: values(p.annotation)[0] for p in component.parameters.values() if p.default is REQUIRED}
    needed |= _GIVEN.get((component.name, parameter.name), {})
    lines = [f"{name} = {toml(one)}" for name, one in {**needed, parameter.name: value}.items()]
    if component.kind == "optimizer":
        step = ", ".join([f'use = "{component.name}"', *lines])
        return {"tool.modelyard.variants": f"a = [{{ {step} }}]"}
    if component.kind == "handler":
        step = ", ".join([f'use = "{component.name}"', *lines])
        return {"tool.modelyard.handlers": f"before = [{{ {step} }}]"}
    table = _TABLES.get(component.kind, f"{component.kind}s.a")
    found: dict[str, str | None] = {f"tool.modelyard.{table}": "\n".join([f'use = "{component.name}"', *lines])}
    if not component.takes_model:
        found["tool.modelyard.model"] = None
    if component.base:  # a server that comes with an image: a builder that takes one
        found["tool.modelyard.image"] = 'use = "docker"'
    return found


def main(folder: Path) -> None:
    load = Load(folder)
    (folder / "input.txt").write_text("")
    (folder / "own.py").write_text("def loss(answers, targets):\n    return answers - targets\n")
    for component in load.plugins.components.values():
        for parameter in component.parameters.values():
            forms = values(parameter.annotation, parameter.default)
            assert forms, f"{component.name}: no value for {parameter.name}: {parameter.annotation}"
            for value in forms:
                print(component.kind, component.name, parameter.name, "=", value, flush=True)
                try:
                    load(tables(component, parameter, value))
                except (
                    ConfigError
                ) as exc:  # the types are taken; what they mean may be refused, by the component's own check
                    needed = [p.name for p in component.parameters.values() if p.default is REQUIRED]
                    told = any(f"key {name!r}: " in str(exc) for name in (parameter.name, *needed))
                    if component.check is None or not told:
                        raise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
