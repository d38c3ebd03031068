"""Render Jinja2 templates, and tell which files a template is made of.

A template is looked for in the project's `templates/`, then in the `templates/` folder beside the plugin's module, then
among the built-in ones. A name that starts with `builtin/` skips the first two, so that an override can extend what it
overrides: `{% extends "builtin/kubernetes/deployment.yaml.j2" %}`.

In a YAML or JSON template every `{{ value }}` is quoted as it is put in (see `modelyard.rendering.yaml`). A filter cannot be
forgotten; only `| verbatim` puts text in as it stands.

Finding the files needs no Jinja2, so that the process that plans a build can do it.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import ModelyardError, did_you_mean

if TYPE_CHECKING:
    import jinja2

BUILTIN = "builtin/"
QUOTED = (".yaml.j2", ".yml.j2", ".json.j2")
"""A template whose name ends so has its values quoted."""

_MARKUP = (
    r"(?s)\{#.*?#\}"
    r"|\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}"
    r"|\{%[-+]?\s*(?P<tag>include|extends|import|from)\b(?P<rest>.*?)[-+]?%\}"
)
_TAIL = {
    "include": r"\s+ignore\s+missing\b|\s+with(?:out)?\s+context\b",
    "extends": r"$",
    "import": r"\s+as\s",
    "from": r"\s+import\s",
}
_NAME = r"""\s*(?:"([^"\\]+)"|'([^'\\]+)')\s*"""


class TemplateError(ModelyardError):
    """A template is missing, cannot be read, or asks for something that there is not."""


def folders(project: Path, extra: Sequence[Path] = ()) -> list[Path]:
    """Return the folders in which a template is looked for, the nearest first; not each need be there."""
    return [project / "templates", *extra, builtin_folder()]


@functools.cache
def builtin_folder() -> Path:
    """Return the folder of the built-in templates."""
    spec = importlib.util.find_spec("modelyard_templates")
    if spec is None or not spec.submodule_search_locations:
        msg = "the built-in templates are missing\n  install again: python -m pip install --force-reinstall modelyard"
        raise TemplateError(msg)
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def template_files(
    project: Path,
    names: Sequence[str],
    extra: Sequence[Path] = (),
    *,
    named: Callable[[Path], Iterable[str]] | None = None,
) -> list[Path]:
    """Return every file that the templates `names` are made of: each one, and what it includes, extends or imports.

    The order depends on the templates alone. A file that one of them names but that is not there is left out: rendering
    reports it, unless the template allows it to be missing.

    Args:
        project: the project's folder.
        names: the templates.
        extra: further folders to look in.
        named: gives what `names_in` a file are, for who remembers it.

    Raises:
        TemplateError: one of `names` is not found; or a template computes the name of another, so that no one can tell
            when it is stale.
    """
    found: dict[Path, None] = {}
    places = folders(project, extra)
    waiting = [_nearest(name, places) or _required(project, name, extra) for name in reversed(names)]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found[file] = None
        near = (_nearest(name, places) for name in (named or names_in)(file))
        waiting += reversed([path for path in near if path is not None])
    return list(found)


def names_in(file: Path) -> list[str]:
    """Return the names that the template `file` includes, extends or imports, in its order.

    Raises:
        TemplateError: it cannot be read, or a name is computed.
    """
    return references(_read(file), str(file))


def find(project: Path, name: str, extra: Sequence[Path] = ()) -> Path | None:
    """Return the file that the template `name` stands for, or None."""
    return _nearest(name, folders(project, extra))


def _nearest(name: str, places: Sequence[Path]) -> Path | None:
    """Return the file of the template `name` in the first of `places` that has it; the last of them is the built-in one's."""
    path = name.removeprefix(BUILTIN)
    if ".." in path.split("/") or "\\" in path:
        return None
    files = (f"{place}/{path}" for place in (places[-1:] if name.startswith(BUILTIN) else places))
    return next((Path(file) for file in files if os.path.isfile(file)), None)  # noqa: PTH113 - the hot path


def references(source: str, where: str = "template") -> list[str]:
    """Return the names that a template's text includes, extends or imports, in its order.

    Raises:
        TemplateError: a name is computed.
    """
    names: list[str] = []
    for found in re.finditer(_MARKUP, source):
        if found["tag"]:
            line = source.count("\n", 0, found.start()) + 1
            names += _names(found["tag"], found["rest"], f"{where}:{line}")
    return names


def environment(project: Path, extra: Sequence[Path] = (), *, quote: bool = True) -> jinja2.Environment:
    """Return the Jinja2 environment for templates of `project`.

    Args:
        project: the project's folder.
        extra: template folders of plugins.
        quote: quote every value as YAML; without it values are put in as text, escaped in `*.html.j2`.
    """
    import jinja2

    from modelyard.rendering.yaml import YamlText, block, flow

    built_in = jinja2.PrefixLoader({BUILTIN.rstrip("/"): jinja2.FileSystemLoader(builtin_folder())})
    loader = jinja2.ChoiceLoader([built_in, *(jinja2.FileSystemLoader(f) for f in folders(project, extra))])
    made = jinja2.Environment(
        loader=loader,
        undefined=_undefined(),
        autoescape=jinja2.select_autoescape(("html.j2", "xml.j2"), default=False),
        finalize=_finalize if quote else None,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"yaml": flow, "block": block, "verbatim": YamlText}
    return made


def renderer(project: Path, extra: Sequence[Path], always: Mapping[str, object]) -> Callable[..., str]:
    """Return `render(template, **values)` for a target: the text of a template, in which `always` are defined too.

    The function raises `TemplateError`, with file and line, for anything that is wrong with a template.
    """
    made = {quote: environment(project, extra, quote=quote) for quote in (True, False)}

    def render(template: str, /, **values: object) -> str:
        _required(project, template, extra)
        names = {**always, **values}
        try:
            return made[template.endswith(QUOTED)].get_template(template).render(names)
        except ModelyardError:
            raise
        except Exception as exc:
            msg = _explain(exc, template, names, made[True])
            raise TemplateError(msg) from exc

    return render


def _finalize(value: object) -> str:
    from modelyard.rendering.yaml import YamlText, flow

    if type(value) is YamlText:
        return value
    if getattr(type(value), "_fail_with_undefined_error", None):
        return str(value)  # raises, with the name
    return flow(value)


def _undefined() -> type[jinja2.StrictUndefined]:
    import jinja2

    class Undefined(jinja2.StrictUndefined):
        """An undefined name or attribute: any use is an error, which names those that there are."""

        __slots__ = ()

        @property
        def _undefined_message(self) -> str:
            text = super()._undefined_message
            owner = self._undefined_obj
            names = [] if owner is jinja2.utils.missing else _members(owner)
            return text + did_you_mean(str(self._undefined_name), names)

    return Undefined


def _members(owner: object) -> list[str]:
    if isinstance(owner, Mapping):
        return [str(key) for key in owner]
    return [name for name in dir(owner) if not name.startswith("_")]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        msg = f"{file}: cannot be read as a template: {exc}"
        raise TemplateError(msg) from exc


def _names(tag: str, rest: str, where: str) -> Iterator[str]:
    named = re.split(_TAIL[tag], rest, maxsplit=1)[0].strip()
    if named[:1] + named[-1:] in {"[]", "()"}:
        named = named[1:-1].strip().removesuffix(",")
    parts = named.split(",")
    for part in parts:
        found = re.fullmatch(_NAME, part)
        if found is None:
            msg = (
                f"{where}: the name of a template is computed: {named!r}\n"
                f'  write it out, in quotes, so that a change of that file is seen: {{% if ... %}}{{% {tag} "NAME" %}}'
            )
            raise TemplateError(msg)
        yield found[1] or found[2]


def _required(project: Path, name: str, extra: Sequence[Path]) -> Path:
    file = find(project, name, extra)
    if file is None:
        raise TemplateError(_not_found(project, name, extra))
    return file


def _not_found(project: Path, name: str, extra: Sequence[Path]) -> str:
    places = [place for place in folders(project, extra) if place.is_dir()]
    known = {path.relative_to(place).as_posix() for place in places for path in place.rglob("*.j2")}
    looked = ", ".join(str(place) for place in places)
    return f"template {name!r} is not found{did_you_mean(name, known)}\n  looked in: {looked}"


def _explain(exc: Exception, template: str, names: Mapping[str, object], made: jinja2.Environment) -> str:
    import jinja2

    if isinstance(exc, jinja2.TemplateSyntaxError):
        return f"{exc.filename or template}:{exc.lineno}: {_with_hint(str(exc.message), made)}\n  mend the template"
    where = _line_of(exc) or template
    if isinstance(exc, jinja2.TemplateNotFound):
        known = made.loader.list_templates() if made.loader else []
        return f"{where}: template {exc.name!r} is not found{did_you_mean(str(exc.name), known)}\n  mend its name"
    if isinstance(exc, jinja2.UndefinedError):
        found = re.fullmatch(r"'(\w+)' is undefined", str(exc))
        hint = did_you_mean(found[1], names) if found else ""
        return f"{where}: {exc}{hint}\n  defined here: {', '.join(sorted(names))}"
    return f"{where}: {type(exc).__name__}: {_with_hint(str(exc), made)}\n  mend the template, or the value it is given"


def _with_hint(message: str, made: jinja2.Environment) -> str:
    found = re.match(r"No (filter|test) named '([^']+)'", message)
    known: Mapping[str, Any] = {} if found is None else made.filters if found[1] == "filter" else made.tests
    return message.rstrip(".") + (did_you_mean(found[2], known) if found else "")


def _line_of(exc: Exception) -> str:
    """Return `file:line` of the innermost template in the traceback, which Jinja2 has put in terms of templates."""
    where, trace = "", exc.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.endswith(".j2"):
            where = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where
