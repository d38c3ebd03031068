"""The frameworks, imported as their workers import them."""

from __future__ import annotations

from tests.plugins.conftest import tensorflow, torch

__all__ = ["tensorflow", "torch"]
