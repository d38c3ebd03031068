"""`report.json`: what a report says, in numbers. The schema is versioned; see docs/reference/report.md."""

from __future__ import annotations

from modelyard.report.facts.build import CurveFacts, How, Origin, ProjectFacts, StageFacts, State
from modelyard.report.facts.data import ClassFacts, DatasetSummary, InputSummary, OutputSummary
from modelyard.report.facts.image import ImageSummary, LayerSummary
from modelyard.report.facts.report import SCHEMA, Report, read_report
from modelyard.report.facts.variants import Against, Confusion, ConfusionMatrix, Interval, PartFacts, VariantFacts

__all__ = [
    "SCHEMA",
    "Against",
    "ClassFacts",
    "Confusion",
    "ConfusionMatrix",
    "CurveFacts",
    "DatasetSummary",
    "How",
    "ImageSummary",
    "InputSummary",
    "Interval",
    "LayerSummary",
    "Origin",
    "OutputSummary",
    "PartFacts",
    "ProjectFacts",
    "Report",
    "StageFacts",
    "State",
    "VariantFacts",
    "read_report",
]
