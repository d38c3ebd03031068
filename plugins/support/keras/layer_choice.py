"""Which layers of a Keras 2 model a technique is applied to, and words for those that it cannot take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def not_skipped(model: Any, skip: Sequence[str], optimizer: str) -> list[Any]:
    """Return the layers of `model` in order, without inputs and without those named in `skip`.

    Raises:
        ConfigError: `skip` names a layer that is not there.
    """
    import tf_keras

    known = [layer.name for layer in model.layers]
    for name in skip:
        if name not in known:
            msg = (
                f"[tool.modelyard.variants]: {optimizer}: skip: there is no layer {name!r}{did_you_mean(name, known)}\n"
                f"  layers: {', '.join(known)}"
            )
            raise ConfigError(msg)
    return [one for one in model.layers if one.name not in skip and not isinstance(one, tf_keras.layers.InputLayer)]


def check_refused(
    refused: Mapping[str, str], model: Any, skip: Sequence[str], *, optimizer: str, verb: str, advice: str = ""
) -> None:
    """Check that no layer is refused.

    Args:
        refused: why the technique cannot take a layer, by the layer's name.
        model: the model.
        skip: the layers that are skipped already.
        optimizer: the model optimizer's name.
        verb: what cannot be done to a layer: `pruned`.
        advice: what else can be done about it than skipping those layers.

    Raises:
        ConfigError: some are; the message names all of them, and the `skip` that leaves them out.
    """
    if not refused:
        return
    what = ", ".join(f"{name!r} ({why})" for name, why in refused.items())
    listed = ", ".join(f'"{layer.name}"' for layer in model.layers if layer.name in {*skip, *refused})
    msg = (
        f"{optimizer}: these layers cannot be {verb}: {what}\n"
        f"  leave them as they are with skip = [{listed}]{advice and f', or {advice}'}"
    )
    raise ConfigError(msg)


def check_any(names: Sequence[str], model: Any, skip: Sequence[str], *, optimizer: str, verb: str) -> None:
    """Check that there is a layer to work on.

    Raises:
        ConfigError: `names` is empty.
    """
    if not names:
        known = ", ".join(layer.name for layer in model.layers)
        msg = (
            f"{optimizer}: no layer of {model.name!r} has weights to be {verb}\n"
            f"  layers: {known}; skipped: {', '.join(skip) or '(none)'}"
        )
        raise ConfigError(msg)
