"""The settings of the stages of each kind: what of them is in an action key."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.config.tables import Events
from modelyard.kinds import BUILT_IN
from modelyard.plan.planner import build_plan
from modelyard.stage_settings import (
    CheckedModel,
    CheckSettings,
    DatasetSettings,
    HeldOut,
    ServerSettings,
    TrainSettings,
    by_name,
)
from tests.plans import PACK, config, plugins_of, use

IN_EVERY_KEY = {
    "dataset": {"normalize"},
    "train": set(),
    "optimize": set(),
    "evaluate": {"batch_size", "latency_samples", "warmup", "workers", "test_sets", "slices"},
    "select": {"rule", "gates", "baseline", "trained_alike", "trained_unlike", "controls"},
    "image": {"name", "version", "port", "repository", "tag"},
    "check": {"start", "events", "timeout_s", "samples", "tolerance"},
    "render": {"name", "version"},
}
"""What every project's keys have had since there are such stages: without a name here, and with one more, all are stale."""


def test_a_plain_project_has_in_its_keys_what_it_ever_had(tmp_path: Any) -> None:
    plan = build_plan(config({"a": (use(PACK),)}), plugins_of(tmp_path))
    assert {stage.kind: {*by_name(stage.settings)} for stage in plan.stages.values()} == IN_EVERY_KEY
    assert all(isinstance(stage.settings, stage.row.settings or ()) for stage in plan.stages.values())


@pytest.mark.parametrize("kind", BUILT_IN)
def test_what_may_be_left_out_of_a_key_has_a_default(kind: str) -> None:
    settings = BUILT_IN[kind].settings
    assert settings is not None
    fields = msgspec.structs.fields(settings)
    assert {one.encode_name for one in fields if one.required} == IN_EVERY_KEY[kind] - {"samples", "tolerance"}
    assert all(one.default in (None, "", msgspec.NODEFAULT) for one in fields), "others are told by their identity"


def test_a_value_that_has_no_default_counts_be_it_empty() -> None:
    assert by_name(DatasetSettings(normalize="auto", outputs=[], answer="")) == {"normalize": "auto"}
    said = DatasetSettings(normalize="none", outputs=["x"], answer="text", fold=HeldOut(3, 0))
    assert by_name(said) == {
        "normalize": "none",
        "outputs": ["x"],
        "answer": "text",
        "fold": {"folds": 3, "fold": 0},
    }
    assert by_name(TrainSettings(loss_weights={"a": 0.0})) == {"loss_weights": {"a": 0.0}}


def test_of_a_group_each_value_counts_by_its_own_name() -> None:
    told = by_name(ServerSettings(name="net", port=1, events=Events(input="a", attempts=3).of_server()))
    assert {"name": "net", "port": 1, "events_input": "a", "events_attempts": 3}.items() <= told.items()
    assert "events" not in told
    assert "events_url" not in told, "the broker is another wherever the server runs"


def test_a_mapping_of_a_plugin_s_kind_is_as_it_is() -> None:
    given = {"about": "x"}
    assert by_name(given) is given


@given(
    st.builds(
        CheckSettings,
        start=st.booleans(),
        events=st.sampled_from([True, False, "auto"]),
        timeout_s=st.floats(0.1, 1e6),
        samples=st.none() | st.integers(1, 10**6),
        tolerance=st.none() | st.floats(1e-9, 1.0),
        models=st.dictionaries(
            st.text(max_size=5),
            st.builds(
                CheckedModel,
                name=st.text(max_size=5),
                version=st.integers(1, 99),
                samples=st.integers(1, 99),
                tolerance=st.floats(1e-9, 1.0),
            ),
            max_size=2,
        ),
    )
)
def test_nothing_of_settings_is_lost_in_a_key(settings: CheckSettings) -> None:
    assert msgspec.convert(dict(by_name(settings)), CheckSettings) == settings
