"""`doit lock`: pin the Debian packages of the image, so that it is the same next year."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.commands.base import ProjectCommand, print_json
from modelyard.errors import ToolError

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
            ToolError: the image's builder does not use Debian packages, or apt cannot resolve them.
        """
        from modelyard.oci.apt import write_lock

        builder = engine.project.config.uses["image"]
        params = builder.params
        if builder.component.name != "oci" or params.get("base_image"):
            msg = "lock: the image's base is not made of Debian packages\n  a lock is for the builder 'oci' without base_image"
            raise ToolError(msg)
        path = Path(params["lock"] or engine.project.folder / _DEFAULT)
        lock = write_lock(path, params["suite"], params["profile"], tuple(params["packages"]))
        if options["json"]:
            print_json({"file": str(path), "packages": lock.packages})
            return 0
        advice = (
            ""
            if params["lock"]
            else f'\n  now write `lock = "{_DEFAULT}"` below [tool.modelyard.image], and commit both'
        )
        print(f"{path.name}: {len(lock.packages)} packages{advice}")
        return 0
