"""A complete set of components that need nothing but numpy, so that tests of the build take no time."""

import json
from pathlib import Path

from modelyard import hookimpl
from modelyard.params import InputPath

CORNERS = ["origin", "right", "up"]


def points(
    context, *, samples: int = 60, noise: float = 0.1, table: InputPath | None = None, names: InputPath | None = None
):
    """Make points around three corners.

    Args:
        samples: how many, of which a third are for testing.
        noise: standard deviation.
        table: a CSV file of x,y,label rows instead.
        names: a folder of text files, each with the name of a class.
    """
    import numpy as np

    from modelyard.artifacts import Splits

    generator = np.random.default_rng(context.seed)
    y = np.arange(samples) % 3
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])[y] + generator.normal(0, noise, (samples, 2))
    if table:
        rows = np.loadtxt(table, delimiter=",", ndmin=2)
        x, y = rows[:, :2], rows[:, 2].astype(int)
    x = np.clip(x, -2, 2).astype("float32")
    cut = len(x) * 2 // 3
    words = [file.read_text().strip() for file in sorted(Path(names).glob("*.txt"))] if names else CORNERS
    side, corners = (x[cut:, 0] > 0).astype(int), (np.float32([[0, 0], [1, 0], [0, 1]]), np.arange(3))
    return Splits(x[:cut], y[:cut], x[cut:], y[cut:], words, (-2.0, 2.0), {"side": side}, {"corners": corners})


def centroids(context, *, passes: int = 1):
    """Take the mean of each class.

    Args:
        passes: how often.
    """
    x, y = context.dataset.inputs("train"), context.dataset.y("train")
    model = context.build_model(context.dataset.facts.input_shape, len(context.dataset.facts.class_names))
    for number in range(passes):
        model["centers"] = [x[y == label].mean(axis=0).tolist() for label in range(model["classes"])]
        context.progress(number + 1, passes, unit="pass")
    write(context.out / "model.toy", model)
    context.log("trained")
    context.metrics["passes"] = passes


def change(context, function):
    model = json.loads(context.model.path.read_text())
    model["centers"] = [[function(value) for value in center] for center in model["centers"]]
    write(context.out / "model.toy", model)


def round_centers(context, *, decimals: int = 2):
    """Round the centers."""
    change(context, lambda value: round(value, decimals))


def scale_centers(context, *, factor: float = 1.0):
    """Scale the centers, which may ruin the model."""
    change(context, lambda value: value * factor)


def pack(context):
    """Make the model ready to run."""
    write(context.out / "model.packed", json.loads(context.model.path.read_text()))


def write(path, model):
    path.write_text(json.dumps(model, sort_keys=True))


class Nearest:
    def __init__(self, folder):
        import numpy as np

        from modelyard.artifacts import Model

        self.model = Model.open(folder)
        self.centers = np.array(json.loads(self.model.path.read_text())["centers"])

    def predict(self, raw):
        import numpy as np

        inputs = self.model.facts.preprocessing.apply(raw)
        distance = ((inputs[:, None] - self.centers[None]) ** 2).sum(axis=2)
        weight = np.exp(-distance)
        return (weight / weight.sum(axis=1, keepdims=True)).astype("float32")


def toy(folder, *, threads: int = 1, batching: bool = False, users: InputPath | None = None):
    """Run a toy model.

    Args:
        threads: of one prediction.
        batching: let the server join requests.
        users: a file that the server reads.
    """
    return Nearest(folder)


def tarball(context, *, note: str = "", base: str = "", lock: InputPath | None = None):
    """Put the content into a tar that no engine reads.

    Args:
        note: what to say in it.
        base: the image that it begins with.
        lock: a file of pinned packages.
    """
    import hashlib

    from modelyard.artifacts import ImageFacts

    content = context.content
    parts = [note, base, Path(lock).read_text() if lock else "", content.tag, *content.requirements]
    for folder in (*content.server.values(), *content.model.values()):
        parts += [p.read_text() for p in sorted(Path(folder).rglob("*")) if p.is_file() and p.suffix != ".pyc"]
    data = "\n".join(parts).encode()
    (context.out / "image.tar").write_bytes(data)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return ImageFacts(
        builder="tarball",
        repository=content.repository,
        tag=content.tag,
        digest=digest,
        image_id=digest,
        size_bytes=len(data),
        archive="image.tar",
        platform="linux/amd64",
        user="65532:65532",
        port=content.port,
        labels=dict(content.labels),
        layers=(),
    )


def note(context, *, greeting: str = "hello"):
    """Write a note about the image."""
    context.write("note.txt", context.render("note.txt.j2", greeting=greeting))


@hookimpl
def modelyard_register_datasets(register):
    register("points", points)


@hookimpl
def modelyard_register_trainers(register):
    register("centroids", centroids, produces="toy")


@hookimpl
def modelyard_register_optimizers(register):
    register("round", round_centers, accepts=("toy",), produces="toy")
    register("scale", scale_centers, accepts=("toy",), produces="toy")
    register("pack", pack, accepts=("toy",), produces="packed")


@hookimpl
def modelyard_register_runtimes(register):
    server = Path(__file__).parents[1] / "server"
    register(
        "toy",
        toy,
        accepts=("packed",),
        server=server,
        requirements=server / "requirements.txt",
        entrypoint=("python3", "-m", "toy_server"),
        serving_only=("batching", "users"),
        serves_several=True,
    )


@hookimpl
def modelyard_register_builders(register):
    register("tarball", tarball, reads_environment=("TOY_EPOCH",))


@hookimpl
def modelyard_register_targets(register):
    register("note", note, templates=("note.txt.j2",))


@hookimpl
def modelyard_amend_plan(stages):
    """Nothing can run a tarball, so the road leaves `check` out."""
    from msgspec.structs import replace

    kept = [stage for stage in stages if stage.kind != "check"]
    stages[:] = [replace(s, inputs=tuple(i for i in s.inputs if not i.stage.startswith("check:"))) for s in kept]
