"""What targets share that are deployed with kubectl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.contexts import Lack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import PreflightContext

DEPLOY_ONLY = ("kube_context", "rollout_timeout_s", "force_conflicts", "confirm")
"""The parameters that concern the deployment alone."""


def preflight(context: PreflightContext, **_: Any) -> Iterator[Lack]:
    """Yield that there is no kubectl to deploy with."""
    from shutil import which

    if context.deploys and which("kubectl") is None:
        yield Lack("kubectl is not found on PATH", "install it: https://kubernetes.io/docs/tasks/tools/")
