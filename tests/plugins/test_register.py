from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.component import KINDS, Component
from modelyard.errors import PluginError
from modelyard.hookspecs import HOOKS, TRAITS
from modelyard.plugins.load import load_plugins

MakeProject = Callable[[dict[str, str]], Path]


def register(call: str, make_project: MakeProject, kind: str = "optimizer") -> Path:
    head = (
        "from pathlib import Path\nfrom modelyard import hookimpl\nfrom modelyard.params import PositiveInt\n\n"
        "def f(context):\n    pass\n\n"
        "def sized(context, *, size: PositiveInt | tuple[int, int] = 1):\n    pass\n\n"
        "def served(folder, *, grpc: PositiveInt | None = None):\n    pass\n\n@hookimpl\n"
    )
    return make_project({"plugins/a.py": f"{head}def modelyard_register_{kind}s(register):\n    {call}\n"})


FORMATS = 'accepts=("raw",), produces="raw"'
RUNTIME = 'accepts=("raw",), server=Path(__file__).parent, requirements=Path(__file__), entrypoint=("x",)'


@pytest.mark.parametrize(
    ("kind", "call", "match"),
    [
        ("optimizer", f'register("Half", f, {FORMATS})', "register('Half'): a name has lower-case letters"),
        ("optimizer", f'register("a b", f, {FORMATS})', "register('a b'): a name has"),
        ("optimizer", f"register(3, f, {FORMATS})", "register(3): a name has"),
        ("optimizer", f'register("x", 3, {FORMATS})', "register('x'): the second argument is 3, not a function"),
        ("optimizer", f'register("x", print, {FORMATS})', "not a function\n  write a `def` that calls it"),
        ("optimizer", f'register("x", dict, {FORMATS})', "not a function"),
        ("optimizer", 'register("x", f, produces="raw")', "trait 'accepts' is missing\n  a optimizer takes: accepts,"),
        ("optimizer", 'register("x", f)', "trait 'accepts' is missing"),
        ("optimizer", f'register("x", f, accept=("a",), {FORMATS})', "unknown trait 'accept', did you mean 'accepts'?"),
        ("optimizer", f'register("x", f, server=1, {FORMATS})', "unknown trait 'server'"),
        ("optimizer", 'register("x", f, accepts="raw", produces="raw")', "trait 'accepts' is 'raw'\n  write a tuple"),
        ("optimizer", 'register("x", f, accepts=(1,), produces="raw")', "trait 'accepts' is (1,)"),
        ("optimizer", 'register("x", f, accepts=None, produces="raw")', "trait 'accepts' is None"),
        ("optimizer", 'register("x", f, accepts=("raw",), produces=("raw",))', "trait 'produces' is ('raw',)"),
        ("optimizer", 'register("x", f, accepts=("raw",), produces="")', "trait 'produces' is ''"),
        ("optimizer", f'register("x", f, tools="numpy", {FORMATS})', "trait 'tools' is 'numpy'"),
        (
            "optimizer",
            f'register("x", f, environment={{"N": 1}}, {FORMATS})',
            "trait 'environment' is {'N': 1}\n  write",
        ),
        ("trainer", 'register("x", f)', "trait 'produces' is missing"),
        ("trainer", 'register("x", f, produces=3)', "trait 'produces' is 3"),
        (
            "trainer",
            'register("x", f, produces="raw", takes_model=1)',
            "trait 'takes_model' is 1\n  write True or False",
        ),
        (
            "trainer",
            'register("x", f, produces="raw", losses=("mse",))',
            "trait 'losses' is ('mse',)\n  write a tuple of 'cross-entropy', 'binary-cross-entropy', 'squared-error', ",
        ),
        ("trainer", 'register("x", f, produces="raw", losses=())', "trait 'losses' is ()\n  write a tuple of"),
        ("trainer", 'register("x", f, produces="raw", losses="squared-error")', "trait 'losses' is 'squared-error'"),
        ("optimizer", f'register("x", f, losses=[[1]], {FORMATS})', "trait 'losses' is [[1]]"),
        ("task", 'register("x", f, metrics=[], loss="mse")', "trait 'loss' is 'mse'\n  write 'cross-entropy' or"),
        ("optimizer", 'register("x", f, accepts=("raw",), produces=f)', "trait 'produces' is <function f"),
        ("runtime", 'register("x", f, accepts=("a",))', "trait 'entrypoint' is missing"),
        (
            "runtime",
            f'register("x", f, {RUNTIME.replace("Path(__file__),", "Path(3 * __file__),")})',
            "'requirements' is",
        ),
        ("runtime", f'register("x", f, {RUNTIME.replace("Path(__file__).parent", "str(1)")})', "trait 'server' is '1'"),
        (
            "runtime",
            'register("x", lambda m, *, thread=1, size: m, accepts=("a",), image=f, serving_only=("threads",))',
            "trait 'serving_only' names 'threads', did you mean 'thread'?, which is no keyword-only parameter",
        ),
        (
            "runtime",
            'register("x", lambda m, *, size: m, accepts=("a",), image=f, serving_only=("size",))',
            "trait 'serving_only' names 'size', which is no keyword-only parameter with a default",
        ),
        (
            "runtime",
            'register("x", lambda m, *, size=1: m, accepts=("a",), image=f, serving_only="size")',
            "trait 'serving_only' is 'size'\n  write a tuple of strings",
        ),
        (
            "runtime",
            f'register("x", served, {RUNTIME}, optional_requirements={{"grcp": Path(__file__)}})',
            "trait 'optional_requirements' names 'grcp', did you mean 'grpc'?, which is no keyword-only parameter",
        ),
        (
            "runtime",
            f'register("x", served, {RUNTIME}, optional_requirements={{"grpc": Path("/lacks")}})',
            "trait 'optional_requirements' is {'grpc': PosixPath('/lacks')}\n  write a dict from names of parameters",
        ),
        (
            "runtime",
            'register("x", served, accepts=("a",), image=f, optional_requirements={"grpc": Path()})',
            "traits 'image' and 'optional_requirements' exclude each other",
        ),
        ("target", 'register("x", f)', "trait 'templates' is missing"),
        (
            "target",
            'register("x", f, templates=(), deploy="kubectl")',
            "trait 'deploy' is 'kubectl'\n  write a function",
        ),
        ("dataset", 'register("x")', "modelyard_register_datasets raised TypeError"),
        ("dataset", 'register("x", lambda context, levels=3: 1)', "parameter 'levels' is positional, so no"),
        (
            "model",
            'register("x", lambda shape, classes, width=8: 1, produces="raw")',
            "parameter 'width' is positional",
        ),
        ("kind", 'register("x", f, after="select", plan=f, settings=dict)', "write a subclass of msgspec.Struct"),
        ("dataset", 'register("x", sized)', "parameter 'size' holds a value with bounds or a tuple of fixed length:"),
    ],
)
def test_a_wrong_registration_is_named_with_the_plugins_file(
    kind: str, call: str, match: str, make_project: MakeProject
) -> None:
    with pytest.raises(PluginError) as caught:
        load_plugins(register(call, make_project, kind))
    assert "plugins/a.py" in str(caught.value)
    assert match in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("optimizer", f'register("x.1-y", f, {FORMATS})'),
        ("optimizer", 'register("x", f, accepts=["a", "b"], produces="a", environment=None, tools=["numpy"])'),
        ("dataset", 'register("x", f, environment={"A": "1"}, reads_environment=["B"], preload=("numpy",))'),
        ("model", 'register("x", lambda shape, classes: None, produces="raw")'),
        ("runtime", f'register("x", f, {RUNTIME})'),
        (
            "runtime",
            f'register("x", served, {RUNTIME}, optional_requirements={{"grpc": Path(__file__)}})',
        ),
        ("runtime", f'register("x", f, {RUNTIME}, optional_requirements=None)'),
        ("trainer", 'register("x", f, produces="raw", losses=["", "squared-error"])'),
        ("builder", 'register("x", f)'),
        ("target", 'register("x", f, templates=("a.j2",), deploy=f)'),
        ("target", 'register("x", f, templates=(), deploy=None)'),
        ("kind", 'register("x", f, after="select", plan=f, parts={"a": "a"}, seeded=True)'),
        ("kind", 'register("x", f, after="select", plan=f, settings=type("S", (__import__("msgspec").Struct,), {}))'),
    ],
)
def test_a_right_registration_is_a_component(kind: str, call: str, make_project: MakeProject) -> None:
    plugins = load_plugins(register(call, make_project, kind))
    mine = [c for c in plugins.components.values() if c.source.origin == "project"]
    assert [c.kind for c in mine] == [kind]
    assert isinstance(mine[0].accepts, tuple)
    assert isinstance(mine[0].tools, tuple)
    assert isinstance(mine[0].losses, tuple)


def test_every_kind_has_a_hook_and_traits() -> None:
    hooks = {name for name in HOOKS if name.startswith("modelyard_register_")}
    assert hooks == {f"modelyard_register_{kind}s" for kind in KINDS}
    assert set(TRAITS) == set(KINDS)


def test_a_component_keeps_every_trait_that_it_may_be_registered_with() -> None:
    told = {trait for kind in TRAITS.values() for trait in kind.__annotations__}
    assert told == set(Component.__struct_fields__) - {"kind", "name", "function", "source", "produces_by"}
