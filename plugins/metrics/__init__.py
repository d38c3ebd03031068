"""Metrics beside those of every evaluation; a project asks for them in `[tool.modelyard.metrics]`."""
