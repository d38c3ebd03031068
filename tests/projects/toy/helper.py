"""A module that the model imports."""


def shrink(value):
    """Halve it."""
    return value / 2
