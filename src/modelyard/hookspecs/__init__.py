"""The hooks, in the order of a build: a module for each kind of work. Each page can be read alone.

A plugin is a module. It marks a function with `@hookimpl`, named like one of the hooks, and takes whichever of the hook's
arguments it needs. The `modelyard_register_*` hooks and `modelyard_amend_plan` are called once, when the project is loaded,
in the `doit` process: import nothing heavy at the top of a plugin. The stage hooks are called in the worker process that
runs the stage.
"""

from __future__ import annotations

from typing import Any

from modelyard.hookspecs import data, delivery, measuring, running, serving, stages, training
from modelyard.hookspecs.data import Register, RegisterTask, TaskTraits
from modelyard.hookspecs.delivery import BuilderTraits, RegisterBuilder, RegisterTarget, TargetTraits
from modelyard.hookspecs.measuring import GateTraits, MetricTraits, RegisterGate, RegisterMetric
from modelyard.hookspecs.serving import (
    HandlerTraits,
    RegisterHandler,
    RegisterRuntime,
    RegisterSource,
    RuntimeTraits,
    SourceTraits,
)
from modelyard.hookspecs.stages import ExecutorTraits, KindTraits, RegisterExecutor, RegisterKind
from modelyard.hookspecs.training import (
    ModelTraits,
    OptimizerTraits,
    RegisterModel,
    RegisterOptimizer,
    RegisterTrainer,
    TrainerTraits,
)
from modelyard.hookspecs.traits import ComponentTraits, Traits

__all__ = [
    "HOOKS",
    "TRAITS",
    "ComponentTraits",
    "Register",
    "RegisterBuilder",
    "RegisterExecutor",
    "RegisterGate",
    "RegisterHandler",
    "RegisterKind",
    "RegisterMetric",
    "RegisterModel",
    "RegisterOptimizer",
    "RegisterRuntime",
    "RegisterSource",
    "RegisterTarget",
    "RegisterTask",
    "RegisterTrainer",
    "Traits",
]

PREFIX = "modelyard_"
"""What the names of all hooks begin with."""
MODULES = (data, training, serving, measuring, delivery, stages, running)
"""The modules of the hooks, in the order of a build."""
HOOKS: dict[str, Any] = {
    name: hook for module in MODULES for name, hook in vars(module).items() if name.startswith(PREFIX)
}
"""The hooks by name, in the order of a build."""

TRAITS: dict[str, Any] = {
    "dataset": ComponentTraits,
    "task": TaskTraits,
    "model": ModelTraits,
    "trainer": TrainerTraits,
    "optimizer": OptimizerTraits,
    "runtime": RuntimeTraits,
    "handler": HandlerTraits,
    "source": SourceTraits,
    "metric": MetricTraits,
    "gate": GateTraits,
    "builder": BuilderTraits,
    "target": TargetTraits,
    "kind": KindTraits,
    "executor": ExecutorTraits,
}
"""What a component of each kind may, and must, be registered with."""
