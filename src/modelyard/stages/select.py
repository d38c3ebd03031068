"""Stage `select`: of the variants that meet every gate, pick the one that ships, and say why not the others."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from modelyard.artifacts import Model, ModelFacts
from modelyard.errors import ConfigError, DataError, GateError, did_you_mean
from modelyard.jsonfiles import write_json
from modelyard.stages.evaluation import Measured, read_measured
from modelyard.stages.gates import Gates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from modelyard.job import Job


@dataclass(frozen=True)
class Candidate:
    """A variant: the folder that its evaluation is in, and the folder of its model."""

    evaluation: Path
    model: Path


class SelectedModel(ModelFacts, frozen=True, kw_only=True):
    """`model/model.json`: the model's facts and what is known of it on every machine, so no latency.

    Attributes:
        variant: the variant's name.
        accuracy: fraction of the test split that it labels rightly.
        size_bytes: size of the model's file.
        gzip_bytes: its size after gzip.
        sha256: digest of the model's file, hex; of a folder, that of its files' names and digests.
    """

    variant: str
    accuracy: float
    size_bytes: int
    gzip_bytes: int
    sha256: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One variant in the table: its figures, and each gate that it misses."""

    variant: str
    accuracy: float
    size_bytes: int
    gzip_bytes: int
    p50_ms: float
    p99_ms: float
    misses: tuple[str, ...]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """`selection.json`: what was picked, by which rule, within which gates, out of what."""

    chosen: str
    rule: str
    baseline: str
    gates: Gates
    table: tuple[Row, ...]


_RULES: dict[str, Callable[[Row], tuple[float | str, ...]]] = {
    "smallest": lambda row: (row.gzip_bytes, row.size_bytes, row.variant),
    "fastest": lambda row: (row.p50_ms, row.p99_ms, row.gzip_bytes, row.variant),
    "most-accurate": lambda row: (-row.accuracy, row.gzip_bytes, row.size_bytes, row.variant),
}


def run(job: Job) -> None:
    """Select among the variants that the stage reads, and write the selected model.

    Raises:
        GateError: no variant meets every gate.
    """
    names = [role.partition(":")[2] for role in job.inputs if role.startswith("evaluation:")]
    candidates = {n: Candidate(job.inputs[f"evaluation:{n}"], job.inputs[f"model:{n}"]) for n in names}
    settings = job.stage.settings
    gates = Gates.parse(settings["gates"])
    made = select(
        candidates, job.base.out, rule=settings["rule"], gates=gates, baseline=settings["baseline"], log=job.base.log
    )
    row = next(r for r in made.table if r.variant == made.chosen)
    job.base.metrics.update(chosen=made.chosen, accuracy=row.accuracy, gzip_bytes=row.gzip_bytes, p99_ms=row.p99_ms)


def select(
    candidates: Mapping[str, Candidate],
    out: Path,
    *,
    rule: str = "smallest",
    gates: Gates,
    baseline: str,
    log: Callable[[str], None] = lambda _: None,
) -> Selection:
    """Pick a variant and write its model, the table of all, and the answers to compare a server with.

    Writes `model/` (the model's file and `model.json`: the same bytes for the same model), `reference/` (the
    model's answers to the test split), `selection.json` and `table.md`.

    Args:
        candidates: the variants by name.
        out: a folder that exists.
        rule: `smallest` (fewest bytes after gzip, then raw), `fastest` (lowest p50, then p99), `most-accurate`
            (then smallest), or a variant's name. What is then still equal is settled by name.
        gates: what a variant must meet; the rule picks among those that do.
        baseline: the variant that `max_accuracy_drop` compares with.
        log: gets the table.

    Raises:
        ConfigError: `rule` or `baseline` is neither a rule nor a variant.
        GateError: no variant meets every gate, or the one that `rule` names does not.
    """
    rows = _rows(candidates, gates, _known("baseline", baseline, candidates))
    chosen = choose(rows, rule)
    selection = Selection(chosen=chosen, rule=rule, baseline=baseline, gates=gates, table=rows)
    _copy_model(candidates[chosen], next(row for row in rows if row.variant == chosen), out)
    write_json(out / "selection.json", selection)
    text = render_table(selection)
    (out / "table.md").write_text(text, encoding="utf-8", newline="\n")
    log(text)
    return selection


def choose(rows: tuple[Row, ...], rule: str) -> str:
    """Return the name of the variant that `rule` picks among those that miss no gate.

    Raises:
        ConfigError: `rule` is neither a rule nor a variant.
        GateError: there is none.
    """
    names = [row.variant for row in rows]
    if rule not in _RULES:
        _known("rule", rule, (*_RULES, *names))
    fitting = [row for row in rows if not row.misses and rule in (*_RULES, row.variant)]
    if not fitting:
        raise _none_left(rows, rule)
    return min(fitting, key=_RULES.get(rule, _RULES["smallest"])).variant


def _known(key: str, value: str, allowed: Mapping[str, object] | tuple[str, ...]) -> str:
    if value not in allowed:
        msg = (
            f"[tool.modelyard.select]: key {key!r}: unknown {value!r}{did_you_mean(value, allowed)}\n"
            f"  allowed: {', '.join(allowed)}"
        )
        raise ConfigError(msg)
    return value


def _rows(candidates: Mapping[str, Candidate], gates: Gates, baseline: str) -> tuple[Row, ...]:
    measured = {name: read_measured(candidate.evaluation) for name, candidate in candidates.items()}
    return tuple(_row(name, one, gates.misses(one, measured[baseline])) for name, one in measured.items())


def _row(name: str, measured: Measured, misses: list[str]) -> Row:
    evaluation, latency = measured.evaluation, measured.latency
    return Row(
        variant=name,
        accuracy=evaluation.accuracy,
        size_bytes=evaluation.size_bytes,
        gzip_bytes=evaluation.gzip_bytes,
        p50_ms=latency.p50_ms,
        p99_ms=latency.p99_ms,
        misses=tuple(misses),
    )


def _none_left(rows: tuple[Row, ...], rule: str) -> GateError:
    asked = rows if rule in _RULES else [row for row in rows if row.variant == rule]
    head = "no variant meets every gate"
    if rule not in _RULES:
        head = f"the variant {rule!r}, which the rule names, does not meet every gate"
    lines = [f"  {row.variant}: {'; '.join(row.misses)}" for row in asked]
    msg = "\n".join((head, *lines, "  change [tool.modelyard.gates], or train or optimize differently"))
    return GateError(msg)


def _copy_model(candidate: Candidate, row: Row, out: Path) -> None:
    model = Model.open(candidate.model)
    (out / "model").mkdir()
    target = out / "model" / model.facts.file
    if model.path.is_dir():
        shutil.copytree(model.path, target)
    else:
        shutil.copyfile(model.path, target)
    figures = {name: getattr(row, name) for name in ("variant", "accuracy", "size_bytes", "gzip_bytes")}
    facts = msgspec.structs.asdict(model.facts)
    write_json(out / "model" / "model.json", SelectedModel(**facts, **figures, sha256=model_digest(target)))
    reference = candidate.evaluation / "probabilities.npy"
    if not reference.is_file():
        msg = f"{candidate.evaluation}: there is no probabilities.npy\n  evaluate the variant {row.variant!r} again"
        raise DataError(msg)
    (out / "reference").mkdir()
    shutil.copyfile(reference, out / "reference" / reference.name)


def model_digest(path: Path) -> str:
    """Return the SHA-256 of a model's file, hex; of a folder, that of a list of its files' names and digests."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted((p.relative_to(path).as_posix(), model_digest(p)) for p in path.rglob("*") if p.is_file())
    return hashlib.sha256(msgspec.json.encode(files)).hexdigest()


def render_table(selection: Selection) -> str:
    """Return the table of all variants as Markdown that is readable as it is."""
    head = ("variant", "accuracy", "size", "gzip", "p50", "p99", "")
    body = [
        (
            row.variant,
            f"{row.accuracy:.4f}",
            f"{row.size_bytes / 1000:,.1f} kB",
            f"{row.gzip_bytes / 1000:,.1f} kB",
            f"{row.p50_ms:.3f} ms",
            f"{row.p99_ms:.3f} ms",
            f"**shipped** ({selection.rule})" if row.variant == selection.chosen else "; ".join(row.misses),
        )
        for row in selection.table
    ]
    widths = [max(3, *(len(line[column]) for line in (head, *body))) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:-1]), "-" * widths[-1]]
    return "".join(_line(cells, widths) for cells in (head, rule, *body))


def _line(cells: Sequence[str], widths: list[int]) -> str:
    aligned = [
        cell.ljust(width) if column in (0, len(widths) - 1) else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(aligned)} |\n"
