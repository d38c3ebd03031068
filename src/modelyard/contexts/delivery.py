"""What deploy targets are given: to render, and to deploy what was rendered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.contexts.stages import StageContext

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from modelyard.artifacts import ImageFacts


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """What a target rendered, now or earlier.

    Attributes:
        folder: the files.
        key: the action key of the render.
        commit: the commit that it was rendered at, with `+` behind it if the tree was not clean; empty outside git.
        when: when it was rendered, ISO 8601.
    """

    folder: Path
    key: str
    commit: str
    when: str


class DeployContext(msgspec.Struct, frozen=True, kw_only=True):
    """For a target's `deploy` and `undeploy`: what was rendered, and what a person asked for.

    Attributes:
        task: the task that is run, for messages: `deploy:kubernetes`.
        push_task: the task that pushes the image.
        target: the target's name in the configuration.
        name: the project's name.
        version: the project's version.
        repository: the name of the project's image, without a tag.
        insecure: whether plain http may be spoken to its registry.
        who: who deploys.
        rendered: what is rendered now.
        earlier: gives an earlier render by its key, or the beginning of one, while it is open.
        say: takes each line about what is done.
        asks: puts a question to the person and returns whether they agree; never called with `yes`.
        to: what to go back to; empty: nothing, what is rendered now is deployed.
        diff: whether changes are shown line by line.
        dry_run: whether to tell what would be done, and do nothing.
        yes: whether the person has agreed already.
    """

    task: str
    push_task: str
    target: str
    name: str
    version: str
    repository: str
    insecure: bool
    who: str
    rendered: Rendered
    earlier: Callable[[str], AbstractContextManager[Rendered]]
    say: Callable[[str], None] = print
    asks: Callable[[str], bool] = lambda _question: False
    to: str = ""
    diff: bool = False
    dry_run: bool = False
    yes: bool = False

    def agreed(self, question: str) -> bool:
        """Tell whether the person agrees to what cannot be taken back."""
        return self.yes or self.asks(question)


class TargetContext(StageContext, frozen=True, kw_only=True):
    """For deploy targets: the image and the model behind it, and a way to render templates.

    Attributes:
        name: the project's name, a DNS label.
        version: the project's version.
        image: the image to run.
        model: the model's facts: `variant`, `format`, `inputs`, `outputs`, `metrics` (by name), `size_bytes`, `sha256`; of
            an image of several models what is true of all of them together: `size_bytes`, `sha256`.
        models: the facts of each model of such an image, by `NAME/VERSION`; empty: there is one.
        render: `render("kubernetes/service.yaml.j2", **values)` gives the text of a template, with `name`, `version`,
            `image`, `model` and the stage's parameters (as `params`) always there; undefined names are an error.
        server_memory_bytes: what the server of the image took while it was checked, with headroom (see
            `modelyard.launch.footprint`); 0: it was not started.
    """

    name: str
    version: str
    image: ImageFacts
    model: Mapping[str, Any]
    render: Callable[..., str]
    server_memory_bytes: int = 0
    models: Mapping[str, Mapping[str, Any]] = {}

    def write(self, file: str, text: str) -> None:
        """Write `text` to `file` below `out`, UTF-8 with line feeds only."""
        path = self.out / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
