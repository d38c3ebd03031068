"""Measure the profile `paper` over several seeds, and print its table in Markdown.

    python paper.py 0 1 2 > table.md

Each seed is a build of `evaluate` with `profile=paper seed=N`: what was built before is restored from the store, so that
this may be interrupted and called again.
"""

import statistics
import sys
from pathlib import Path
from typing import Any

from modelyard import api

FOLDER = Path(__file__).parent
BASELINE = "float32"


def measure(seed: int) -> dict[str, Any]:
    """Build every variant from `seed` and return its evaluation."""
    project = api.load(FOLDER, {"profile": "paper", "seed": seed})
    api.build(project, "evaluate", tell=lambda line: print(line, file=sys.stderr))
    return {name: api.read(project, f"evaluate:{name}").evaluation for name in project.config.variants}


def trained_epochs(steps) -> int:
    """Return how many epochs a chain adds to the trainer's."""
    return sum(step.params.get("epochs", 0) for step in steps)


def equally_trained(variants) -> dict[int, str]:
    """Return the variant that does nothing but train for so many epochs, by their number."""
    plain = {
        name: steps
        for name, steps in variants.items()
        if [step.component.name for step in steps] == ["fine-tune"] * (len(steps) - 1) + [BASELINE]
    }
    return {trained_epochs(steps): name for name, steps in plain.items()}


def spread(values, digits: int, *, sign: bool = False) -> str:
    """Return the mean and the standard deviation of `values`, the latter if there are two or more."""
    text = f"{statistics.fmean(values):{'+' if sign else ''}.{digits}f}"
    return text if len(values) < 2 else f"{text} ± {statistics.stdev(values):.{digits}f}"


def row(name: str, steps, runs: list[dict[str, Any]], baseline: str) -> list[str]:
    """Return the cells of one variant; differences are taken seed by seed."""
    points = [100 * run[name].metric("accuracy").value for run in runs]
    against = [mine - 100 * run[baseline].metric("accuracy").value for mine, run in zip(points, runs, strict=True)]
    size, packed = (statistics.fmean(getattr(run[name], key) for run in runs) for key in ("size_bytes", "gzip_bytes"))
    whole, packed_whole = (
        statistics.fmean(getattr(run[BASELINE], key) for run in runs) for key in ("size_bytes", "gzip_bytes")
    )
    return [
        name,
        str(trained_epochs(steps)),
        spread(points, 2),
        "" if name == baseline else spread(against, 2, sign=True),
        f"{size / 1e3:.1f}",
        f"{packed / 1e3:.1f}",
        f"{whole / size:.1f}",
        f"{packed_whole / packed:.1f}",
    ]


def table(variants, runs: list[dict[str, Any]]) -> str:
    """Return the Markdown table of all variants."""
    plain = equally_trained(variants)
    head = ["variant", "epochs more", "accuracy, %", "against equally trained, points"]
    head += ["size, kB", "gzip, kB", "times smaller", "after gzip"]
    rows = [row(name, steps, runs, plain[trained_epochs(steps)]) for name, steps in variants.items()]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    seeds = [int(word) for word in sys.argv[1:]] or [0, 1, 2]
    variants = api.load(FOLDER, {"profile": "paper"}).config.variants
    print(table(variants, [measure(seed) for seed in seeds]))


if __name__ == "__main__":
    main()
