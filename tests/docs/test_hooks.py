"""The page on the hooks: one section for each, in their order, and every example works."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelyard.component import KINDS
from modelyard.hookspecs import HOOKS, TRAITS, ComponentTraits
from modelyard.plugins.load import load_plugins
from modelyard.testing import check_executor, check_handler

if TYPE_CHECKING:
    import subprocess

Doit = Callable[..., "subprocess.CompletedProcess[str]"]

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "hooks.md").read_text()
SECTIONS = {text.partition("(")[0]: text for text in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}
(HANDLER,) = re.findall(r"^```text\n(def backwards.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
CONFIG = """
[tool.modelyard]
name = "stripes"

[tool.modelyard.dataset]
use = "stripes"

[tool.modelyard.model]
use = "linear"

[tool.modelyard.train]
use = "least-squares"

[tool.modelyard.runtime]
use = "numpy"

[tool.modelyard.image]
use = "archive"

[tool.modelyard.events]
use = "spool"

[tool.modelyard.variants]
full = []
half = ["half"]

[tool.modelyard.gates]
min_accuracy = 0.9
max_log_loss = 0.7
max_overconfidence = 0.99
confusion = { most = 0.2 }

[tool.modelyard.metrics.log-loss]

[tool.modelyard.metrics.overconfidence]

[tool.modelyard.targets.note]

[tool.modelyard.agreement]
least = 0.8
"""


def example(hook: str) -> str:
    blocks = re.findall(r"^```python\n(.*?)^```", SECTIONS[hook], re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, hook
    return str(blocks[0])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of the page's plugins alone, one file for each hook."""
    for hook in HOOKS:
        file = tmp_path / "plugins" / f"{hook.removeprefix('modelyard_')}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(example(hook))
    server = tmp_path / "plugins" / "support" / "matrix_server"
    server.mkdir(parents=True)
    (server / "__main__.py").write_text("")
    (server / "requirements.txt").write_text("")
    client = tmp_path / "plugins" / "support" / "spool_client"
    client.mkdir()
    (client / "__init__.py").write_text("def open_source(place):\n    raise ConnectionError('empty')\n")
    handler = tmp_path / "plugins" / "support" / "backwards_handler"
    handler.mkdir()
    (handler / "__init__.py").write_text(HANDLER)
    (tmp_path / "pyproject.toml").write_text(CONFIG)
    (tmp_path / "dodo.py").write_text((Path(__file__).parents[2] / "dodo.py").read_text())
    return tmp_path


def test_every_hook_has_a_heading_with_its_signature_in_their_order() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert headings == [f"{name}({', '.join(inspect.signature(hook).parameters)})" for name, hook in HOOKS.items()]


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_says_when_and_where_it_is_called(name: str) -> None:
    doc = inspect.getdoc(HOOKS[name])
    assert doc
    assert re.search(r"\bCalled\b", SECTIONS[name])
    assert re.search(r"\bworkers?\b|`doit` process", SECTIONS[name])


@pytest.mark.parametrize("name", [name for name in HOOKS if "register" in name])
def test_every_registration_shows_its_arguments(name: str) -> None:
    traits = TRAITS[name.removeprefix("modelyard_register_").removesuffix("s")].__annotations__
    special = [trait for trait in traits if trait not in ComponentTraits.__annotations__]
    call = re.search(r"^`register\((.*)\)`$", SECTIONS[name], re.MULTILINE)
    assert call
    assert re.findall(
        r"\w+",
        call[1].replace("=()", "").replace("=None", "").replace("=True", "").replace("=False", "").replace('=""', ""),
    ) == [
        "name",
        "function",
        *special,
        "traits",
    ]
    for trait in special:
        assert f"`{trait}`" in SECTIONS[name] or f"`{trait}(" in SECTIONS[name]


@pytest.mark.parametrize("trait", ComponentTraits.__annotations__)
def test_the_common_traits_are_explained(trait: str) -> None:
    assert f"- `{trait}`: " in PAGE


def test_every_example_implements_its_hook(project: Path) -> None:
    plugins = load_plugins(project)
    for name in HOOKS:
        caller = getattr(plugins.manager.hook, name)
        files = {plugins.sources[found.plugin_name].file.stem for found in caller.get_hookimpls()}
        assert name.removeprefix("modelyard_") in files
    mine = {c.kind for c in plugins.components.values() if c.source.origin == "project"}
    assert mine == set(KINDS)


def test_the_examples_together_build(project: Path, doit: Doit) -> None:
    done = doit(project)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (project / "artifacts" / "render" / "note" / "start.txt").read_text()
    assert re.fullmatch(r"podman run -p 8080:8080 stripes:[0-9a-f]{12}@sha256:[0-9a-f]{64}\n", text)
    assert (project / "artifacts" / "agreement" / "half" / "agreement.txt").read_text() == "1.0000\n"
    assert "out_files" in (project / "artifacts" / "train" / "linear" / "stage.json").read_text()


def test_a_kind_of_stage_is_listed_as_the_page_shows(project: Path, doit: Doit) -> None:
    section = SECTIONS["modelyard_register_kinds"]
    (command, screen), *others = re.findall(r"^```console\n\$ doit (.*)\n((?:.*\n)*?)```", section, re.MULTILINE)
    assert not others
    (table,) = re.findall(r"^```toml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert table in CONFIG
    assert doit(project, *command.split()).stdout == screen


def test_the_handler_of_the_page_keeps_the_contract(project: Path) -> None:
    answered = check_handler("backwards", project=project, samples={"text": ["abc", b"de"]})
    assert answered["text"].tolist() == [b"cba", b"ed"]


def test_an_edited_hook_that_shapes_outputs_makes_them_stale(project: Path, doit: Doit) -> None:
    assert doit(project, "dataset").returncode == 0
    assert "up to date 1" in doit(project, "dataset").stdout
    hook = project / "plugins" / "after_stage_run.py"
    hook.write_text(hook.read_text().replace("out_files", "all_files"))
    assert "built 1" in doit(project, "train").stdout
    error = project / "plugins" / "on_stage_error.py"
    error.write_text(error.read_text().replace("the on-call page", "a page"))
    assert "up to date 1" in doit(project, "dataset").stdout
    manifests = project / "plugins" / "amend_manifests.py"
    manifests.write_text(manifests.read_text().replace("vision", "sound"))
    assert "up to date 1" in doit(project, "dataset").stdout


def test_the_example_of_an_executor_runs_what_the_guide_says_elsewhere(
    project: Path, doit: Doit, tmp_path: Path
) -> None:
    guide = (Path(__file__).parents[2] / "docs/how-to/run-stages-on-other-machines.md").read_text()
    (table,) = re.findall(r"^```toml\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    desk, config = tmp_path / "desk", project / "pyproject.toml"
    desk.mkdir()
    config.write_text(f"{CONFIG}\n{table.replace('/srv/modelyard', f'{tmp_path}/remote')}folder = {str(desk)!r}\n")
    done = doit(project, "train", "optimize:half")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "asking the executor 'processes' what its machines are" in done.stdout + done.stderr
    assert (project / "artifacts" / "train" / "linear" / "stage.json").exists()
    assert list((tmp_path / "remote" / "traces").glob("*/*.json"))


@pytest.mark.thorough
def test_the_executor_of_the_page_keeps_the_contract(project: Path, tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    desk.mkdir()
    check_executor("processes", project=project, params={"folder": str(desk)}, remote=f"file://{tmp_path}/remote")
