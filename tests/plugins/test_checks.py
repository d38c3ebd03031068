"""What the built-in components refuse when a project is loaded; targets have theirs beside their other tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelyard.component import check_values
from modelyard.contexts import PreflightContext
from modelyard.errors import ConfigError
from modelyard.plugins.load import Plugins

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
        (
            "builder",
            "oci",
            {"layer_max": "4 Gb"},
            "'layer_max': '4 Gb' is not allowed: '4 Gb': unknown unit 'Gb', did you mean 'GB'",
        ),
        ("builder", "docker", {"layer_max": "much"}, "'layer_max': 'much' is not allowed: 'much' cannot be read"),
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


@pytest.fixture
def lacks(built_ins: Plugins, tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that asks a built-in component what this machine lacks."""

    def ask(kind: str, name: str, around: dict[str, Any] | None = None, **params: Any) -> list[str]:
        found = built_ins.get(kind, name, "test")
        assert found.preflight is not None
        machine = {"project": tmp_path, "cache": tmp_path / "cache", **(around or {})}
        context = PreflightContext(**{"name": "digits", "version": "1", "runtime": "served", **machine})
        return [
            one.what or ", ".join(one.install)
            for one in found.preflight(context, **check_values(found.parameters, params, "here"))
        ]

    return ask


def test_what_the_builder_oci_needs(
    lacks: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lacks("builder", "oci", compression="zstd", base_image="base.tar") == ["zstandard"]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=149_000_000))
    assert lacks("builder", "oci", base_image="b.tar") == [
        f"the disk of {tmp_path} has 149 MB free, and the first image takes some 150 MB"
    ]
    (tmp_path / "cache").mkdir()
    assert lacks("builder", "oci", base_image="b.tar") == []
    monkeypatch.setenv("PATH", str(tmp_path))
    (told,) = lacks("builder", "oci")
    assert told == "this host has no 'apt-get', so it cannot make a base of Debian packages"
    assert lacks("target", "kubernetes", {"deploys": True}) == ["kubectl is not found on PATH"]
    assert lacks("target", "kubernetes") == []


def test_what_the_builder_docker_needs(lacks: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    assert lacks("builder", "docker", {"pushes": True}) == [
        "no Docker engine answers: unix:///nonexistent.sock: No such file or directory",
    ]
