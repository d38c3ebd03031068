from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from modelyard.errors import DataError
from modelyard.metrics import Quantity
from modelyard.report.collect import Collected
from modelyard.report.material import Material, comparable, load_material, quantities_of
from modelyard.stage_settings import Lineage
from tests.report.conftest import DIGEST, Make
from tests.shared import there


def loaded(made: Collected) -> Material:
    return load_material(made, {stage: Path(folder) for stage, folder in made.artifacts.items()})


def test_what_the_artifacts_hold_is_opened_and_answers_are_not_read(make: Make) -> None:
    made = make(variants=2)
    digests = {one.stage: "ab" * 32 if one.stage == made.dataset else one.digest for one in made.stages}
    stages = tuple(replace(one, digest=digests[one.stage]) for one in made.stages[::-1])
    material = loaded(replace(made, stages=stages))
    assert there(material.dataset).facts.class_names == ("cat", "dog", "bird", "frog")
    assert material.data == "ab" * 32
    assert set(material.measured_on.values()) == {DIGEST}
    assert list(material.measured) == list(material.answers) == list(material.measured_on) == ["v0", "v1"]
    assert isinstance(material.answers["v1"], np.memmap)
    assert material.answers["v1"].shape == (120, 4)
    assert material.means == ()


def test_what_is_not_built_is_not_there(make: Make) -> None:
    made = make(variants=2, built=("evaluate",))
    material = loaded(replace(made, artifacts={"evaluate:v1": made.artifacts["evaluate:v1"]}))
    assert (material.dataset, material.data) == (None, "")
    assert list(material.measured) == ["v1"]


def test_means_over_folds_are_metrics_of_each_variant(make: Make) -> None:
    made = make(variants=2, built=("evaluate",))
    folds = {f"fold-{number}": made.variants[f"v{number}"].evaluation for number in (0, 1)}
    material = loaded(replace(made, folds={"v0": folds, "v1": folds}))
    assert [one.variant for one in material.means] == ["v0", "v1"]
    accuracies = [material.measured[name].metrics["accuracy"].value for name in ("v0", "v1")]
    assert material.measured["v0"].metrics["folds_accuracy"].value == pytest.approx(sum(accuracies) / 2)


def test_what_is_to_be_measured_stands_before_what_older_evaluations_measured(make: Make) -> None:
    made = make(variants=1, built=("evaluate",))
    new = Quantity(name="recall", better="higher")
    only = replace(made, quantities=(new, *made.quantities[:1]))
    names = [one.name for one in quantities_of(only, loaded(only))]
    assert names[:2] == ["recall", "accuracy"]
    assert names[2:] == [one.name for one in made.quantities[1:]]


def test_variants_are_comparable_with_a_baseline_that_was_measured_on_the_same_data(make: Make) -> None:
    made = make(variants=4, built=("evaluate",), lineages={"v2": Lineage("net", "v3")})
    assert list(comparable(loaded(made), made)) == ["v0", "v1", "v2", "v3"]
    places = {**made.variants, "v3": replace(made.variants["v3"], data="f" * 64)}
    stale = replace(made, variants=places)
    assert list(comparable(loaded(stale), stale)) == ["v0", "v1"]
    lacking = replace(made, artifacts={name: one for name, one in made.artifacts.items() if name != "evaluate:v0"})
    assert list(comparable(loaded(lacking), lacking)) == ["v2"]


def test_a_damaged_artifact_is_named(make: Make) -> None:
    made = make()
    file = Path(made.variants["v1"].evaluation) / "evaluation.json"
    file.write_text("{")
    with pytest.raises(DataError, match=r"evaluation\.json"):
        loaded(made)
    file = Path(made.variants["v0"].evaluation) / "answers.npy"
    file.write_bytes(b"no array")
    with pytest.raises(DataError, match=r"answers\.npy"):
        loaded(made)
