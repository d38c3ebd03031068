"""`doit lock`: pin the Debian packages of the image, so that it is the same next year."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.commands.base import ProjectCommand, print_json
from modelyard.errors import ToolError, listing

if TYPE_CHECKING:
    from modelyard.build.engine import Engine

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
        builder = engine.project.config.uses["image"]
        if builder.component.lock is None:
            able = [name for name, one in engine.project.plugins.of_kind("builder").items() if one.lock is not None]
            msg = f"lock: the builder {builder.component.name!r} has nothing to lock\n  builders that have: {listing(able)}"
            raise ToolError(msg)
        usual = engine.project.folder / _DEFAULT
        locked = builder.component.lock(usual, **builder.params)
        if options["json"]:
            print_json({"file": str(locked.file), "packages": locked.packages})
            return 0
        is_new = locked.file == usual and not builder.params.get("lock")
        advice = f'\n  now write `lock = "{_DEFAULT}"` below [tool.modelyard.image], and commit both' if is_new else ""
        print(f"{locked.file.name}: {len(locked.packages)} packages{advice}")
        return 0
