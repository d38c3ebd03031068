"""`doit report-diff A B`: what differs between two reports, for a person and for a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelyard.commands.base import ModelyardCommand, print_json
from modelyard.errors import DataError


class ReportDiff(ModelyardCommand):
    """The command `report-diff`."""

    name = "report-diff"
    doc_purpose = "compare two reports"
    doc_usage = "A B"
    doc_description = (
        "A and B are each a report.json of `doit report`, or a folder that holds one; the earlier one first. Tells which "
        "variant ships, every metric that changed and whether for the better, the gates, the classes that changed, the "
        "image, and what all was made of. The text is Markdown, ready for a pull request. Needs no project."
    )

    def run(self, options: Any, names: list[str]) -> int:
        """Compare the two reports that are named."""
        from modelyard.report.compare import compare
        from modelyard.report.compare_text import markdown
        from modelyard.report.facts import read_report

        if len(names) != 2:
            example = "for instance `doit report-diff main/report.json artifacts/report/NAME`"
            msg = f"report-diff: two reports are needed, not {len(names)}\n  {example}"
            raise DataError(msg)
        a, b = (read_report(Path(name)) for name in names)
        diff = compare(a, b)
        if options["json"]:
            print_json(diff)
        else:
            print(markdown(diff))
        return 0
