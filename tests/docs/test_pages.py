"""Every page can be read: its blocks are of known languages and well-formed, its links lead somewhere."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Callable

import pytest
import yaml

from tests.docs.pages import LANGUAGES, PAGES, ROOT, Block, blocks

READERS: dict[str, Callable[[str], object]] = {"toml": tomllib.loads, "python": ast.parse, "json": json.loads}


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_its_language_and_can_be_read(page: str) -> None:
    found = blocks(page)
    assert (ROOT / page).read_text(encoding="utf-8").count("\n```") == 2 * len(found), "a fence that is not closed"
    for block in found:
        assert block.language in LANGUAGES, block
        if read := READERS.get(block.language):
            read(block.text)


@pytest.mark.parametrize(
    "block", [b for page in PAGES for b in blocks(page, "yaml") if "{{ name" not in b.text], ids=str
)
def test_every_yaml_block_is_yaml(block: Block) -> None:
    assert yaml.safe_load(block.text)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere_in_the_repository(page: str) -> None:
    place = (ROOT / page).parent
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8")):
        assert (place / link).exists(), f"{page}: {link}"
