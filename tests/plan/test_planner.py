from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plans import PACK, PRUNE, assert_sorted, component, config, ids, plugins_of, refused, several, training, use

from modelyard.component import Use
from modelyard.errors import PlanError, PluginError
from modelyard.plan.planner import Plan, build_plan, sort_stages
from modelyard.plugins.load import Plugins, load_plugins
from modelyard.stage import Input, Stage
from modelyard.stage_settings import ImageSettings, SelectSettings


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    return plugins_of(tmp_path_factory.mktemp("empty"))


# What is planned


def test_a_pipeline_has_its_stages_in_the_order_of_a_build(plugins: Plugins) -> None:
    plan = build_plan(config({"plain": (use(PACK),)}), plugins)
    assert ids(plan) == [
        "dataset:data",
        "train:net",
        "optimize:plain",
        "evaluate:plain",
        "select:shop",
        "image:shop",
        "check:shop",
        "render:staging",
    ]
    reads = {stage.id: {f"{i.stage}/{i.part}" for i in stage.inputs} for stage in plan.stages.values()}
    assert reads["train:net"] == {"dataset:data/"}
    assert reads["optimize:plain"] == {"train:net/", "dataset:data/"}
    assert reads["evaluate:plain"] == {"optimize:plain/", "dataset:data/"}
    assert reads["image:shop"] == {"select:shop/model"}, "an image does not depend on how variants were measured"
    assert reads["render:staging"] == {"image:shop/image.json", "select:shop/model", "check:shop/"}


def test_each_of_several_pipelines_has_stages_of_its_own_under_its_name(plugins: Plugins) -> None:
    variants = {"plain": (use(PACK),), "pruned": (use(PRUNE), use(PACK))}
    plan = build_plan(several(variants, "left", "right"), plugins)
    left, right = plan.pipelines
    assert ids(left) == [
        "dataset:left.data",
        "train:left.net",
        "optimize:left.plain",
        "optimize:left.prune",
        "optimize:left.pruned",
        "evaluate:left.plain",
        "evaluate:left.pruned",
        "select:left",
        "image:left",
        "check:left",
        "render:left.staging",
    ]
    assert ids(plan) == ids(left) + ids(right)
    assert ids(right) == [name.replace("left", "right") for name in ids(left)]
    assert {read.stage for stage in right.stages.values() for read in stage.inputs} <= {*right.stages}
    roles = [one.role for one in plan.stages["select:left"].inputs]
    assert roles == ["evaluation:plain", "evaluation:pruned", "model:plain", "model:pruned"], "as in a project of one"
    assert {plan.config_of(stage).name for stage in right.stages.values()} == {"right"}
    assert plan.stages["render:left.staging"].own_name == "staging"
    assert plan.stages["select:left"].own_name == "left"


def test_the_plan_of_one_pipeline_is_its_own(plugins: Plugins) -> None:
    plan = build_plan(config({"plain": (use(PACK),)}), plugins)
    assert plan.pipelines == [plan]
    assert plan.config_of(plan.stages["select:shop"]) is plan.config


def test_every_stage_has_a_line_of_documentation(plugins: Plugins) -> None:
    for stage in build_plan(config({"plain": (use(PACK),)}), plugins).stages.values():
        assert re.fullmatch(r"[^\n{}]{5,120}", stage.doc), stage.id


def test_only_stages_that_draw_random_numbers_have_the_seed(plugins: Plugins) -> None:
    plan = build_plan(config({"plain": (use(PACK),)}), plugins)
    assert {s.kind: s.seed for s in plan.stages.values() if s.seed is not None} == {
        "dataset": 3,
        "train": 3,
        "optimize": 3,
    }


def test_a_resource_is_held_by_the_stages_of_its_kind_and_of_components_that_name_it(plugins: Plugins) -> None:
    hungry = msgspec.structs.replace(PRUNE, resources=("gpu",))
    known = Plugins(plugins.manager, {**plugins.components, ("optimizer", "prune"): hungry}, sources=plugins.sources)
    variants = {"plain": (use(PACK),), "pruned": (use(hungry), use(PACK))}
    plan = build_plan(config(variants, resources={"train": 1, "gpu": 1}), known)
    held = {s.id: s.resources for s in plan.stages.values() if s.resources}
    assert held == {"train:net": ("train",), "optimize:prune": ("gpu",)}


def test_a_resource_that_nothing_uses_is_an_error_that_lists_what_there_is(plugins: Plugins) -> None:
    told = refused(lambda: build_plan(config({"plain": (use(PACK),)}, resources={"trian": 1}), plugins))
    assert "[tool.modelyard.resources]: unknown resource 'trian', did you mean 'train'?\n  known: " in told


def test_every_evaluation_but_the_baselines_reads_its_model_for_the_latency(plugins: Plugins) -> None:
    variants = {"a": (use(PACK),), "b": (use(PRUNE), use(PACK)), "c": (use(PACK),)}
    plan = build_plan(config(variants), plugins)
    reads = {s.name: {i.role: i.stage for i in s.inputs}.get("baseline") for s in plan.of_kind("evaluate")}
    assert reads == {"a": None, "b": "optimize:a", "c": None}


def test_a_stage_of_an_optimizer_says_what_differs_from_the_defaults(plugins: Plugins) -> None:
    variants = {"a": (use(PRUNE, amount=0.7, note="x\n" * 100), use(PACK))}
    plan = build_plan(config(variants), plugins)
    assert plan.stages["optimize:a"].doc == "Do nothing"
    doc = plan.stages["optimize:prune"].doc
    assert re.fullmatch(r"\(amount=0\.7, note=x x x .*…\) Do nothing", doc)
    assert len(doc) < 80


def test_evaluation_has_the_runtime_without_what_concerns_the_server_alone(plugins: Plugins) -> None:
    wanted = config({"a": (use(PACK),)})
    runner = msgspec.structs.replace(plugins.components["runtime", "runner"], serving_only=("note",))
    wanted.uses["runtime"] = use(runner, amount=0.7, note="x")
    plan = build_plan(wanted, plugins)
    assert plan.stages["evaluate:a"].uses["runtime"] == Use(runner, {"amount": 0.7})
    for stage in ("image:shop", "check:shop"):
        assert plan.stages[stage].uses["runtime"].params == {"amount": 0.7, "note": "x"}


def test_rendering_has_the_target_without_what_concerns_deploying_alone(plugins: Plugins) -> None:
    wanted = config({"a": (use(PACK),)})
    site = msgspec.structs.replace(component("target", "site"), deploy_only=("note",))
    wanted.targets["site"] = use(site, amount=0.7, note="x")
    plan = build_plan(wanted, plugins)
    assert plan.stages["render:site"].uses["target"] == Use(site, {"amount": 0.7})
    assert wanted.targets["site"].params["note"] == "x"


def test_the_baseline_is_the_first_variant_unless_it_is_named(plugins: Plugins) -> None:
    variants = {"a": (use(PACK),), "b": (use(PRUNE), use(PACK))}
    plan = build_plan(config(variants), plugins)
    assert plan.stages["select:shop"].settings_as(SelectSettings).baseline == "a"
    named = config(variants)
    named.settings.select.baseline = "b"
    assert build_plan(named, plugins).stages["select:shop"].settings_as(SelectSettings).baseline == "b"


def test_the_repository_is_the_projects_name_unless_it_is_given(plugins: Plugins) -> None:
    image = build_plan(config({"a": (use(PACK),)}), plugins).stages["image:shop"]
    assert image.settings_as(ImageSettings).repository == "shop"


def test_every_part_that_a_stage_reads_has_a_file_that_stands_for_it(plugins: Plugins) -> None:
    plan = build_plan(config({"plain": (use(PACK),)}), plugins)
    parts = [(plan.stages[i.stage].kind, i.part) for s in plan.stages.values() for i in s.inputs if i.part]
    assert parts
    for kind, part in parts:
        assert part in plan.kinds[kind].parts


# What does not fit


def test_a_step_that_cannot_take_the_format_names_both_ends_and_what_fits(plugins: Plugins) -> None:
    told = refused(lambda: build_plan(config({"a": (use(PACK), use(PRUNE))}), plugins))
    assert told.startswith("pyproject.toml: [tool.modelyard.variants]: a: 'pack' gives packed, but prune takes raw\n")
    assert told.endswith("model optimizers that fit between them: unpack")


def test_a_chain_that_ends_in_a_format_that_the_runtime_cannot_run_names_what_fits(plugins: Plugins) -> None:
    told = refused(lambda: build_plan(config({"a": ()}), plugins))
    assert "a: the trainer gives raw, but runner (the runtime) takes packed\n" in told
    assert told.endswith("fit between them: pack")


def test_a_model_for_another_trainer_names_the_trainers_that_fit(plugins: Plugins) -> None:
    other = component("model", "torch-net", produces="torch")
    wrong = training(config({"a": (use(PACK),)}), model=Use(other))
    told = refused(lambda: build_plan(wrong, plugins))
    assert "the trainer 'trainer' trains raw models, but 'torch-net' is a torch model" in told
    assert "trainers that fit: (none)" in told


@pytest.mark.parametrize(
    ("key", "value", "near"),
    [("baseline", "plian", "plain"), ("rule", "smalest", "smallest"), ("rule", "plian", "plain")],
)
def test_a_baseline_or_rule_that_is_unknown_lists_what_is_known(
    key: str, value: str, near: str, plugins: Plugins
) -> None:
    wrong = config({"plain": (use(PACK),)})
    setattr(wrong.settings.select, key, value)
    told = refused(lambda: build_plan(wrong, plugins))
    assert (
        f"[tool.modelyard.select]: key {key!r}: {value!r} is not allowed, did you mean {near!r}?\n  allowed: " in told
    )
    assert "plain" in told.splitlines()[-1]


def stage(name: str, *reads: str, kind: str = "optimize") -> Stage:
    return Stage(kind, name, inputs=tuple(Input(f"i{n}", f"{kind}:{read}") for n, read in enumerate(reads)))


def test_a_cycle_names_two_stages_of_it() -> None:
    told = refused(lambda: sort_stages([stage("a", "b"), stage("b", "c"), stage("c", "a"), stage("d")]))
    assert re.match(r"the stages 'optimize:[abc]' and 'optimize:[abc]' wait for each other\n  a plugin's", told)


def test_a_stage_that_reads_itself_is_a_cycle() -> None:
    assert "'optimize:a' and 'optimize:a' wait" in refused(lambda: sort_stages([stage("a", "a")]))


def test_an_input_that_no_stage_makes_is_named() -> None:
    assert (
        refused(lambda: sort_stages([stage("a", "b")])) == "stage 'optimize:a' reads 'optimize:b', which no stage makes"
    )


def test_a_chain_longer_than_the_recursion_limit_is_sorted() -> None:
    chain = [stage(str(n), *([str(n + 1)] if n < 5000 else [])) for n in range(5001)]
    assert list(sort_stages(chain)) == [f"optimize:{n}" for n in range(5000, -1, -1)]


@settings(max_examples=60)
@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(st.permutations(range(n)), st.lists(st.sets(st.integers(0, n - 1)), min_size=n, max_size=n))
    )
)
def test_every_stage_comes_after_its_inputs(graph: tuple[list[int], list[set[int]]]) -> None:
    order, reads = graph
    stages = [stage(str(n), *(str(r) for r in reads[n] if r < n)) for n in order]
    found = sort_stages(stages)
    assert sorted(found) == sorted(s.id for s in stages)
    assert_sorted(found)
    assert list(sort_stages(found.values())) == list(found), "an order that holds is kept"


# A plugin's part in it

AMEND = """
from modelyard import hookimpl
from modelyard.stage import Input, Stage


@hookimpl
def modelyard_amend_plan(stages):
    {body}
"""


def amended(body: str, make_project: Callable[[dict[str, str]], Path], plugins: Plugins) -> Plan:
    loaded = load_plugins(make_project({"plugins/amend.py": AMEND.format(body=body)}))
    mine = Plugins(loaded.manager, plugins.components, sources=loaded.sources)
    return build_plan(config({"plain": (use(PACK),)}), mine)


def test_a_plugin_may_take_stages_out(make_project: Callable[[dict[str, str]], Path], plugins: Plugins) -> None:
    plan = amended("stages[:] = [s for s in stages if s.kind in ('dataset', 'train')]", make_project, plugins)
    assert ids(plan) == ["dataset:data", "train:net"]


@pytest.mark.parametrize(
    ("body", "kind", "match"),
    [
        ("stages.append(stages[0])", PlanError, "two stages are called 'dataset:data'"),
        ("stages[:] = stages[1:]", PlanError, "reads 'dataset:data', which no stage makes"),
        (
            "stages[0] = Stage('dataset', 'data', settings={'normalize': 'auto'}, inputs=(Input('x', 'train:net'),))",
            PlanError,
            "wait for each other",
        ),
        ("stages.append('train')", PlanError, "added 'train', which is no stage\n  kinds of stage: dataset, train,"),
        ("stages.append(Stage('trian', 'x'))", PlanError, "which is no stage\n  kinds of stage: dataset, train,"),
        (
            "stages[0] = Stage('dataset', 'data', resources=('gpu',))",
            PlanError,
            "stage 'dataset:data' holds the resource 'gpu', which [tool.modelyard.resources] does not have\n  say how",
        ),
        (
            "stages[0] = Stage('dataset', 'data')",
            PlanError,
            "the settings of the stage 'dataset:data' do not fit: Object missing required field `normalize`\n  settings of the kind",
        ),
        (
            "stages[0] = Stage('dataset', 'data', settings={'normalise': 'auto'})",
            PlanError,
            "the settings of the stage 'dataset:data' do not fit: it has no 'normalise', did you mean 'normalize'?",
        ),
        (
            "stages.append(Stage('optimize', 'x', settings={'loss_weights': {'a': 'b'}}))",
            PlanError,
            "the settings of the stage 'optimize:x' do not fit: Expected `float`, got `str` - at `$.loss_weights[...]`",
        ),
        ("stages.nothing()", PluginError, r"amend.py:8: modelyard_amend_plan raised AttributeError"),
    ],
)
def test_a_plan_that_a_plugin_broke_is_an_error_for_a_person(
    body: str, kind: type[Exception], match: str, make_project: Callable[[dict[str, str]], Path], plugins: Plugins
) -> None:
    assert match in refused(lambda: amended(body, make_project, plugins), kind)
