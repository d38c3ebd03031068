"""`doit lock`: pin the Debian packages of the image, so that it is the same next year."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.commands.base import ProjectCommand, print_json
from modelyard.errors import ToolError, listing

if TYPE_CHECKING:
    from modelyard.build.engine import Engine
    from modelyard.component import Use
    from modelyard.config.config import Config
    from modelyard.contexts import Locked

_DEFAULT = "image.lock.json"


class Lock(ProjectCommand):
    """The command `lock`."""

    name = "lock"
    doc_purpose = "pin the packages of the image's base to what the mirrors have today"
    doc_usage = ""
    doc_description = (
        "Writes the lock file that [tool.modelyard.image] names with `lock`, or image.lock.json: every Debian package with "
        "version and SHA-256. Commit it. With it, a build takes these packages and no others; run `doit lock` again to update."
    )

    def answer(self, engine: Engine, options: Any, names: list[str]) -> int:  # noqa: ARG002 - the interface of commands
        """Resolve today's packages and write the lock file.

        Raises:
            ToolError: the image's builder has nothing to lock, or cannot find out what there is today.
        """
        builders = {_written(one.uses["image"]): one for one in engine.project.config.pipelines if not one.packed_in}
        is_one = len(builders) == 1
        done = [_lock(engine, one, _DEFAULT if is_one else f"{one.name}.{_DEFAULT}") for one in builders.values()]
        if options["json"]:
            answers = [{"file": str(locked.file), "packages": locked.packages} for locked, _ in done]
            print_json(answers[0] if is_one else answers)
            return 0
        for locked, advice in done:
            print(f"{locked.file.name}: {len(locked.packages)} packages{advice}")
        return 0


def _written(builder: Use) -> str:
    """Return a text that is the same for builders that lock the same."""
    return f"{builder.component.name} {builder.params!r}"


def _lock(engine: Engine, config: Config, name: str) -> tuple[Locked, str]:
    """Write the lock file of one builder, called `name` unless it says how, and return it with what to do about it."""
    builder = config.uses["image"]
    if builder.component.lock is None:
        able = [name for name, one in engine.project.plugins.of_kind("builder").items() if one.lock is not None]
        msg = f"lock: the builder {builder.component.name!r} has nothing to lock\n  builders that have: {listing(able)}"
        raise ToolError(msg)
    usual = engine.project.folder / name
    locked = builder.component.lock(usual, **builder.params)
    is_new = locked.file == usual and not builder.params.get("lock")
    table = f"{config.source.group}.{config.pipeline}.image" if name != _DEFAULT else "image"
    return locked, f'\n  now write `lock = "{name}"` below [tool.modelyard.{table}], and commit both' if is_new else ""
