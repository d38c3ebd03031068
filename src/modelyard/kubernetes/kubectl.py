"""Call the user's `kubectl`: the one way to a cluster, with the user's own configuration and rights."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from typing import Any

from modelyard.errors import ToolError


@dataclass(frozen=True)
class Kubectl:
    """The user's `kubectl`, for one context and namespace (empty: those of the user's configuration)."""

    program: str
    context: str = ""
    namespace: str = ""

    @classmethod
    def find(cls, context: str = "", namespace: str = "") -> Kubectl:
        """Return the `kubectl` on PATH.

        Raises:
            ToolError: there is none.
        """
        program = shutil.which("kubectl")
        if program is None:
            msg = "kubectl is not found on PATH\n  install it: https://kubernetes.io/docs/tasks/tools/"
            raise ToolError(msg)
        return cls(program, context, namespace)

    def plain(self) -> Kubectl:
        """Return it for no namespace: for what is in none."""
        return replace(self, namespace="")

    def words(self, *arguments: str) -> list[str]:
        """Return the whole command for `arguments`."""
        options = [f"--context={self.context}"] if self.context else []
        options += [f"--namespace={self.namespace}"] if self.namespace else []
        return [self.program, *options, *arguments]

    def shown(self, *arguments: str) -> str:
        """Return the command as a person types it."""
        return " ".join(["kubectl", *self.words(*arguments)[1:]])

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run it, with `stdin` to read, and return what it said; a failure is the caller's to judge."""
        return subprocess.run(self.words(*arguments), capture_output=True, text=True, check=False, input=stdin)

    def read(self, *arguments: str) -> Any:
        """Return what `kubectl ... -o json` answers, or None when it fails."""
        done = self.run(*arguments, "-o", "json")
        try:
            return json.loads(done.stdout) if done.returncode == 0 else None
        except json.JSONDecodeError:
            return None

    def must(self, what: str, *arguments: str, stdin: str = "") -> str:
        """Run it and return its output.

        Raises:
            ToolError: it failed; the message says `what` failed, the command, and kubectl's own words.
        """
        done = self.run(*arguments, stdin=stdin)
        if done.returncode != 0:
            msg = f"{what}: {last_words(done)}\n  the command was: {self.shown(*arguments)}"
            raise ToolError(msg)
        return done.stdout


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a failed `kubectl` said, without the log lines of its libraries, or its exit code."""
    lines = [line for line in done.stderr.strip().splitlines() if not _is_log(line)]
    return "\n  ".join(lines[:8]) or f"kubectl ended with code {done.returncode} and said nothing"


def is_forbidden(words: str) -> bool:
    """Tell whether `kubectl` says that the user has not the right to do what it was asked for."""
    return "(Forbidden)" in words


def _is_log(line: str) -> bool:
    return line[:1] in "EWI" and line[1:5].isdigit()
