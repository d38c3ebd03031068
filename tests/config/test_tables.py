from __future__ import annotations

import re

import msgspec
import pytest

from modelyard.component import REQUIRED
from modelyard.config.tables import OPTIONAL, PLAIN, TABLES, USING, Name, Seed, parameters_of_table

NAMES = ["a", "0", "a-b", "a" * 52, "3d-net"]
NOT_NAMES = ["", "-a", "a-", "A", "a_b", "a.b", "a b", "a" * 53, "a\n", "\na", "ä"]


@pytest.mark.parametrize("name", NAMES)
def test_a_dns_label_is_a_name(name: str) -> None:
    assert msgspec.convert(name, Name) == name


@pytest.mark.parametrize("name", NOT_NAMES)
def test_what_is_no_dns_label_is_no_name(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(name, Name)


@pytest.mark.parametrize(("seed", "fits"), [(0, True), (2**32 - 1, True), (-1, False), (2**32, False)])
def test_a_seed_is_what_numpy_takes(seed: int, fits: bool) -> None:
    numpy = pytest.importorskip("numpy")
    try:
        msgspec.convert(seed, Seed)
    except msgspec.ValidationError:
        assert not fits
        with pytest.raises(ValueError, match="Seed must be between"):
            numpy.random.seed(seed)
    else:
        assert fits
        numpy.random.seed(seed)


@pytest.mark.parametrize("table", TABLES)
def test_every_default_keeps_to_its_own_type(table: str) -> None:
    parameters = parameters_of_table(table)
    assert parameters
    for parameter in parameters.values():
        assert parameter.default is not REQUIRED, "a table that is left out must work"
        assert msgspec.convert(parameter.default, parameter.annotation) == parameter.default


def test_every_table_is_read_by_the_configuration() -> None:
    assert set(TABLES) == {*PLAIN, *USING, *OPTIONAL} & set(TABLES)
    assert set(PLAIN) <= set(TABLES)
    assert parameters_of_table("train") == {}


@pytest.mark.parametrize("table", TABLES)
def test_every_table_says_what_it_is(table: str) -> None:
    assert re.match(rf"`\[tool\.modelyard\.{table}\]`", TABLES[table].__doc__ or "")
