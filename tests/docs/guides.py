"""Read the guides in docs/: files that they write, commands that they run, what those say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
GUIDES = sorted(
    p.relative_to(DOCS).as_posix() for folder in ("tutorial", "how-to") for p in (DOCS / folder).glob("*.md")
)

_BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that it is (or empty), its text."""

    language: str
    file: str
    text: str


@dataclass(frozen=True)
class Call:
    """A command of a `console` block, and the lines that the guide shows of its output."""

    words: list[str]
    shown: list[str]


def blocks(guide: str) -> list[Block]:
    """Return the fenced blocks of a guide, in order."""
    text = (DOCS / guide).read_text(encoding="utf-8")
    return [Block(m["language"], m["file"] or "", m["text"]) for m in _BLOCK.finditer(text)]


def calls(block: Block) -> list[Call]:
    """Return the commands of a `console` block."""
    found: list[Call] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Call(line[2:].partition("  #")[0].split(), []))
        elif line.strip() and line.strip() != "...":
            found[-1].shown.append(line)
    return found


def write(project: Path, block: Block) -> None:
    """Write the file that a block is; tables of a pyproject.toml replace those of the same name."""
    path = project / block.file
    path.parent.mkdir(parents=True, exist_ok=True)
    text = merged(path.read_text(encoding="utf-8"), block.text) if block.file == "pyproject.toml" else block.text
    path.write_text(text, encoding="utf-8")


def merged(old: str, new: str) -> str:
    """Return the TOML `old` with the tables of `new` in place of its own of the same name."""
    names = re.findall(r"^\[.*\]$", new, re.MULTILINE)
    kept = [table for table in re.split(r"^(?=\[)", old, flags=re.MULTILINE) if table.partition("\n")[0] not in names]
    return "\n".join((*kept, new))
