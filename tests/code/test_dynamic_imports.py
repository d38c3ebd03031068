"""Which calls are imports, or read a package's data, by names that are written out."""

from __future__ import annotations

import ast

import pytest

from modelyard.code.dynamic_imports import dynamic_imports


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('importlib.import_module("a.b")', ["a.b"]),
        ('import_module(".b", __package__)', [".b"]),
        ('import_module(".b", name)', []),
        ("import_module(name)", []),
        ('__import__("a")', ["a"]),
        ('files("a") / "b" / "c.json"', ["a:b/c.json", "a:b", "a"]),
        ('resources.files(__package__).joinpath("b", "c")', [".:b/c"]),
        ('resources.files().joinpath("b")', [".:b"]),
        ('files("a") / name', ["a"]),
        ('resources.read_text("a", "b.txt")', ["a", "a:b.txt"]),
        ('pkgutil.get_data(__name__, "b.txt")', [".:b.txt"]),
        ('path.read_text("utf-8")', []),
        ('folder / "b.txt"', []),
    ],
)
def test_what_is_written_out_is_found(code: str, found: list[str]) -> None:
    assert sorted(dynamic_imports(ast.walk(ast.parse(code)))) == sorted(found)
