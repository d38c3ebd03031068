"""Where stages run: what an executor is given, and what it must be able to do.

An executor runs commands on machines that need nothing of this one: each reads what it needs from the remote store, and
writes there what it made. So an executor starts, looks and stops; what became of a stage, the store says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

State = Literal["queued", "running", "ended", "unknown"]
"""What an executor knows of a job. Whether it went well is not for it to say; it does not know a job that it forgot, or never had."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A stage to run elsewhere.

    Attributes:
        name: what to call the job: a DNS label, made of the stage's action key.
        stage: the stage, `kind:name`, for people.
        command: the program and its arguments. The program is `python`: that of the environment which modelyard and the
            project's distributions are installed in.
        environment: variables that its process must have. Their values may be secret.
        resources: the named resources that the stage's components use, for instance `gpu`.
    """

    name: str
    stage: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    resources: tuple[str, ...]


class Executor(Protocol):
    """Runs commands on other machines. Several threads may call it at once; what it raises is told as its own mistake."""

    def identity(self) -> str:
        """Return what tells its environment from another one: the digest of an image, or of a lock file.

        What the machines are is asked anew when this changes; in every build, if it is empty.
        """
        ...

    def ask(self, command: Sequence[str]) -> str:
        """Run a short command on one of its machines to its end, as `Job.command`, and return its standard output."""
        ...

    def submit(self, job: Job) -> None:
        """Have `job` run. If one of its name runs or waits already, that is the one, and nothing is started."""
        ...

    def state(self, name: str) -> State:
        """Return what is known of the job called `name`."""
        ...

    def cancel(self, name: str) -> None:
        """Stop the job called `name`, and all that it started; one that has ended is left alone."""
        ...

    def close(self) -> None:
        """Give back what this process holds; jobs that were not cancelled go on."""
        ...


class Here(Protocol):
    """This machine: the workers of the build itself, which stay warm from one stage to the next."""

    def close(self) -> None:
        """End the workers."""
        ...


class ExecutorContext(msgspec.Struct, frozen=True, kw_only=True):
    """What an executor may use.

    Attributes:
        name: the project's name, a DNS label.
        project: the project's folder.
        here: makes the executor `local`.
    """

    name: str
    project: Path
    here: Callable[[], Here]
