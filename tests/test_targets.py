from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelyard.component import Component, Source
from modelyard.contexts import TargetContext
from modelyard.errors import PluginError
from modelyard.kubernetes.checking import RULE_MODULES
from modelyard.kubernetes.findings import RULES
from modelyard.plugins.load import load_plugins
from modelyard.rendering.templates import renderer
from modelyard.targets import _files, template_target

PLUGIN = """\
from modelyard import hookimpl
from modelyard.targets import template_target

@hookimpl
def modelyard_register_targets(register):
    template_target(register, "note", templates=("note/note.yaml.j2",), parameters={"to": "all"}, doc="A note.")
"""


def project(folder: Path, template: str = "to: {{ to }}\nname: {{ name }}\n") -> Path:
    (folder / "plugins/templates/note").mkdir(parents=True)
    (folder / "plugins/note.py").write_text(PLUGIN)
    (folder / "plugins/templates/note/note.yaml.j2").write_text(template)
    return folder


def render(component: Component, folder: Path, **params: Any) -> Path:
    (folder / "out").mkdir()
    image: Any = type("Image", (), {"reference": "a/b:1@sha256:" + "a" * 64, "port": 8080})
    always = {"name": "digits", "version": "1", "image": image, "model": {}}
    context = TargetContext(
        out=folder / "out",
        project=folder,
        cache=folder,
        seed=0,
        progress=lambda *_, **__: None,
        log=print,
        **always,
        render=renderer(folder, component.template_folders, always),
    )
    defaults = {key: one.default for key, one in component.parameters.items()}
    component.function(context, **{**defaults, **params})
    return folder / "out"


def test_a_plugin_of_four_lines_and_a_template_is_a_target(tmp_path: Path) -> None:
    component = load_plugins(project(tmp_path)).get("target", "note", "test")
    assert component.summary == "A note"
    assert {key: (one.annotation, one.default) for key, one in component.parameters.items()} == {"to": (str, "all")}
    made = render(component, tmp_path, to="x:y")
    assert {path.name: path.read_text() for path in made.iterdir()} == {"note.yaml": 'to: "x:y"\nname: "digits"\n'}


def test_the_project_overrides_the_template_of_a_plugin(tmp_path: Path) -> None:
    component = load_plugins(project(tmp_path)).get("target", "note", "test")
    (tmp_path / "templates/note").mkdir(parents=True)
    (tmp_path / "templates/note/note.yaml.j2").write_text("mine: {{ to }}\n")
    assert (render(component, tmp_path) / "note.yaml").read_text() == 'mine: "all"\n'


@pytest.mark.parametrize(
    ("templates", "files"),
    [
        (("note/a.yaml.j2",), ["a.yaml"]),
        (("note/a.yaml.j2", "note/b.txt.j2"), ["a.yaml", "b.txt"]),
        (("helm/Chart.yaml.j2", "helm/templates/x.yaml.j2"), ["Chart.yaml", "templates/x.yaml"]),
        (("a/x.yaml.j2", "b/x.yaml.j2"), ["a/x.yaml", "b/x.yaml"]),
        (("a.yaml.j2", "b/c.yaml.j2"), ["a.yaml", "b/c.yaml"]),
        (("deep/er/a.yaml.j2", "deep/er/b/c.yaml.j2"), ["a.yaml", "b/c.yaml"]),
    ],
)
def test_folders_are_kept_but_the_one_that_all_share(templates: tuple[str, ...], files: list[str]) -> None:
    assert list(_files("a", templates)) == files


@pytest.mark.parametrize("templates", [(), ("a/x.yaml.j2", "a/x.yaml.j2"), ("x.yaml", "x.yaml.j2"), "a.yaml.j2"])
def test_each_template_must_give_a_file_of_its_own(templates: Any) -> None:
    with pytest.raises(PluginError, match="target 'a': templates must name one file each"):
        template_target(lambda *_, **__: None, "a", templates=templates)


def test_the_types_of_the_parameters_are_those_of_their_defaults() -> None:
    made: list[Any] = []
    defaults = {"count": 1, "share": 0.5, "on": True, "hosts": ["a"], "labels": {"a": "b"}}
    template_target(lambda name, function, **_: made.append(function), "a", templates=("a.j2",), parameters=defaults)
    found = Component("target", "a", made[0], Source("a", "project", Path("a.py"))).parameters
    assert {key: one.annotation for key, one in found.items()} == {
        "count": int,
        "share": float,
        "on": bool,
        "hosts": tuple[str, ...],
        "labels": dict[str, str],
    }


def test_what_parameters_mean_and_need_can_be_said() -> None:
    made: dict[str, Any] = {}
    said: dict[str, Any] = {"check": lambda context, **_: [], "preflight": lambda context, **_: []}
    template_target(lambda name, function, **traits: made.update(traits), "a", templates=("a.j2",), **said)
    assert said.items() <= made.items()


def test_registering_targets_imports_nothing_heavy() -> None:
    code = (
        "import sys, modelyard.targets, modelyard_plugins.targets.kubernetes, modelyard_plugins.targets.compose\n"
        "assert not {'jinja2', 'yaml', 'kubernetes_validate', 'modelyard.kubernetes.checking'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


DOCS = Path(__file__).parents[1] / "docs/reference/targets.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCS.read_text(), re.DOTALL | re.MULTILINE)


def test_the_plugin_in_the_documentation_is_a_target_that_passes_the_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plugins/templates/cloudrun").mkdir(parents=True)
    (tmp_path / "plugins/cloudrun.py").write_text(blocks("python")[0])
    (tmp_path / "plugins/templates/cloudrun/service.yaml.j2").write_text(blocks("jinja")[-1])
    component = load_plugins(tmp_path).get("target", "cloudrun", "test")
    made = yaml.safe_load((render(component, tmp_path, min_scale=2) / "service.yaml").read_text())
    assert made["spec"]["template"]["metadata"]["annotations"] == {"autoscaling.knative.dev/min-scale": "2"}
    assert capsys.readouterr().out == ""


def test_the_documentation_lists_every_rule_with_its_severity() -> None:
    assert RULE_MODULES  # to import them is what fills RULES
    listed = dict(re.findall(r"^\| `([a-z-]+)` \| (error|warning) \|", DOCS.read_text(), re.MULTILINE))
    assert listed == {name: rule.severity for name, rule in RULES.items()}
