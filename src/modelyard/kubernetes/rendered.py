"""Check whatever a target rendered as Kubernetes objects: in its files, and in its Helm charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard.kubernetes.charts import chart_texts, charts, check_files, has_helm
from modelyard.kubernetes.checking import VERSION, check, enforce
from modelyard.kubernetes.manifests import objects_in, read_folder, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


_HELMS = ("order",)
"""Rules on what Helm sees to itself: it applies objects in an order of its own."""


@dataclass(frozen=True)
class Checked:
    """What was checked: how many objects, and how many warnings of the rules that gave."""

    objects: int
    warnings: int


def check_rendered(
    folder: Path,
    *,
    name: str,
    image: str,
    version: str = VERSION,
    log: Callable[[str], None],
    warn: Callable[[str], None],
) -> Checked:
    """Check what is in `folder` against the rules and the schema; what is no Kubernetes object is left alone.

    Args:
        folder: what the target wrote.
        name: the project's name, for the release of a chart.
        image: the reference of the image that was built.
        version: the cluster's version, `1.32`.
        log: takes the rules' warnings.
        warn: takes what could not be checked.

    Raises:
        StageFailed: objects break a rule, or a file that holds objects cannot be read.
    """
    objects = objects_in(read_folder(folder))
    findings = check(objects, version=version, image=image) if objects else []
    enforce(findings, log)
    counts = Checked(len(objects), len(findings))
    for chart in charts(folder):
        where = chart.relative_to(folder).as_posix()
        for objects in _of_chart(chart, where, name, version, warn):
            findings = [one for one in check(objects, version=version, image=image) if one.rule not in _HELMS]
            enforce(findings, log, f"the objects of the Helm chart in {where}/")
            counts = Checked(counts.objects + len(objects), counts.warnings + len(findings))
    return counts


def _of_chart(chart: Path, where: str, name: str, version: str, warn: Callable[[str], None]) -> Iterator[list[Any]]:
    """Yield the objects of a chart, for each set of values that it is tried with."""
    check_files(chart)
    if not has_helm():
        warn(f"helm is not installed here, so that the objects of the chart in {where}/ were not checked")
        return
    for text in chart_texts(chart, name, version):
        yield [one for one in read_text(text, f"the chart in {where}/") if one is not None]
