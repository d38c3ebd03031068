"""One graph of trivial stages, written for each build tool.

A stage makes two files, a small model and a few facts on it, from the model of an earlier one; stage `n` reads
stage `(n - 1) // 4`, so that 1,000 of them are a tree of six levels. modelyard's project has the toy data set and
model of the tests at the root, and a plugin that puts `copy` stages behind; the others get the same files, and
commands that copy as many. `TOOLS` has a writer and a command for each.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

TOY = Path(__file__).parents[1] / "tests" / "projects" / "toy"

PLUGIN = '''"""A graph of trivial stages."""

from modelyard import hookimpl
from modelyard.component import Use
from modelyard.stage import Input, Stage

COUNT = {count}


def copy(context, *, number: int = 0):
    """Copy the model, and say which copy it is."""
    (context.out / "model.toy").write_text(f"{{context.model.path.read_text()}}\\n{{number}}")


@hookimpl
def modelyard_register_optimizers(register):
    register("copy", copy, accepts=("toy",), produces="toy")


@hookimpl(trylast=True)
def modelyard_amend_plan(stages):
    data, train = stages[:2]
    copier = next(s.uses["optimizer"].component for s in stages if s.kind == "optimize")
    parents = [train.id, *(f"optimize:s{{number}}" for number in range(1, COUNT))]
    stages[2:] = [
        Stage(
            "optimize",
            f"s{{number}}",
            {{"optimizer": Use(copier, {{"number": number}})}},
            {{}},
            (Input("model", parents[(number - 1) // 4]), Input("dataset", data.id)),
            seed=0,
        )
        for number in range(1, COUNT - 1)
    ]
'''


class Node(NamedTuple):
    """One stage: its name, the files that it reads, and the files that it makes."""

    name: str
    reads: list[str]
    makes: list[str]


class Tool(NamedTuple):
    """A build tool: how its project is written, what `build` runs, and what must be run once where all is there already."""

    write: Callable[[Path, list[Node]], None]
    command: list[str]
    adopt: list[str]


# modelyard's project, and the graph that it has


def write_modelyard(folder: Path, count: int) -> None:
    """Write a modelyard project of `count` stages, not built."""
    shutil.copytree(TOY, folder, ignore=shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts"))
    (folder / "plugins" / "graph.py").write_text(PLUGIN.format(count=count))
    config = folder / "pyproject.toml"
    text = config.read_text()
    head, _, rest = text.partition("[tool.modelyard.variants]\n")
    config.write_text(f'{head}[tool.modelyard.variants]\nplain = ["copy", "pack"]\n\n{rest[rest.index("[tool") :]}')


def build_modelyard(folder: Path) -> None:
    """Build a modelyard project, sooner than `doit` does: the stages run in this process, and nothing is flushed to the disk.

    What it leaves is the same.
    """
    from modelyard.build.engine import Engine
    from modelyard.execution.child import run_request
    from modelyard.execution.runner import Run, StageRunner
    from modelyard.execution.watching import Watch
    from modelyard.files import atomic as durable
    from modelyard.project.load import load

    def run(self: StageRunner, stage: Any, sighting: Any, scratch: Path, _on_event: Any) -> Run:
        (scratch / "out").mkdir()
        request = self._request(stage, sighting, scratch, Path(os.devnull))
        result = run_request(request, self._project, Watch(request.project), events)
        assert result.failure is None, result.failure
        return Run(result, 0)

    doit = [sys.executable, "-m", "doit"]
    run_command([*doit, "train"], folder)
    durable.sync = lambda _paths: None  # type: ignore[assignment]
    StageRunner.run = run  # type: ignore[method-assign, assignment]
    engine, events = Engine(load(folder)), os.open(os.devnull, os.O_WRONLY)
    for stage in engine.plan.stages.values():
        engine.bring_up_to_date(stage)
    engine.finish(changed=True)
    engine.close()
    run_command(doit, folder)


def graph_of(project: Path) -> list[Node]:
    """Return the graph of a built project, each stage behind those that it reads."""
    nodes = {}
    for file in project.glob("artifacts/*/*/stage.json"):
        record = json.loads(file.read_text())
        folder = file.parent.relative_to(project)
        reads = [i["stage"].replace(":", "/", 1) for i in record["inputs"].values()]
        nodes[str(folder)] = Node(
            record["stage"].replace(":", "-"),
            sorted({f"artifacts/{one}/stage.json" for one in reads}),
            [f"{folder}/stage.json", *(f"{folder}/{name}" for name in record["outputs"])],
        )
    return list(nodes.values())


def copy_files(nodes: Iterable[Node], source: Path, target: Path) -> None:
    """Copy what the stages of `source` made, in the order of a build, so that times of change are in order too."""
    for node in nodes:
        for name in node.makes:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


def in_order(nodes: Iterable[Node]) -> list[Node]:
    """Return `nodes`, each behind those that it reads."""
    waiting, found = list(nodes), []
    made: set[str] = set()
    while waiting:
        ready = [node for node in waiting if made.issuperset(node.reads)]
        found += ready
        made.update(name for node in ready for name in node.makes)
        waiting = [node for node in waiting if node not in ready] if len(ready) < len(waiting) else []
    return found


# The same for others


def command(node: Node) -> str:
    """Return a shell command that makes the files of a stage, for tools that run commands."""
    first, *others = node.makes
    source = node.reads[-1] if node.reads else "/dev/null"
    return f"mkdir -p {Path(first).parent} && tee {' '.join(others)} < {source} > {first}"


BARE_DOIT = """import json
from pathlib import Path

DOIT_CONFIG = {"backend": "sqlite3", "dep_file": "bare.sqlite"}


def task_all():
    for name, reads, makes, command in json.loads(Path("graph.json").read_text()):
        yield {"name": name, "file_dep": reads, "targets": makes, "actions": [command], "uptodate": [True]}
"""


def write_doit(folder: Path, nodes: list[Node]) -> None:
    (folder / "graph.json").write_text(json.dumps([(*node, command(node)) for node in nodes]))
    (folder / "dodo.py").write_text(BARE_DOIT)


def write_make(folder: Path, nodes: list[Node]) -> None:
    rules = [f"{' '.join(n.makes)} &: {' '.join(n.reads)}\n\t{command(n)}\n" for n in nodes]
    lasts = " ".join(name for n in nodes for name in n.makes)
    (folder / "Makefile").write_text(f".PHONY: all\nall: {lasts}\n\n" + "\n".join(rules))


def write_snakemake(folder: Path, nodes: list[Node]) -> None:
    lasts = [name for n in nodes for name in n.makes]
    rules = [f"rule all:\n    input: {', '.join(map(repr, lasts))}\n"]
    for n in nodes:
        rule = f"rule {n.name.replace('-', '_').replace('.', '_')}:\n"
        rule += f"    input: {', '.join(map(repr, n.reads))}\n" if n.reads else ""
        rules.append(f"{rule}    output: {', '.join(map(repr, n.makes))}\n    shell: {command(n)!r}\n")
    (folder / "Snakefile").write_text("\n".join(rules))


def write_dvc(folder: Path, nodes: list[Node], dvc: str) -> None:
    stages = {n.name.replace(".", "_"): {"cmd": command(n), "deps": n.reads, "outs": n.makes} for n in nodes}
    run_command([dvc, "init", "--no-scm", "-q"], folder)
    run_command([dvc, "config", "cache.type", "reflink,hardlink,copy"], folder)
    run_command([dvc, "config", "core.site_cache_dir", str(folder / "site")], folder)
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))  # JSON is YAML


def bare_doit(folder: Path) -> list[str]:
    """Return the command of a doit that has nothing beside it.

    Where modelyard is installed, doit loads modelyard's command `run`, so the two are to have an environment each.
    """
    import doit

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "doit"], check=True)
    site = next((folder / "doit" / "lib").glob("python*/site-packages"))
    (site / "doit").symlink_to(Path(doit.__file__).parent)
    return [str(folder / "doit" / "bin" / "python"), "-m", "doit"]


def tools(doit: list[str], dvc: str | None, snakemake: str | None) -> dict[str, Tool]:
    """Return the tools to compare with."""
    found = {
        "bare doit": Tool(write_doit, doit, doit),
        "make": Tool(write_make, ["make", "-s"], ["make", "-s", "-t"]),
    }
    if snakemake:
        one = [snakemake, "-c1", "-q", "all"]
        found["snakemake"] = Tool(write_snakemake, one, [*one, "--touch"])
    if dvc:
        found["dvc repro"] = Tool(lambda f, n: write_dvc(f, n, dvc), [dvc, "repro", "-q"], [dvc, "commit", "-f", "-q"])
    return found


def cpu_time(arguments: list[str], folder: Path) -> float:
    """Return the CPU time of one run in seconds, user and system, that of its children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_command(arguments, folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_command(arguments: list[str], folder: Path, timeout_s: float | None = None) -> None:
    """Run a command to its end, as at a terminal: with bytecode kept, which some environments switch off."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        arguments,
        cwd=folder,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment | {"DVC_NO_ANALYTICS": "1"},
        timeout=timeout_s,
    )
