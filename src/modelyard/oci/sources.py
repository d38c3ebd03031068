"""The host's own package sources, narrowed to one suite of its distribution.

Addresses and keys stay as the host's administrator wrote them. Sources of third parties are left
out: what they offer would differ from host to host.

Source: sources.list(5), both formats.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ToolError, listing

if TYPE_CHECKING:
    from collections.abc import Iterator

POCKETS = ("", "-updates", "-security", "/updates")
"""What a distribution appends to a suite's name for its corrections."""

LINE = re.compile(r"^deb\s+(?P<options>\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>(\s+\S+)*)\s*$")


def host_suite() -> str:
    """Return the codename of the host's distribution, or an empty string when it has none."""
    path = Path("/etc/os-release")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = re.search(r'^VERSION_CODENAME="?([\w.-]+)"?$', text, re.MULTILINE)
    return found[1] if found else ""


def write_sources(folder: Path, suite: str) -> None:
    """Write the host's sources of its distribution to `folder`, with `suite` in place of the host's own.

    Raises:
        ToolError: the host has no source for its own suite.
    """
    own = host_suite() or suite
    files = list(_host_files())
    lines = [line for file in files if file.suffix == ".list" for line in _lines(file, own, suite)]
    stanzas = [text for file in files if file.suffix == ".sources" for text in _stanzas(file, own, suite)]
    if not lines and not stanzas:
        msg = (
            f"apt: none of this host's sources offers {own!r}; read: {listing(map(str, files))}\n"
            "  add the distribution's own source, or name an image archive with `base_image`"
        )
        raise ToolError(msg)
    (folder / "host.list").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "host.sources").write_text("\n".join(stanzas), encoding="utf-8")


def apt_settings(*names: str) -> dict[str, str]:
    """Return settings of the host's apt, for instance `APT::Architecture`; one that ends in `/f` or `/d` is a path."""
    words = [word for number, name in enumerate(names) for word in (f"V{number}", name)]
    done = subprocess.run(["apt-config", "shell", *words], capture_output=True, text=True, check=False)
    found = dict(re.findall(r"^V(\d+)='(.*)'$", done.stdout, re.MULTILINE))
    return {name: found.get(str(number), "") for number, name in enumerate(names)}


def _host_files() -> Iterator[Path]:
    settings = apt_settings("Dir::Etc::sourcelist/f", "Dir::Etc::sourceparts/d")
    main, parts = (Path(value or "/nonexistent") for value in settings.values())
    if main.is_file():
        yield main
    if parts.is_dir():
        yield from sorted(path for path in parts.iterdir() if path.suffix in (".list", ".sources"))


def _lines(file: Path, own: str, suite: str) -> Iterator[str]:
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        found = LINE.match(line.split("#")[0].strip())
        pocket = _pocket(found["suite"], own) if found else None
        if found and pocket is not None:
            yield f"deb {found['options'] or ''}{found['uri']} {suite}{pocket}{found['components']}"


def _stanzas(file: Path, own: str, suite: str) -> Iterator[str]:
    text = re.sub(r"^#.*\n?", "", file.read_text(encoding="utf-8", errors="replace"), flags=re.MULTILINE)
    for stanza in re.split(r"\n\s*\n", text):
        found = re.search(r"^Suites:(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE | re.IGNORECASE)
        enabled = not re.search(r"^Enabled:\s*(no|false|0)\s*$", stanza, re.MULTILINE | re.IGNORECASE)
        binary = re.search(r"^Types:.*\bdeb\b(?!-)", stanza, re.MULTILINE | re.IGNORECASE)
        if found and enabled and binary:
            pockets = [pocket for word in found[1].split() if (pocket := _pocket(word, own)) is not None]
            suites = " ".join(f"{suite}{pocket}" for pocket in pockets)
            rest = re.sub(
                r"^Types:.*$", "Types: deb", stanza.replace(found[0], f"Suites: {suites}"), flags=re.MULTILINE
            )
            if pockets:
                yield rest.strip() + "\n"


def _pocket(word: str, own: str) -> str | None:
    rest = word.removeprefix(own)
    return rest if word.startswith(own) and rest in POCKETS else None
