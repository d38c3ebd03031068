"""Texts in a `.pt2` file that torch hands to `eval`: sizes that are only known when the program runs, and guards.

Source: PyTorch 2.13, `_parse_sym_expr` in `torch/_export/serde/serialize.py` (sympy.sympify evaluates what it is given)
    and `_convert_guards_to_code` in `torch/export/_unlift.py`.
"""

from __future__ import annotations

import ast
import re

_FUNCTIONS = (
    r"Symbol|Integer|Rational|Float|Add|Mul|Mod|Max|Min|And|Or|Not|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality"
    r"|(Strict)?(Less|Greater)Than|Piecewise|ExprCondPair|floor|ceiling|Abs|FloorDiv|ModularIndexing|Where|PythonMod"
    r"|CleanDiv|(Ceil|Floor|Trunc|Round)ToInt|CeilDiv|(Float|Int)TrueDiv|IsNonOverlappingAndDenseIndicator|TruncToFloat"
    r"|RoundDecimal|ToFloat|Identity"
)
"""What torch prints a size with. None of them reads a text as a formula, as sympy's own `S` and `sympify` do."""

_POWERS = frozenset({"Pow", "PowByNatural", "FloatPow"})
_LARGEST_EXPONENT = 64
_LARGEST_NUMBER = 1 << 63
_LONGEST = 10_000
"""Characters of a text; a size of a model that people write has some hundreds."""

_METHODS = frozenset({"size", "dim", "stride", "storage_offset"})
_SIZE_NODES = (
    *(ast.Expression, ast.Call, ast.Name, ast.Load, ast.keyword, ast.Constant, ast.BinOp, ast.UnaryOp, ast.USub),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Tuple, ast.Compare, ast.cmpop),
)
_GUARD_NODES = (*_SIZE_NODES, ast.Attribute, ast.Subscript, ast.BoolOp, ast.boolop, ast.Not)


def is_plain_size(text: str) -> bool:
    """Return whether `text` is a formula of symbols and numbers that costs nothing to evaluate."""
    tree = _parsed(text)
    return tree is not None and all(_is_size(node) for node in ast.walk(tree))


def is_plain_guard(text: str) -> bool:
    """Return whether `text` only compares sizes of the inputs, for instance `L['x'].size()[1] == 8`."""
    tree = _parsed(text)
    return tree is not None and all(isinstance(node, _GUARD_NODES) and _is_guard(node) for node in ast.walk(tree))


def _parsed(text: str) -> ast.AST | None:
    try:
        return ast.parse(text, mode="eval") if len(text) <= _LONGEST else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_size(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        return bool(re.fullmatch(_FUNCTIONS, name)) or (name in _POWERS and _is_small_power(node))
    if isinstance(node, ast.Constant):
        return _is_small(node.value)
    return isinstance(node, _SIZE_NODES) and not (isinstance(node, ast.Name) and node.id.startswith("_"))


def _is_small(value: object) -> bool:
    """Return whether a constant is a name or a number; a long text or number would be parsed again, or grow."""
    if isinstance(value, str):
        return re.fullmatch(r"[\w.+-]{1,60}", value) is not None
    return isinstance(value, bool | float) or (isinstance(value, int) and abs(value) <= _LARGEST_NUMBER)


def _is_small_power(node: ast.Call) -> bool:
    """Return whether a power stays a formula: of a symbol, with a small number for exponent."""
    base, *rest = node.args
    exponents = [one for argument in rest for one in ast.walk(argument) if isinstance(one, ast.Constant)]
    small = len(rest) == 1 and all(isinstance(one.value, int) and one.value <= _LARGEST_EXPONENT for one in exponents)
    symbolic = any(isinstance(one, ast.Name) and one.id == "Symbol" for one in ast.walk(base))
    return small and symbolic


def _is_guard(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS
    if isinstance(node, ast.Attribute):
        return node.attr in _METHODS
    return not isinstance(node, ast.Name) or node.id == "L"
