"""The list of what an image is made of, for scanners and auditors.

Source: SPDX 2.3, JSON; package URL specification.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from modelyard.oci.image import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from modelyard.oci.packages import Package


@dataclass(frozen=True)
class Component:
    """One part of an image: what it is, and the SHA-256 of the file that it came in."""

    name: str
    version: str
    sha256: str
    url: str = ""


def of_deb(package: Package, suite: str) -> Component:
    """Return the component for a Debian package."""
    qualifiers = f"?arch={package.architecture}&distro={quote(suite)}"
    url = f"pkg:deb/debian/{package.name}@{quote(package.version, safe=':~')}{qualifiers}"
    return Component(package.name, package.version, package.sha256, url)


def of_wheel(wheel: Path) -> Component:
    """Return the component for a wheel in the cache, whose folder is named by its digest."""
    name, version = wheel.name.split("-")[:2]
    name = re.sub(r"[-_.]+", "-", name).lower()
    return Component(name, version, wheel.parent.name, f"pkg:pypi/{name}@{version}")


def document(image: str, digest: str, components: Iterable[Component], epoch: int) -> Mapping[str, Any]:
    """Return the SPDX document of `image`, whose manifest has `digest`."""
    packages = [_package(component) for component in components]
    root = _package(Component(image, digest, digest.removeprefix("sha256:")))
    describes = {
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": root["SPDXID"],
    }
    contains = [
        {"spdxElementId": root["SPDXID"], "relationshipType": "CONTAINS", "relatedSpdxElement": package["SPDXID"]}
        for package in packages
    ]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": image,
        "documentNamespace": f"urn:modelyard:image:{digest}",
        "creationInfo": {"created": timestamp(epoch), "creators": ["Tool: modelyard"]},
        "packages": [root, *packages],
        "relationships": [describes, *contains],
    }


def write(path: Path, value: Mapping[str, Any]) -> None:
    """Write the document to `path`, two-space indent, sorted keys: the same bytes every time."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _package(component: Component) -> dict[str, Any]:
    mark = hashlib.sha256(f"{component.name} {component.version} {component.sha256}".encode()).hexdigest()[:16]
    found: dict[str, Any] = {
        "SPDXID": f"SPDXRef-{re.sub(r'[^A-Za-z0-9.-]', '-', component.name)}-{mark}",
        "name": component.name,
        "versionInfo": component.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA256", "checksumValue": component.sha256}],
    }
    if component.url:
        reference = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": component.url}
        found["externalRefs"] = [reference]
    return found
