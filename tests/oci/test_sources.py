from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ToolError
from modelyard.oci import sources

if TYPE_CHECKING:
    from pathlib import Path

DEB822 = """\
Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://third.example
Suites: nodistro
Components: main

Types: deb
Enabled: no
URIs: http://off.example
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example
Suites: bookworm
Components: main
"""
LINES = """\
deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian bookworm main contrib # note
# deb http://off.example bookworm main
deb-src http://one.example/debian bookworm main
deb http://one.example/debian-security bookworm-security main
deb https://third.example cloud-sdk-bookworm main
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = [tmp_path / "a.list", tmp_path / "b.sources"]
    files[0].write_text(LINES)
    files[1].write_text(DEB822)
    monkeypatch.setattr(sources, "_host_files", lambda: iter(files))
    monkeypatch.setattr(sources, "host_suite", lambda: "bookworm")
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_keeps_the_distribution_only_with_addresses_and_keys(host: Path) -> None:
    sources.write_sources(host, "bookworm")
    assert (host / "host.list").read_text().splitlines() == [
        "deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian bookworm main contrib",
        "deb http://one.example/debian-security bookworm-security main",
    ]
    text = (host / "host.sources").read_text()
    assert "Suites: bookworm bookworm-updates\n" in text
    assert "Types: deb\n" in text
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" in text
    assert not {"third.example", "off.example", "source.example", "backports"} & set(
        text.replace("/", " ").replace("-", " ").split()
    )


def test_another_suite_takes_the_place_of_the_hosts(host: Path) -> None:
    sources.write_sources(host, "trixie")
    assert "trixie-security main" in (host / "host.list").read_text()
    assert "Suites: trixie trixie-updates\n" in (host / "host.sources").read_text()


def test_a_host_without_sources_is_told_about_base_image(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "host_suite", lambda: "noble")
    with pytest.raises(ToolError, match="base_image"):
        sources.write_sources(host, "noble")
