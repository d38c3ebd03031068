"""What the built-in components refuse when a project is loaded; targets have theirs beside their other tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelyard.errors import ConfigError

SERVED = {"brings_server": True, "base": "tensorflow/serving:2.20.0"}


@pytest.mark.parametrize(
    ("kind", "name", "params", "said"),
    [
        *(
            (
                "trainer",
                name,
                {"early_stopping": 3},
                "'early_stopping': 3 is not allowed: there are no samples to watch",
            )
            for name in ("tensorflow", "keras", "torch")
        ),
        (
            "optimizer",
            "cluster",
            {"preserve_sparsity": True, "clusters": 2},
            "'clusters': 2 is not allowed: preserve_sparsity takes one of the values, which is zero\n  allowed: 3",
        ),
        ("optimizer", "edge-quantize", {"skip": ("a", "(")}, "'(' is no regular expression: missing ), "),
        (
            "runtime",
            "tensorflow-serving",
            {"rest_port": 8500},
            "'grpc_port': 8500 is not allowed: rest_port is 8500, too",
        ),
        (
            "builder",
            "oci",
            {"around": SERVED},
            "'base_image' is missing: the server of the runtime 'served' comes with an image, tensorflow/serving:2.20.0",
        ),
        (
            "builder",
            "oci",
            {"around": SERVED},
            "\n  skopeo copy docker://tensorflow/serving:2.20.0 oci-archive:base.tar",
        ),
        (
            "builder",
            "oci",
            {"base_image": "base.tar", "packages": ("curl",)},
            "'base_image': 'base.tar' is not allowed: an image takes the place of Debian packages, but 'packages' is set",
        ),
    ],
)
def test_what_cannot_be_right_is_refused(
    accept: Callable[..., None], kind: str, name: str, params: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        accept(kind, name, **params)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "name", "params"),
    [
        ("trainer", "torch", {}),
        ("trainer", "torch", {"early_stopping": 3, "validation_fraction": 0.1}),
        ("optimizer", "cluster", {"clusters": 2}),
        ("optimizer", "cluster", {"clusters": 3, "preserve_sparsity": True}),
        ("optimizer", "edge-quantize", {"skip": ("conv.*",)}),
        ("runtime", "tensorflow-serving", {"rest_port": 9000}),
        ("builder", "oci", {"packages": ("curl",), "suite": "bookworm"}),
        ("builder", "oci", {"base_image": "base.tar", "around": SERVED}),
    ],
)
def test_what_can_be_right_is_accepted(
    accept: Callable[..., None], kind: str, name: str, params: dict[str, Any]
) -> None:
    accept(kind, name, **params)
