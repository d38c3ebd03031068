"""What a component gets as its first argument, one class per kind of stage.

A component writes its files below `context.out` and nowhere else. That folder is taken as the
stage's artifact only when the component returns; if it raises, nothing of it is kept.
"""

from __future__ import annotations

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
