"""What a person is told, through the front door: where a mistake is, what it is, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelyard.frontend.scaffold import new_project

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Doit = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("command", ["list", "plan"])
def test_a_key_that_is_refused_has_its_line(command: str, toy_project: Path, doit: Doit) -> None:
    file = toy_project / "pyproject.toml"
    lines = file.read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if "decimals" in line)
    file.write_text(file.read_text().replace("decimals", "decimal", 1))
    done = doit(toy_project, command)
    where = f"pyproject.toml:{number}: [tool.modelyard.variants.rounded]"
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"ERROR: {where}: unknown key 'decimal', did you mean 'decimals'?",
        "  the optimizer 'round' takes: decimals; run `doit plugins round`",
    ]


def test_a_value_of_the_command_line_is_named_as_it_was_written(toy_project: Path, doit: Doit) -> None:
    done = doit(toy_project, "list", "train.passes=many")
    assert done.returncode == 3
    assert done.stderr.startswith("ERROR: command line: train.passes=many: key 'passes': 'many' is not allowed: ")
    assert len(done.stderr.splitlines()) == 2


# A mistake in the project's own code

MODEL = '''\
"""The toy's model."""


def build(input_shape, classes, *, width: int = 4):
    """Return what the trainer fills in."""
    return start({})


def start(sizes):
    print("E0000 00:00:1.1 1 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error", flush=True)
    print("before", flush=True)
    CODE
'''


@pytest.mark.parametrize(
    ("code", "first", "second"),
    [
        ('return sizes["missing"]', 'model.py:12, in start: return sizes["missing"]', "raised KeyError: 'missing'"),
        ("raise SystemExit(3)", "model.py:12, in start: raise SystemExit(3)", "raised SystemExit: 3"),
        (
            'import numpy; numpy.load(__file__)',
            "model.py:12, in start: import numpy; numpy.load(__file__)",
            "raised ValueError: ",
        ),
        ("import torhc", "model.py:12, in start: import torhc", "needs the module 'torhc', which is not installed"),
        (
            "try: sizes[1]\n    except KeyError as exc: raise ValueError('no size') from exc",
            "model.py:13, in start: except KeyError as exc: raise ValueError('no size') from exc",
            "raised ValueError: no size; the first cause is KeyError: 1",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_the_model_is_told_with_its_own_line(
    code: str, first: str, second: str, toy_project: Path, doit: Doit
) -> None:
    (toy_project / "model.py").write_text(MODEL.replace("CODE", code))
    done = doit(toy_project, "train")
    lines = done.stdout.splitlines()
    failed = lines.index(f"!! train:model.build failed: {first}")
    assert lines[failed + 1].startswith(f"  {second}")
    assert "trainer" not in done.stdout
    logged = [line.removeprefix("   | ") for line in lines if line.startswith("   | ")]
    assert logged == ["before"]


def test_a_mistake_in_the_model_that_a_plugin_tells_of_has_its_line_below(toy_project: Path, doit: Doit) -> None:
    """As the trainer `torch` does, which tries a module before it trains it."""
    code = (
        "from modelyard.errors import PluginError\n    try: sizes['missing']\n"
        "    except KeyError as exc: raise PluginError('no size\\n  say one') from exc"
    )
    (toy_project / "model.py").write_text(MODEL.replace("CODE", code))
    done = doit(toy_project, "train")
    assert "failed: no size\n  say one\n  model.py:13, in start: try: sizes['missing']\n" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_model_that_does_not_take_what_it_is_given_is_named_and_not_the_trainer(
    toy_project: Path, doit: Doit
) -> None:
    (toy_project / "model.py").write_text(
        "def build(*given):\n    return inner(*given)\n\n\ndef inner(shape):\n    return {}\n"
    )
    lines = doit(toy_project, "train").stdout.splitlines()
    failed = lines.index("!! train:model.build failed: model.py:2, in build: return inner(*given)")
    assert lines[failed + 1] == "  raised TypeError: inner() takes 1 positional argument but 2 were given"


def test_a_model_that_cannot_be_called_as_it_will_be_is_told_before_anything_runs(
    toy_project: Path, doit: Doit
) -> None:
    (toy_project / "model.py").write_text("def build(input_shape):\n    return {}\n")
    done = doit(toy_project, "train")
    assert done.returncode == 3
    assert (
        "model.py:1: build(input_shape) is called with 2 arguments\n  let it take as many" in done.stdout + done.stderr
    )


def test_a_mistake_in_a_plugin_is_told_with_its_line(toy_project: Path, doit: Doit) -> None:
    plugin = toy_project / "plugins" / "toy.py"
    text = plugin.read_text()
    number = 1 + text[: text.index("    for number in range(passes):")].count("\n")
    plugin.write_text(text.replace("    for number in range(passes):", "    for number in range(passes.real.x):"))
    lines = doit(toy_project, "train").stdout.splitlines()
    assert (
        f"!! train:model.build failed: plugins/toy.py:{number}, in centroids: for number in range(passes.real.x):"
        in lines
    )


# Which variant ships


def test_a_selection_prints_the_table_which_one_ships_and_what_is_next(toy_project: Path, doit: Doit) -> None:
    done = doit(toy_project, "select")
    lines = [line for line in done.stdout.splitlines() if "undecided" not in line]  # 60 test samples decide little
    head = next(number for number, line in enumerate(lines) if line.startswith("   variant  accuracy "))
    assert lines[head + 1].endswith("ms  ships")
    assert any(line.startswith("   coarse ") and line.endswith("  misses min_accuracy") for line in lines)
    assert lines[-4].endswith(" of 2 that meet every gate")
    assert lines[-3:-1] == [
        "   all figures: artifacts/select/toy/table.md",
        "   next: `doit` goes on with the image and what is deployed",
    ]
    # asked for by name, it is printed again; a build with nothing to do is silent about it
    assert doit(toy_project, "select").stdout.splitlines()[-6:-1] == lines[-6:-1]
    assert "next: `doit` goes on with what is deployed" in doit(toy_project, "select", "image").stdout
    assert "`doit serve` tries it here" in doit(toy_project, "select", "image", "check", "render").stdout
    assert " ships" not in doit(toy_project).stdout


def test_a_selection_that_fails_prints_and_keeps_the_table(toy_project: Path, doit: Doit) -> None:
    done = doit(toy_project, "gates.max_size=1")
    assert done.returncode == 1
    assert "!! select:toy failed: no variant meets every gate\n  plain: max_size: " in done.stdout
    *_, summary, place, then, last = done.stdout.splitlines()
    assert summary == "   nothing ships: of 3 variants none meets every gate"
    assert place == "   all figures: .modelyard/logs/select/toy.table.md"
    assert then == "   next: `doit select gates.max_size=...` tries another bound"
    assert last.startswith("failed: select:toy; built ")
    assert "   plain      1.0000  " in done.stdout
    table = (toy_project / ".modelyard/logs/select/toy.table.md").read_text()
    assert table.startswith("| variant ")
    assert "- no variant ships: " in table
    assert doit(toy_project, "select").returncode == 0
    assert not (toy_project / ".modelyard/logs/select/toy.table.md").exists()


LAYER = """
import tensorflow as tf
import tf_keras as keras


class Odd(keras.layers.Layer):
    def call(self, x, training=False):
        return tf.reshape(x, [7, 7]) if training else x


def build(input_shape, classes):
    return keras.Sequential([keras.layers.Input(input_shape), keras.layers.Flatten(), Odd(), keras.layers.Dense(classes)])
"""


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_mistake_in_a_layer_that_tensorflow_traced_is_told_with_its_own_line(tmp_path: Path, doit: Doit) -> None:
    new_project(tmp_path / "net")
    (tmp_path / "net" / "net.py").write_text(LAYER)
    done = doit(tmp_path / "net", 'model={ use = "net:build" }', "train")
    assert (
        "!! train:net.build failed: net.py:8, in call: return tf.reshape(x, [7, 7]) if training else x" in done.stdout
    )
    assert "Dimension size must be evenly divisible by 64" in done.stdout
