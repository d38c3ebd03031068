"""Chains of model optimizers, through the front door: what fits together, and what the plan refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.conftest import Doit

from modelyard.errors import ConfigError, PlanError
from modelyard.project.load import load
from modelyard.testing import write_small_project

PCQAT = (
    '[{ use = "prune" }, { use = "cluster", preserve_sparsity = true }, '
    '{ use = "qat", preserve = ["sparsity", "clusters"] }, "int8"]'
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return write_small_project(tmp_path_factory.mktemp("chains") / "project")


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        ('["qat", "float16"]', "'qat' gives tf_keras_qat, but float16 takes tf_keras"),
        ('["qat", "prune", "int8"]', "'qat' gives tf_keras_qat, but prune takes tf_keras"),
        ('["qat", "qat", "int8"]', "'qat' gives tf_keras_qat, but qat takes tf_keras"),
        ('["qat"]', "'qat' gives tf_keras_qat, but litert (the runtime) takes "),
        ('["int8", "qat"]', "'int8' gives tflite, but qat takes tf_keras"),
    ],
)
def test_a_chain_that_makes_no_sense_is_refused_before_anything_runs(project: Any, chain: str, words: str) -> None:
    with pytest.raises(PlanError) as caught:
        load(project, {"variants.wrong": chain})
    assert words in str(caught.value)


def test_a_quantized_model_without_a_conversion_is_told_of_int8(project: Any) -> None:
    with pytest.raises(PlanError, match=r"that fit between them: int8$"):
        load(project, {"variants.wrong": '["qat"]'})


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ('{ use = "qat", preserve = ["cluster"] }', "key 'preserve': ['cluster'] is not allowed"),
        ('{ use = "cluster", clusters = 1 }', "key 'clusters': 1 is not allowed"),
        ('{ use = "cluster", cluster_count = 8 }', "unknown key 'cluster_count', did you mean 'clusters'?"),
        ('{ use = "prune", pattern = "4:2" }', "key 'pattern': '4:2' is not allowed"),
    ],
)
def test_a_misspelt_value_is_refused_when_the_project_is_loaded(project: Any, step: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(project, {"variants.wrong": f'[{step}, "int8"]'})
    assert words in str(caught.value)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.tensorflow
def test_pruned_clustered_and_trained_for_int8_in_one_chain(project: Any, doit: Doit) -> None:
    done = doit(project, f"variants.pcqat={PCQAT}", "evaluate:pcqat", "evaluate:float32")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = project / "artifacts/evaluate"
    small, plain = (json.loads((folder / name / "evaluation.json").read_text()) for name in ("pcqat", "float32"))
    assert small["accuracy"] >= plain["accuracy"] - 0.05
    assert plain["gzip_bytes"] / small["gzip_bytes"] > 2.5
    again = doit(project, f"variants.pcqat={PCQAT}", "evaluate:pcqat")
    assert "built 0, restored 0" in again.stdout
