"""Which distributions are missing, and the one command that installs them: by the extras that bring them, where there are any."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelyard.code.versions import installed_version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

OURS = "modelyard"
_OF_MODULES = {
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "cv2": "opencv-python",
}
"""Distributions that are called otherwise than the module that they bring."""
_REQUIREMENT = re.compile(r"""([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?[^;]*;.*\bextra\s*==\s*["']([^"']+)["']""")

Extras = dict[str, set[str]]
"""For each extra, the distributions that it brings."""


def missing(distributions: Iterable[str]) -> list[str]:
    """Return those of `distributions` that are not installed, each once, in their order."""
    return [name for name in dict.fromkeys(distributions) if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        installed_version(name)
    except ModuleNotFoundError:
        return False
    return True


def install_command(distributions: Collection[str], near: Collection[str] = ()) -> str:
    """Return the command that installs `distributions`.

    Args:
        distributions: their names.
        near: the distributions whose extras are looked at before modelyard's: those of the plugins that need them.
    """
    words: dict[str, set[str]] = {}
    left = {_normal(name): name for name in distributions}
    for owner in (*near, OURS):
        for extra, brought in _chosen(extras_of(owner), left).items():
            words.setdefault(owner, set()).add(extra)
            for name in brought:
                left.pop(name, None)
    targets = [f"'{owner}[{','.join(sorted(extras))}]'" for owner, extras in words.items()]
    return f"python -m pip install {' '.join([*targets, *sorted(left.values())])}"


def _chosen(extras: Extras, wanted: Collection[str]) -> Extras:
    """Return the extras that bring what is wanted: for each distribution the smallest one, unless a chosen one has it."""
    found: Extras = {}
    choices = {name: [e for e, brought in extras.items() if name in brought] for name in wanted}
    for name, having in sorted(choices.items(), key=lambda item: len(item[1])):
        if having and not any(name in brought for brought in found.values()):
            best = min(having, key=lambda extra: (len(extras[extra]), extra))
            found[best] = extras[best]
    return found


def extras_of(distribution: str) -> Extras:
    """Return the extras of an installed distribution; none if it is not installed."""
    from importlib.metadata import requires

    try:
        lines = requires(distribution) or []
    except ModuleNotFoundError:
        return {}
    direct: Extras = {}
    inner: Extras = {}
    for line in lines:
        if (parts := _REQUIREMENT.match(line)) is None:
            continue
        name, asked, extra = parts[1], parts[2] or "", parts[3]
        if _normal(name) == _normal(distribution):
            inner.setdefault(extra, set()).update(word.strip() for word in asked.split(","))
        direct.setdefault(extra, set()).update({_normal(name)} - {_normal(distribution)})
    return {extra: _expanded(extra, direct, inner) for extra in direct}


def _expanded(extra: str, direct: Extras, inner: Extras) -> set[str]:
    """Return what an extra brings, with the extras of the same distribution that it names."""
    seen: set[str] = set()
    todo = [extra]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += inner.get(one, ())
    return set().union(*(direct.get(one, set()) for one in seen))


def of_module(module: str) -> str:
    """Return the name of the distribution that brings a module, as far as it can be told from the module's."""
    top = module.partition(".")[0]
    return _OF_MODULES.get(top, _normal(top))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
