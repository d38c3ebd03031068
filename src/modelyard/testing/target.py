"""The contract of a deploy target as checks that run. Plugin authors import them from `modelyard.testing`."""

from __future__ import annotations

import re
import tempfile
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import ImageFacts
from modelyard.component import Component, check_values
from modelyard.config.checks import refuse
from modelyard.contexts import CheckContext, TargetContext
from modelyard.kubernetes.charts import CHART, chart_texts, charts, has_helm
from modelyard.kubernetes.checking import VERSION
from modelyard.kubernetes.rendered import check_rendered
from modelyard.plugins.load import load_plugins
from modelyard.rendering.templates import renderer
from modelyard.testing.component import check_component

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

IMAGE = ImageFacts(
    builder="sample",
    repository="registry.example/team/sample",
    tag="1.0.0",
    digest="sha256:" + "a" * 64,
    image_id="sha256:" + "b" * 64,
    size_bytes=50_000_000,
    archive="image.tar",
    platform="linux/amd64",
    user="65532:65532",
    port=8080,
    labels={},
    layers=(),
)
"""The image that targets are checked with."""

MODEL: Mapping[str, Any] = {
    "variant": "small",
    "format": "tflite",
    "inputs": [{"name": "input", "dtype": "uint8", "shape": [8, 8, 1]}],
    "outputs": [{"name": "probabilities", "shape": [2], "activation": "softmax", "labels": ["zero", "one"]}],
    "metrics": {"accuracy": 0.98},
    "size_bytes": 20_000,
    "gzip_bytes": 15_000,
    "sha256": "c" * 64,
}
"""The model's facts that targets are checked with."""

HOSTILE = "1.0 \"a\": 'b' {{ c }} # d\n- e: &f [g"
"""A text that ends a string, a line or an object wherever it is put in without quotes."""


def check_target(name: str, *, project: Path | None = None, params: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Check the deploy target `name`: the contract of `modelyard_register_targets`.

    It is documented and light to load. It renders the same bytes again, from the templates that it
    registered and no others. Its YAML and JSON can be read, and no text of the user changes what they say. It names
    the image by its digest. Kubernetes objects break no rule. The templates of a Helm chart are no YAML yet: where `helm`
    is installed, what it makes of them is held to the same; else that the chart holds the digest.

    Args:
        name: the target's name.
        project: a project with a `plugins/` or `templates/` folder; without it, what is installed is looked at.
        params: the target's parameters.

    Returns:
        The text of each file that it rendered, by its path.

    Raises:
        AssertionError: a promise is broken; the message says which.
        ModelyardError: a parameter is not allowed, or rendering failed.
    """
    with tempfile.TemporaryDirectory(prefix="modelyard-target-") as nothing:
        project = project or Path(nothing)
        component = load_plugins(project).get("target", name, "check_target")
        check_component(component, project)
        files = render_target(component, project=project, params=params, looked_at=partial(_check_objects, name))
        again = render_target(component, project=project, params=params)
        assert files == again, f"target {name!r}: other bytes the second time; nothing may depend on folder or time"
        parsed = partial(
            _parsed, name, [PurePosixPath(file).parent for file in files if PurePosixPath(file).name == CHART]
        )
        shapes = {file: _shape(parsed(file, text)) for file, text in files.items()}
        answer = {**MODEL["outputs"][0], "labels": [HOSTILE, "one"]}
        hostile = {**MODEL, "variant": HOSTILE, "outputs": [answer]}
        for file, text in render_target(
            component, project=project, params=params, version=HOSTILE, model=hostile
        ).items():
            same = _shape(parsed(file, text)) == shapes.get(file)
            assert same, (
                f"target {name!r}: {file}: a version or class name of the user's changes its structure; quote it"
            )
    return files


def render_target(
    component: Component,
    *,
    project: Path,
    params: Mapping[str, Any] | None = None,
    name: str = "sample",
    version: str = "1.0.0",
    image: ImageFacts = IMAGE,
    model: Mapping[str, Any] = MODEL,
    looked_at: Callable[[Path, str], None] | None = None,
) -> dict[str, str]:
    """Return what a target renders, the text of each file by its path, as the `render` stage lets it.

    Args:
        component: the target.
        project: the project's folder.
        params: the target's parameters.
        name: the project's name.
        version: the project's version.
        image: the image to run.
        model: the model's facts.
        looked_at: is called with the folder while it is there, and with the version of Kubernetes that the target is for.

    Raises:
        AssertionError: it rendered nothing, or a template that it did not register.
    """
    values = check_values(component.parameters, dict(params or {}), f"target {component.name!r}")
    known = CheckContext(name=name, version=version, runtime="sample", reads_settings=image.server.reads_settings)
    refuse(component, values, known, f"target {component.name!r}")
    always = {"name": name, "version": version, "image": image, "model": model, "params": values}
    render = renderer(project, component.template_folders, always)
    with tempfile.TemporaryDirectory(prefix="modelyard-render-") as folder:
        out = Path(folder, "out")
        out.mkdir()
        context = TargetContext(
            out=out,
            project=project,
            cache=Path(folder),
            seed=0,
            progress=lambda *_, **__: None,
            log=lambda _: None,
            name=name,
            version=version,
            image=image,
            model=model,
            render=_registered_only(component, render),
        )
        component.function(context, **values)
        files = {p.relative_to(out).as_posix(): p.read_bytes().decode() for p in sorted(out.rglob("*")) if p.is_file()}
        assert files, f"target {component.name!r} wrote nothing; it must call context.write"
        if looked_at is not None:
            looked_at(out, str(values.get("kubernetes_version") or VERSION))
        return files


def _registered_only(component: Component, render: Callable[..., str]) -> Callable[..., str]:
    def checked(template: str, /, **values: object) -> str:
        assert template in component.templates, (
            f"target {component.name!r} renders {template!r}, which it did not register; "
            "name it in `templates`, or its changes make nothing stale"
        )
        return render(template, **values)

    return checked


def _check_objects(name: str, folder: Path, version: str) -> None:
    """Check the objects in `folder`, and that whatever names the image names it by its digest."""
    check_rendered(
        folder, name="sample", image=IMAGE.reference, version=version, log=lambda _: None, warn=lambda _: None
    )
    found = charts(folder)
    files = [file for file in folder.rglob("*") if file.is_file() and not any(one in file.parents for one in found)]
    texts = [file.read_text(encoding="utf-8") for file in files]
    for chart in found:
        texts += chart_texts(chart, "sample", version) if has_helm() else [_chart_as_if_rendered(name, chart)]
    named = [one for text in texts for one in re.findall(re.escape(IMAGE.repository) + r"[^\s\"']*", text)]
    assert named, f"target {name!r}: no file names the image; write {{{{ image.reference }}}}"
    loose = [one for one in named if not one.endswith(IMAGE.digest)]
    assert not loose, (
        f"target {name!r}: names the image without its digest: {loose[0]!r}; write {{{{ image.reference }}}}"
    )


def _chart_as_if_rendered(name: str, chart: Path) -> str:
    """Return the image that a chart can be taken to name, when nobody is there to render it."""
    texts = [file.read_text(encoding="utf-8") for file in chart.rglob("*") if file.is_file()]
    parts = [part for part in (IMAGE.repository, IMAGE.digest) if not any(part in text for text in texts)]
    assert not parts, (
        f"target {name!r}: the chart lacks {parts[0]!r}; its values hold `image.repository` and `image.digest`"
    )
    return IMAGE.reference


def _parsed(name: str, chart_folders: Sequence[PurePosixPath], file: str, text: str) -> Any:
    """Return what a YAML or JSON file says; of any other file, what stands before `=` or `:` in each line."""
    is_helms = any(chart / "templates" in PurePosixPath(file).parents for chart in chart_folders)
    if is_helms or not file.endswith((".json", ".yaml", ".yml")):
        return [re.split(r"[=:]", line)[0].strip() for line in text.splitlines()]
    import yaml  # JSON is YAML

    try:
        return list(yaml.safe_load_all(text))
    except yaml.YAMLError as exc:
        msg = f"target {name!r}: {file} cannot be read: {exc}"
        raise AssertionError(msg) from exc


def _shape(value: Any) -> Any:
    """Return `value` with its texts and numbers left out: what a text may never change."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return None
