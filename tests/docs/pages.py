"""Read the pages of the documentation: their blocks, the files that these are, the commands that they run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    p.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "examples/*/README.md", "benchmarks/README.md")
    for p in ROOT.glob(pattern)
)
"""Every page, relative to the checkout."""

LANGUAGES = {"toml", "python", "yaml", "jinja", "console", "sh", "json", "text"}

_BLOCK = re.compile(r"^```(?P<language>\w*)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its page and line, its language, the file that it is (or empty), its text."""

    page: str
    line: int
    language: str
    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Call:
    """A command of a `console` block, and the lines that the page shows of its output."""

    words: list[str]
    shown: list[str]


def blocks(page: str, *languages: str) -> list[Block]:
    """Return the fenced blocks of a page, in order; of the given languages alone, if any is given."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [
        Block(page, text.count("\n", 0, m.start()) + 1, m["language"], m["file"] or "", m["text"])
        for m in _BLOCK.finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]


def calls(block: Block) -> list[Call]:
    """Return the commands of a `console` block."""
    found: list[Call] = []
    for line in _lines(block):
        if line.startswith("$ "):
            found.append(Call(line[2:].partition("  #")[0].split(), []))
        elif line.strip() and line.strip() != "...":
            found[-1].shown.append(line)
    return found


def commands(block: Block) -> str:
    """Return what a person types of a `console` or `sh` block: the script without prompts and output."""
    if block.language == "sh":
        return block.text
    return "".join(f"{line[2:]}\n" for line in _lines(block) if line.startswith("$ "))


def _lines(block: Block) -> list[str]:
    """Return the lines of a block; one that ends with a backslash goes on in the next."""
    return block.text.replace("\\\n", " ").splitlines()


def write(project: Path, block: Block) -> None:
    """Write the file that a block is; tables of a pyproject.toml replace those of the same name."""
    path = project / block.file
    path.parent.mkdir(parents=True, exist_ok=True)
    text = merged(path.read_text(encoding="utf-8"), block.text) if block.file == "pyproject.toml" else block.text
    path.write_text(text, encoding="utf-8")


def write_files(page: str, project: Path) -> None:
    """Write every file that the blocks of a page are."""
    for block in blocks(page):
        if block.file:
            write(project, block)


def merged(old: str, new: str) -> str:
    """Return the TOML `old` with the tables of `new` in place of its own of the same name."""
    names = re.findall(r"^\[.*\]$", new, re.MULTILINE)
    kept = [table for table in re.split(r"^(?=\[)", old, flags=re.MULTILINE) if table.partition("\n")[0] not in names]
    return "\n".join((*kept, new))
