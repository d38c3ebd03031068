"""The typed methods that call hooks: one for each hook that registers nothing."""

from __future__ import annotations

import inspect

from modelyard.hookspecs import HOOKS, PREFIX
from modelyard.plugins.hooks import Hooks


def test_every_hook_that_registers_nothing_has_a_method_with_its_arguments() -> None:
    called = {name.removeprefix(PREFIX): hook for name, hook in HOOKS.items() if "register" not in name}
    for name, hook in called.items():
        wanted = inspect.signature(hook).parameters
        taken = inspect.signature(getattr(Hooks, name)).parameters
        assert [one for one in taken if one not in ("self", "plugins")] == list(wanted)
        assert all(taken[one].annotation == parameter.annotation for one, parameter in wanted.items())
