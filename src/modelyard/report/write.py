"""Write the report: `index.html`, `report.md` and `report.json`, each whole or not at all."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.files.json import write_json
from modelyard.files.scratch import Scratch
from modelyard.rendering.templates import renderer
from modelyard.report.page import functions, lay_out
from modelyard.report.words import markdown_text

if TYPE_CHECKING:
    from modelyard.report.facts import Report
    from modelyard.report.material import Material

_NUMBERS = re.compile(rb"\[\s+((?:(?:-?[0-9][0-9.eE+-]*|null),?\s+)+)\]")
"""A list of numbers in indented JSON; no text holds one, since a line break in it is escaped."""

_UNFINISHED = ".unfinished"

TEMPLATES = {"index.html": "report/index.html.j2", "report.md": "report/report.md.j2"}
"""The template of each file."""


def write(report: Report, material: Material, project: Path, out: Path) -> None:
    """Render the templates and write the files to `out`.

    Args:
        report: the facts.
        material: what pictures are made of.
        project: the project's folder; its own templates come before the built-in ones.
        out: the folder; made if need be.

    Raises:
        TemplateError: a template has a mistake.
        DataError: an artifact is damaged.
    """
    values = {"report": report, "page": lay_out(report, material), "text": markdown_text, **functions()}
    render = renderer(project, (), values)
    texts = {name: render(template) for name, template in TEMPLATES.items()}
    out.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(Scratch(out / _UNFINISHED)) as scratch:
        scratch.sweep()  # what a report that was killed left
        with scratch.folder() as drafts:
            for name, text in texts.items():
                (drafts / name).write_text(text, encoding="utf-8", newline="\n")
            _write_facts(drafts / "report.json", report)
            for name in (*texts, "report.json"):
                (drafts / name).replace(out / name)
    with contextlib.suppress(OSError):  # another report is being written there
        (out / _UNFINISHED).rmdir()


def _write_facts(file: Path, report: Report) -> None:
    write_json(file, report)
    file.write_bytes(_NUMBERS.sub(lambda found: b"[" + b" ".join(found[1].split()) + b"]", file.read_bytes()))
