from __future__ import annotations

from pathlib import Path

import msgspec
from tests.plans import PACK, PRUNE, SOURCE, TASK, component, config, nothing, several, use

from modelyard.component import Component, Use
from modelyard.config.config import Config, PackedModel, quantities
from modelyard.config.tables import CrossValidation, Evaluate
from modelyard.metrics.standard import STANDARD
from modelyard.toml.places import ConfigSource

ODD = Component("metric", "odd-ones", nothing, SOURCE, better="lower", unit="ms", title="odd", steady=False)
HANDLER = component("handler", "tokens")


def place(number: int) -> Use:
    return use(HANDLER, note=str(number))


def names(task: Component, settings: Evaluate, folds: CrossValidation) -> list[str]:
    return [one.name for one in quantities(task, {"odd-ones": Use(ODD)}, settings, folds)]


def test_one_pipeline_has_no_name_and_its_stages_are_called_as_they_are() -> None:
    only = config({"plain": (use(PACK),)})
    assert only.pipelines == (only,)
    assert (only.called("train"), only.of("any")) == ("train", only)


def test_each_of_several_is_found_by_its_name_and_calls_its_stages_after_it() -> None:
    first = several({"plain": (use(PACK),)}, "left", "right")
    assert [one.pipeline for one in first.pipelines] == ["left", "right"]
    right = first.of("right")
    assert (right.pipeline, right.called("train")) == ("right", "right.train")
    assert first.of("") is first, "what a plugin made for none"


def test_variants_of_all_trainings_are_in_the_order_of_the_file() -> None:
    one = config({"a": (), "b": ()})
    trainings = {
        name: msgspec.structs.replace(one.training, name=name, variants=variants)
        for name, variants in {"short": ("a", "b"), "long": ("b",)}.items()
    }
    found = msgspec.structs.replace(one, trainings=trainings)
    assert found.training.name == "short"
    assert found.measured == ("short.a", "short.b", "long.b")


def test_what_is_measured_is_the_tasks_then_its_parts_the_sizes_and_times_and_the_plugins() -> None:
    found = names(TASK, Evaluate(test_sets=["night"], slices=["site"]), CrossValidation())
    assert found == ["accuracy", "night_accuracy", "site_accuracy", *(one.name for one in STANDARD), "odd_ones"]
    assert config({}).quantities[0].name == "accuracy"


def test_means_over_folds_are_there_where_every_variant_is_measured_on_every_fold() -> None:
    assert "folds_accuracy" in names(TASK, Evaluate(), CrossValidation(folds=3))
    assert "folds_accuracy" not in names(TASK, Evaluate(), CrossValidation(folds=3, variants=["a"]))
    assert "folds_odd_ones" not in names(TASK, Evaluate(), CrossValidation(folds=3)), "a time says nothing of answers"


def test_the_tasks_of_several_outputs_have_roles_and_those_with_a_weight_are_learnt() -> None:
    one = config({})
    assert one.tasks == {"task": one.uses["task"]}
    assert one.losses == {}
    near = Component("task", "near", nothing, SOURCE, loss="squared-error")
    both = config({}, several={"kind": Use(TASK), "place": Use(near)}, loss_weights={"kind": 0, "place": 2.0})
    assert [*both.tasks] == ["task:kind", "task:place"]
    assert both.losses == {"place": "squared-error"}


def test_handlers_have_their_side_and_number_and_those_of_a_model_in_an_image_its_name_and_version() -> None:
    digits = config({}, before=(place(1), place(2)), after=(place(3),))
    assert {role: one.params["note"] for role, one in digits.handlers.items()} == {
        "before:1": "1",
        "before:2": "2",
        "after:1": "3",
    }
    packed = PackedModel(digits, "digits", 2)
    image = config({}, models=(packed, PackedModel(config({}), "bare", 1)))
    assert packed.key == "digits.2"
    assert [*image.handlers] == ["before:1:digits.2", "before:2:digits.2", "after:1:digits.2"]


def test_every_component_that_is_named_is_among_all() -> None:
    kinds = ("metric", "gate", "source", "executor", "kind")
    metric, gate, source, executor, kind = (use(component(kind, kind)) for kind in kinds)
    found = config(
        {"plain": (use(PRUNE), use(PACK))},
        before=(place(1),),
        after=(place(2),),
        metrics={"m": metric},
        gates={"g": gate},
        kinds={"k": kind},
        several={"kind": Use(TASK)},
        events=source,
        executor=executor,
    )
    counted = sorted(one.component.kind for one in found.every_use)
    assert counted == sorted(
        (
            *("dataset", "model", "trainer", "runtime", "builder", "target", "optimizer", "optimizer"),
            *("task", "task", "handler", "handler", *kinds),
        )
    )
    assert not {"source", "executor"} & {one.component.kind for one in config({}).every_use}


def test_a_variant_is_placed_in_the_table_that_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.modelyard.variants]\nplain = []\n[tool.modelyard.matrix.sizes]\nsteps = ["pack"]\n')
    found: Config = config({}, source=ConfigSource(file), origins={"small": ("matrix", "sizes")})
    assert str(found.where_variant("plain")) == "pyproject.toml:2: [tool.modelyard.variants]"
    assert str(found.where_variant("small")) == "pyproject.toml:3: [tool.modelyard.matrix.sizes]"
