"""Make for deep-learning deployment: the names that a plugin author uses."""

from modelyard.errors import DataError, GateError, ModelyardError, ToolError
from modelyard.marking import hookimpl, traits
from modelyard.system import refuse_windows

refuse_windows()  # before a module is imported that needs what Windows lacks

__all__ = ["DataError", "GateError", "ModelyardError", "ToolError", "hookimpl", "traits"]
