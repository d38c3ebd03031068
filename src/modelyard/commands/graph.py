"""`doit graph`: the stages and their states as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.commands.base import ProjectCommand, option, print_json
from modelyard.errors import ConfigError, ToolError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMATS = (("mermaid", "text that GitHub and GitLab draw"), ("dot", "for Graphviz"), ("svg", "a picture"))


class Graph(ProjectCommand):
    """The command `graph`."""

    name = "graph"
    doc_purpose = "draw the stages and their states"
    doc_usage = "[STAGE ...] [--format FORMAT] [--output FILE] [KEY=VALUE ...]"
    doc_description = (
        "Draws every stage, or those named with all that they read: up to date, stale (will run, or come back from the "
        "store), may run (something that it reads will run first), or missing. Needs no other program, for SVG neither."
    )
    cmd_options = (
        *ProjectCommand.cmd_options,
        option("format", str, "", "the form; by default that of the file's ending, else mermaid", _FORMATS),
        option("output", str, "", "write to this file instead of the terminal"),
    )

    def answer(self, engine: Any, options: Any, names: list[str]) -> int:
        """Draw the graph."""
        from modelyard.explain.graph import FORMATS

        graph = graph_of(engine, self.stages(engine.plan, names))
        if options["json"]:
            print_json({"stages": graph.nodes, "edges": graph.edges})
            return 0
        text = FORMATS[chosen_format(options["format"], options["output"])](graph)
        if options["output"]:
            _write(Path(options["output"]), text)
        else:
            print(text, end="")
        return 0


def chosen_format(name: str, output: str) -> str:
    """Return the form to draw in.

    Raises:
        ConfigError: neither the option nor the file's ending names one.
    """
    from modelyard.explain.graph import ENDINGS

    if name or not output:
        return name or "mermaid"
    ending = Path(output).suffix.lower()
    if ending not in ENDINGS:
        msg = f"graph: the ending of {output!r} names no format\n  endings: {', '.join(ENDINGS)}; or add --format"
        raise ConfigError(msg)
    return ENDINGS[ending]


def graph_of(engine: Any, stages: Sequence[Any]) -> Any:
    """Return the graph of `stages` and all that they read, with the state of each."""
    from modelyard.explain.graph import Graph as Drawing
    from modelyard.explain.graph import Node

    verdicts = engine.judge.verdicts(stages)
    found = [engine.plan.stages[name] for name in verdicts]
    nodes = [Node(stage.id, verdicts[stage.id].status) for stage in found]
    edges = [(upstream.id, stage.id) for stage in found for upstream in engine.plan.upstream(stage)]
    return Drawing(nodes, edges)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as exc:
        msg = f"graph: {path}: cannot be written: {exc.strerror}"
        raise ToolError(msg) from exc
