from __future__ import annotations

import pytest

from modelyard_plugins.support.torch.expressions import is_plain_guard, is_plain_size

RUNS = "__import__('os').system('true')"


@pytest.mark.parametrize(
    "text",
    [
        "Symbol('s77', positive=True, integer=True)",
        "Add(Mul(Integer(2), Symbol('s0', integer=True)), Integer(-1))",
        "FloorDiv(Symbol('s0', positive=True, integer=True), Integer(2))",
        "Pow(Symbol('s0', integer=True), Integer(2))",
        "Rational(1, 2)",
        "2*s0 - 1",
        "-s0 // 3 % 4",
        "true",
    ],
)
def test_the_sizes_that_torch_writes_are_plain(text: str) -> None:
    assert is_plain_size(text)


@pytest.mark.parametrize(
    "text",
    [
        RUNS,
        f'S("{RUNS}")',
        f'sympify("{RUNS}")',
        f'Symbol("{RUNS}")',
        "Symbol('s0').__class__",
        "(lambda: 1)()",
        "[s0 for s0 in Symbol]",
        "Symbol('s0', cls=eval)(1)",
        "__builtins__",
        "Add(*args)",
        "f'{s0}'",
        "Pow(Integer(10), Integer(9))",
        "Pow(Symbol('s0'), Integer(1000000000))",
        "10**10**10",
        "Integer(" + "9" * 30 + ")",
        "s0 +",
        "1" * 20_000,
        "",
    ],
)
def test_what_runs_code_or_grows_is_not(text: str) -> None:
    assert not is_plain_size(text)


def test_a_guard_compares_sizes_and_does_nothing_else() -> None:
    assert is_plain_guard("L['x'].size()[1] == 8 and L['x'].stride()[0] >= 2")
    assert not is_plain_guard(RUNS)
    assert not is_plain_guard("L['x'].__class__")
    assert not is_plain_guard("open('x')")
