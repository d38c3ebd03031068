"""How a source is asked to start its broker, and what those that can do so answer."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from tests.contexts.documented import documented, own_fields

from modelyard.component import Component
from modelyard.contexts import BrokerCommand, BrokerPlace
from modelyard.plugins.load import load_plugins

SOURCES = {
    name: one for (kind, name), one in load_plugins(Path(__file__).parent).components.items() if kind == "source"
}


def place(folder: Path, source: Component) -> BrokerPlace:
    return BrokerPlace(
        folder=folder,
        port=4321,
        other_ports=(4322, 4323),
        certificate=folder / "ca.crt",
        key=folder / "tls.key",
        username="check",
        password="secret",
        settings={name: parameter.default for name, parameter in source.parameters.items()},
    )


@pytest.mark.parametrize("struct", [BrokerPlace, BrokerCommand])
def test_each_field_is_documented(struct: type[msgspec.Struct]) -> None:
    assert sorted(documented(struct)) == sorted(own_fields(struct))


def test_a_command_is_an_address_and_words_and_what_is_left_out_is_not_needed() -> None:
    command = BrokerCommand("odd://127.0.0.1:1", ("odd",))
    assert (command.files, command.environment, command.programs, command.lacks) == ({}, {}, (), None)
    assert command.files is not BrokerCommand("odd://", ()).files


def test_a_place_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="positional"):
        BrokerPlace(tmp_path, 1)  # type: ignore[call-arg]


@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_a_broker_listens_where_it_is_told_to_and_writes_into_its_folder(source: Component, tmp_path: Path) -> None:
    assert source.broker is not None
    command = source.broker(place(tmp_path, source))
    assert isinstance(command, BrokerCommand)
    url = urlsplit(command.url)
    assert (url.scheme in source.schemes, url.hostname, url.port) == (True, "127.0.0.1", 4321)
    assert (url.username, url.password) == (None, None), "the server is told them by files of their own"
    assert command.words
    assert all(Path(name).name == name for name in command.files)
    assert command.lacks is None
