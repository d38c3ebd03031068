"""What a project gets that does not say which component it wants; a file of its own, since a component's package is in its key."""

DEFAULTS = {
    "task": "classification",
    "trainer": "tensorflow",
    "optimizer": "float32",
    "runtime": "litert",
    "builder": "oci",
}
"""For kinds of component, the name of one. That model optimizer is taken where a model has only to get into a format."""
