from __future__ import annotations

from pathlib import Path

from modelyard.oci import sbom
from modelyard.oci.packages import Package


def test_names_every_part_once_with_digest_and_address(tmp_path: Path) -> None:
    deb = sbom.of_deb(Package("libstdc++6", "1:2~3-4+b1", "amd64", "a" * 64, 1), "bookworm")
    wheel = sbom.of_wheel(Path("cache") / ("b" * 64) / "Ai_Edge.Litert-2.3.0-cp311-cp311-manylinux_2_27_x86_64.whl")
    found = sbom.document("team/x:1", f"sha256:{'c' * 64}", [deb, wheel], 1)
    addresses = [ref["referenceLocator"] for package in found["packages"] for ref in package.get("externalRefs", [])]
    assert addresses == [
        "pkg:deb/debian/libstdc++6@1:2~3-4%2Bb1?arch=amd64&distro=bookworm",
        "pkg:pypi/ai-edge-litert@2.3.0",
    ]
    ids = [package["SPDXID"] for package in found["packages"]]
    assert len(set(ids)) == 3
    assert {link["relatedSpdxElement"] for link in found["relationships"]} == set(ids)
    sbom.write(tmp_path / "a", found)
    sbom.write(tmp_path / "b", sbom.document("team/x:1", f"sha256:{'c' * 64}", [deb, wheel], 1))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
