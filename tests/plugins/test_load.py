from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelyard.component import Source
from modelyard.errors import ConfigError, PluginError
from modelyard.plugins.built_ins import BUILT_IN, BuiltIn
from modelyard.plugins.load import Plugins, _built_in, load_plugins

OPTIMIZER = '''
from modelyard import hookimpl


def half(context, *, bits: int = 16):
    """{doc}"""


@hookimpl
def modelyard_register_optimizers(register):
    register("{name}", half, accepts=("raw",), produces="raw")
'''

MakeProject = Callable[[dict[str, str]], Path]
Install = Callable[..., Path]


def optimizer(name: str = "half-x", doc: str = "Halve it.") -> str:
    return OPTIMIZER.format(name=name, doc=doc)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a tiny distribution, for real: a module, and metadata with an entry point, in a folder on the path."""
    site = tmp_path / "lib" / "site-packages"
    site.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def run(distribution: str, module: str, text: str, version: str = "1.0", point: str | None = None) -> Path:
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[modelyard]\n{module} = {point or module}\n")
        (site / f"{module}.py").write_text(text)
        return site / f"{module}.py"

    yield run
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refused(project: Path) -> str:
    with pytest.raises(PluginError) as caught:
        load_plugins(project)
    return str(caught.value)


def found(plugins: Plugins, name: str = "half-x") -> tuple[str, str]:
    source = plugins.components["optimizer", name].source
    return source.origin, source.name


# Where plugins are found


def test_the_built_ins_go_through_the_same_hooks(tmp_path: Path) -> None:
    plugins = load_plugins(tmp_path)
    assert {c.source.origin for c in plugins.components.values()} == {"built-in"}
    root = Path(sys.modules[BUILT_IN].__path__[0])
    files = {f for f in root.glob("*/*.py") if f.stem != "__init__" and f.parent.name != "support"}
    assert {source.file for source in plugins.sources.values()} == files
    assert {c.source.file for c in plugins.components.values()} <= files


def test_a_built_in_registers_one_component_called_like_its_file() -> None:
    source = Source("optimizers.int8", "built-in", Path("int8.py"))
    wrong = BuiltIn(f"{BUILT_IN}.optimizers.int8", source, ("optimizer", "int4"))
    with pytest.raises(PluginError, match="registers one optimizer, called like its file: 'int4'"):
        _built_in(wrong)


def test_every_parameter_of_a_built_in_says_what_it_is(tmp_path: Path) -> None:
    components = load_plugins(tmp_path).components
    parameters = {(*key, name): p.doc for key, c in components.items() for name, p in c.parameters.items()}
    assert len(parameters) > 100
    assert [key for key, doc in parameters.items() if not doc] == []


def test_a_file_in_the_projects_folder_is_a_plugin(make_project: MakeProject) -> None:
    plugins = load_plugins(make_project({"plugins/a.py": optimizer(), "plugins/sub/b.py": optimizer("other-x")}))
    assert found(plugins) == ("project", "plugins/a.py")
    assert found(plugins, "other-x") == ("project", "plugins/sub/b.py")
    assert plugins.components["optimizer", "half-x"].summary == "Halve it"
    assert plugins.shadowed == []


@pytest.mark.parametrize(
    "name", ["__init__.py", "support/x.py", ".hidden.py", ".ipynb_checkpoints/x-checkpoint.py", "x.txt"]
)
def test_what_is_no_plugin_is_left_alone(name: str, make_project: MakeProject) -> None:
    project = make_project({"plugins/real.py": optimizer(), f"plugins/{name}": "raise ValueError\n"})
    assert found(load_plugins(project)) == ("project", "plugins/real.py")


def test_a_lock_file_of_an_editor_is_no_plugin(make_project: MakeProject) -> None:
    project = make_project({"plugins/real.py": optimizer()})
    (project / "plugins" / ".#real.py").symlink_to("me@host.1234")
    assert found(load_plugins(project)) == ("project", "plugins/real.py")


def test_an_installed_distribution_names_its_plugin_by_an_entry_point(install: Install, tmp_path: Path) -> None:
    file = install("tiny-plugin", "tiny_plugin", optimizer(), version="2.3")
    plugins = load_plugins(tmp_path)
    assert found(plugins) == ("installed", "tiny-plugin:tiny_plugin")
    source = plugins.components["optimizer", "half-x"].source
    assert (source.distribution, source.file) == ("tiny-plugin 2.3", file)


def test_the_nearest_wins_and_what_it_shadows_is_kept(install: Install, make_project: MakeProject) -> None:
    install("tiny-plugin", "tiny_plugin", optimizer())
    project = make_project({"plugins/a.py": optimizer(doc="Mine.")})
    plugins = load_plugins(project)
    assert found(plugins) == ("project", "plugins/a.py")
    assert plugins.components["optimizer", "half-x"].summary == "Mine"
    assert [(far.source.origin, near.source.origin) for far, near in plugins.shadowed] == [("installed", "project")]


def test_a_built_in_may_be_shadowed_from_both_places(install: Install, make_project: MakeProject) -> None:
    built_in = load_plugins(make_project({}))
    kind, name = next(place for place in built_in.components if place[0] == "target")
    text = optimizer(name).replace("optimizers", "targets").replace('accepts=("raw",), produces="raw"', "templates=()")
    install("tiny-plugin", "tiny_plugin", text)
    plugins = load_plugins(make_project({"plugins/a.py": text}))
    assert plugins.components[kind, name].source.origin == "project"
    order = [(far.source.origin, near.source.origin) for far, near in plugins.shadowed]
    assert order == [("built-in", "installed"), ("installed", "project")]


def test_two_installed_plugins_of_one_name_are_both_named(install: Install, tmp_path: Path) -> None:
    one, two = install("one-dist", "one_mod", optimizer()), install("two-dist", "two_mod", optimizer(), version="3")
    told = refused(tmp_path)
    assert told.startswith("two plugins register the optimizer 'half-x':\n")
    assert f"{one} (one-dist 1.0)" in told
    assert f"{two} (two-dist 3)" in told
    assert told.endswith("uninstall or rename one of them")


def test_two_plugins_of_the_project_with_one_name_are_both_named(make_project: MakeProject) -> None:
    told = refused(make_project({"plugins/a.py": optimizer(), "plugins/b.py": optimizer()}))
    assert "plugins/a.py" in told
    assert "plugins/b.py" in told


def test_a_copy_of_a_built_in_is_not_registered_twice_but_an_edited_one_is(make_project: MakeProject) -> None:
    root = Path(sys.modules[BUILT_IN].__path__[0])
    project = make_project({})
    (project / "plugins" / "targets").mkdir(parents=True)
    shutil.copy(root / "targets" / "compose.py", project / "plugins" / "targets")
    assert load_plugins(project).shadowed == []
    with (project / "plugins" / "targets" / "compose.py").open("a") as file:
        file.write("\nEDITED = True\n")
    plugins = load_plugins(project)
    assert {near.source.origin for _, near in plugins.shadowed} == {"project"}


def test_a_link_to_a_built_in_is_not_registered_twice(make_project: MakeProject) -> None:
    root = Path(sys.modules[BUILT_IN].__path__[0])
    project = make_project({})
    (project / "plugins").symlink_to(root)
    assert load_plugins(project).shadowed == []


# Plugins that cannot be loaded


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("x = 1\nimport no_such_module\n", r"plugins/a.py:2: cannot be imported: ModuleNotFoundError: No module named"),
        ("x = 1\n\ny = 1 / 0\n", r"plugins/a.py:3: cannot be imported: ZeroDivisionError"),
        ("x = 1\ndef f(:\n", r"plugins/a.py:2: cannot be imported: SyntaxError"),
        ("import sys\nsys.exit(3)\n", r"plugins/a.py:2: cannot be imported: SystemExit: 3"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named_with_the_line(
    text: str, match: str, make_project: MakeProject
) -> None:
    told = refused(make_project({"plugins/a.py": text}))
    assert match in told
    assert told.endswith("\n  mend it, or move it out of plugins/")


def test_a_syntax_error_elsewhere_is_not_blamed_on_the_plugins_line(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project({"plugins/a.py": "\n\nimport broken_helper\n", "broken_helper.py": "def f(:\n"})
    monkeypatch.syspath_prepend(str(project))
    assert "plugins/a.py:3: cannot be imported: SyntaxError" in refused(project)


def test_an_installed_plugin_that_cannot_be_imported_names_its_distribution(install: Install, tmp_path: Path) -> None:
    install("tiny-plugin", "tiny_plugin", "1 / 0\n", version="2.3")
    told = refused(tmp_path)
    assert told == (
        "plugin 'tiny_plugin' of tiny-plugin 2.3: cannot be imported: ZeroDivisionError: division by zero\n"
        "  update or uninstall tiny-plugin 2.3"
    )


def test_an_entry_point_that_names_no_module_is_an_error(install: Install, tmp_path: Path) -> None:
    install("tiny-plugin", "tiny_plugin", optimizer(), point="tiny_plugin:half")
    assert "'tiny_plugin:half' is not a module" in refused(tmp_path)


# Hooks


@pytest.mark.parametrize("mark", ["@hookimpl\n", ""])
def test_a_misspelt_hook_is_named_with_the_nearest(mark: str, make_project: MakeProject) -> None:
    text = optimizer().replace("@hookimpl\n", mark).replace("register_optimizers", "register_optimizer")
    told = refused(make_project({"plugins/a.py": text}))
    assert "unknown hook 'modelyard_register_optimizer', did you mean 'modelyard_register_optimizers'?" in told
    assert "modelyard_register_targets" in told.splitlines()[1]


def test_a_hook_without_its_mark_is_an_error_that_says_how(make_project: MakeProject) -> None:
    told = refused(make_project({"plugins/a.py": optimizer().replace("@hookimpl\n", "")}))
    assert "a.py: 'modelyard_register_optimizers' is not marked as a hook\n  write `@hookimpl` above it" in told


def test_an_argument_that_the_hook_does_not_have_is_named(make_project: MakeProject) -> None:
    text = optimizer().replace("(register):", "(registry):").replace("    register(", "    registry(")
    told = refused(make_project({"plugins/a.py": text}))
    assert "plugins/a.py" in told
    assert "modelyard_register_optimizers(registry)" in told
    assert "{'registry'}" in told


def test_a_hook_that_raises_is_named_with_the_line(make_project: MakeProject) -> None:
    text = optimizer().replace("    register(", "    raise KeyError('x')\n    register(")
    told = refused(make_project({"plugins/a.py": text}))
    assert "plugins/a.py:11: modelyard_register_optimizers raised KeyError: 'x'" in told


# Names


def test_an_unknown_name_lists_those_that_are_known(make_project: MakeProject) -> None:
    plugins = load_plugins(make_project({"plugins/a.py": optimizer()}))
    assert plugins.get("optimizer", "half-x", "here").name == "half-x"
    with pytest.raises(ConfigError) as caught:
        plugins.get("optimizer", "half-y", "here [table]")
    first, second = str(caught.value).splitlines()
    assert first == "here [table]: unknown model optimizer 'half-y', did you mean 'half-x'?"
    assert "half-x" in second
    assert second.endswith("; run `doit plugins` to see where each comes from")


def test_a_plugin_edited_without_a_trace_in_size_or_mtime_is_loaded_anew(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    project = make_project({"plugins/a.py": optimizer(doc="One.")})
    for doc in ("One", "Two"):
        (project / "plugins" / "a.py").write_text(optimizer(doc=f"{doc}."))
        os.utime(project / "plugins" / "a.py", (1_700_000_000, 1_700_000_000))
        assert load_plugins(project).components["optimizer", "half-x"].summary == doc
