"""Whether the registry has what the pods will pull: asked before anything is applied."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelyard.errors import ToolError
from modelyard.kubernetes.objects import Bundle, text
from modelyard.oci.registry import has_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.kubernetes.objects import Object

_REFERENCE = re.compile(r"(?P<repository>[^@]+?)(?::[\w][\w.-]*)?@(?P<digest>sha256:[0-9a-f]{64})")


def check_images(
    documents: list[Object], repository: str, task: str, say: Callable[[str], None], *, insecure: bool
) -> None:
    """See that the registry has the project's own image by the digest that is rendered.

    An image that nodes never pull, or that is named without a digest, is the nodes' own affair.

    Args:
        documents: the objects.
        repository: of the project's image; others', a proxy's for instance, are not asked for.
        task: the task that pushes it.
        say: is told when the registry cannot be asked from here: the nodes may well reach it.
        insecure: speak plain http to a registry that is not on this machine.

    Raises:
        ToolError: the registry says that it has not got it.
    """
    containers = [one.spec for pod in Bundle(documents).pods for one in pod.containers]
    pulled = [text(one, "image") for one in containers if text(one, "imagePullPolicy") != "Never"]
    for image in dict.fromkeys(pulled):
        found = _REFERENCE.fullmatch(image)
        if found is None or found["repository"] != repository:
            continue
        try:
            known = has_manifest(repository, found["digest"], insecure=insecure)
        except ToolError as exc:
            first, _, rest = str(exc).partition("\n")
            say(f"warning: cannot ask for the image: {first}{rest and f' ({rest.strip()})'}")
            continue
        if not known:
            msg = f"the registry has no {image}\n  push it: doit {task}   (an image that the nodes have: image_pull_policy = 'Never')"
            raise ToolError(msg)
