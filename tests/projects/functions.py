"""A task, a runtime, an image builder, a metric, a gate and an executor: functions of the project, without a plugin."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from modelyard import traits
from modelyard.metrics import Quantity
from modelyard.task import Score, Scores, Task

HIT = Quantity(name="hit_rate", better="higher", unit="fraction", title="hits", sampled=True, detail=0)
"""What the task measures; `@traits` says it once more, in literals."""


class Shortlist(Task):
    def __init__(self, length):
        self.length = length

    def check(self, splits):
        from modelyard.tensors import OutputFacts

        return OutputFacts(name="probabilities", shape=(3,), activation="softmax", labels=tuple(splits.class_names))

    def accumulator(self, output):
        return Hits(self.length)


class Hits:
    def __init__(self, length):
        self.length, self.hits = length, []

    def update(self, block):
        likeliest = (-block.own).argsort(axis=1)[:, : self.length]
        self.hits += (likeliest == block.labels[:, None]).any(axis=1).tolist()

    def merge(self, later):
        self.hits += later.hits

    def result(self):
        from modelyard.metrics.sampled import mean_of

        hits = np.array(self.hits)
        return Scores([Score(mean_of(HIT, hits), hits)])


@traits(
    metrics=(
        {"name": "hit_rate", "better": "higher", "unit": "fraction", "title": "hits", "sampled": True, "detail": 0},
    ),
    loss="cross-entropy",
)
def shortlist(*, length: int = 2):
    """Name a few."""
    return Shortlist(length)


@traits(better="lower")
def log_loss(context, *, floor: float = 1e-7):
    """Measure what lacks."""
    labels = context.dataset.y("test")
    return -np.log(np.maximum(context.answers[np.arange(len(labels)), labels].astype("float64"), floor))


def wide(context, *, most: float = 0.5):
    """Rule out what is too unsure."""
    if float(np.mean(context.answers.max(axis=1))) < most:
        yield f"is surer than {most} of nothing"


class Nearest:
    def __init__(self, folder):
        from modelyard.artifacts import Model

        self.model = Model.open(folder)
        self.centers = np.array(json.loads(self.model.path.read_text())["centers"])

    def predict(self, raw):
        weight = np.exp(-((raw[:, None] - self.centers[None]) ** 2).sum(axis=2))
        return (weight / weight.sum(axis=1, keepdims=True)).astype("float32")


@traits(
    accepts=("packed",),
    server="server",
    requirements="server/requirements.txt",
    entrypoint=("python3", "-m", "modelyard_serving"),
    tools=("numpy",),
)
def near(folder, *, threads: int = 1):
    """Run it."""
    return Nearest(folder)


def archive(context):
    """Put it into a plain archive."""
    import hashlib
    import tarfile

    from modelyard.artifacts import ImageFacts

    content, path = context.content, context.out / "image.tar"

    def stamped(entry):
        entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 65532, 65532, "", ""
        return entry

    with tarfile.open(path, "w") as file:
        for place, source in {**content.server, **content.model}.items():
            file.add(source, place.lstrip("/"), filter=stamped)
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    return ImageFacts(
        builder="archive",
        repository=content.repository,
        tag=content.tag,
        digest=digest,
        image_id=digest,
        size_bytes=path.stat().st_size,
        archive=path.name,
        platform="linux/amd64",
        user="65532:65532",
        port=content.port,
        labels=dict(content.labels),
        layers=(),
    )


class Processes:
    """Each job a process on this machine, which needs nothing of the project's folder."""

    def __init__(self, folder):
        self.folder = folder

    def identity(self):
        return sys.prefix

    def ask(self, command):
        words = [sys.executable, *command[1:]]
        return subprocess.run(words, cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def submit(self, job):
        if self.state(job.name) == "running":
            return
        command, variables = [sys.executable, *job.command[1:]], {**os.environ, **job.environment}
        child = subprocess.Popen(command, cwd=self.folder, env=variables, start_new_session=True)
        self.pid_file(job.name).write_text(str(child.pid))  # the next `doit` finds it there if this one is killed

    def pid_file(self, name):
        return self.folder / f"{name}.pid"

    def state(self, name):
        if not self.pid_file(name).exists():
            return "unknown"
        status = Path(f"/proc/{self.pid_file(name).read_text()}/status")
        return "running" if status.exists() and "\nState:\tZ" not in status.read_text() else "ended"

    def cancel(self, name):
        if self.state(name) == "running":
            os.killpg(int(self.pid_file(name).read_text()), signal.SIGTERM)

    def close(self):
        pass


def processes(context, *, folder: str = "/tmp"):
    """Processes on this machine.

    Args:
        folder: where they run.
    """
    return Processes(Path(folder))
