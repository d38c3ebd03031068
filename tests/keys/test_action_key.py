from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from modelyard.code.versions import tool_version
from modelyard.files.digests import DigestTable
from modelyard.keys.action_key import Fingerprint, Fingerprinter, server_files
from modelyard.project.load import load
from modelyard.stage import Stage


def fingerprints(project: Path, overrides: dict[str, str] | None = None, inputs: str = "in") -> dict[str, Fingerprint]:
    """Return the fingerprint of every stage as a new process would find it, every input having the digest `inputs`.

    All projects of a test run share one state file, so that modelyard's own code is parsed once.
    """
    loaded = load(project, overrides)
    table = DigestTable(project.parents[1] / "fingerprints.sqlite")
    printer = Fingerprinter(loaded.folder, table, loaded.plugins)
    found = {
        s.id: printer.fingerprint(s, lambda stage, part: f"{inputs} {stage} {part}")
        for s in loaded.plan.stages.values()
    }
    table.close()
    return found


def changed(before: dict[str, Fingerprint], after: dict[str, Fingerprint]) -> list[str]:
    """Return the kinds of the stages whose key changed, each once."""
    assert before.keys() == after.keys()
    return list(dict.fromkeys(i.partition(":")[0] for i in before if before[i].key != after[i].key))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_every_stage_has_a_key_of_its_own(toy_project: Path) -> None:
    found = fingerprints(toy_project)
    assert len({f.key for f in found.values()}) == len(found)
    for fingerprint in found.values():
        assert re.fullmatch("[0-9a-f]{64}", fingerprint.key)


def test_the_same_project_elsewhere_has_the_same_keys_and_no_part_names_a_place(
    toy_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprints(toy_project)
    shutil.copytree(toy_project, tmp_path / "else where" / "toy")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    after = fingerprints(tmp_path / "else where" / "toy")
    assert {i: f.key for i, f in before.items()} == {i: f.key for i, f in after.items()}
    text = repr([f.parts for f in before.values()])
    assert str(tmp_path) not in text
    assert os.uname().nodename not in text


EDITS: list[tuple[str, str, str, list[str]]] = [
    ("helper.py", "value / 2", "value / 4", ["train"]),
    ("helper.py", '"""Halve it."""', '"""Halve it, they say."""', []),
    ("model.py", "width: int = 4", "width: int = 5", ["train"]),
    ("pyproject.toml", 'use = "centroids"', 'use = "centroids"\npasses = 2', ["train"]),
    ("pyproject.toml", "decimals = 1", "decimals = 2", ["optimize"]),
    ("pyproject.toml", "min_accuracy = 0.5", "min_accuracy = 0.6", ["select"]),
    (
        "pyproject.toml",
        '[tool.modelyard]\nname = "toy"',
        '[tool.modelyard]\nname = "toy"\nseed = 1',
        ["dataset", "train", "optimize"],
    ),
    ("pyproject.toml", 'version = "1.0"', 'version = "1.1"', ["image", "render"]),
    ("pyproject.toml", 'use = "points"', 'use = "points"\nnormalize = "none"', ["dataset"]),
    ("pyproject.toml", 'name = "toy"\nversion', 'name = "other"\nversion', []),
    ("templates/note.txt.j2", "", "more", ["render"]),
    ("server/requirements.txt", "", "# more\n", ["image"]),
]


@pytest.mark.parametrize(("file", "old", "new", "kinds"), EDITS, ids=[f"{e[0]}: {e[2][:30]!r}" for e in EDITS])
def test_a_change_changes_the_keys_of_what_depends_on_it(
    file: str, old: str, new: str, kinds: list[str], toy_project: Path
) -> None:
    before = fingerprints(toy_project)
    if old:
        edit(toy_project / file, old, new)
    else:
        with (toy_project / file).open("a") as end:
            end.write(new)
    assert changed(before, fingerprints(toy_project)) == kinds


def test_a_components_code_counts_for_every_stage_that_uses_it(toy_project: Path) -> None:
    before = fingerprints(toy_project)
    edit(toy_project / "plugins" / "toy.py", "x = np.clip(x, -2, 2)", "x = np.clip(x, -1, 1)")
    assert set(changed(before, fingerprints(toy_project))) == {i.partition(":")[0] for i in before} - {"select"}


def test_a_servers_file_counts_for_the_image(toy_project: Path) -> None:
    before = fingerprints(toy_project)
    (toy_project / "server" / "more.py").write_text("x = 1\n")
    assert changed(before, fingerprints(toy_project)) == ["image"]
    (toy_project / "server" / "__pycache__").mkdir(exist_ok=True)
    after = fingerprints(toy_project)
    (toy_project / "server" / "__pycache__" / "more.pyc").write_bytes(b"x")
    assert changed(after, fingerprints(toy_project)) == []


def test_requirements_of_a_parameter_count_where_it_is_set_whatever_they_are_called(toy_project: Path) -> None:
    for parameter in ("threads", "batching"):
        (toy_project / parameter).mkdir()
        (toy_project / parameter / "more.txt").write_text("# none\n")
    files = '{name: Path(__file__).parents[1] / name / "more.txt" for name in ("threads", "batching")}'
    edit(toy_project / "plugins" / "toy.py", _ENTRY, f"optional_requirements={files},\n{_ENTRY}")
    both, one = {"runtime.batching": "true"}, fingerprints(toy_project)
    assert "runtime requirements batching" not in one["image:toy"].parts
    for parameter in ("threads", "batching"):
        before = fingerprints(toy_project, both)
        (toy_project / parameter / "more.txt").write_text("# some\n")
        assert changed(before, fingerprints(toy_project, both)) == ["image"], parameter


def test_an_environment_variable_that_a_component_reads_counts(
    toy_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOY_EPOCH", raising=False)
    before = fingerprints(toy_project)
    monkeypatch.setenv("TOY_EPOCH", "1")
    assert changed(before, fingerprints(toy_project)) == ["image"]
    monkeypatch.setenv("SOMETHING_ELSE", "1")
    monkeypatch.setenv("TOY_EPOCH", "")
    assert changed(before, fingerprints(toy_project)) == ["image"], "empty is not the same as not there"


def test_an_input_file_counts_by_its_content_not_by_its_name(toy_project: Path) -> None:
    (toy_project / "a.csv").write_text("0,0,0\n")
    (toy_project / "b.csv").write_text("0,0,0\n")
    (toy_project / "c.csv").write_text("0,0,1\n")
    keys = [fingerprints(toy_project, {"dataset.table": f"{name}.csv"})["dataset:points"].key for name in "abc"]
    assert keys[0] == keys[1] != keys[2]
    assert keys[0] != fingerprints(toy_project)["dataset:points"].key


def test_an_input_folder_counts_by_the_names_and_contents_in_it(toy_project: Path) -> None:
    folder = toy_project / "rows"
    folder.mkdir()
    (folder / "1.csv").write_text("0,0,0\n")
    before = fingerprints(toy_project, {"dataset.table": "rows"})
    (folder / "1.csv").rename(folder / "2.csv")
    assert changed(before, fingerprints(toy_project, {"dataset.table": "rows"})) == ["dataset"]


def test_a_digest_of_an_input_counts_for_all_that_read(toy_project: Path) -> None:
    before = fingerprints(toy_project)
    assert set(changed(before, fingerprints(toy_project, inputs="other"))) == {i.partition(":")[0] for i in before} - {
        "dataset"
    }


PLUGIN = """
from modelyard import hookimpl
from {module} import make


@hookimpl
def modelyard_register_optimizers(register):
    register("pack", make({value}), accepts=("toy",), produces="packed")
"""
FACTORY = "def make(value):\n    def pack(context):\n        return value\n\n    return pack\n"


def test_what_a_function_was_made_from_counts(toy_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A factory lives in another file than the plugin that calls it with a value."""
    (toy_project / "factory_of_toy.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(str(toy_project))
    edit(toy_project / "plugins" / "toy.py", 'register("pack"', 'register("unused"')
    plugin = toy_project / "plugins" / "packer.py"
    plugin.write_text(PLUGIN.format(module="factory_of_toy", value=1))
    before = fingerprints(toy_project)
    plugin.write_text(PLUGIN.format(module="factory_of_toy", value=2))
    assert changed(before, fingerprints(toy_project)) == ["optimize"]


HOOK = "from modelyard import hookimpl\n\n\n@hookimpl{options}\ndef {hook}({argument}):\n    value = {value}\n"


@pytest.mark.parametrize(
    ("hook", "argument", "options", "kinds"),
    [
        ("modelyard_before_stage_run", "stage", "", None),
        ("modelyard_after_stage_run", "context", "", None),
        ("modelyard_after_stage_run", "context", "(kinds=('train', 'render'))", ["train", "render"]),
        ("modelyard_before_stage_run", "context", "(observes=True)", []),
        ("modelyard_after_stage_run", "context", "(observes=True, kinds=('evaluate',))", []),
        ("modelyard_amend_manifests", "documents", "", ["render"]),
        ("modelyard_on_stage_error", "error", "", []),
        ("modelyard_amend_plan", "stages", "", []),
    ],
)
def test_a_hook_counts_where_it_may_shape_what_is_written(
    hook: str, argument: str, options: str, kinds: list[str] | None, toy_project: Path
) -> None:
    plugin = toy_project / "plugins" / "hook.py"
    plugin.write_text(HOOK.format(hook=hook, argument=argument, options=options, value=1))
    before = fingerprints(toy_project)
    plugin.write_text(HOOK.format(hook=hook, argument=argument, options=options, value=2))
    every = list(dict.fromkeys(i.partition(":")[0] for i in before))
    assert changed(before, fingerprints(toy_project)) == (every if kinds is None else kinds)


def test_what_is_fingerprinted_names_each_part(toy_project: Path) -> None:
    parts = fingerprints(toy_project)["train:model.build"].parts
    assert parts["kind"] == "train"
    assert parts["seed"] == 0
    assert parts["trainer"] == "centroids"
    assert parts["trainer passes"] == 1
    assert parts["model width"] == 4
    assert parts["input dataset"] == "in dataset:points "
    code = {"code stage", "code trainer", "code model", "code modelyard_read_model_file"}
    assert {name for name in parts if name.startswith("code ")} == code
    assert parts["version numpy"] == tool_version("numpy") != "not installed"
    frameworks = {"tensorflow", "tf-keras", "keras", "torch", "onnx", "onnxruntime", "ai-edge-litert", "ai_edge_litert"}
    assert not frameworks & {name.removeprefix("version ") for name in parts}, "an update of one would train all again"


def test_what_a_component_says_of_its_surroundings_is_in_the_key(toy_project: Path) -> None:
    plugin = toy_project / "plugins" / "toy.py"
    said = 'tools=("msgspec",), environment={"TOY_MODE": "fast"}, reads_environment=("TOY_EPOCH",)'
    edit(plugin, 'reads_environment=("TOY_EPOCH",)', said)
    edit(plugin, 'entrypoint=("python3", "-m", "toy_server"),', 'server_environment={"TOY_THREADS": "1"},\n' + _ENTRY)
    parts = fingerprints(toy_project)["image:toy"].parts
    assert parts["version msgspec"] == tool_version("msgspec")
    assert parts["environment TOY_MODE"] == "fast"
    assert parts["runtime server environment TOY_THREADS"] == "1"
    requirements = (toy_project / "server" / "requirements.txt").read_bytes()
    assert parts["runtime requirements"] == hashlib.sha256(requirements).hexdigest()


_ENTRY = 'entrypoint=("python3", "-m", "toy_server"),'


def test_the_machine_is_in_the_key_of_what_computes_and_of_nothing_else(
    toy_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    host = {"python", "machine", "accelerator", "threads", "environment MKL_CBWR"}
    found = fingerprints(toy_project)
    for stage, one in found.items():
        computes = stage.partition(":")[0] in ("dataset", "train", "optimize", "evaluate")
        assert host & one.parts.keys() == (host if computes else set()), stage
    assert not any("isa" in one.parts for one in found.values())
    train = fingerprints(toy_project, {"isa": "avx2"})["train:model.build"].parts
    assert train["isa"] == "avx2"
    assert train["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_the_inputs_of_a_key_are_told_with_their_places(toy_project: Path, tmp_path: Path) -> None:
    """They are looked at before and after a stage ran."""
    (toy_project / "a.csv").write_text("0,0,0\n")
    loaded = load(toy_project, {"dataset.table": "a.csv"})
    printer = Fingerprinter(loaded.folder, DigestTable(tmp_path / "state.sqlite"), loaded.plugins)
    paths = {s.kind: dict(printer.input_paths(s)) for s in loaded.plan.stages.values() if s.kind != "optimize"}
    server = toy_project / "server"
    assert paths["dataset"] == {"dataset table": str(toy_project / "a.csv")}
    assert paths["train"] == {}
    assert paths["image"] == {"runtime server": str(server), "runtime requirements": str(server / "requirements.txt")}
    templates = toy_project / "templates"
    assert paths["render"] == {
        f"template {name}": str(templates / name) for name in ("note.txt.j2", "signature.txt.j2")
    }
    assert paths["evaluate"] == {}
    sources = printer.sources(loaded.plan.stages["train:model.build"])
    assert {toy_project / "helper.py", toy_project / "plugins" / "toy.py"} <= set(map(Path, sources))


def test_forget_looks_at_every_hook_again(toy_project: Path, tmp_path: Path) -> None:
    plugin = toy_project / "plugins" / "hook.py"
    text = HOOK.format(hook="modelyard_before_stage_run", argument="stage", options="", value="{value}")
    plugin.write_text(text.format(value=1))
    loaded = load(toy_project)
    printer = Fingerprinter(loaded.folder, DigestTable(tmp_path / "state.sqlite"), loaded.plugins)
    stage = loaded.plan.stages["train:model.build"]
    before = printer.fingerprint(stage, lambda *_: "in").key
    assert plugin in set(map(Path, printer.sources(stage)))
    plugin.write_text(text.format(value=2))
    printer.forget()
    assert printer.fingerprint(stage, lambda *_: "in").key != before


def test_forget_looks_at_every_input_again(toy_project: Path, tmp_path: Path) -> None:
    loaded = load(toy_project)
    printer = Fingerprinter(loaded.folder, DigestTable(tmp_path / "state.sqlite"), loaded.plugins)
    stage = loaded.plan.stages["train:model.build"]

    def key() -> str:
        return printer.fingerprint(stage, lambda *_: "in").key

    before = key()
    edit(toy_project / "helper.py", "value / 2", "value / 4")
    printer.forget()
    assert key() != before


def test_the_code_that_a_stage_stands_on_is_told_by_function(toy_project: Path, tmp_path: Path) -> None:
    loaded = load(toy_project)
    printer = Fingerprinter(loaded.folder, DigestTable(tmp_path / "state.sqlite"), loaded.plugins)
    code = printer.code(loaded.plan.stages["train:model.build"])
    assert set(code["helper.py"]) == {"shrink"}
    assert "centroids" in code["plugins/toy.py"]
    assert all(re.fullmatch("[0-9a-f]{12}", digest) for parts in code.values() for digest in parts.values())


def test_a_distribution_that_is_missing_has_a_version_too() -> None:
    assert tool_version("no-such-distribution") == "not installed"
    assert re.match(r"\d", tool_version("msgspec"))


def test_compiled_python_is_no_part_of_a_server(tmp_path: Path) -> None:
    (tmp_path / "server" / "__pycache__").mkdir(parents=True)
    (tmp_path / "server" / "__pycache__" / "a.pyc").write_bytes(b"x")
    (tmp_path / "server" / "a.py").write_text("x = 1\n")
    assert list(server_files(tmp_path / "server", DigestTable(tmp_path / "state.sqlite"))) == ["a.py"]


def test_a_function_that_a_parameter_names_counts_with_its_package(toy_project: Path) -> None:
    trainer = toy_project / "plugins/toy.py"
    edit(trainer, "from modelyard.params import ", "from modelyard.params import OwnLoss, ")
    edit(trainer, "passes: int = 1", 'passes: int = 1, loss: OwnLoss = ""')
    edit(toy_project / "pyproject.toml", 'use = "centroids"', 'use = "centroids"\nloss = "losses:near"')
    package = toy_project / "losses"
    package.mkdir()
    (package / "__init__.py").write_text("from losses.distances import near\n")
    (package / "distances.py").write_text("def near(targets, answers):\n    return 1\n")
    before = fingerprints(toy_project)
    (train,) = (one for one in before if one.startswith("train"))
    assert "code trainer scripts" in before[train].parts
    edit(package / "distances.py", "return 1", "return 2")
    assert changed(before, fingerprints(toy_project)) == ["train"]


def test_a_component_in_two_roles_counts_in_both_whichever_is_looked_at_first(toy_project: Path) -> None:
    loaded = load(toy_project)
    stage = loaded.plan.stages["evaluate:plain"]
    use = stage.uses["task"]
    both = replace(stage, uses={**stage.uses, "task:a": use, "task:b": use})
    with closing(DigestTable(toy_project.parents[1] / "roles.sqlite")) as table:

        def parts(*stages: Stage) -> dict[str, object]:
            printer = Fingerprinter(loaded.folder, table, loaded.plugins)
            return [printer.fingerprint(one, lambda *_: "in") for one in stages][-1].parts

        alone = parts(both)
        assert alone["task:a"] == alone["task:b"] == alone["task"] == "classification"
        assert alone == parts(stage, both)
