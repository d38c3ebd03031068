"""The configuration: `[tool.modelyard]` read, with what is laid over it, and checked."""
