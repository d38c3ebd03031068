from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import jinja2.meta
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modelyard.rendering.templates import (
    TemplateError,
    builtin_folder,
    environment,
    find,
    folders,
    references,
    renderer,
    template_files,
)

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.text(
    "ab'\"[]{},:#&*!|>%@`-? \n\t\\", max_size=12
)
ATTACKS = (
    "x', evil: 'y",
    'x", evil: "y',
    ", evil: y",
    "k: v",
    "x #",
    "\n---\nevil: y",
    "}, {evil: y",
    "]\nevil: y",
    ":",
    "'",
    "",
)


def place(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def render(tmp_path: Path) -> Callable[..., str]:
    """Render the text of a template that is called `t.yaml.j2`, line 1 on."""

    def from_text(text: str, **values: object) -> str:
        place(tmp_path, {"templates/t.yaml.j2": text})
        return renderer(tmp_path, (), {"project": "digits"})("t.yaml.j2", **values)

    return from_text


def test_a_value_is_quoted_without_a_filter(render: Callable[..., str]) -> None:
    assert render("a: {{ a }}\nb: {{ b }}\n", a="on", b=[1, "x"]) == 'a: "on"\nb: [1, "x"]\n'


def test_what_is_always_defined_is_there_and_a_call_may_replace_it(render: Callable[..., str]) -> None:
    assert render("{{ project }}") == '"digits"'
    assert render("{{ project }}", project="other") == '"other"'


def test_a_macro_and_a_joined_text_are_values_like_any_other(render: Callable[..., str]) -> None:
    text = "{% macro m() %}x: 1{% endmacro %}a: {{ m() }}\nb: {{ m() ~ user }}\nc: {{ (m()|verbatim) ~ user }}\n"
    assert yaml.safe_load(render(text, user="\nevil: 1")) == {"a": "x: 1", "b": "x: 1\nevil: 1", "c": "x: 1\nevil: 1"}


def test_only_verbatim_puts_text_in_as_it_is(render: Callable[..., str]) -> None:
    assert render("{{ a | safe }} {{ a | verbatim }}", a="x:1,") == '"x:1\\u002c" x:1,'


def shape(value: object) -> object:
    """What is left of parsed YAML without its texts: the structure alone."""
    if isinstance(value, dict):
        return ["mapping", *(shape(inner) for inner in value.values())]
    if isinstance(value, list):
        return ["list", *(shape(inner) for inner in value)]
    return type(value).__name__


# Wherever a template's author puts the value: as a whole scalar, and in all the places where it should not be.
PLACES = (
    "a: {{ x }}\nb: 1\n",
    "{{ x }}: 1\nb: 1\n",
    "- {{ x }}\n- b\n",
    "a: {c: {{ x }}, b: 1}\n",
    "a: {{ x }} # {{ x }}\n",
    "a: 'x{{ x }}y'\nb: 1\n",
    "a: {c: 'x{{ x }}', b: '1'}\n",
    "a: [x {{ x }}, b]\n",
    "a: x {{ x }}\nb: 1\n",
    "- x {{ x }}\n- b\n",
    "- x{{ x }}y\n- b\n",
    "a: |\n  {{ x }}\n  y\nb: 1\n",
    "a: >-\n  y {{ x }}\nb: 1\n",
    "# {{ x }}\na: 1\n",
    'a: "{{ x }}"\nb: 1\n',
    'a: ["x {{ x }} y", b]\n',
    "a: &{{ x }} 1\n",
    "a: !{{ x }} 1\n",
    "x{{ x }}: 1\nb: 1\n",
)


@pytest.mark.parametrize("source", PLACES)
def test_no_text_changes_the_structure_wherever_it_is_put(source: str) -> None:
    made = environment(Path("nowhere")).from_string(source)

    def outcome(text: str) -> object:
        try:
            return shape(list(yaml.safe_load_all(made.render(x=text))))
        except yaml.YAMLError:
            return "not YAML"

    usual = outcome("usual")

    @settings(max_examples=200, deadline=None)
    @given(TEXT)
    def same(text: str) -> None:
        assert outcome(text) in (usual, "not YAML")

    for text in ATTACKS:
        same = example(text)(same)
    same()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(TEXT)
def test_as_a_whole_scalar_text_is_read_back_exactly(render: Callable[..., str], text: str) -> None:
    assert yaml.safe_load(render("- {{ x }}\n- {{ x }}: [{{ x }}]\n", x=text)) == [text, {text: [text]}]


def test_a_text_template_is_not_quoted_and_html_is_escaped(tmp_path: Path) -> None:
    place(tmp_path, {"templates/Dockerfile.j2": "FROM {{ base }}\n", "templates/r.html.j2": "<p>{{ base }}</p>\n"})
    made = renderer(tmp_path, (), {"base": "a<b"})
    assert made("Dockerfile.j2") == "FROM a<b\n"
    assert made("r.html.j2") == "<p>a&lt;b</p>\n"


# --- where a template comes from


def test_the_project_is_nearest_then_the_plugin_then_the_built_ins(tmp_path: Path) -> None:
    plugin = place(tmp_path / "plugin", {"a.yaml.j2": "plugin", "kubernetes/service.yaml.j2": "plugin"})
    project = place(tmp_path / "project", {"templates/kubernetes/service.yaml.j2": "project"})
    assert folders(project, [plugin]) == [project / "templates", plugin, builtin_folder()]
    made = renderer(project, [plugin], {})
    assert made("a.yaml.j2") == "plugin"
    assert made("kubernetes/service.yaml.j2") == "project"
    assert find(project, "kubernetes/service.yaml.j2", [plugin]) == project / "templates/kubernetes/service.yaml.j2"
    assert find(project, "builtin/kubernetes/service.yaml.j2") == builtin_folder() / "kubernetes/service.yaml.j2"


def test_an_override_extends_what_it_overrides(tmp_path: Path) -> None:
    text = '{% extends "builtin/kubernetes/kustomization.yaml.j2" %}{% block more %}\nmine: 1\n{% endblock %}'
    place(tmp_path, {"templates/kubernetes/kustomization.yaml.j2": text})
    made = yaml.safe_load(renderer(tmp_path, (), {})("kubernetes/kustomization.yaml.j2", files=["a.yaml"]))
    assert made["resources"] == ["a.yaml"]
    assert made["mine"] == 1


# --- what a template is made of


def test_template_files_follow_include_extends_and_import(tmp_path: Path) -> None:
    files = {
        "a.j2": '{% extends "b.j2" %}{% from "c.j2" import m %}',
        "b.j2": '{% include ["missing.j2", "d.j2"] ignore missing %}',
        "c.j2": '{% import "a.j2" as a %}',
        "d.j2": '{# {% include "not.j2" %} #}{% raw %}{% include "not.j2" %}{% endraw %}',
        "not.j2": "",
    }
    place(tmp_path / "templates", files)
    assert [file.name for file in template_files(tmp_path, ["a.j2"])] == ["a.j2", "b.j2", "d.j2", "c.j2"]


def test_template_files_follow_an_override_to_the_built_in(tmp_path: Path) -> None:
    name = "kubernetes/service.yaml.j2"
    before = template_files(tmp_path, [name])
    place(tmp_path / "templates", {name: '{% extends "builtin/kubernetes/service.yaml.j2" %}'})
    assert template_files(tmp_path, [name]) == [tmp_path / "templates" / name, *before]


NAMES = st.sampled_from(["a.j2", "x/b.yaml.j2", "c c.j2"])
QUOTED = st.tuples(st.sampled_from("'\""), NAMES).map(lambda pair: pair[0] + pair[1] + pair[0])
DASH = st.sampled_from(["", "-", "+"])
TAGS = st.one_of(
    QUOTED.map(lambda name: f"include {name}"),
    QUOTED.map(lambda name: f"include {name} ignore missing with context"),
    QUOTED.map(lambda name: f"include\n {name}  without context"),
    st.lists(QUOTED, min_size=1, max_size=3).map(lambda names: f"include [{', '.join(names)}]"),
    st.lists(QUOTED, min_size=2, max_size=3).map(lambda names: f"include ({','.join(names)}) ignore missing"),
    QUOTED.map(lambda name: f"import {name} as m"),
    QUOTED.map(lambda name: f"from {name} import m, n as o with context"),
    QUOTED.map(lambda name: f"set v = {name}"),
)
PIECES = st.one_of(
    st.tuples(DASH, TAGS, DASH).map(lambda parts: f"{{%{parts[0]} {parts[1]} {parts[2]}%}}"),
    TAGS.map(lambda tag: f"{{# {{% {tag} %}} #}}"),
    TAGS.map(lambda tag: f"{{% raw -%}}{{% {tag} %}}{{%- endraw %}}"),
    st.sampled_from(["text include 'a.j2'\n", "{{ 'include' }}", "{% if x %}", "%}", "# import\n"]).map(
        lambda text: text + "{% endif %}" if text == "{% if x %}" else text
    ),
)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=6).map("".join))
def test_references_agree_with_jinja(source: str) -> None:
    parsed = jinja2.Environment().parse(source)
    assert references(source) == list(jinja2.meta.find_referenced_templates(parsed))


@pytest.mark.parametrize(
    "name", sorted(p.relative_to(builtin_folder()).as_posix() for p in builtin_folder().rglob("*.j2"))
)
def test_references_of_the_built_ins_agree_with_jinja_and_exist(name: str) -> None:
    source = (builtin_folder() / name).read_text()
    found = references(source, name)
    assert sorted(found) == sorted(
        n or "" for n in jinja2.meta.find_referenced_templates(environment(Path()).parse(source))
    )
    assert all(find(Path("nowhere"), reference) for reference in found)


@pytest.mark.parametrize(
    "tag", ["include x", 'include "a" if x else "b"', 'extends "a" ~ x', "from x import y", "import f() as g"]
)
def test_a_computed_name_is_an_error_because_its_changes_would_go_unseen(tag: str) -> None:
    assert None in jinja2.meta.find_referenced_templates(jinja2.Environment().parse(f"{{% {tag} %}}"))
    with pytest.raises(TemplateError, match=r"^t\.j2:2: the name of a template is computed"):
        references(f"\n{{% {tag} %}}", "t.j2")


def test_naming_the_files_imports_no_jinja(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from modelyard.rendering.templates import template_files\n"
        "assert template_files(Path('.'), ['kubernetes/deployment.yaml.j2'])\n"
        "assert not {'jinja2', 'yaml', 'markupsafe'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- what a person is told


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "a: 1\nb: {{ projct }}\n",
            r"t\.yaml\.j2:2: 'projct' is undefined, did you mean 'project'\?\n  defined here: owner, project",
        ),
        ("a: {{ owner.nmae }}", r"t\.yaml\.j2:1: .*has no attribute 'nmae', did you mean 'name'\?"),
        ("{% if projct %}{% endif %}", r"t\.yaml\.j2:1: 'projct' is undefined"),
        ("a:\n\n{% if %}", r"t\.yaml\.j2:3: Expected an expression"),
        ("{{ project | blok }}", r"t\.yaml\.j2:1: No filter named 'blok', did you mean 'block'\?"),
        ("{% set a = project is strin %}", r"t\.yaml\.j2:1: .*No test named 'strin'.*did you mean 'string'\?"),
        (
            "\n{% include 'kubernetes/servce.yaml.j2' %}",
            r"t\.yaml\.j2:2: .*did you mean 'kubernetes/service.yaml.j2'\?",
        ),
        ("\n\n{{ 1 / 0 }}", r"t\.yaml\.j2:3: ZeroDivisionError"),
        ("\n{{ project.upper }}", r"t\.yaml\.j2:2: QuoteError: a value of type 'builtin_function_or_method'"),
    ],
)
def test_an_error_names_file_line_and_what_was_meant(render: Callable[..., str], source: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        render(source, owner={"name": "a"})


def test_an_error_in_an_included_template_names_that_one(tmp_path: Path) -> None:
    place(tmp_path / "templates", {"a.yaml.j2": '{% include "b.yaml.j2" %}', "b.yaml.j2": "\n{{ gone }}"})
    with pytest.raises(TemplateError, match=r"b\.yaml\.j2:2: 'gone' is undefined"):
        renderer(tmp_path, (), {})("a.yaml.j2")


def test_a_missing_template_names_the_nearest_and_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        TemplateError, match=r"'kubernetes/servise.yaml.j2' is not found, did you mean 'kubernetes/service"
    ):
        renderer(tmp_path, (), {})("kubernetes/servise.yaml.j2")
    with pytest.raises(TemplateError, match="looked in"):
        template_files(tmp_path, ["nope.j2"])


def test_a_name_does_not_leave_the_template_folders(tmp_path: Path) -> None:
    place(tmp_path, {"secret.j2": "", "templates/a.j2": ""})
    assert find(tmp_path, "../secret.j2") is None
    assert find(tmp_path, "builtin/../__init__.py") is None


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/a.j2").write_bytes(b"\xff")
    with pytest.raises(TemplateError, match="cannot be read as a template"):
        template_files(tmp_path, ["a.j2"])
