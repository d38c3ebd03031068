"""All that a report says, and how `report.json` is read."""

from __future__ import annotations

from pathlib import Path

import msgspec

from modelyard.errors import DataError
from modelyard.files.json import decode
from modelyard.report.facts.build import CurveFacts, Origin, ProjectFacts, StageFacts, State
from modelyard.report.facts.data import DatasetSummary
from modelyard.report.facts.image import ImageSummary
from modelyard.report.facts.variants import VariantFacts
from modelyard.variants.over_seeds import OverSeeds

SCHEMA = "modelyard.report/1"
"""Fields are added under the same name; a field that changes its meaning or goes makes it `/2`."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report says.

    Attributes:
        schema: `modelyard.report/1`.
        project: what was built.
        notes: what is missing or stale, and what failed, in words.
        stages: the stages, in the order of a build.
        dataset: the data set; None if it is not built.
        baseline: the variant that the others are compared with; with several trainings that of the first one.
        rule: how the variant that ships is picked.
        shipped: the variant that ships: what `select` picked, if that stage is up to date; else None.
        not_shipped: why none ships, in words; empty if one does.
        gates: the bounds that are set, in one unit each, and how what is undecided counts.
        latency_notes: what to know before the latencies are trusted: the machine, its load.
        variants: those that were measured, in the order of the configuration.
        unmeasured: those that were not.
        over_seeds: variants that differ in the seed of their training alone, as one: means and deviations.
        cross_validation: the variants as they do on what the folds of a cross-validation hold out: means and deviations.
        curves: the trainings and fine-tunings.
        image: the image; None if it is not built.
        origins: what the artifacts were made of.
        builder: versions of modelyard, doit and Python.
    """

    schema: str = SCHEMA
    project: ProjectFacts
    notes: tuple[str, ...] = ()
    stages: tuple[StageFacts, ...]
    dataset: DatasetSummary | None
    baseline: str
    rule: str
    shipped: str | None
    not_shipped: str = ""
    gates: dict[str, float | str]
    latency_notes: tuple[str, ...] = ()
    variants: tuple[VariantFacts, ...]
    unmeasured: tuple[str, ...] = ()
    over_seeds: tuple[OverSeeds, ...] = ()
    cross_validation: tuple[OverSeeds, ...] = ()
    curves: tuple[CurveFacts, ...] = ()
    image: ImageSummary | None
    origins: tuple[Origin, ...] = ()
    builder: dict[str, str] = {}

    def variant(self, name: str | None) -> VariantFacts | None:
        """Return the measured variant called `name`, or None."""
        return next((one for one in self.variants if one.name == name), None)

    def state(self, stage: str) -> State:
        """Return the state of a stage."""
        return next((one.state for one in self.stages if one.stage == stage), "missing")


class _Schema(msgspec.Struct):
    schema: str = ""


def read_report(path: Path) -> Report:
    """Read `report.json`, or the one in the folder `path`.

    Raises:
        DataError: it is missing, is no report, or one of another schema.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        content = file.read_bytes()
        found = decode(content, _Schema).schema
        if found != SCHEMA:
            what = f"has the schema {found!r}" if found else "says no schema"
            msg = f"{file}: {what}, not {SCHEMA!r}\n  write it again with `doit report` of this version"
            raise DataError(msg)
        return decode(content, Report)
    except OSError as exc:
        msg = f"{file}: cannot be read: {exc.strerror}\n  `doit report` writes artifacts/report/NAME/report.json"
        raise DataError(msg) from exc
    except ValueError as exc:  # msgspec's errors, and text that is not UTF-8
        msg = f"{file}: is no report: {exc}\n  `doit report` writes artifacts/report/NAME/report.json"
        raise DataError(msg) from exc
