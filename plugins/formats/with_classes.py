"""Formats whose files name classes of the project, and so stand on its code."""

from __future__ import annotations

from modelyard import hookimpl


@hookimpl
def modelyard_formats_with_classes() -> tuple[str, ...]:
    """Return Keras's own: a layer is in its file as the name that its class is registered by."""
    return "tf_keras", "tf_keras_qat", "keras", "keras_quantized"
