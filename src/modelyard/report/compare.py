"""What differs between two reports, in numbers: `modelyard.report-diff/2`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from modelyard.report.compare_metrics import MetricChange, Pair, metric_changes
from modelyard.report.facts import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.report.facts import Origin, Report, VariantFacts

SCHEMA = "modelyard.report-diff/2"
"""Fields are added under the same name; a field that changes its meaning or goes makes it `/3`."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the reports: the project, the commit, and the variant that ships, or why none does."""

    project: str
    version: str
    commit: str
    clean: bool | None
    baseline: str
    shipped: str | None
    not_shipped: str = ""
    notes: tuple[str, ...]


class VariantChange(msgspec.Struct, frozen=True, kw_only=True):
    """A variant in both reports, or in one.

    Attributes:
        name: the variant's name.
        presence: `both`, or which report alone measured it: `a` (it is gone) or `b` (it is new).
        metrics: all that either report has of it, in the order of the second, what the task counts most first.
        misses: the gates that it misses, in the first report and in the second.
        state: of the stage that measured it, in the second report.
    """

    name: str
    presence: Literal["both", "a", "b"] = "both"
    metrics: tuple[MetricChange, ...]
    misses: tuple[tuple[str, ...], tuple[str, ...]]
    state: State = "up-to-date"

    @property
    def told(self) -> tuple[MetricChange, ...]:
        """The metrics whose change is told; see `MetricChange.is_told`."""
        return tuple(one for one in self.metrics if one.is_told)

    @property
    def differs(self) -> bool:
        """Whether there is something to tell."""
        gates = [[miss.partition(":")[0] for miss in misses] for misses in self.misses]
        return bool(self.told) or gates[0] != gates[1]

    def metric(self, name: str) -> MetricChange | None:
        """Return the metric called `name`, as the second report has it if both do; None if neither has one."""
        return next((one for one in self.metrics if one.name == name), None)


class LayerChange(msgspec.Struct, frozen=True, kw_only=True):
    """A layer of the image that differs, by its name, and its size in bytes in both reports."""

    name: str
    size_bytes: Pair


class OriginChange(msgspec.Struct, frozen=True, kw_only=True):
    """Something that artifacts were made of and that differs.

    Attributes:
        kind: `data`, `component`, `parameter`, `file`, `code` or `tool`.
        name: the parameter's, the tool's ... name; of data the stage.
        stages: the stages of which this is so.
        a: the value or digest in the first report; None where there is none.
        b: the one in the second.
    """

    kind: str
    name: str
    stages: tuple[str, ...]
    a: Any
    b: Any


class ReportDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two reports.

    Attributes:
        schema: `modelyard.report-diff/2`.
        a: the first report.
        b: the second.
        shipped: the variant that ships in each, compared as one: its figures before and after.
        variants: every variant of either report, in the order of the second.
        image_bytes: size of the image.
        image_digest: digests of the image; an empty text where there is none.
        image_state: of the stage that made the second one.
        layers: the image's layers that differ.
        origins: the data, components, parameters, files, code and tools that differ, of stages in both reports.
    """

    schema: str = SCHEMA
    a: Side
    b: Side
    shipped: VariantChange | None
    variants: tuple[VariantChange, ...]
    image_bytes: Pair
    image_digest: tuple[str, str]
    image_state: State = "missing"
    layers: tuple[LayerChange, ...]
    origins: tuple[OriginChange, ...] = ()


def compare(a: Report, b: Report) -> ReportDiff:
    """Return what differs between two reports, the earlier one first."""
    names = [one.name for one in b.variants] + [one.name for one in a.variants if b.variant(one.name) is None]
    before, after = a.variant(a.shipped), b.variant(b.shipped)
    return ReportDiff(
        a=_side(a),
        b=_side(b),
        shipped=_change(b.shipped or a.shipped or "", before, after) if before or after else None,
        variants=tuple(_change(name, a.variant(name), b.variant(name)) for name in names),
        image_bytes=Pair(a.image.size_bytes if a.image else None, b.image.size_bytes if b.image else None),
        image_digest=(a.image.digest if a.image else "", b.image.digest if b.image else ""),
        image_state=b.image.state if b.image else "missing",
        layers=tuple(_layers(a, b)),
        origins=tuple(_origins(a, b)),
    )


def _side(report: Report) -> Side:
    project = report.project
    return Side(
        project=project.name,
        version=project.version,
        commit=project.commit,
        clean=project.clean,
        baseline=report.baseline,
        shipped=report.shipped,
        not_shipped=report.not_shipped,
        notes=report.notes,
    )


def _change(name: str, old: VariantFacts | None, new: VariantFacts | None) -> VariantChange:
    return VariantChange(
        name=name,
        presence="both" if old and new else "b" if new else "a",
        metrics=tuple(metric_changes(old, new)),
        misses=(old.misses if old else (), new.misses if new else ()),
        state=new.state if new else "missing",
    )


def _layers(a: Report, b: Report) -> Iterator[LayerChange]:
    before = {one.name: one for one in (a.image.layers if a.image else ())}
    after = {one.name: one for one in (b.image.layers if b.image else ())}
    for name in dict.fromkeys((*after, *before)):
        old, new = before.get(name), after.get(name)
        if (old.digest if old else "") != (new.digest if new else ""):
            sizes = Pair(old.size_bytes if old else None, new.size_bytes if new else None)
            yield LayerChange(name=name, size_bytes=sizes)


_GROUPS = {"component": "components", "parameter": "parameters", "file": "files", "code": "code", "tool": "tools"}


def _origins(a: Report, b: Report) -> Iterator[OriginChange]:
    """Yield what differs, each thing once with all stages of which it is so, in the order of a build."""
    before, after = ({one.stage: one for one in report.origins} for report in (a, b))
    found: dict[str, tuple[OriginChange, list[str]]] = {}
    for stage in (stage for stage in after if stage in before):
        for kind, name, old, new in _differing(before[stage], after[stage]):
            change = OriginChange(kind=kind, name=name, stages=(), a=old, b=new)
            found.setdefault(repr(change), (change, []))[1].append(stage)
    for change, stages in found.values():
        yield msgspec.structs.replace(change, stages=tuple(stages))


def _differing(old: Origin, new: Origin) -> Iterator[tuple[str, str, Any, Any]]:
    if old.stage.startswith("dataset:") and old.digest != new.digest:
        yield "data", old.stage, old.digest, new.digest
    for kind, group in _GROUPS.items():
        before, after = getattr(old, group), getattr(new, group)
        for name in dict.fromkeys((*before, *after)):
            if before.get(name) != after.get(name):
                yield kind, name, before.get(name), after.get(name)
