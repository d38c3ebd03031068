"""What a build must do with each stage, worked out apart from modelyard: from the knobs and from the bytes on the disk."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from tests.front_door.builds import Build, build
from tests.front_door.knobs import DATASET, IMAGE, RENDER, SELECT, TRAIN, VARIANTS, State
from tests.front_door.world import SITE, World

_FINALS = [f"optimize:{v}" for v in VARIANTS]
_GRAPH: dict[str, tuple[str, tuple[str, ...]]] = {
    DATASET: ("points", ()),
    TRAIN: ("centroids", (DATASET,)),
    "optimize:shift": ("shift", (TRAIN, DATASET)),
    "optimize:round": ("round", (TRAIN, DATASET)),
    "optimize:round-scale": ("scale", ("optimize:round", DATASET)),
    "optimize:plain": ("pack", (TRAIN, DATASET)),
    "optimize:shifted": ("pack", ("optimize:shift", DATASET)),
    "optimize:rounded": ("pack", ("optimize:round", DATASET)),
    "optimize:coarse": ("pack", ("optimize:round-scale", DATASET)),
    **{f"evaluate:{v}": ("toy", (f"optimize:{v}", DATASET)) for v in VARIANTS},
    SELECT: ("select", (*(f"evaluate:{v}" for v in VARIANTS), *_FINALS)),
    IMAGE: ("tarball", (f"{SELECT}/model",)),
    RENDER: ("note", (f"{IMAGE}/image.json", f"{SELECT}/model")),
}
"""For each stage, what it runs and what it reads: a stage, or a part of its artifact."""

Key = tuple[object, ...]


@dataclass
class Oracle:
    """Remembers every result of a project: what it was made of, and its bytes."""

    made: dict[Key, str] = field(default_factory=dict)
    now: dict[str, Key] = field(default_factory=dict)

    def check(self, project: Path, state: State, build: Build, harmed: Collection[str] = ()) -> None:
        """Check that `build` ran what had to run and nothing else, and that every artifact is the right one.

        A result that was made before, of the same, must be the same bytes as then; so must one that was left alone.
        """
        assert build.code == 0, build.output
        assert build.stages.keys() == _GRAPH.keys(), build.output
        baseline = "optimize:rounded" if dict(state.values).get("select.baseline") == 1 else "optimize:plain"
        for stage, how in build.stages.items():  # in the order of the build: an earlier stage may have made the same
            runs, reads = _GRAPH[stage]
            if stage.startswith("evaluate:") and reads[0] != baseline:
                reads = (*reads, baseline)  # latencies are measured in turns with it
            key = (runs, state.meaning(stage), *(bytes_of(project, read) for read in reads))
            assert how == self._expected(stage, key, stage in harmed), (stage, state, build.output)
            found = bytes_of(project, stage)
            assert self.made.setdefault(key, found) == found, (stage, state)
            self.now[stage] = key

    def _expected(self, stage: str, key: Key, was_harmed: bool) -> str:
        if key not in self.made:
            return "built"
        return "fresh" if self.now.get(stage) == key and not was_harmed else "restored"


def bytes_of(project: Path, read: str) -> str:
    """Return a digest of an artifact, or of a part of it: `select:toy/model`."""
    stage, _, part = read.partition("/")
    place = project / "artifacts" / stage.replace(":", "/") / part
    files = (
        [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file() and p.name != "stage.json")
    )
    assert files, read
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(place)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()


@dataclass
class Rebuilt:
    """The project of a world, built again and again; each build is checked."""

    root: Path
    world: World
    oracle: Oracle

    @classmethod
    def first(cls, root: Path, state: State | None = None) -> Rebuilt:
        """Write the world into the new folder `root`, and build it."""
        made = cls(root, (state or State()).world(), Oracle())
        made.world.write(root)
        made.build(state or State())
        return made

    @property
    def project(self) -> Path:
        """The project's folder."""
        return self.root / "project"

    def copy(self, root: Path) -> Rebuilt:
        """Return a copy in the new folder `root`, with its artifacts and its store."""
        shutil.copytree(self.root, root, symlinks=True)
        return Rebuilt(root, self.world, Oracle(dict(self.oracle.made), dict(self.oracle.now)))

    def move(self, root: Path) -> None:
        """Move everything to the new folder `root`."""
        self.root.rename(root)
        self.root = root

    def build(self, state: State, harmed: Collection[str] = ()) -> Build:
        """Bring the project into `state`, build it, check the build, and return it; `harmed` artifacts must come back."""
        after = state.world()
        after.write(self.root, self.world)
        self.world = after
        places = [str(self.root / SITE), *filter(None, [os.environ.get("PYTHONPATH")])]
        done = build(self.project, env={"PYTHONPATH": os.pathsep.join(places), **after.environment})
        self.oracle.check(self.project, state, done, harmed)
        return done
