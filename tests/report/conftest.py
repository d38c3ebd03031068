"""Reports on artifacts that the stages' own code wrote, without a build: any shape, number of classes and variants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from modelyard.artifacts import ImageFacts, LayerFacts, Splits
from modelyard.files.json import write_json
from modelyard.report.collect import Collected, VariantPlaces
from modelyard.report.facts import Origin, ProjectFacts, Report, StageFacts
from modelyard.report.material import Material
from modelyard.report.measure import measure
from modelyard.report.write import write
from modelyard.stage_settings import SelectSettings
from modelyard.variants.evaluation import Host, Latency, Ratio, write_evaluation
from tests.tasks import QUANTITIES, score, write_dataset

Make = Callable[..., Collected]

DIGEST = "0123456789abcdef" * 4


def selecting(gates: dict[str, Any], **more: Any) -> SelectSettings:
    """Return the settings of `select` with these gates, and `more` of them."""
    usual: dict[str, Any] = {"trained_alike": {}, "trained_unlike": {}, "controls": []}
    return SelectSettings(rule="smallest", baseline="v0", gates=gates, **usual | more)


def collected(
    folder: Path,
    *,
    shape: tuple[int, ...] = (8, 8, 1),
    class_names: tuple[str, ...] = ("cat", "dog", "bird", "frog"),
    variants: int = 4,
    unseen: int = 0,
    samples: int = 120,
    shipped: str | None = "v1",
    image: bool = True,
    built: tuple[str, ...] = ("dataset", "train", "evaluate", "select", "image"),
    failure: str = "",
    gates: dict[str, Any] | None = None,
    **select: Any,
) -> Collected:
    """Write artifacts to `folder` and return what the engine would say of them.

    Args:
        folder: a new folder.
        shape: of a sample.
        class_names: of the labels.
        variants: how many; the first, `v0`, is the baseline, each further one makes some mistakes of its own.
        unseen: so many classes at the end have no test sample.
        samples: in the test split.
        shipped: what `select` picked.
        image: whether there is one in the plan.
        built: the kinds of stage that are there.
        failure: why `select` failed.
        gates: the bounds.
        select: further settings of `select`.
    """
    names = [f"v{number}" for number in range(variants)]
    artifacts: dict[str, str] = {}

    def place(stage: str) -> Path:
        kind, _, name = stage.partition(":")
        made = folder / "artifacts" / kind / name
        if kind in built:
            made.mkdir(parents=True)
            artifacts[stage] = str(made)
        return made

    labels = np.arange(samples) % (len(class_names) - unseen)
    if "dataset" in built:
        _write_dataset(place("dataset:data"), shape, class_names, labels)
    if "train" in built:
        history = {
            "epoch": [1, 2, 3],
            "loss": [1.0, 0.5, 0.2],
            "val_loss": [1.1, 0.6, None],
            "accuracy": [0.5, 0.8, 0.9],
        }
        write_json(place("train:net") / "history.json", history)
    if "evaluate" in built:
        for number, name in enumerate(names):
            _write_evaluation(place(f"evaluate:{name}"), number, labels, class_names)
    if shipped and "select" in built:
        model = place("select:project") / "model"
        model.mkdir()
        write_json(model / "model.json", {"variant": shipped})
    if image and "image" in built:
        write_json(place("image:project") / "image.json", _image(shipped or ""))
    places = {
        name: VariantPlaces(
            stage=f"evaluate:{name}",
            steps=(f"step{name}", "int8"),
            evaluation=str(folder / "artifacts/evaluate" / name),
            data=DIGEST,
        )
        for name in names
    }
    every = ["dataset:data", "train:net", *(f"evaluate:{n}" for n in names), "select:project", "image:project"]
    return Collected(
        quantities=QUANTITIES,
        out=str(folder / "artifacts/report/project"),
        folder=str(folder),
        project=ProjectFacts(name="project", version="1.0", commit="c0ffee" * 6 + "abcd", clean=False),
        stages=tuple(_stage(stage, every, artifacts, failure) for stage in every),
        dataset="dataset:data",
        artifacts=artifacts,
        variants=places,
        select=selecting(gates or {"min_accuracy": 0.5}, **select),
        selection="select:project",
        image="image:project" if image else "",
        origins=tuple(_origin(stage) for stage in artifacts),
        builder={"modelyard": "0.1.0", "doit": "0.37.0", "python": "3.11.7"},
    )


def _write_dataset(folder: Path, shape: tuple[int, ...], class_names: tuple[str, ...], labels: Any) -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (len(labels), *shape)).astype("uint8")
    every = np.arange(len(labels)) % len(class_names)
    write_dataset(Splits(x, every, x, labels, class_names), folder, progress=lambda *_, **__: None)


def _write_evaluation(folder: Path, number: int, labels: Any, class_names: tuple[str, ...]) -> None:
    """Write answers of which every (7 + number)-th is wrong."""
    classes = len(class_names)
    answers = labels.copy()
    answers[:: 7 + number] = (answers[:: 7 + number] + 1) % classes
    probabilities = np.full((len(labels), classes), 0.2 / max(1, classes - 1), np.float32)
    probabilities[np.arange(len(labels)), answers] = 0.8
    sizes = {"size_bytes": 200_000 // (number + 1), "gzip_bytes": 150_000 // (number + 1)}
    sizes["layer_bytes"] = sizes["gzip_bytes"] + 200
    np.save(folder / "answers.npy", probabilities)
    warnings = ("few samples to calibrate with",) if number == 2 else ()
    write_evaluation(folder, score(probabilities, labels, class_names, warnings=warnings, **sizes))
    ratio = Ratio(p50=0.9, low=0.85, high=0.96, rounds=20, baseline_p50_ms=0.02) if number else None
    host = Host(cpu_model="A CPU", cpus=(0,), threads=1, governor=None, load_1m=0.5, preemptions=0)
    latency = Latency(
        p50_ms=0.02 + number / 1000,
        p50_low_ms=0.019,
        p50_high_ms=0.03 + number / 1000,
        p99_ms=0.05,
        mean_ms=0.02,
        samples=400,
        warmup=20,
        ratio=ratio,
        host=host,
    )
    write_json(folder / "latency.json", latency)


def _image(variant: str) -> ImageFacts:
    layers = (LayerFacts("base", f"sha256:{DIGEST}", 3_000_000), LayerFacts("model", f"sha256:{DIGEST[::-1]}", 20_000))
    return ImageFacts(
        builder="oci",
        repository="registry.example/team/project",
        tag="1",
        digest=f"sha256:{DIGEST}",
        image_id=f"sha256:{DIGEST}",
        size_bytes=3_020_000,
        archive="image.tar",
        platform="linux/amd64",
        user="65532:65532",
        port=8080,
        labels={"dev.modelyard.model.variant": variant},
        layers=layers,
        base={"libc6": "2.36-9"},
    )


def _stage(stage: str, every: list[str], artifacts: dict[str, str], failure: str) -> StageFacts:
    is_there = stage in artifacts
    return StageFacts(
        stage=stage,
        state="up-to-date" if is_there else "missing",
        how="built" if is_there else "",
        touched=is_there,
        started="2026-01-02T03:04:05+00:00" if is_there else "",
        duration_s=2.5 if is_there else None,
        digest=DIGEST if is_there else "",
        reads=tuple(every[: every.index(stage)][-2:]),
        failure=failure if stage.startswith("select:") and not is_there else "",
    )


def with_state(made: Collected, stage: str, state: str, failure: str = "") -> Collected:
    """Return `made` with another state of one stage."""
    reasons = ("gate min_accuracy: 0.5 -> 0.9",)
    changed = {"state": state, "failure": failure, "reasons": reasons}
    stages = (msgspec.structs.replace(one, **changed) if one.stage == stage else one for one in made.stages)
    return msgspec.structs.replace(made, stages=tuple(stages))


def _origin(stage: str) -> Origin:
    return Origin(
        stage=stage,
        key=DIGEST,
        digest=DIGEST,
        commit="c0ffee",
        clean=True,
        components={"trainer": "centroids"},
        parameters={"epochs": 3, "path": None},
        files={},
        code={"trainer": DIGEST},
        tools={"numpy": "2.0"},
    )


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return `collected` for a folder of this test."""
    return lambda **how: collected(tmp_path / "project", **how)


@pytest.fixture
def measured(make: Make) -> Callable[..., tuple[Report, Material]]:
    """Return a function that makes artifacts and measures them."""
    return lambda **how: measure(make(**how))


@pytest.fixture
def report(measured: Callable[..., tuple[Report, Material]]) -> Report:
    """Return the report on a whole build of four variants."""
    return measured()[0]


def write_page(made: Collected) -> Path:
    """Write the report on `made` and return its folder."""
    report, material = measure(msgspec.json.decode(msgspec.json.encode(made), type=Collected))
    write(report, material, Path(made.folder), Path(made.out))
    return Path(made.out)
