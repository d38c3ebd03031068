"""Everything in a project that can be changed, and which stages depend on it directly."""

from __future__ import annotations

from dataclasses import dataclass

from tests.front_door.world import (
    Change,
    World,
    append,
    both,
    edit,
    edit_all,
    installed,
    move_function,
    move_table,
    put,
    setting,
    start,
    variable,
)

VARIANTS = ("plain", "shifted", "rounded", "coarse")
DATASET, TRAIN, SELECT, IMAGE, RENDER = "dataset:points", "train:model.build", "select:toy", "image:toy", "render:note"
OPTIMIZE = frozenset({f"optimize:{v}" for v in (*VARIANTS, "shift", "round", "round-scale")})
EVALUATE = frozenset({f"evaluate:{v}" for v in VARIANTS})
STAGES = frozenset({DATASET, TRAIN, *OPTIMIZE, *EVALUATE, SELECT, IMAGE, RENDER})
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Knob:
    """Something that can be changed.

    Attributes:
        stages: those whose result it shapes directly; what else runs follows from the bytes.
        changes: the values that it can have beside the one at the start.
        meanings: for each value, the first one included, a number: values with the same number mean the same.
    """

    stages: frozenset[str]
    changes: tuple[Change, ...]
    meanings: tuple[int, ...]


def knob(stages: frozenset[str] | str, *changes: Change, meanings: tuple[int, ...] = ()) -> Knob:
    return Knob(
        frozenset([stages]) if isinstance(stages, str) else stages, changes, meanings or tuple(range(len(changes) + 1))
    )


_ROWS = [f"{0.01 * i + (i % 3 == 1):.2f},{0.02 * (i % 7) + (i % 3 == 2):.2f},{i % 3}" for i in range(30)]
_TABLE, _OTHER_TABLE = "\n".join(_ROWS), "\n".join([*_ROWS[:-1], "0.50,0.50,2"])


def data_file(name: str, text: str) -> Change:
    return both(put(name, text), setting("dataset", f'table = "{name}"'))


def users_file(name: str, text: str) -> Change:
    return both(put(name, text), setting("runtime", f'users = "{name}"'))


def lock_file(name: str, text: str) -> Change:
    return both(put(name, text), setting("image", f'lock = "{name}"'))


MEANINGFUL: dict[str, Knob] = {
    # Parameters and settings, named `table.key`
    "seed": knob(frozenset({DATASET, TRAIN, *OPTIMIZE}), setting("", "seed = 7")),
    "threads": knob(frozenset({DATASET, TRAIN, *OPTIMIZE, *EVALUATE}), setting("", "threads = 1"), setting("", "threads = 2"), meanings=(0, 1, 0)),
    "dataset.samples": knob(DATASET, setting("dataset", "samples = 90"), setting("dataset", "samples = 60"), meanings=(0, 1, 0)),
    "dataset.noise": knob(DATASET, setting("dataset", "noise = 0.2")),
    "dataset.normalize": knob(DATASET, setting("dataset", 'normalize = "standard"')),
    "dataset.table": knob(DATASET, data_file("table.csv", _TABLE), data_file("table.csv", _OTHER_TABLE), data_file("moved.csv", _TABLE), meanings=(0, 1, 2, 1)),
    "dataset.names": knob(DATASET, edit("data/names/1.txt", "right", "east"), put("data/names/3.md", "read as a part of its folder")),
    "model.width": knob(TRAIN, setting("model", "width = 8")),
    "train.passes": knob(TRAIN, setting("train", "passes = 2")),
    "round.decimals": knob("optimize:round", edit_all("pyproject.toml", "decimals = 1", "decimals = 0"), edit_all("pyproject.toml", "decimals = 1", "decimals = 2")),
    "scale.factor": knob("optimize:round-scale", edit("pyproject.toml", "factor = 2", "factor = 3"), edit("pyproject.toml", "factor = 2", "factor = 1")),
    "shift.amount": knob("optimize:shift", edit("pyproject.toml", "amount = 0.25", "amount = 0.5")),
    "runtime.threads": knob(frozenset({*EVALUATE, IMAGE}), setting("runtime", "threads = 2")),
    "runtime.batching": knob(IMAGE, setting("runtime", "batching = true")),
    "runtime.users": knob(IMAGE, users_file("users.txt", "ada"), users_file("users.txt", "bob"), users_file("moved.txt", "ada"), meanings=(0, 1, 2, 1)),
    "evaluate.batch_size": knob(EVALUATE, setting("evaluate", "batch_size = 7")),
    "evaluate.latency_samples": knob(EVALUATE, setting("evaluate", "latency_samples = 20")),
    "evaluate.slices": knob(EVALUATE, setting("evaluate", 'slices = ["side"]')),
    "evaluate.test_sets": knob(EVALUATE, setting("evaluate", 'test_sets = ["corners"]')),
    "evaluate.workers": knob(EVALUATE, setting("evaluate", "workers = 1")),
    "evaluate.warmup": knob(EVALUATE, setting("evaluate", "warmup = 2"), setting("evaluate", "warmup = 20"), meanings=(0, 1, 0)),
    "gates.min_accuracy": knob(SELECT, edit("pyproject.toml", "min_accuracy = 0.5", "min_accuracy = 0.6"), edit("pyproject.toml", "min_accuracy = 0.5", "min_accuracy = 0.50"), meanings=(0, 1, 0)),
    **{f"gates.{gate}": knob(SELECT, setting("gates", f"{gate} = {value}")) for gate, value in (
        ("min_class_accuracy", "0.1"), ("max_accuracy_drop", "0.9"), ("max_class_accuracy_drop", "0.95"), ("max_size_ratio", "50"),
        ("max_gzip_size", '"1 GB"'), ("max_gzip_ratio", "50"), ("max_layer_size", '"1 GB"'), ("max_layer_size_ratio", "50"), ("max_latency_p50", '"10 s"'), ("max_latency_ratio", "1000"),
        ("undecided", '"fail"'),
    )},
    "gates.max_size": knob(SELECT, setting("gates", 'max_size = "1 GB"')),
    "gates.max_latency_p99": knob(SELECT, setting("gates", 'max_latency_p99 = "10 s"')),
    "select.rule": knob(SELECT, setting("select", 'rule = "plain"'), setting("select", 'rule = "most-accurate"')),
    "select.baseline": knob(frozenset({SELECT, *EVALUATE}), setting("select", 'baseline = "rounded"'), setting("select", 'baseline = "plain"'), meanings=(0, 1, 0)),
    "image.repository": knob(IMAGE, setting("image", 'repository = "acme/toy"'), setting("image", 'repository = "toy"'), meanings=(0, 1, 0)),
    "image.tag": knob(IMAGE, setting("image", 'tag = "v2"')),
    "image.note": knob(IMAGE, setting("image", 'note = "by hand"')),
    "image.base": knob(IMAGE, setting("image", 'base = "debian@sha256:0123"'), setting("image", 'base = "debian@sha256:4567"')),
    "image.lock": knob(IMAGE, lock_file("image.lock", "libc6 2.36"), lock_file("image.lock", "libc6 2.41"), lock_file("pins/image.lock", "libc6 2.36"), meanings=(0, 1, 2, 1)),
    "serve.port": knob(IMAGE, setting("serve", "port = 9000")),
    "targets.note.greeting": knob(RENDER, setting("targets.note", 'greeting = "bye"')),
    # Code
    "the code of the model": knob(TRAIN, edit("model.py", '"width": width', '"width": width + 1')),
    "a helper that the model imports": knob(TRAIN, edit("helper.py", "half(value)", "half(value) / 2"), edit("helper.py", "half(value)", "half(half(value))")),
    "the code of the project's plugin": knob(STAGES - {"optimize:shift", SELECT}, edit("plugins/toy.py", "sort_keys=True", "sort_keys=True, indent=1")),
    "the server's code": knob(IMAGE, append("server/__init__.py", "# not even a comment may differ in an image\n")),
    # What is installed
    "the version of an installed plugin": knob("optimize:shift", installed("toy_extras", "1.1")),
    "the version of a tool that a component declares": knob("optimize:shift", installed("toy_tool", "2.0")),
    "the version of a library that the helper imports": knob(TRAIN, installed("toy_library", "1.2")),
    # Other files and the environment
    "the pinned requirements": knob(IMAGE, edit("server/requirements.txt", "1.0", "1.1")),
    "a template": knob(RENDER, edit("templates/note.txt.j2", "{{ greeting }}", "{{ greeting }}!")),
    "a template that it includes": knob(RENDER, edit("templates/signature.txt.j2", "modelyard", "Modelyard")),
    "the project's version": knob(frozenset({IMAGE, RENDER}), edit("pyproject.toml", 'version = "1.0"', 'version = "2.0"')),
    "an environment variable that the builder declares": knob(IMAGE, variable("TOY_EPOCH", "1"), variable("TOY_EPOCH", "2")),
}  # fmt: skip

MEANINGLESS: dict[str, Knob] = {
    "serve.host": knob(NONE, setting("serve", 'host = "0.0.0.0"')),
    "check.start": knob(NONE, setting("check", "start = false")),
    "check.samples": knob(NONE, setting("check", "samples = 3")),
    "check.events": knob(NONE, setting("check", "events = false")),
    "check.tolerance": knob(NONE, setting("check", "tolerance = 0.5")),
    "check.timeout_s": knob(NONE, setting("check", "timeout_s = 5")),
    "gates.equal_training": knob(NONE, setting("gates", "equal_training = false")),  # no variant of the toy is trained again
    "export.folder": knob(NONE, setting("export", 'folder = "elsewhere"')),
    "push.insecure": knob(NONE, setting("push", "insecure = true")),
    "store.wait": knob(NONE, setting("store", "wait = false")),
    "store.mode": knob(NONE, setting("store", 'mode = "off"')),
    "store.timeout_s": knob(NONE, setting("store", "timeout_s = 3")),
    "resources.train": knob(NONE, setting("resources", "train = 1")),
    "a comment": knob(NONE, append("model.py", "\n# nothing new\n"), append("plugins/toy.py", "\n# nothing new\n")),
    "a docstring": knob(NONE, edit("helper.py", "Halve it.", "Return the half.")),
    "the layout": knob(NONE, edit("model.py", '{"classes": classes, ', '{\n        "classes": classes,\n        ')),
    "the order of functions": knob(NONE, move_function),
    "the order of tables": knob(NONE, move_table),
    "a comment in pyproject.toml": knob(NONE, append("pyproject.toml", "# nothing new\n")),
    "a file that nothing reads": knob(NONE, put("notes.txt", "unread")),
    "a module that nothing imports": knob(NONE, put("unused.py", "raise SystemExit\n")),
    "the time zone": knob(NONE, variable("TZ", "Pacific/Chatham")),
    "the language": knob(NONE, variable("LC_ALL", "C")),
    "the order of hashes": knob(NONE, variable("PYTHONHASHSEED", "5")),
    "the home folder": knob(NONE, variable("HOME", "/nowhere")),
    "a variable that nothing declares": knob(NONE, variable("TOY_OTHER", "1")),
}  # fmt: skip

KNOBS = {**MEANINGFUL, **MEANINGLESS}
_EVENTS = (
    "input",
    "output",
    "dead_letter",
    "group",
    "url",
    "order",
    "attempts",
    "retry_s",
    "ack_wait_s",
    "max_in_flight",
)
UNTOUCHED = {
    **{
        f"events.{key}": "the toy's server takes no events; tests/config and tests/serving/events have them"
        for key in _EVENTS
    },
    **{
        f"handlers.{key}": "the toy's clients send numbers; tests/front_door/test_handlers_road.py has them"
        for key in ("after", "answer", "before", "outputs", "requirements")
    },
    **{
        f"executor.{key}": "the toy's stages run here; tests/front_door/test_elsewhere.py has other machines"
        for key in ("kinds", "retries")
    },
    **{
        f"cross_validation.{key}": "it makes stages, and changes none; tests/front_door/test_cross_validation.py has them"
        for key in ("folds", "variants")
    },
    "store.path": "another store knows nothing of earlier results",
    "store.remote": "tests/store has remotes",
    "store.options": "a remote's",
    "name": "stages are called by it",
    "reads.undeclared": "tests/front_door/test_unseen.py has what is not declared",
    "reads.harmless_files": "it says what shapes nothing",
    "reads.harmless_variables": "it says what shapes nothing",
}
"""Settings that are no knobs, each with the reason."""


@dataclass(frozen=True)
class State:
    """A value for each knob that is not as at the start."""

    values: tuple[tuple[str, int], ...] = ()

    def turned(self, name: str, value: int) -> State:
        """Return the state with the knob `name` at `value`; 0 is as at the start."""
        values = {**dict(self.values), name: value}
        return State(tuple((n, values[n]) for n in KNOBS if values.get(n)))

    def world(self) -> World:
        """Return the world in this state."""
        return start().changed(*(KNOBS[name].changes[value - 1] for name, value in self.values))

    def meaning(self, stage: str) -> tuple[tuple[str, int], ...]:
        """Return what of this state shapes `stage` directly, without what means the same as at the start."""
        shaping = [(name, KNOBS[name].meanings[value]) for name, value in self.values if stage in KNOBS[name].stages]
        return tuple((name, meaning) for name, meaning in shaping if meaning)
