"""The built-in targets as functions of single values, for tests that render: a project's table holds them so, too."""

from __future__ import annotations

from modelyard.typed_params import taking_values
from modelyard_plugins.targets.compose import compose as _compose
from modelyard_plugins.targets.kubernetes import kubernetes as _kubernetes

compose = taking_values(_compose)
kubernetes = taking_values(_kubernetes)
