"""Make for deep-learning deployment: the names that a plugin author uses."""

from modelyard.errors import DataError, GateError, ModelyardError, ToolError
from modelyard.hookspecs import hookimpl

__all__ = ["DataError", "GateError", "ModelyardError", "ToolError", "hookimpl"]
