"""A component: a registered function whose keyword-only parameters are its configuration."""

from __future__ import annotations

from modelyard.component.docs import argument_docs, type_name
from modelyard.component.kinds import KINDS, PLACES, called_with, kind_name
from modelyard.component.parameters import REQUIRED, Parameter, default_of, optional_names, parameters_of
from modelyard.component.registered import Component, Source, Use
from modelyard.component.values import check_values, in_quotes, written_text

__all__ = [
    "KINDS",
    "PLACES",
    "REQUIRED",
    "Component",
    "Parameter",
    "Source",
    "Use",
    "argument_docs",
    "called_with",
    "check_values",
    "default_of",
    "in_quotes",
    "kind_name",
    "optional_names",
    "parameters_of",
    "type_name",
    "written_text",
]
