"""A project whose clients send words and get names: its own code stands around the model wherever that is asked."""

from __future__ import annotations

import base64
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.front_door.builds import artifacts, build, serving

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FILES = {
    "data.py": '''
"""Words, and the letter that each has most of."""

import random

import numpy as np

from modelyard.artifacts import Splits


def words(context):
    """Return words of three letters."""
    chosen = random.Random(0)
    found = ["".join(chosen.choice("abc") for _ in range(15)) for _ in range(90)]
    y = np.array([max(range(3), key=lambda letter: one.count("abc"[letter])) for one in found])
    return Splits(found[:60], y[:60], found[60:], y[60:], ["a", "b", "c"])
''',
    "alphabet.txt": "a\nb\nc\n",
    "helpers.py": '"""What the handler stands on."""\n\nFACTOR = 1.0\n',
    "letters.py": '''
"""How often each letter is in a text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from helpers import FACTOR


def count(place, *, alphabet: InputPath):
    """Count letters.

    Args:
        place: where it stands.
        alphabet: a file with a letter in each line
    """
    letters = Path(alphabet).read_text().split()

    def counted(data):
        if not data.strip():
            raise ValueError("the text is empty")
        return [data.decode().count(one) * FACTOR for one in letters]

    def run(tensors):
        return {"counts": np.array([counted(one) for one in tensors["text"]], np.float32)}

    return place.handler(run, [place.tensor("text", "bytes")], [place.tensor("counts", shape=[len(letters)])])
''',
    "pyproject.toml": """
[tool.modelyard]
name = "letters"

[tool.modelyard.dataset]
use = "data:words"

[tool.modelyard.train]
use = "import"
path = "model.onnx"

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.handlers]
before = [{ use = "letters:count", alphabet = "alphabet.txt" }]
after = ["top-labels"]

[tool.modelyard.variants]
whole = []

[tool.modelyard.evaluate]
latency_samples = 12
warmup = 0

[tool.modelyard.check]
start = false
""",
}


def write_model(file: Path) -> None:
    helper = onnx.helper
    info = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ("batch", 3)) for name in ("x", "scores")]
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["scores"])], "letters", info[:1], info[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)


def write(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).write_text(text)
    write_model(folder / "model.onnx")
    (folder / "dodo.py").write_text((Path(__file__).parents[2] / "dodo.py").read_text())
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(tmp_path)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_what_clients_send_is_measured_and_what_handlers_make_of_it_is_trained_on(project: Path) -> None:
    done = build(project, "select")

    assert done.code == 0, done.output
    measured = json.loads((project / "artifacts/evaluate/whole/evaluation.json").read_text())
    assert measured["accuracy"] == 1
    data = project / "artifacts/dataset/data.words"
    facts = json.loads((data / "dataset.json").read_text())
    assert facts["sent"] == [{"name": "text", "dtype": "bytes", "shape": []}]
    assert [(one["name"], one["dtype"], one["shape"]) for one in facts["inputs"]] == [("counts", "float32", [3])]
    assert np.load(data / "train_x.counts.npy").sum(axis=1).tolist() == [15] * 60
    values, offsets = (np.load(data / f"test_sent.text.{part}.npy") for part in ("values", "offsets"))
    assert offsets.tolist() == list(range(0, 15 * 30 + 1, 15))
    assert set(values.tobytes()) == set(b"abc")


def test_an_edit_does_again_what_it_shapes_and_no_more(project: Path) -> None:
    assert build(project, "select").code == 0
    before = artifacts(project)

    edit(project / "helpers.py", "FACTOR = 1.0", "FACTOR = 2.0")
    scaled = build(project, "select")
    edit(project / "helpers.py", "FACTOR = 2.0", "FACTOR = 0.5 + 0.5")
    same = build(project, "select")
    edit(project / "pyproject.toml", '"top-labels"', '{ use = "top-labels", count = 2 }')
    named = build(project, "select")

    assert scaled.code == same.code == named.code == 0, scaled.output + same.output + named.output
    assert {"dataset:data.words", "train:letters", "evaluate:whole"} <= scaled.built
    assert "train:letters" not in same.built
    assert named.built <= {"evaluate:whole", "select:letters"}
    assert "evaluate:whole" in named.built
    after = artifacts(project)
    kept = [name for name in before if "dataset/" in name and name.endswith(".npy")]
    assert kept
    assert all(before[name] == after[name] for name in kept)


def test_a_handler_that_decodes_is_asked_for_what_is_new_alone(project: Path) -> None:
    """Until what decides is another: its code, a file that it reads; and what comes out is what it makes of all."""

    def asked() -> int:
        """Build the data set, and return for how many samples the handler was asked."""
        done = build(project, "dataset")
        assert done.built == {"dataset:data.words"}, done.output
        log = (project / ".modelyard/logs/dataset/data.words.log").read_text()
        return sum(int(line.split()[-1]) for line in log.splitlines() if line.startswith("asked for "))

    edit(project / "letters.py", "shape=[len(letters)])])", "shape=[len(letters)])], cacheable=True)")
    edit(
        project / "letters.py",
        "def run(tensors):",
        'def run(tensors):\n        print("asked for", len(tensors["text"]))',
    )
    assert asked() == 90
    edit(project / "data.py", "range(90)]", 'range(90)] + ["c" * 15, "cab" * 5]')
    assert asked() == 2
    kept = artifacts(project)
    edit(project / "alphabet.txt", "c", "c\nd")
    assert asked() == 92
    edit(project / "alphabet.txt", "d\n", "")
    edit(project / "data.py", '["c" * 15, "cab" * 5]', '["c" * 15]')
    assert asked() == 0
    shutil.rmtree(project / ".modelyard")
    edit(project / "data.py", '["c" * 15]', '["c" * 15, "cab" * 5]')
    assert asked() == 92
    assert {name: one for name, one in artifacts(project).items() if name.endswith(".npy")} == {
        name: one for name, one in kept.items() if name.endswith(".npy")
    }


@pytest.mark.parametrize(
    ("file", "old", "new", "task", "message"),
    [
        ("data.py", "found[:60],", "[*found[:59], ''],", "dataset", "train_x: sample 59, '': the text is empty"),
        ("data.py", "found[60:],", "[*found[60:89], 7],", "dataset", "test_x['text']: sample 29 is a int"),
        ("data.py", "found[:60],", "np.zeros((60, 3)),", "dataset", "train_x['text']: is an array of float64, but the handlers take texts"),
        ("data.py", "found[:60],", "{'words': found[:60]},", "dataset", "train_x: there is no 'text', which the handlers take"),
        ("letters.py", 'return {"counts":', 'return {"count":', "dataset", "letters.py:27): gave 'count'; it says 'counts' let it give"),
        ("letters.py", "shape=[len(letters)]", "shape=[4]", "dataset", "letters.py:27): gave 'counts' of the shape (1, 3) for 1 samples; it says (1, 4)"),
        ("letters.py", "return place.handler", "place.handler", "dataset", "letters.py): returned None write: return place.handler("),
        ("letters.py", '"text", "bytes"', '"text", "byts"', "dataset", "letters.py): tensor 'text': there is no dtype 'byts', did you mean 'bytes'?"),
        ("pyproject.toml", '["top-labels"]', '["softmax"]', "train", "the model answers 'probabilities' itself: leave 'softmax' out"),
        ("pyproject.toml", '["top-labels"]', '[{ use = "top-labels", scores = "logits" }]', "train", "top_labels.py) takes 'logits', but the model answers 'probabilities'"),
        ("pyproject.toml", '["top-labels"]', '[{ use = "top-labels", scores = "scores" }]\noutputs = ["scores"]\nanswer = "lable"', "train", "but the task measures 'lable', did you mean 'label'?"),
        ("pyproject.toml", '["top-labels"]', '["top-label"]', "list", "unknown handler 'top-label', did you mean 'top-labels'?"),
        ("pyproject.toml", '["top-labels"]', '[{ use = "top-labels", scors = "a" }]', "list", "unknown key 'scors', did you mean 'scores'?"),
        ("pyproject.toml", 'alphabet = "alphabet.txt"', 'alphabet = "alphabt.txt"', "list", "there is no 'alphabt.txt', did you mean 'alphabet.txt'?"),
        ("pyproject.toml", "after =", 'requirements = "handlers.txt"\nafter =', "list", "there is no file 'handlers.txt'"),
        ("pyproject.toml", "after =", 'answer = "label"\nafter =', "list", "'label' is given by a handler, but nothing says of what"),
        ("pyproject.toml", 'use = "onnxruntime"', 'use = "tensorflow-serving"', "list", "comes with its image, and runs no handlers"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(project: Path, file: str, old: str, new: str, task: str, message: str) -> None:
    edit(project / file, old, new)

    done = build(project, task)

    assert done.code != 0
    assert message in " ".join(done.output.split())
    assert "Traceback" not in done.output


def test_a_training_is_kept_and_a_handler_that_does_not_fit_told_before_the_model_is_optimized(project: Path) -> None:
    edit(project / "pyproject.toml", "whole = []", 'int8 = ["onnx-dynamic"]')
    assert build(project, "train").code == 0
    edit(project / "pyproject.toml", '["top-labels"]', '[{ use = "top-labels", scores = "probability" }]')

    done = build(project, "evaluate")

    assert "optimize:int8 failed" in done.output
    assert "takes 'probability', but the model answers 'probabilities', did you mean 'probabilities'?" in done.output
    assert "train:letters" not in done.built


def ask(url: str, body: Any, kind: str = "application/json") -> Any:
    data = json.dumps(body).encode() if kind == "application/json" else body
    request = urllib.request.Request(url, data, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as exc:
        return exc.code, json.loads(exc.read())["error"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `doit serve`."""
    with serving(write(tmp_path_factory.mktemp("served"))) as address:
        yield address


def test_a_client_sends_a_text_and_gets_a_name(served: str) -> None:
    model = "models/letters"
    predict, infer = f"{served}/v1/{model}:predict", f"{served}/v2/{model}/infer"

    found = ask(predict, {"instances": ["abb", {"b64": "Y2Nj"}]})["predictions"]
    assert [one["label"] for one in found] == ["b", "c"]
    assert ask(predict, {"instances": ["abb", " "]}) == (400, "input 'text', sample 1: the text is empty")
    assert ask(predict, {"instances": [1]})[0] == 400

    assert ask(predict, b"abb", "text/plain; charset=utf-8")["predictions"][0]["label"] == "b"
    assert ask(infer, b"ccc", "application/octet-stream")["outputs"][0]["data"] == ["c"]
    assert ask(predict, b" ", "text/plain") == (400, "input 'text', sample 0: the text is empty")
    tensor = {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["abb", "ccc"]}
    answered = ask(infer, {"inputs": [tensor], "outputs": [{"name": "label"}]})
    assert answered["outputs"] == [{"name": "label", "datatype": "BYTES", "shape": [2], "data": ["b", "c"]}]
    assert ask(infer, {"inputs": [tensor | {"data": ["", "a"]}]}) == (400, "input 'text', sample 0: the text is empty")
    with urllib.request.urlopen(f"{served}/v2/{model}", timeout=30) as answer:
        facts = json.loads(answer.read())
    assert facts["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert {one["name"]: one["datatype"] for one in facts["outputs"]} == {
        "label": "BYTES",
        "score": "FP32",
        "probabilities": "FP32",
    }


def test_the_data_of_an_event_may_be_the_sample_itself(served: str) -> None:
    def sent(text: bytes, kind: str) -> Any:
        data = {"datacontenttype": kind, "data_base64": base64.b64encode(text).decode()}
        event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"} | data
        return ask(f"{served}/events", json.dumps(event).encode(), "application/cloudevents+json")

    for kind in ("text/plain; charset=utf-8", "image/png", "audio/wav", "application/octet-stream"):
        assert sent(b"abb", kind)["data"]["predictions"][0]["label"] == "b"
    assert sent(b" ", "text/plain") == (400, "input 'text', sample 0: the text is empty")
    assert sent(b"abb", "video/mp4") == (
        415,
        (
            "unsupported data of type 'video/mp4'; "
            "supported: application/json, application/octet-stream, image/..., audio/..., text/plain"
        ),
    )
