"""Runtimes: what runs a model, in the evaluation and in the image."""
