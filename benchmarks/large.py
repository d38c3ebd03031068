"""Bring a large model to an image, and say what each stage took of memory and time: nothing may read a model whole.

    python benchmarks/large.py [--gigabytes 1] [--folder FOLDER] [--files 4]

The model is a table of embeddings in ONNX with external data, mostly zeros in sparse files: rows are looked up, so that the
runtime needs little of it. It goes from `import` to the image and the store by `doit`, and its image is pushed nowhere. Then
the steps that a model's size decides are compared with the plain way, on 300 MB of random weights.
Memory is that of a stage's process without what it maps from files, which the kernel takes back when it is needed; the largest
resident set of all processes, mapped files included, is in the last line.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from modelyard.files.hashing import hash_file
from modelyard.oci.layers import layer_size
from modelyard.oci.tree import Tree
from modelyard.stages.sizes import gzip_size
from modelyard.testing import write_project

IDS, WIDTH, CLASSES = 4, 256, 3
PYPROJECT = """\
[project]
name = "large"
version = "1.0"

[tool.modelyard.dataset]
use = "arrays"
path = "ids.npz"
normalize = "none"

[tool.modelyard.train]
use = "import"
path = "net.onnx"

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
as-it-is = []

[tool.modelyard.image]
layer_max = "4 GB"

[tool.modelyard.store]
path = "store"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1, help="size of the model")
    parser.add_argument("--files", type=int, default=4, help="how many files its weights are in")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder here if left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelyard-large-", dir=options.folder or Path.cwd()) as place:
        project = Path(place)
        write(project, int(options.gigabytes * 1e9), options.files)
        road(project)
        steps(write_dense(project / "dense.bin"))


def write(project: Path, size_bytes: int, files: int) -> None:
    """Write a project whose model has about `size_bytes`, in so many files beside its graph."""
    rows = size_bytes // (4 * WIDTH * files)
    write_project(project, {"pyproject.toml": PYPROJECT})
    ids = np.random.default_rng(0).integers(0, rows, (30, IDS))
    y = np.arange(30) % CLASSES
    np.savez(project / "ids.npz", train_x=ids, train_y=y, test_x=ids, test_y=y)
    folder = project / "net.onnx"
    folder.mkdir()
    for number in range(files):
        write_table(folder / f"table-{number}.bin", rows)
    onnx.save(network(rows, files), folder / "model.onnx")


def write_table(path: Path, rows: int) -> None:
    """Write a sparse file of `rows` rows of zeros, with a row of random numbers here and there."""
    random = np.random.default_rng(rows)
    with path.open("wb") as file:
        file.truncate(rows * WIDTH * 4)
        for row in range(0, rows, max(1, rows // 1000)):
            file.seek(row * WIDTH * 4)
            file.write(random.normal(size=WIDTH).astype(np.float32).tobytes())


def write_dense(path: Path) -> Path:
    """Write 300 MB of random weights, which compress as a model's do, and return the file."""
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        for _ in range(300):
            file.write(random.normal(size=250_000).astype(np.float32).tobytes())
    return path


def network(rows: int, files: int) -> Any:
    """Return a model that adds up the rows with the given numbers in each table, and answers a distribution."""
    helper, kinds = onnx.helper, onnx.TensorProto
    weights = np.random.default_rng(1).normal(size=(WIDTH, CLASSES)).astype(np.float32)
    tensors = [onnx.numpy_helper.from_array(weights, "weights"), *(table(number, rows) for number in range(files))]
    looked_up = [helper.make_node("Gather", [f"table{n}", "ids"], [f"rows{n}"]) for n in range(files)]
    nodes = [
        *looked_up,
        helper.make_node("Sum", [f"rows{n}" for n in range(files)], ["sums"]),
        helper.make_node("ReduceMean", ["sums"], ["means"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ]
    taken = helper.make_tensor_value_info("ids", kinds.INT64, ("batch", IDS))
    given = helper.make_tensor_value_info("probabilities", kinds.FLOAT, ("batch", CLASSES))
    graph = helper.make_graph(nodes, "large", [taken], [given], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def table(number: int, rows: int) -> Any:
    """Return a tensor whose content is in the file `table-NUMBER.bin`."""
    tensor = onnx.TensorProto(name=f"table{number}", data_type=onnx.TensorProto.FLOAT, dims=(rows, WIDTH))
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", f"table-{number}.bin"), ("offset", 0), ("length", rows * WIDTH * 4)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def road(project: Path) -> None:
    """Build the project to its image, and print what each stage took."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "doit", "image"], cwd=project, check=True, stdout=subprocess.DEVNULL)
    wall_s = time.monotonic() - began
    size = sum(file.stat().st_size for file in (project / "net.onnx").iterdir())
    print(f"a model of {size / 1e9:.2f} GB to its image and the store: {wall_s:.0f} s\n")
    print(f"{'stage':<24} {'own memory':>12} {'wall':>8}")
    for file in sorted((project / "artifacts").rglob("stage.json")):
        told = json.loads(file.read_text())
        print(f"{told['stage']:<24} {told['peak_memory_bytes'] / 1e6:>9.0f} MB {told['duration_s']:>6.1f} s")
    image = json.loads((project / "artifacts/image/large/image.json").read_text())
    layers = ", ".join(f"{one['name']} {one['size_bytes'] / 1e9:.2f} GB" for one in image["layers"][-5:])
    rss = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"\nlast layers: {layers}\nlargest resident set of a process, mapped files included: {rss / 1e6:.0f} MB\n")


def steps(file: Path) -> None:
    """Compare, each in a process of its own, what depends on the size of a model with the plain way."""
    tree = Tree()
    tree.add_folder("model", file)
    ways = {
        "read whole, gzip -9": lambda: len(gzip.compress(file.read_bytes(), 9)),
        "gzip size, here": lambda: gzip_size(file),
        "layer, gzip": lambda: layer_size(tree, "gzip", 0),
        "layer, zstd": lambda: layer_size(tree, "zstd", 0),
        "layer, as it is": lambda: layer_size(tree, "none", 0),
        "SHA-256": lambda: hash_file(file),
    }
    print(f"{file.stat().st_size / 1e9:.2f} GB {'CPU':>26} {'memory':>11}")
    for name, way in ways.items():
        print(f"{name:<24} {measured(way)}")


def measured(way: Any) -> str:
    """Run `way` in a child process, and say what it took: CPU time, and memory beside what the child began with."""
    sys.stdout.flush()
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with open(writing, "w") as out:
            try:
                way()
            except Exception as exc:  # a compressor that is not installed
                out.write(f"{str(exc).splitlines()[0]:>30}")
            else:
                used = resource.getrusage(resource.RUSAGE_SELF)
                grown = (used.ru_maxrss - before) * 1024
                out.write(f"{used.ru_utime + used.ru_stime:>8.2f} s {grown / 1e6:>8.0f} MB")
        os._exit(0)
    os.close(writing)
    with open(reading) as told:
        text = told.read()
    os.waitpid(pid, 0)
    return text


if __name__ == "__main__":
    main()
