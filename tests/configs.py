"""A project whose components do nothing, and its configuration with some tables replaced: for tests of what is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelyard.config.config import Config
from modelyard.config.read import load_config
from modelyard.errors import ConfigError
from modelyard.plugins.load import load_plugins

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PLUGIN = '''
from pathlib import Path

from modelyard import hookimpl
from modelyard.params import Fraction, InputPath, PositiveInt


def data(context, *, samples: PositiveInt = 10, table: InputPath | None = None):
    """Make data.

    Args:
        table: a CSV file.
    """


def train(context, *, epochs: PositiveInt = 1, rate: float = 0.1):
    """Train."""


def prune(context, *, sparsity: Fraction):
    """Prune."""


def pack(context):
    """Pack."""


def run(folder, *, threads: PositiveInt = 1, workers: PositiveInt = 1):
    """Run."""


def single(folder, *, threads: PositiveInt = 1):
    """Run one model alone."""


def deploy(context, *, replicas: PositiveInt = 1):
    """Deploy."""


@hookimpl
def modelyard_register_datasets(register):
    register("data", data)


@hookimpl
def modelyard_register_models(register):
    register("net", lambda input_shape, classes: None, produces="raw")


@hookimpl
def modelyard_register_trainers(register):
    register("trainer", train, produces="raw")


@hookimpl
def modelyard_register_optimizers(register):
    register("prune", prune, accepts=("raw",), produces="raw")
    register("pack", pack, accepts=("raw",), produces="packed")


@hookimpl
def modelyard_register_runtimes(register):
    here = Path(__file__)
    server = {"server": here.parent, "requirements": here, "entrypoint": ("python3", "x.py")}
    register("runner", run, accepts=("packed",), serving_only=("workers",), serves_several=True, **server)
    register("single", single, accepts=("packed",), **server)


@hookimpl
def modelyard_register_targets(register):
    register("cluster", deploy, templates=())
'''

BASE = {
    "[project]": 'name = "Some.Project"\nversion = "2.1"',
    "[tool.modelyard]": "seed = 7",
    "[tool.modelyard.dataset]": 'use = "data"',
    "[tool.modelyard.model]": 'use = "net"',
    "[tool.modelyard.train]": 'use = "trainer"\nepochs = 3',
    "[tool.modelyard.runtime]": 'use = "runner"',
    "[tool.modelyard.variants]": 'plain = ["pack"]\npruned = [{ use = "prune", sparsity = 0.5 }, "pack"]',
}


class Load:
    """Loads the base configuration with some tables replaced (None: left out) and overrides."""

    def __init__(self, project: Path) -> None:
        (project / "plugins").mkdir(parents=True)
        (project / "plugins" / "all.py").write_text(PLUGIN)
        (project / "data.csv").write_text("1,2\n")
        self.project = project
        self.plugins = load_plugins(project)

    def __call__(self, tables: Mapping[str, str | None] | None = None, **overrides: str) -> Config:
        merged = BASE | {f"[{name}]": text for name, text in (tables or {}).items()}
        self.write("\n".join(f"{name}\n{body}\n" for name, body in merged.items() if body is not None))
        return self.read({key.replace("__", "."): value for key, value in overrides.items()})

    def write(self, text: str) -> None:
        (self.project / "pyproject.toml").write_text(text, encoding="utf-8", newline="")

    def read(self, overrides: Mapping[str, str] | None = None) -> Config:
        return load_config(self.project, self.plugins, overrides)

    def refused(self, tables: Mapping[str, str | None] | None = None, **overrides: str) -> str:
        with pytest.raises(ConfigError) as caught:
            self(tables, **overrides)
        return str(caught.value)
