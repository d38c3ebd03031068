"""Hooks that are called while a project is loaded and built; they register nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from modelyard.hookspecs.marker import hookspec

if TYPE_CHECKING:
    from modelyard.artifacts import FileFacts, Model
    from modelyard.contexts import StageContext
    from modelyard.stage import Stage


@hookspec(firstresult=True)
def modelyard_read_model_file(model: Model) -> FileFacts | None:
    """Return what the file of `model`, just written, shows of itself; None for a format that is another's.

    Called in the worker after a trainer or a model optimizer, the nearest plugin's first: the project's, those of installed
    distributions, the built-in one, which knows `onnx`, `tflite`, `tf_keras`, `keras` and `torch`.
    """


@hookspec
def modelyard_formats_with_classes() -> Iterable[str] | None:
    """Return the formats whose files name classes of the project, such as layers of its own, and do not hold their code.

    Before a model optimizer reads such a file, the module of the project's model is imported, and it is in the key. Called
    once a load, in the `doit` process.
    """


@hookspec
def modelyard_amend_plan(stages: list[Stage]) -> None:
    """Change the list of stages in place before it is checked; called once a load, in the `doit` process."""


@hookspec
def modelyard_before_stage_run(stage: str, context: StageContext) -> None:
    """Called in the worker before the stage's component; raising stops the stage.

    Its code is in every stage's key; with `@hookimpl(kinds=("train",))` it is called for trainings only and in their keys
    only, and with `@hookimpl(observes=True)` it is in none.
    """


@hookspec
def modelyard_amend_manifests(target: str, documents: list[dict[str, Any]]) -> None:
    """Change Kubernetes objects in place after a target wrote them and before they are checked; called in the worker."""


@hookspec
def modelyard_after_stage_run(stage: str, context: StageContext) -> None:
    """Called in the worker after the component returned and before the artifact is taken; see above for its key."""


@hookspec
def modelyard_on_stage_error(stage: str, context: StageContext, error: Exception) -> None:
    """Called in the worker when the component raised; the error is reported whatever this does."""
