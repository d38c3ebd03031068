"""The built-in plugins: that each has its test and its page, and that the core names none of them."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.component import KINDS, kind_name
from modelyard.config.tables import USING
from modelyard.plugins.built_ins import built_ins, defaults
from modelyard.plugins.load import load_plugins

ROOT = Path(__file__).parents[2]
CORE = ROOT / "src/modelyard"
NAMES = sorted({one.component[1] for one in built_ins() if one.component})
OTHERWISE = {
    "artifacts/names.py": ({"keras", "torch"}, "formats of files, called like the library that writes them"),
    "commands/cli.py": ({"command"}, "an argument of argparse"),
    "execution/watching.py": ({"import"}, "an event that Python tells auditors of"),
    "frontend/plugin_package.py": (
        {"digits", "float32"},
        "words of the lines that show how a package's component is used",
    ),
    "kubernetes/deploying/cluster.py": ({"cluster"}, "a key of kubeconfig"),
    "kubernetes/event_triggers.py": (
        {"amqp", "kafka", "nats", "redis"},
        "the schemes of addresses that KEDA counts at",
    ),
    "launch/needs.py": ({"docker"}, "the distribution that speaks to an engine"),
    "rendering/templates.py": ({"import"}, "a word of Jinja's"),
    "serving/backends/__init__.py": ({"litert", "onnxruntime"}, "the server's own backends, which it is shipped with"),
    "serving/oip/describe.py": ({"classification"}, "an extension of Triton's"),
    "serving/oip/wanted.py": ({"classification"}, "a parameter of Triton's"),
    "serving/settings.py": ({"litert"}, "the server's own backend"),
    "serving/tensor_facts.py": ({"softmax"}, "the activation of an answer"),
    "serving/tfserving/http.py": ({"classification", "regression"}, "methods of TensorFlow Serving's"),
    "stages/dataset.py": ({"softmax"}, "the activation of an answer"),
    "stages/signature_check.py": ({"softmax"}, "the activation of an answer"),
    "tensors.py": ({"softmax"}, "the activation of an answer"),
    "testing/__init__.py": (
        {"arrays", "digits-cnn", "float32", "tensorflow"},
        "the small project that plugin authors are given to try theirs in",
    ),
    "testing/component.py": (
        {"docker", "keras", "onnxruntime", "tensorflow", "torch"},
        "modules that take long to import",
    ),
    "testing/target.py": ({"softmax"}, "the activation of an answer"),
}
"""Words that are something else in their file, and what."""
DTYPES = {"float16", "float32", "int8"}
"""Model optimizers that are called like the type that they give."""


def texts(code: str) -> Iterator[str]:
    """Yield each text of the code that is no docstring; of one with values in it, what stands between them in one piece."""
    tree = ast.parse(code)
    nodes = list(ast.walk(tree))
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone | parts:
            yield node.value


def named(text: str) -> set[str]:
    """Return the built-in components that a text is the name of, or names in quotes; one of an example stands for any."""
    if "for instance" in text:
        return set()
    quoted = re.findall(r"""['"`]([a-z0-9-]+)['"`]""", text)
    return {name for name in NAMES if name in (text, *quoted)} - (DTYPES if text in DTYPES else set())


def found() -> dict[str, set[str]]:
    names: dict[str, set[str]] = {}
    for file in sorted(CORE.rglob("*.py")):
        for text in texts(file.read_text()):
            names.setdefault(str(file.relative_to(CORE)), set()).update(named(text))
    return {file: inside for file, inside in names.items() if inside}


def test_the_core_names_no_built_in_component() -> None:
    assert found() == {file: names for file, (names, _) in OTHERWISE.items()}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("oci", {"oci"}),
        ("use the builder 'oci'", {"oci"}),
        ("or the target `compose`, or kubernetes", {"compose"}),
        ("for instance 'fine-tune'", set()),
        ("float32", set()),
        ('use = "float32"', {"float32"}),
    ],
)
def test_what_names_a_component_is_seen(text: str, names: set[str]) -> None:
    assert named(text) == names


def of_kinds() -> dict[str, set[str]]:
    """Return the names of the built-in components of each kind."""
    kinds = defaultdict(set)
    for kind, name in filter(None, (one.component for one in built_ins())):
        kinds[kind].add(name)
    return kinds


def mentioned(code: str) -> set[str]:
    """Return what a test may know a component by: the modules that it imports, its texts, and what stands in quotes in one."""
    found: set[str] = set()
    for text in texts(code):
        found |= {text, *re.findall(r'"([a-z0-9-]+)"', text)}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{one.name}" for one in node.names)}
    return found


def tried(kind: str) -> set[str]:
    """Return what the tests in the folder of a kind mention."""
    tests = (ROOT / "tests/plugins" / f"{kind}s").glob("test_*.py")
    return set().union(*(mentioned(test.read_text()) for test in tests))


def test_each_built_in_component_is_named_by_a_test_in_the_folder_of_its_kind() -> None:
    found = {kind: tried(kind) for kind in of_kinds()}
    missing = []
    for one in built_ins():
        kind, name = one.component or ("", "")
        if kind and not {one.module, one.source.file.stem, name} & found[kind]:
            missing.append(f"tests/plugins/{kind}s: {name}")
    assert missing == [], "write a test there of what each of these does"


def documented() -> dict[str, tuple[set[str], str]]:
    """Return for each kind what the settings' page lists as built in, and the text of the page that it sends one to."""
    page = ROOT / "docs/reference/settings.md"
    _, _, table = page.read_text(encoding="utf-8").partition("## Built-in components\n")
    rows = re.findall(r"^\| (.*?) \| (.*?) \| \[.*?\]\(([^)#]*).*?\) \|$", table, re.MULTILINE)
    kinds = {kind_name(kind): kind for kind in KINDS}
    return {
        kinds[title]: (set(re.findall(r"`([^`]+)`", names)), (page.parent / link).read_text(encoding="utf-8"))
        for title, names, link in rows
    }


def test_each_built_in_component_is_listed_with_the_settings_and_named_by_the_page_of_its_kind() -> None:
    pages = documented()
    assert {kind: names for kind, (names, _) in pages.items()} == of_kinds()
    missing = {
        kind: [name for name in sorted(names) if not re.search(rf"""[`".]{re.escape(name)}[`"\]]""", page)]
        for kind, (names, page) in pages.items()
    }
    assert not any(missing.values()), f"{missing}: name each of these where a reader looks for those of its kind"


def test_what_a_project_gets_that_names_none_is_there(tmp_path: Path) -> None:
    plugins = load_plugins(tmp_path)
    assert plugins.defaults == defaults()
    assert set(defaults()) <= {*USING.values(), "optimizer"}
    assert all((kind, name) in plugins.components for kind, name in defaults().items())
