"""Read what the artifacts hold, and put the report's facts together. A part that is not built is a note."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import Dataset, ImageFacts
from modelyard.build.verdict import STALE, UP_TO_DATE
from modelyard.component import Use
from modelyard.errors import DataError
from modelyard.files.json import read_json
from modelyard.metrics.intervals import mcnemar
from modelyard.report.classes import Part, answers_classes, classes_of, confusion_matrix, confusions, names_of, parts_of
from modelyard.report.facts import (
    Against,
    ClassFacts,
    CurveFacts,
    DatasetSummary,
    ImageSummary,
    InputSummary,
    Interval,
    LayerSummary,
    OutputSummary,
    PartFacts,
    Report,
    State,
    VariantFacts,
)
from modelyard.report.material import Material, comparable, load_material, quantities_of
from modelyard.report.notes import notes
from modelyard.report.words import outdated
from modelyard.stages.select import notes_of, rows_of
from modelyard.variants.evaluation import Measured
from modelyard.variants.gates import Gates, Judgement
from modelyard.variants.over_seeds import over_seeds
from modelyard.variants.own_gates import OwnGate, own_gates
from modelyard.variants.paired import pairs_of
from modelyard.variants.row import Row, row_of
from modelyard.variants.selection import with_front

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from modelyard.metrics import Quantity
    from modelyard.report.collect import Collected
    from modelyard.stage_settings import SelectSettings


def measure(collected: Collected) -> tuple[Report, Material]:
    """Return the report's facts, and the material of its pictures.

    Raises:
        DataError: a file of an artifact is damaged.
    """
    folders = {stage: Path(folder) for stage, folder in collected.artifacts.items()}
    material = load_material(collected, folders)
    dataset = _dataset(collected.dataset, material.dataset)
    shipped, why = _shipped(collected, folders)
    states = {one.stage: one.state for one in collected.stages}
    rows = _rows(collected, material)
    report = Report(
        project=collected.project,
        notes=tuple(notes(collected, material, why)),
        stages=collected.stages,
        dataset=dataset,
        baseline=collected.select.baseline,
        rule=collected.select.rule,
        shipped=shipped,
        not_shipped=why,
        gates=_gates(collected.select, quantities_of(collected, material)),
        latency_notes=notes_of(material.measured),
        variants=_variants(rows, collected, material, states),
        over_seeds=over_seeds(rows, collected.select.lineages),
        cross_validation=material.means,
        unmeasured=tuple(name for name in collected.variants if name not in material.measured),
        curves=tuple(_curves(folders)),
        image=_image(folders.get(collected.image), states.get(collected.image, "missing"), collected.packed_as),
        origins=collected.origins,
        builder=collected.builder,
    )
    return report, material


def _dataset(stage: str, dataset: Dataset | None) -> DatasetSummary | None:
    if dataset is None:
        return None
    facts = dataset.facts
    train, test = facts.splits["train"], facts.splits["test"]
    names = facts.class_names if train.per_class else ()  # the names of numbers are counted nowhere
    counts = {one.name: (one.labels, train.per_output.get(one.name, ())) for one in facts.outputs}
    return DatasetSummary(
        stage=stage,
        input_shape=facts.inputs[0].shape,
        dtype=facts.inputs[0].dtype,
        inputs=tuple(InputSummary(name=one.name, shape=one.shape, dtype=one.dtype) for one in facts.inputs),
        train=train.samples,
        test=test.samples,
        classes=_classes(names, train.per_class, test.per_class),
        outputs=tuple(
            OutputSummary(name=name, classes=_classes(labels, many, test.per_output[name]))
            for name, (labels, many) in counts.items()
            if many
        ),
    )


def _classes(names: Iterable[str], train: Iterable[int], test: Iterable[int]) -> tuple[ClassFacts, ...]:
    counts = zip(names, train, test, strict=True)
    return tuple(ClassFacts(name=name, train=many, test=few) for name, many, few in counts)


def _shipped(collected: Collected, folders: Mapping[str, Path]) -> tuple[str | None, str]:
    """Return the variant that ships; or None, and why: what an earlier build selected ships no more."""
    stage = next((one for one in collected.stages if one.stage == collected.selection), None)
    if stage is None:
        return None, "the plan has no stage that selects a variant"
    if stage.failure:
        return None, f"{stage.stage} failed: {stage.failure.splitlines()[0]}"
    if collected.selection not in folders:
        return None, f"{stage.stage} is missing"
    picked = str(read_json(folders[collected.selection] / "model" / "model.json", dict)["variant"])
    if stage.state == UP_TO_DATE:
        return picked, ""
    reason = f" ({stage.reasons[0].splitlines()[0]})" if stage.reasons else ""
    state = f"{'is ' if stage.state == STALE else ''}{outdated(stage.state)}"
    return None, f"{stage.stage}, which picked {picked}, {state}{reason}"


def _gates(select: SelectSettings, quantities: Iterable[Quantity]) -> dict[str, float | str]:
    gates = Gates.parse(select.gates, quantities=quantities)
    found = gates.told()
    return found if gates.can_be_undecided else {name: bound for name, bound in found.items() if name != "undecided"}


def _variants(
    table: Iterable[Row], collected: Collected, material: Material, states: Mapping[str, State]
) -> tuple[VariantFacts, ...]:
    rows = {row.variant: row for row in table}
    return tuple(
        VariantFacts(
            name=name,
            training=collected.select.lineages[name].training if name in collected.select.lineages else "",
            baseline=collected.baseline_of(name),
            steps=collected.variants[name].steps,
            p50_ms=Interval(value=one.latency.p50_ms, low=one.latency.p50_low_ms, high=one.latency.p50_high_ms),
            p99_ms=Interval(value=one.latency.p99_ms, low=one.latency.p99_low_ms, high=one.latency.p99_high_ms),
            latency_ratio=_ratio(one),
            is_pareto=not rows[name].control and not rows[name].dominated_by,
            against_baseline=_against(material, name, collected.baseline_of(name)),
            state=states.get(collected.variants[name].stage, "missing"),
            metrics=rows[name].metrics,
            class_names=names_of(one.evaluation.details),
            parts=tuple(map(_part, parts_of(one.evaluation.details))),
            **_of_classes(one),
            **{field: getattr(one.evaluation, field) for field in _SAME_AS_EVALUATION},
            **{field: getattr(rows[name], field) for field in _SAME_AS_ROW},
        )
        for name, one in material.measured.items()
    )


def _of_classes(measured: Measured) -> dict[str, Any]:
    """Return the fields of `VariantFacts` that are there where the task tells of classes."""
    classes = classes_of(measured.evaluation.details)
    if classes is None:
        return {}
    return {
        "accuracy": classes.accuracy,
        "per_class": classes.per_class,
        "confusion_matrix": confusion_matrix(classes),
        "confusions": confusions(classes),
    }


def _part(part: Part) -> PartFacts:
    classes = part.classes
    return PartFacts(
        output=part.output,
        test_set=part.test_set,
        class_names=classes.class_names,
        accuracy=classes.accuracy,
        per_class=classes.per_class,
        confusion_matrix=confusion_matrix(classes),
        confusions=confusions(classes),
    )


_SAME_AS_EVALUATION = ("samples", "size_bytes", "gzip_bytes", "layer_bytes")
_SAME_AS_ROW = ("misses", "undecided", "warnings", "compared_with", "trained_unlike", "control", "dominated_by")


def _rows(collected: Collected, material: Material) -> tuple[Row, ...]:
    """Return the table of `select`, made of what is measured now; what cannot be compared is judged by no gate."""
    select = collected.select
    alike, lineages = comparable(material, collected), collected.select.lineages
    others = [row_of(name, one, Judgement()) for name, one in material.measured.items() if name not in alike]
    wanted = {name: control for name, control in select.trained_alike.items() if name in alike}
    pairs = {name: control for name, control in wanted.items() if control in alike}
    apart = {name: f"{control} is not measured on the same data" for name, control in wanted.items()}
    unlike = {**select.trained_unlike, **{name: why for name, why in apart.items() if name not in pairs}}
    gates = Gates.parse(select.gates, quantities=quantities_of(collected, material))
    own = _own_gates(collected)
    rows = rows_of(alike, gates, select.baseline, pairs, unlike, select.controls, lineages, own) if alike else ()
    return (*rows, *with_front(others))


def _ratio(measured: Measured) -> Interval | None:
    ratio = measured.latency.ratio
    return Interval(value=ratio.p50, low=ratio.low, high=ratio.high) if ratio else None


def _own_gates(collected: Collected) -> dict[str, OwnGate]:
    """Return the gates of plugins, which this process has not loaded yet."""
    if not collected.own_gates:
        return {}
    from modelyard.plugins.load import load_plugins
    from modelyard.plugins.project_function import project_function

    folder = Path(collected.folder)
    sys.path.insert(0, str(folder))  # as in a build
    plugins, uses = load_plugins(folder), {}
    for name, one in collected.own_gates.items():
        where = f"the gate {name!r}"
        own = ":" in one.component
        component = (
            project_function("gate", folder, one.component, where) if own else plugins.get("gate", one.component, where)
        )
        uses[name] = Use(component, one.params)
    return own_gates(uses)


def _against(material: Material, name: str, baseline: str) -> Against | None:
    if name == baseline or baseline not in material.answers or material.dataset is None:
        return None
    if not material.data == material.measured_on[name] == material.measured_on[baseline]:
        return None  # one of them is stale
    if not all(answers_classes(material, one) for one in (name, baseline)):
        return None
    labels = material.dataset.y("test")
    if labels.ndim != 1:
        return None
    own, other = material.answers[name], material.answers[baseline]
    one, base = own.argmax(axis=1), other.argmax(axis=1)
    pairs = pairs_of(base == labels, one == labels)
    return Against(
        differ=int((one != base).sum()),
        broken=pairs.broken,
        mended=pairs.mended,
        p_value=mcnemar(pairs.broken, pairs.mended),
    )


def _curves(folders: Mapping[str, Path]) -> Iterator[CurveFacts]:
    """Yield the history of each trainer and model optimizer that wrote one; what is no list of numbers is left out.

    The file is a custom of trainers, not a contract: one that holds something else is no mistake.
    """
    for stage, folder in folders.items():
        file = folder / "history.json"
        if stage.partition(":")[0] not in ("train", "optimize") or not file.is_file():
            continue
        found = {name: numbers for name, values in _history(file).items() if (numbers := _numbers(values))}
        length = max(map(len, found.values()), default=0)
        figures = {name: values for name, values in found.items() if len(values) == length}
        epochs = figures.pop("epoch", None) or tuple(float(number + 1) for number in range(length))
        if figures:
            yield CurveFacts(stage=stage, epochs=tuple(e or 0.0 for e in epochs), figures=figures)


def _history(file: Path) -> dict[str, Any]:
    try:
        return read_json(file, dict)
    except DataError:
        return {}


def _numbers(values: Any) -> tuple[float | None, ...] | None:
    if not isinstance(values, list) or not all(v is None or isinstance(v, int | float) for v in values):
        return None
    return tuple(None if v is None else float(v) for v in values)


def _image(folder: Path | None, state: State, packed_as: str) -> ImageSummary | None:
    if folder is None:
        return None
    facts = read_json(folder / "image.json", ImageFacts)
    return ImageSummary(
        state=state,
        repository=facts.repository,
        tag=facts.tag,
        digest=facts.digest,
        size_bytes=facts.size_bytes,
        platform=facts.platform,
        builder=facts.builder,
        variant=facts.labels.get(f"dev.modelyard.model.{packed_as}variant", ""),
        layers=tuple(LayerSummary(name=one.name, digest=one.digest, size_bytes=one.size_bytes) for one in facts.layers),
        base=facts.base,
    )
