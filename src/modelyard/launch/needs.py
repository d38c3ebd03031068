"""What the machine must have for an image's server to be started on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelyard.contexts import Lack
from modelyard.stage_settings import CheckSettings
from modelyard.system import is_linux

if TYPE_CHECKING:
    from modelyard.stage import Stage


def lacks(stage: Stage) -> Iterator[Lack]:
    """Yield what a stage `check` needs of this machine and does not find.

    A server that an image brings is started in a container only, and so is any where the image's programs do not run.
    """
    if not stage.settings_as(CheckSettings).start or (stage.uses["runtime"].component.reads_settings and is_linux()):
        return
    from modelyard.oci.engine import silence

    yield Lack("", install=("docker",))
    if why := silence():
        what = f"here this image's server runs in a container only, and no Docker engine answers: {why}"
        yield Lack(
            what, "start one; or go on without: [tool.modelyard.check] start = false, which the result then says"
        )
