"""Helm charts among what a target rendered: found by their Chart.yaml, rendered by `helm` where that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING

from modelyard.errors import StageFailed
from modelyard.kubernetes.manifests import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

CHART = "Chart.yaml"
_TIMEOUT_S = 60


def charts(folder: Path) -> list[Path]:
    """Return the folders of Helm charts, `folder` and what is below it; a chart's own subcharts are part of it."""
    found = sorted(path.parent for path in folder.rglob(CHART))
    return [one for one in found if not any(other in one.parents for other in found)]


def has_helm() -> bool:
    """Return whether the program `helm` is installed."""
    return shutil.which("helm") is not None


def chart_texts(chart: Path, release: str, version: str) -> Iterator[str]:
    """Yield the objects of a chart as YAML, as `helm template` renders them.

    With the chart's own values; or once with each of `ci/*-values.yaml`, where a chart keeps values to be tried with.

    Args:
        chart: the chart's folder.
        release: the name of the release.
        version: the version of Kubernetes, `1.32`.

    Raises:
        StageFailed: Helm refuses the chart.
    """
    tried = [["--values", str(values)] for values in sorted(chart.glob("ci/*-values.yaml"))]
    for values in tried or [[]]:
        yield _helm("template", release, str(chart), "--kube-version", f"{version.removeprefix('v')}.0", *values)


def _helm(*arguments: str) -> str:
    with tempfile.TemporaryDirectory(
        prefix="modelyard-helm-"
    ) as own:  # nothing of the user's counts, nothing is left there
        places = {f"HELM_{name}_HOME": own for name in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run(
            ["helm", *arguments],
            env={**os.environ, **places},
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    if done.returncode:
        msg = (
            f"the Helm chart cannot be rendered: {done.stderr.strip() or done.returncode}\n"
            "  mend its template; what it requires of its user goes into ci/NAME-values.yaml in the chart"
        )
        raise StageFailed(msg)
    return done.stdout


def check_files(chart: Path) -> None:
    """Check what of a chart can be read without Helm: what it is called, and its values.

    Raises:
        StageFailed: one of the files is not YAML, or lacks what Helm needs.
    """
    told = _mapping(chart / CHART)
    missing = [key for key in ("apiVersion", "name", "version") if not told.get(key)]
    if missing:
        msg = f"{chart / CHART}: {', '.join(missing)} is missing\n  Helm refuses a chart without"
        raise StageFailed(msg)
    if (chart / "values.yaml").is_file():
        _mapping(chart / "values.yaml")


def _mapping(file: Path) -> dict[str, Any]:
    documents = read_text(file.read_text(encoding="utf-8"), str(file))
    found = documents[0] if documents else {}
    if len(documents) > 1 or not isinstance(found, dict):
        msg = f"{file}: is not one mapping\n  write keys and values"
        raise StageFailed(msg)
    return found
