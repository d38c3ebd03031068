"""What the pages call a setting's default is what holds where the key is left out."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from modelyard.config.tables import TABLES, Seed, Threads, gate_parameters, parameters_of_table
from tests.configs import Load
from tests.docs.pages import ROOT
from tests.tasks import QUANTITIES

PAGES = ("docs/reference/settings.md", "docs/reference/selection.md")
_ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| .* \|$", re.MULTILINE)


def said(table: str) -> dict[str, str]:
    """Return what the pages say of a table's defaults: by key, the cell."""
    for page in PAGES:
        _, _, rest = (ROOT / page).read_text(encoding="utf-8").partition(f"| `[{table}]` | default | ")
        if rest:
            return dict(_ROW.findall(rest.partition("\n\n")[0]))
    return {}


def value(cell: str) -> object:
    """Return the value that a cell says in TOML; None for one that says in words what holds instead."""
    code = re.fullmatch(r"`([^`]+)`", cell)
    return tomllib.loads(f"it = {code[1]}")["it"] if code else None


@pytest.mark.parametrize("table", [table for table in TABLES if table != "gates"])
def test_every_default_of_a_table_is_the_documented_one(table: str) -> None:
    cells = said(f"tool.modelyard.{table}")
    parameters = parameters_of_table(table)
    assert cells.keys() == parameters.keys()
    for key, parameter in parameters.items():
        default = None if parameter.default == "" else parameter.default
        assert value(cells[key]) == default, key


def test_every_gate_is_left_out_by_default() -> None:
    page = (ROOT / "docs/reference/selection.md").read_text(encoding="utf-8")
    table = page.partition("| `[tool.modelyard.gates]` |")[2].partition("\n\n")[0]
    gates = {key: one.default for key, one in (parameters_of_table("gates") | gate_parameters(QUANTITIES)).items()}
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))) == gates.keys()
    assert {key: default for key, default in gates.items() if default is not None} == {
        "undecided": "measured",
        "equal_training": True,
    }
    assert '`"measured"` (default)' in table


def test_every_default_beside_the_tables_is_the_documented_one(tmp_path: Path) -> None:
    cells = said("tool.modelyard")
    config = Load(tmp_path / "project")({"tool.modelyard": None})
    for key in ("seed", "threads", "isa"):
        assert value(cells.pop(key)) == getattr(config, key), key
    assert cells.keys() == {"name", "version"}, "these are found out"
    given = 'name = "net"\nversion = "2"\nseed = 1\nthreads = 3\nisa = "avx2"'
    config = Load(tmp_path / "other")({"tool.modelyard": given})
    assert (config.name, config.version, config.seed, config.threads, config.isa) == ("net", "2", 1, 3, "avx2")


@pytest.mark.parametrize(("key", "kind"), [("seed", Seed), ("threads", Threads)])
def test_every_whole_number_beside_the_tables_has_the_documented_bounds(key: str, kind: object) -> None:
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    found = re.search(rf"^\| `{key}` \| .* \| .*, (\d+) to (\d+)", page, re.MULTILINE)
    assert found is not None
    low, high = map(int, found.groups())
    assert [msgspec.convert(end, kind) for end in (low, high)] == [low, high]
    for beyond in (low - 1, high + 1):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(beyond, kind)
