"""Stage `select`: of the variants that meet every gate, pick the one that ships, and say why not the others."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from modelyard.artifacts import Model, ModelFacts
from modelyard.errors import DataError, GateError
from modelyard.files.hashing import hash_file
from modelyard.files.json import write_json
from modelyard.metrics.standard import STANDARD
from modelyard.stage_settings import SelectSettings
from modelyard.variants.cross_validated import Folds, cross_validated, folds_in, with_means
from modelyard.variants.evaluation import ANSWERS, Evaluation, Measured, read_measured
from modelyard.variants.gates import Gates
from modelyard.variants.over_seeds import over_seeds
from modelyard.variants.own_gates import OwnGate, own_gates
from modelyard.variants.own_gates import misses as own_misses
from modelyard.variants.row import Row, row_of
from modelyard.variants.selection import Selection, check_known, choose, front_of, with_front
from modelyard.variants.table import render_table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from modelyard.execution.job import Job
    from modelyard.stage_settings import Lineage


@dataclass(frozen=True)
class Candidate:
    """A variant: the folder that its evaluation is in, and the folder of its model."""

    evaluation: Path
    model: Path


class SelectedModel(ModelFacts, frozen=True, kw_only=True):
    """`model/model.json`: the model's facts and what is known of it on every machine, so no latency.

    Attributes:
        variant: the variant's name.
        metrics: what the task measured on the test split, by name.
        size_bytes: size of the model's file.
        gzip_bytes: its size after gzip.
        sha256: digest of the model's file, hex; of a folder, that of its files' names and digests.
    """

    variant: str
    metrics: dict[str, float]
    size_bytes: int
    gzip_bytes: int
    sha256: str


def run(job: Job) -> None:
    """Select among the variants that the stage reads, and write the selected model.

    Raises:
        GateError: no variant meets every gate.
    """
    names = [role.partition(":")[2] for role in job.inputs if role.startswith("evaluation:")]
    candidates = {n: Candidate(job.inputs[f"evaluation:{n}"], job.inputs[f"model:{n}"]) for n in names}
    settings = job.stage.settings_as(SelectSettings)
    known = {name: read_measured(one.evaluation) for name, one in candidates.items()}
    first = next(iter(with_means(known, cross_validated(folds_in(job.inputs.items()))).values()))
    gates = Gates.parse(settings.gates, quantities=first.metrics.values())
    kept = {file: job.log_file.with_suffix(f".{file}") for file in _TOLD}
    for place in kept.values():
        place.unlink(missing_ok=True)
    try:
        made = _select(job, candidates, gates)
    except GateError:
        for file, place in kept.items():
            shutil.copyfile(job.base.out / file, place)
        raise
    one = read_measured(candidates[made.chosen].evaluation)
    quality = one.evaluation.metrics[0]
    figures = {quality.name: quality.value, "gzip_bytes": one.evaluation.gzip_bytes, "p99_ms": one.latency.p99_ms}
    job.base.metrics.update(chosen=made.chosen, **figures)
    undecided = {r.variant: r.undecided for r in made.table if r.undecided}
    if undecided:
        job.base.metrics["undecided"] = undecided


_TOLD = ("selection.json", "table.md")
"""What is kept beside the log when no variant ships: a stage that fails leaves no artifact."""


def _select(job: Job, candidates: Mapping[str, Candidate], gates: Gates) -> Selection:
    settings = job.stage.settings_as(SelectSettings)
    return select(
        candidates,
        job.base.out,
        rule=settings.rule,
        gates=gates,
        baseline=settings.baseline,
        trained_alike=settings.trained_alike,
        trained_unlike=settings.trained_unlike,
        controls=settings.controls,
        lineages=settings.lineages,
        own=own_gates({role.removeprefix("gate:"): use for role, use in job.stage.uses.items()}),
        folds=folds_in(job.inputs.items()),
        log=job.base.log,
    )


def select(
    candidates: Mapping[str, Candidate],
    out: Path,
    *,
    rule: str = "smallest",
    gates: Gates,
    baseline: str,
    trained_alike: Mapping[str, str] | None = None,
    trained_unlike: Mapping[str, str] | None = None,
    controls: Collection[str] = (),
    lineages: Mapping[str, Lineage] = MappingProxyType({}),
    own: Mapping[str, OwnGate] = MappingProxyType({}),
    folds: Folds | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> Selection:
    """Pick a variant and write its model, the table of all, and the answers to compare a server with.

    Writes `model/` (the model's file and `model.json`: the same bytes for the same model), `reference/` (the
    model's answers to the test split), `selection.json` and `table.md`; these two also if no variant meets every gate.

    Args:
        candidates: the variants by name.
        out: a folder that exists.
        rule: `smallest` (fewest bytes after gzip, then raw), `smallest-file` (the other way round), `fastest` (of those
            that are not measurably slower than the fastest the smallest), `most-accurate` (then the smallest),
            `best-METRIC`, or a variant's name. What is then still equal is settled by name.
        gates: what a variant must meet; the rule picks among those that do.
        baseline: the variant that relative bounds and latency ratios compare with.
        trained_alike: for variants that were trained on, the baseline that was trained as long: what their accuracy
            is compared with.
        trained_unlike: for variants that were not trained as the baseline was, why there is no such baseline: their
            accuracy is compared with the baseline as it is, and that is said.
        controls: the variants that are there for this comparison alone; one ships only if the rule is its name.
        lineages: for each variant its training, and the baseline of that, which it is compared with in place of
            `baseline`; empty in a project with one training.
        own: the gates of plugins.
        folds: what a cross-validation measured, if there is one.
        log: gets the table.

    Raises:
        ConfigError: `rule` or `baseline` is neither a rule nor a variant.
        GateError: no variant meets every gate, or the one that `rule` names does not.
    """
    measured = {name: read_measured(candidate.evaluation) for name, candidate in candidates.items()}
    for one in (baseline, *(lineage.baseline for lineage in lineages.values())):
        check_known("baseline", one, candidates)
    means = cross_validated(folds or {})
    rows = rows_of(
        with_means(measured, means), gates, baseline, trained_alike or {}, trained_unlike or {}, controls, lineages, own
    )
    selection = Selection(
        chosen="",
        rule=rule,
        baseline=baseline,
        gates=gates.told(),
        front=front_of(rows),
        notes=notes_of(measured),
        over_seeds=over_seeds(rows, lineages) or UNSET,
        cross_validation=means or UNSET,
        table=rows,
    )
    try:
        chosen = choose(rows, rule)
    except GateError:
        _write(selection, out)
        raise
    _copy_model(candidates[chosen], chosen, measured[chosen].evaluation, out)
    selection = msgspec.structs.replace(selection, chosen=chosen)
    log(_write(selection, out))
    return selection


def _write(selection: Selection, out: Path) -> str:
    """Write the files that tell of the selection, and return the table."""
    write_json(out / "selection.json", selection)
    text = render_table(selection)
    (out / "table.md").write_text(text, encoding="utf-8", newline="\n")
    return text


def rows_of(
    measured: Mapping[str, Measured],
    gates: Gates,
    baseline: str,
    trained_alike: Mapping[str, str],
    trained_unlike: Mapping[str, str],
    controls: Collection[str],
    lineages: Mapping[str, Lineage] = MappingProxyType({}),
    own: Mapping[str, OwnGate] = MappingProxyType({}),
) -> tuple[Row, ...]:
    """Return the table: a row a variant, with what the gates say of it and what dominates it."""
    rows = []
    for name, one in measured.items():
        lineage = lineages.get(name)
        base = lineage.baseline if lineage else baseline
        other = trained_alike.get(name, base)
        judgement = gates.judge(one, measured[base], measured[other])
        ruled_out = own_misses(own, name, one, measured[base])
        judgement = msgspec.structs.replace(judgement, misses=(*judgement.misses, *ruled_out))
        why = trained_unlike.get(name, "")
        rows.append(
            row_of(
                name,
                one,
                judgement,
                compared_with=other,
                trained_unlike=why,
                control=name in controls,
                lineage=lineage,
            )
        )
    return with_front(rows)


def notes_of(measured: Mapping[str, Measured]) -> tuple[str, ...]:
    """Return what to know before the latencies are trusted."""
    hosts = {name: one.latency.host for name, one in measured.items() if one.latency.host}
    models = sorted({host.cpu_model for host in hosts.values()})
    if len(models) > 1:
        return (f"measured on different machines ({', '.join(models)}): compare ratios to the baseline, not times",)
    pinned = "pinned" if all(host.cpus for host in hosts.values()) else "not pinned"
    threads = sorted({host.threads or 1 for host in hosts.values()})
    loads = [host.load_1m for host in hosts.values()]
    if not loads:
        return ()
    busy = f"load {min(loads):g} to {max(loads):g}" if min(loads) != max(loads) else f"load {loads[0]:g}"
    how = f"{' or '.join(map(str, threads))} thread{'s' if threads != [1] else ''}, {pinned}"
    return (f"latency of one sample on {models[0]}, {how}, {busy}; in brackets the 95 % interval",)


def _copy_model(candidate: Candidate, variant: str, evaluation: Evaluation, out: Path) -> None:
    model = Model.open(candidate.model)
    (out / "model").mkdir()
    target = out / "model" / model.facts.file
    if model.path.is_dir():
        shutil.copytree(model.path, target)
    else:
        shutil.copyfile(model.path, target)
    sizes = [one.name for one in STANDARD]
    figures: dict[str, Any] = {
        "metrics": {one.name: one.value for one in evaluation.metrics if one.name not in sizes},
        "size_bytes": evaluation.size_bytes,
        "gzip_bytes": evaluation.gzip_bytes,
    }
    facts = msgspec.structs.asdict(model.facts) | {"warnings": ()}  # they are in the table; a server needs none
    write_json(
        out / "model" / "model.json", SelectedModel(**facts, variant=variant, **figures, sha256=model_digest(target))
    )
    reference = candidate.evaluation / ANSWERS
    if not reference.is_file():
        msg = f"{candidate.evaluation}: there is no {ANSWERS}\n  evaluate the variant {variant!r} again"
        raise DataError(msg)
    (out / "reference").mkdir()
    shutil.copyfile(reference, out / "reference" / reference.name)


def model_digest(path: Path) -> str:
    """Return the SHA-256 of a model's file, hex; of a folder, that of a list of its files' names and digests."""
    if path.is_file():
        return hash_file(path)
    files = sorted((p.relative_to(path).as_posix(), model_digest(p)) for p in path.rglob("*") if p.is_file())
    return hashlib.sha256(msgspec.json.encode(files)).hexdigest()
