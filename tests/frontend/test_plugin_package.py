"""`modelyard init --plugin`: the package of plugins that it writes can be installed, and keeps its contracts."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from tests.examples.environments import clean, install, new_environment, see

from modelyard import testing
from modelyard.component import KINDS
from modelyard.config.tables import USING
from modelyard.errors import ConfigError
from modelyard.frontend.plugin_package import OFFERS, new_plugin
from modelyard.frontend.scaffold import new_project

PAGE = Path(__file__).parents[2] / "docs/how-to/write-an-optimizer.md"
WITHOUT_A_TRAINING = ("dataset", "executor", "handler", "target")
"""Kinds whose tests train no model, and wait for nothing."""


def passed(folder: Path, python: Path, *files: str) -> str:
    """Return the last line that the package's own tests say."""
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=folder, env=clean(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_every_file_of_each_kind_is_filled_in_and_is_python(tmp_path: Path) -> None:
    for kind in OFFERS:
        new_plugin(tmp_path / kind, "modelyard-acme", [kind])
        for file in filter(Path.is_file, (tmp_path / kind).rglob("*")):
            text = file.read_text()
            assert "@" not in text.replace('"$@"', "").replace("@hookimpl", "").replace(
                "\n@contextmanager", ""
            ).replace("\n@dataclass", ""), file
            if file.suffix == ".py":
                ast.parse(text)


def test_what_is_offered_has_a_check_and_its_component_is_called_as_it_says(tmp_path: Path) -> None:
    for kind, offer in OFFERS.items():
        assert hasattr(testing, f"check_{kind}")
        new_plugin(tmp_path / kind, "acme", [kind])
        name = offer.name.replace("@short@", "acme").replace("@word@", "acme")
        text = (tmp_path / kind / f"src/acme/{kind}.py").read_text()
        assert re.search(rf'(register\(|template_target\(\s*register,)\s*"{name}"', text), f"{kind} registers {name!r}"
        assert text.startswith(f'"""The {offer.title} `{name}`."""')
    assert set(OFFERS) == set(KINDS)
    (listed,) = re.findall(r"`--kind` names others, as often as you like: (.*?);", PAGE.read_text(), re.DOTALL)
    assert re.findall(r"`(\w+)`", listed) == sorted(OFFERS)


def test_the_lines_that_show_how_all_of_them_are_used_are_one_configuration(tmp_path: Path) -> None:
    new_plugin(tmp_path / "ours", "acme", [*OFFERS])
    shown = re.search(r"```toml\n(.*?)```", (tmp_path / "ours/README.md").read_text(), re.DOTALL)
    assert shown
    tables = tomllib.loads(shown[1])["tool"]["modelyard"]
    assert set(tables) == {*USING, "variants"} | {
        "events",
        "executor",
        "handlers",
        "metrics",
        "gates",
        "targets",
        "acme_card",
    }


def test_a_kind_that_is_not_offered_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no kind 'exector' is offered, did you mean 'executor'\?\n  offered: builder, "
    ):
        new_plugin(tmp_path / "x", "acme", ["exector"])
    assert not (tmp_path / "x").exists()


@pytest.mark.thorough
@pytest.mark.slow
def test_a_package_of_plugins_passes_its_own_tests_and_is_found_by_a_project(tmp_path: Path) -> None:
    told = new_plugin(tmp_path / "ours", "modelyard-acme", [*WITHOUT_A_TRAINING, "optimizer"])
    assert told.startswith(f"modelyard-acme: 17 files in {tmp_path}/ours\n  next: cd {tmp_path}/ours && python -m pip")
    python = new_environment(tmp_path / "venv")
    see(python, editable=True)
    install(python, tmp_path / "ours")
    light = [f"tests/test_{kind}.py" for kind in WITHOUT_A_TRAINING]
    assert passed(tmp_path / "ours", python, *light).startswith("4 passed")
    new_project(tmp_path / "project")
    listed = subprocess.run(
        [
            python,
            "-m",
            "doit",
            "list",
            "--all",
            'variants={ r = ["acme-round", "float32"] }',
            "targets={acme-script={}}",
        ],
        cwd=tmp_path / "project",
        env=clean(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "optimize:acme-round" in listed.stdout, listed.stderr
    assert "render:acme-script" in listed.stdout


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_component_of_each_kind_that_is_offered_keeps_its_contract(tmp_path: Path) -> None:
    new_plugin(tmp_path / "ours", "acme", [*OFFERS])
    python = new_environment(tmp_path / "venv")
    see(python, editable=True)
    install(python, tmp_path / "ours")
    assert passed(tmp_path / "ours", python).startswith(f"{len(OFFERS)} passed")


@pytest.mark.parametrize(
    "name", ["Acme", "9acme", "acme-", "a.b", "modelyard", "modelyard-plugins", "class", "json", ""]
)
def test_a_name_that_a_package_cannot_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"init: '.*' is not allowed as a name, did you mean 'modelyard-[a-z0-9-]+'"):
        new_plugin(tmp_path / "x", name)
    assert not (tmp_path / "x").exists()
