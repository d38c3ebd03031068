"""What a component gets as its first argument, one class per kind of stage.

A component writes its files below `context.out` and nowhere else. That folder is taken as the
stage's artifact only when the component returns; if it raises, nothing of it is kept.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard.contexts.brokers import BrokerCommand, BrokerPlace
    from modelyard.contexts.checking import CheckContext, Lack, PreflightContext, Problem
    from modelyard.contexts.delivery import DeployContext, Rendered, TargetContext
    from modelyard.contexts.images import ImageContent, ImageContext, Locked, ServedModel, ServerContext, ServerImage
    from modelyard.contexts.measuring import GateContext, MetricContext, NamedPredictor, Predictor
    from modelyard.contexts.stages import KindContext, PlanContext, Progress, StageContext
    from modelyard.contexts.training import OptimizeContext, TrainContext

__all__ = [
    "BrokerCommand",
    "BrokerPlace",
    "CheckContext",
    "DeployContext",
    "GateContext",
    "ImageContent",
    "ImageContext",
    "KindContext",
    "Lack",
    "Locked",
    "MetricContext",
    "NamedPredictor",
    "OptimizeContext",
    "PlanContext",
    "Predictor",
    "PreflightContext",
    "Problem",
    "Progress",
    "Rendered",
    "ServedModel",
    "ServerContext",
    "ServerImage",
    "StageContext",
    "TargetContext",
    "TrainContext",
]

_PLACES = {
    "brokers": ("BrokerCommand", "BrokerPlace"),
    "checking": ("CheckContext", "Lack", "PreflightContext", "Problem"),
    "delivery": ("DeployContext", "Rendered", "TargetContext"),
    "images": ("ImageContent", "ImageContext", "Locked", "ServedModel", "ServerContext", "ServerImage"),
    "measuring": ("GateContext", "MetricContext", "NamedPredictor", "Predictor"),
    "stages": ("KindContext", "PlanContext", "Progress", "StageContext"),
    "training": ("OptimizeContext", "TrainContext"),
}
"""The modules of this package with their names, which are imported as they are asked for: a build with nothing to do asks for few."""

if not TYPE_CHECKING:  # else a misspelt name would be one to a type checker

    def __getattr__(name: str) -> Any:
        module = next((module for module, names in _PLACES.items() if name in names), None)
        if module is None:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        found = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
        return found
