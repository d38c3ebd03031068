"""Sequences of changes, undos and accidents: each build runs exactly what an independent model says, whatever came before."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.front_door.builds import artifacts
from tests.front_door.knobs import KNOBS, STAGES, State
from tests.front_door.oracle import Rebuilt

EXAMPLES = int(os.environ.get("MODELYARD_SEQUENCES", "0"))
"""How many sequences are tried; without it, a few, and the same ones each time."""

_TURNS = st.sampled_from([(name, value) for name, knob in KNOBS.items() for value in range(len(knob.changes) + 1)])


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Rebuilt:
    return Rebuilt.first(tmp_path_factory.mktemp("first"))


def machine(first: Rebuilt) -> type[RuleBasedStateMachine]:
    """Return a machine that begins with a copy of the built project `first`."""

    class Sequence(RuleBasedStateMachine):
        """One person's afternoon with a project."""

        @initialize()
        def begin(self) -> None:
            self.place = Path(tempfile.mkdtemp(prefix="modelyard-sequence-"))
            self.rebuilt = first.copy(self.place / "0")
            self.state, self.earlier, self.moves = State(), [State()], 0

        def build(self, state: State) -> None:
            self.rebuilt.build(state)
            self.state = state
            self.earlier.append(state)

        @rule(turns=st.lists(_TURNS, min_size=1, max_size=3))
        def change(self, turns: list[tuple[str, int]]) -> None:
            """Change a few things, and build."""
            state = self.state
            for name, value in turns:
                state = state.turned(name, value)
            self.build(state)

        @rule(data=st.data())
        def undo(self, data: st.DataObject) -> None:
            """Go back to what was built earlier: nothing runs."""
            state = data.draw(st.sampled_from(self.earlier))
            done = self.rebuilt.build(state)
            assert done.built == set(), done.output
            self.state = state

        @rule(
            stage=st.sampled_from(sorted(STAGES)), harm=st.sampled_from(["delete", "edit", "truncate", "add", "forge"])
        )
        def harm(self, stage: str, harm: str) -> None:
            """Spoil an artifact: it comes back."""
            folder = self.rebuilt.project / "artifacts" / stage.replace(":", "/")
            victim = max(
                (p for p in folder.rglob("*") if p.is_file() and p.name != "stage.json"), key=lambda p: p.stat().st_size
            )
            match harm:
                case "delete":
                    shutil.rmtree(folder)
                case "edit":
                    victim.write_bytes(bytes([victim.read_bytes()[0] ^ 1]) + victim.read_bytes()[1:])
                case "truncate":
                    os.truncate(victim, 1)
                case "add":
                    (folder / "more.txt").write_text("does not belong here")
                case "forge":
                    record = folder / "stage.json"
                    record.write_text(record.read_text().replace('"digest":', '"digests":', 1))
            done = self.rebuilt.build(self.state, harmed={stage})
            assert done.stages[stage] == "restored", done.output

        @rule()
        def clean(self) -> None:
            """Remove every artifact: all come back."""
            shutil.rmtree(self.rebuilt.project / "artifacts")
            done = self.rebuilt.build(self.state, harmed=STAGES)
            assert set(done.stages.values()) == {"restored"}, done.output

        @rule()
        def move(self) -> None:
            """Move the checkout and touch every file: nothing runs."""
            self.moves += 1
            self.rebuilt.move(self.place / str(self.moves))
            for file in self.rebuilt.root.rglob("*"):
                if file.is_file() and not file.is_symlink():
                    os.utime(file)
            done = self.rebuilt.build(self.state)
            assert set(done.stages.values()) == {"fresh"}, done.output

        def teardown(self) -> None:
            """In the end, all is as if nothing had been built before."""
            if hasattr(self, "rebuilt"):
                fresh = Rebuilt.first(self.place / "fresh", self.state)
                assert artifacts(fresh.project) == artifacts(self.rebuilt.project)
                shutil.rmtree(self.place)

    return Sequence


@pytest.mark.thorough
@pytest.mark.timeout(0 if EXAMPLES else 600)
def test_sequences_of_changes(first: Rebuilt) -> None:
    chosen = settings(
        max_examples=EXAMPLES or 4,
        stateful_step_count=8,
        deadline=None,
        derandomize=not EXAMPLES,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate] if not EXAMPLES else [Phase.generate, Phase.shrink],
        database=None,
    )
    run_state_machine_as_test(machine(first), settings=chosen)
