"""Handlers: what stands around a model for texts, pictures and sounds, and, in a package of its own, the code that the image gets."""
