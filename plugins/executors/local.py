"""Executor `local`: this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl

if TYPE_CHECKING:
    from modelyard.executors import ExecutorContext, Here
    from modelyard.hookspecs import RegisterExecutor


def local(context: ExecutorContext) -> Here:
    """This machine, in worker processes that stay warm from one stage to the next."""
    return context.here()


@hookimpl
def modelyard_register_executors(register: RegisterExecutor) -> None:
    """Register the executor."""
    register("local", local)
