from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.component import Component, Source
from modelyard.config import Config, Use
from modelyard.errors import PlanError, PluginError
from modelyard.plan import PARTS, Input, Plan, Stage, build_plan, sort_stages
from modelyard.plugins import Plugins, load_plugins
from modelyard.settings import TABLES, parameters_of_table

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = Source("test", "project", Path("test.py"))


def nothing(context: object, *, amount: float = 0.5, note: str = "") -> None:
    """Do nothing."""


def component(kind: str, name: str, accepts: tuple[str, ...] = (), produces: str = "") -> Component:
    return Component(kind, name, nothing, SOURCE, accepts=accepts, produces=produces)


def use(found: Component, **params: object) -> Use:
    return Use(found, {"amount": 0.5, "note": "", **params})


PRUNE = component("optimizer", "prune", ("raw",), "raw")
PACK = component("optimizer", "pack", ("raw",), "packed")
UNPACK = component("optimizer", "unpack", ("packed",), "raw")
TRAINER = component("trainer", "trainer", produces="raw")
COMPONENTS = [
    component("dataset", "data"),
    component("model", "net", produces="raw"),
    TRAINER,
    component("runtime", "runner", accepts=("packed",)),
    component("builder", "box"),
    component("target", "cluster"),
    PRUNE,
    PACK,
    UNPACK,
]


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    """The hooks of a project without plugins, and the components above."""
    loaded = load_plugins(tmp_path_factory.mktemp("empty"))
    return Plugins(loaded.manager, {(c.kind, c.name): c for c in COMPONENTS}, sources=loaded.sources)


def config(variants: dict[str, tuple[Use, ...]], **changes: object) -> Config:
    known = {c.kind: c for c in COMPONENTS}
    tables = {"dataset": "dataset", "model": "model", "train": "trainer", "runtime": "runtime", "image": "builder"}
    values = {t: {n: p.default for n, p in parameters_of_table(t).items()} for t in TABLES}
    fields: dict[str, object] = {
        "project": Path("/project"),
        "name": "shop",
        "version": "1",
        "seed": 3,
        "uses": {table: Use(known[kind]) for table, kind in tables.items()},
        "settings": values,
        "variants": variants,
        "targets": {"staging": Use(known["target"])},
        "resources": {},
        **changes,
    }
    return Config(**fields)  # type: ignore[arg-type]


def ids(plan: Plan, *kinds: str) -> list[str]:
    return [stage.id for stage in plan.stages.values() if not kinds or stage.kind in kinds]


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


def test_a_shared_prefix_is_built_once(plugins: Plugins) -> None:
    prune = use(PRUNE)
    plan = build_plan(config({"a": (prune, use(PACK)), "b": (prune, use(PRUNE, amount=0.9), use(PACK))}), plugins)
    assert ids(plan, "optimize") == ["optimize:prune", "optimize:a", "optimize:prune-prune", "optimize:b"]
    parents = {name: plan.stages[f"optimize:{name}"].inputs[0].stage for name in ("a", "prune-prune", "b")}
    assert parents == {"a": "optimize:prune", "prune-prune": "optimize:prune", "b": "optimize:prune-prune"}


def test_equal_variants_share_their_model_and_are_both_measured(plugins: Plugins) -> None:
    plan = build_plan(config({"a": (use(PACK),), "b": (use(PACK),)}), plugins)
    assert ids(plan, "optimize", "evaluate") == ["optimize:a", "evaluate:a", "evaluate:b"]
    assert plan.stages["evaluate:b"].inputs[0].stage == "optimize:a"


def test_prefixes_that_differ_in_a_parameter_are_told_apart_by_it(plugins: Plugins) -> None:
    variants = {f"v{n}": (use(PRUNE, amount=n / 10), use(PACK)) for n in (3, 7)}
    plan = build_plan(config(variants), plugins)
    expected = ["optimize:prune-amount-0.3", "optimize:v3", "optimize:prune-amount-0.7", "optimize:v7"]
    assert ids(plan, "optimize") == expected
    reversed_plan = build_plan(config(dict(reversed(variants.items()))), plugins)
    assert sorted(ids(reversed_plan, "optimize")) == sorted(expected), "the order does not matter"


def test_a_variant_keeps_its_name_when_a_prefix_would_like_it(plugins: Plugins) -> None:
    variants = {
        "a": (use(PRUNE), use(PACK)),
        "b": (use(PRUNE, amount=0.7), use(PACK)),
        "prune-amount-0.7": (use(PRUNE, amount=0.9), use(PACK)),
        "prune": (use(PACK),),
    }
    plan = build_plan(config(variants), plugins)
    by_variant = {v: plan.stages[f"evaluate:{v}"].inputs[0].stage for v in variants}
    assert by_variant == {v: f"optimize:{v}" for v in variants}
    parents = {
        v: plan.stages[plan.stages[f"optimize:{v}"].inputs[0].stage].uses["optimizer"].params for v in ("a", "b")
    }
    assert [parents[v]["amount"] for v in ("a", "b")] == [0.5, 0.7]


@pytest.mark.parametrize("note", ["/home/me/a file.csv", "Ü", "..", "x" * 300, "a:b"])
def test_a_parameter_in_a_name_cannot_break_it(note: str, plugins: Plugins) -> None:
    variants = {"a": (use(PRUNE), use(PACK)), "b": (use(PRUNE, note=note), use(PACK))}
    for stage in build_plan(config(variants), plugins).of_kind("optimize"):
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?", stage.name), stage.name


def test_a_step_with_which_a_variant_ends_has_its_name_wherever_else_it_stands(plugins: Plugins) -> None:
    same = msgspec.structs.replace(PACK, accepts=("raw", "packed"))
    variants = {"long": (use(same), use(same, amount=0.7)), "short": (use(same),)}
    plan = build_plan(config(variants), plugins)
    assert ids(plan, "optimize") == ["optimize:short", "optimize:long"]
    assert plan.stages["optimize:long"].inputs[0].stage == "optimize:short"


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


# Baselines that were trained as long

TUNE = msgspec.structs.replace(component("optimizer", "tune", ("raw",), "raw"), trains_like="tune")
TRAINING = msgspec.structs.replace(PRUNE, name="sparse", trains_like="tune")


def planned(variants: dict[str, tuple[Use, ...]], plugins: Plugins, *, gate: bool = True, **select: object) -> Plan:
    more = {("optimizer", c.name): c for c in (TUNE, TRAINING)}
    known = Plugins(plugins.manager, {**plugins.components, **more}, sources=plugins.sources)
    wanted = config(variants)
    wanted.settings["gates"]["max_accuracy_drop"] = 0.01 if gate else None
    wanted.settings["gates"]["equal_training"] = select.pop("equal_training", True)
    wanted.settings["select"].update(select)
    return build_plan(wanted, known)


def compared(plan: Plan) -> dict[str, str]:
    return dict(plan.stages["select:shop"].settings["trained_alike"])


PRUNED = {
    "plain": (use(PACK),),
    "sparse": (use(TRAINING, amount=0.3), use(PACK)),
    "sparse-noted": (use(TRAINING, amount=0.3, note="x"), use(PACK)),
    "longer": (use(TRAINING, amount=0.9), use(PACK)),
    "twice": (use(TRAINING, amount=0.3), use(TRAINING, amount=0.3), use(PACK)),
}


def test_what_trains_is_compared_with_a_baseline_that_was_trained_alike(plugins: Plugins) -> None:
    plan = planned(PRUNED, plugins)
    assert compared(plan) == {
        "sparse": "plain-tune-amount-0.3-note",
        "sparse-noted": "plain-tune-amount-0.3-note-x",
        "longer": "plain-tune-amount-0.9-note",
        "twice": "plain-tune-tune",
    }
    made = plan.stages["optimize:plain-tune-amount-0.9-note"]
    assert made.uses["optimizer"] == use(PACK)
    assert plan.stages[made.inputs[0].stage].uses["optimizer"] == use(TUNE, amount=0.9)
    assert plan.stages["select:shop"].settings["controls"] == list(compared(plan).values())
    tunings = [s for s in plan.of_kind("optimize") if s.uses["optimizer"].component.name == "tune"]
    assert len(tunings) == 4, "the first tuning of `twice` is that of `sparse`"


def test_variants_that_were_trained_alike_share_their_baseline(plugins: Plugins) -> None:
    same = msgspec.structs.replace(TRAINING, name="sparser")
    plan = planned({"plain": (use(PACK),), "a": (use(TRAINING), use(PACK)), "b": (use(same), use(PACK))}, plugins)
    assert compared(plan) == {"a": "plain-tune", "b": "plain-tune"}
    assert ids(plan, "evaluate") == ["evaluate:plain", "evaluate:a", "evaluate:b", "evaluate:plain-tune"]


def test_a_variant_that_is_what_is_needed_is_taken_and_ships_as_any_other(plugins: Plugins) -> None:
    plan = planned({"plain": (use(PACK),), "mine": (use(TUNE), use(PACK)), "a": (use(TRAINING), use(PACK))}, plugins)
    assert compared(plan) == {"a": "mine"}
    assert plan.stages["select:shop"].settings["controls"] == []


def test_a_baseline_that_was_trained_on_gets_the_training_that_it_lacks(plugins: Plugins) -> None:
    variants = {"base": (use(TRAINING, amount=0.3), use(PACK)), **PRUNED}
    plan = planned(variants, plugins, baseline="base")
    assert compared(plan) == {"twice": "base-tune"}, "what was trained alike is compared with the baseline"
    chain = plan.stages["optimize:base-tune"]
    assert plan.stages[chain.inputs[0].stage].uses["optimizer"] == use(TUNE, amount=0.3)


def unlike(plan: Plan) -> dict[str, str]:
    return dict(plan.stages["select:shop"].settings["trained_unlike"])


def test_what_cannot_be_trained_alike_is_said_with_the_reason(plugins: Plugins) -> None:
    variants = {"base": (use(TRAINING, amount=0.3), use(PACK)), **PRUNED}
    before = "the baseline was trained further by tune amount=0.3, the variant by"
    assert unlike(planned(variants, plugins, baseline="base")) == {
        "plain": f"{before} nothing",
        "sparse-noted": f"{before} tune amount=0.3 note=x",
        "longer": f"{before} tune amount=0.9",
    }
    assert unlike(planned(PRUNED, plugins)) == {}
    assert unlike(planned(variants, plugins, baseline="base", gate=False)) == {}


def test_training_in_a_format_that_the_baseline_does_not_have_is_said(plugins: Plugins) -> None:
    later = msgspec.structs.replace(TUNE, name="late-tune", accepts=("packed",), produces="packed", trains_like="tune")
    twin = msgspec.structs.replace(later, trains_like="late-tune")
    known = Plugins(plugins.manager, {**plugins.components, ("optimizer", "late-tune"): twin}, sources=plugins.sources)
    variants = {"plain": (use(PACK),), "late": (use(PACK), use(twin))}
    plan = planned(variants, known)
    assert unlike(plan) == {"late": "in late-tune, pack, the trainer gives raw, but late-tune takes packed"}
    assert ids(plan, "evaluate") == ["evaluate:plain", "evaluate:late"]


def test_a_control_that_the_runtime_does_not_take_is_not_planned(plugins: Plugins) -> None:
    """The baseline ships as it was trained, and what trains further gives another format."""
    runner = component("runtime", "runner", accepts=("packed", "raw"))
    heavy = msgspec.structs.replace(TUNE, name="heavy-tune", produces="heavy", trains_like="heavy-tune")
    sparse = msgspec.structs.replace(heavy, name="heavy-sparse")
    bake = component("optimizer", "bake", ("heavy",), "packed")
    more = {(c.kind, c.name): c for c in (heavy, sparse, bake)}
    known = Plugins(plugins.manager, {**plugins.components, **more}, sources=plugins.sources)
    wanted = config({"plain": (), "a": (use(sparse), use(bake))})
    wanted.uses["runtime"] = Use(runner, {})
    wanted.settings["gates"]["max_accuracy_drop"] = 0.01
    plan = build_plan(wanted, known)
    assert unlike(plan) == {"a": "in heavy-tune, heavy-tune gives heavy, but the runtime takes packed, raw"}


@pytest.mark.parametrize("how", [{"gate": False}, {"equal_training": False}])
def test_without_a_bound_on_the_drop_or_if_told_so_there_is_no_further_baseline(how: dict, plugins: Plugins) -> None:
    plan = planned(PRUNED, plugins, **how)
    assert compared(plan) == {}
    assert len(plan.of_kind("evaluate")) == len(PRUNED)


def test_such_a_baseline_may_be_asked_for_by_its_name(plugins: Plugins) -> None:
    variants = {"plain": (use(PACK),), "a": (use(TRAINING), use(PACK))}
    assert planned(variants, plugins, rule="plain-tune").stages["select:shop"].settings["rule"] == "plain-tune"
    assert "allowed: smallest," in refused(lambda: planned(variants, plugins, rule="plain-tuna"))


def test_the_name_of_such_a_baseline_gives_way_to_a_variants(plugins: Plugins) -> None:
    plan = planned({"plain": (use(PACK),), "plain-tune": (use(TRAINING), use(PACK))}, plugins)
    assert compared(plan) == {"plain-tune": "plain-tune-2"}


def test_what_trains_like_nothing_that_exists_is_the_plugins_mistake(plugins: Plugins) -> None:
    wrong = msgspec.structs.replace(TRAINING, trains_like="tun")
    told = refused(lambda: planned({"plain": (use(PACK),), "a": (use(wrong), use(PACK))}, plugins))
    assert (
        "the model optimizer 'sparse' (test.py) trains like 'tun', which is no model optimizer, did you mean 'tune'?"
        in told
    )


def test_many_variants_are_planned_in_time_that_grows_with_their_number(plugins: Plugins) -> None:
    def work(count: int) -> int:
        calls = 0

        def profile(frame: object, event: str, arg: object) -> None:
            nonlocal calls
            calls += event == "call"

        variants = {f"v{n}": (use(TRAINING, amount=n / count), use(PACK)) for n in range(count)}
        sys.setprofile(profile)
        try:
            planned(variants, plugins)
        finally:
            sys.setprofile(None)
        return calls

    assert work(400) < 2.5 * work(200)


def test_the_baseline_is_the_first_variant_unless_it_is_named(plugins: Plugins) -> None:
    variants = {"a": (use(PACK),), "b": (use(PRUNE), use(PACK))}
    plan = build_plan(config(variants), plugins)
    assert plan.stages["select:shop"].settings["baseline"] == "a"
    named = config(variants)
    named.settings["select"]["baseline"] = "b"
    assert build_plan(named, plugins).stages["select:shop"].settings["baseline"] == "b"


def test_the_repository_is_the_projects_name_unless_it_is_given(plugins: Plugins) -> None:
    assert build_plan(config({"a": (use(PACK),)}), plugins).stages["image:shop"].settings["repository"] == "shop"


def test_every_part_that_a_stage_reads_has_a_file_that_stands_for_it(plugins: Plugins) -> None:
    plan = build_plan(config({"plain": (use(PACK),)}), plugins)
    parts = [(plan.stages[i.stage].kind, i.part) for s in plan.stages.values() for i in s.inputs if i.part]
    assert parts
    for kind, part in parts:
        assert part in PARTS[kind]


# What does not fit


def refused(message_of: Callable[[], object], kind: type[Exception] = PlanError) -> str:
    with pytest.raises(kind) as caught:
        message_of()
    return str(caught.value)


def test_a_step_that_cannot_take_the_format_names_both_ends_and_what_fits(plugins: Plugins) -> None:
    told = refused(lambda: build_plan(config({"a": (use(PACK), use(PRUNE))}), plugins))
    assert told.startswith("[tool.modelyard.variants]: a: 'pack' gives packed, but prune takes raw\n")
    assert told.endswith("model optimizers that fit between them: unpack")


def test_a_chain_that_ends_in_a_format_that_the_runtime_cannot_run_names_what_fits(plugins: Plugins) -> None:
    told = refused(lambda: build_plan(config({"a": ()}), plugins))
    assert "a: the trainer gives raw, but runner (the runtime) takes packed\n" in told
    assert told.endswith("fit between them: pack")


def test_a_model_for_another_trainer_names_the_trainers_that_fit(plugins: Plugins) -> None:
    other = component("model", "torch-net", produces="torch")
    uses = {**config({}).uses, "model": Use(other)}
    told = refused(lambda: build_plan(config({"a": (use(PACK),)}, uses=uses), plugins))
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
    wrong.settings["select"][key] = value
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


def test_two_stages_of_one_name_are_named() -> None:
    told = refused(lambda: sort_stages([stage("a"), stage("a")]))
    assert told == "two stages are called 'optimize:a'\n  give one of them another name"


def test_an_input_that_no_stage_makes_is_named() -> None:
    assert (
        refused(lambda: sort_stages([stage("a", "b")])) == "stage 'optimize:a' reads 'optimize:b', which no stage makes"
    )


def test_a_chain_longer_than_the_recursion_limit_is_sorted() -> None:
    chain = [stage(str(n), *([str(n + 1)] if n < 5000 else [])) for n in range(5001)]
    assert list(sort_stages(chain)) == [f"optimize:{n}" for n in range(5000, -1, -1)]


# A plugin's part in it

AMEND = """
from modelyard import hookimpl
from modelyard.plan import Input, Stage


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
            "stages[0] = Stage('dataset', 'data', inputs=(Input('x', 'train:net'),))",
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
        ("stages.nothing()", PluginError, r"amend.py:8: modelyard_amend_plan raised AttributeError"),
    ],
)
def test_a_plan_that_a_plugin_broke_is_an_error_for_a_person(
    body: str, kind: type[Exception], match: str, make_project: Callable[[dict[str, str]], Path], plugins: Plugins
) -> None:
    assert match in refused(lambda: amended(body, make_project, plugins), kind)


# Properties

STEPS = st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from(["", "a/b", "c"])), max_size=3).map(
    lambda pairs: (*(use(PRUNE, amount=a, note=n) for a, n in pairs), use(PACK))
)
NAMES = st.sampled_from(
    ["a", "b", "prune", "prune-pack", "prune-amount-0.9", "prune-prune", "prune-amount-0.9-2", "pack"]
)


@settings(max_examples=60)
@given(st.dictionaries(NAMES, STEPS, min_size=1, max_size=6))
def test_equal_chains_share_stages_and_others_do_not(plugins: Plugins, variants: dict[str, tuple[Use, ...]]) -> None:
    plan = build_plan(config(variants), plugins)

    def chain_of(stage_id: str) -> tuple[Use, ...]:
        found = plan.stages[stage_id]
        return (*chain_of(found.inputs[0].stage), found.uses["optimizer"]) if found.kind == "optimize" else ()

    for variant, steps in variants.items():
        assert chain_of(plan.stages[f"evaluate:{variant}"].inputs[0].stage) == steps
    chains = [chain_of(stage.id) for stage in plan.of_kind("optimize")]
    prefixes = {repr(steps[: n + 1]) for steps in variants.values() for n in range(len(steps))}
    assert sorted(map(repr, chains)) == sorted(prefixes)
    assert_sorted(plan.stages)


def assert_sorted(stages: dict[str, Stage]) -> None:
    place = {stage_id: number for number, stage_id in enumerate(stages)}
    for found in stages.values():
        assert all(place[i.stage] < place[found.id] for i in found.inputs)


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
