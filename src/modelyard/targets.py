"""A deploy target that is nothing but templates, in one call."""

from __future__ import annotations

import inspect
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from modelyard.errors import PluginError

if TYPE_CHECKING:
    from modelyard.contexts import Lack, Problem, TargetContext
    from modelyard.hookspecs import RegisterTarget


def template_target(
    register: RegisterTarget,
    name: str,
    *,
    templates: Sequence[str],
    parameters: Mapping[str, Any] | None = None,
    doc: str = "",
    deploy: Callable[..., Any] | None = None,
    undeploy: Callable[..., Any] | None = None,
    check: Callable[..., Iterable[Problem]] | None = None,
    preflight: Callable[..., Iterable[Lack]] | None = None,
) -> None:
    """Register a target that renders each of `templates` to a file of the template's path without `.j2`.

    The folder that all templates share is left out: `helm/Chart.yaml.j2` and `helm/templates/service.yaml.j2` give
    `Chart.yaml` and `templates/service.yaml`. The templates are looked for in the project's `templates/`, then in a
    `templates/` folder beside the plugin's module. They may use `name`, `version`, `image`, `model`, and each parameter
    by its name.

    Args:
        register: what `modelyard_register_targets` was given.
        name: the target's name.
        templates: the templates, as paths below a `templates` folder, for instance `cloudrun/service.yaml.j2`.
        parameters: the target's parameters with their defaults; the type of the default is that of the parameter.
        doc: one line on what the target is, for `doit list`.
        deploy: applies what was rendered; without it the target has no `deploy` task.
        undeploy: takes away what was deployed; without it the target has no `undeploy` task.
        check: says what the parameters mean, see `hookspecs.ComponentTraits`.
        preflight: says what this machine lacks, see there.

    Raises:
        PluginError: two templates would give the same file, or there is none.
    """
    files = _files(name, templates)

    def render(context: TargetContext, **params: Any) -> None:
        for file, template in files.items():
            context.write(file, context.render(template, **params))

    render.__name__ = render.__qualname__ = name
    render.__doc__ = doc or f"Files from {', '.join(templates)}."
    _take(render, parameters or {})
    register(
        name,
        render,
        templates=tuple(templates),
        deploy=deploy,
        undeploy=undeploy,
        tools=("jinja2",),
        check=check,
        preflight=preflight,
    )


def _files(name: str, templates: Sequence[str]) -> dict[str, str]:
    """Return the template of each file that the target makes, by the file's name."""
    folders = [PurePosixPath(template).parent.parts for template in templates]
    shared = len(posixpath.commonprefix(folders)) if folders else 0
    files = {
        PurePosixPath(*PurePosixPath(template).parts[shared:]).as_posix().removesuffix(".j2"): template
        for template in templates
    }
    if isinstance(templates, str) or not files or len(files) != len(templates):
        msg = (
            f"target {name!r}: templates must name one file each, not {templates!r}\n"
            "  write templates=('folder/a.yaml.j2', 'folder/b.yaml.j2'), each of its own"
        )
        raise PluginError(msg)
    return files


def _take(render: Callable[..., None], parameters: Mapping[str, Any]) -> None:
    """Give `render` the signature that makes `parameters` its configuration."""
    types = {key: _type(value) for key, value in parameters.items()}
    keyword = inspect.Parameter.KEYWORD_ONLY
    listed = [inspect.Parameter("context", inspect.Parameter.POSITIONAL_ONLY)]
    listed += [inspect.Parameter(key, keyword, default=parameters[key], annotation=types[key]) for key in parameters]
    render.__annotations__ = types
    render.__signature__ = inspect.Signature(listed)  # type: ignore[attr-defined]


def _type(value: object) -> Any:
    """Return the annotation for a default: its type, with what is inside when it says so."""
    if isinstance(value, list | tuple):
        return tuple[str, ...] if all(isinstance(one, str) for one in value) else tuple[Any, ...]
    return dict[str, str] if isinstance(value, Mapping) else type(value)
