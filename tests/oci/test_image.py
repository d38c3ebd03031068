from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.errors import ToolError
from modelyard.oci.image import FIXED_EPOCH, Image, source_epoch, timestamp

Make = Callable[..., tuple[Path, Image]]


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        return {m.name: opened.extractfile(m).read() for m in opened if m.isfile()}  # type: ignore[union-attr]


def test_one_archive_is_an_oci_layout_and_a_docker_archive(make_image: Make) -> None:
    archive, image = make_image({"a": b"1"}, {"b": b"2"})
    found = members(archive)
    (descriptor,) = json.loads(found["index.json"])["manifests"]
    assert descriptor["digest"] == image.digest
    assert descriptor["annotations"]["io.containerd.image.name"] == "docker.io/team/digits:v1"
    manifest = json.loads(found[f"blobs/{image.digest.replace(':', '/')}"])
    (docker,) = json.loads(found["manifest.json"])
    assert docker["RepoTags"] == ["team/digits:v1"]
    assert docker["Layers"] == [f"blobs/{one['digest'].replace(':', '/')}" for one in manifest["layers"]]
    config = json.loads(found[docker["Config"]])
    assert len(config["rootfs"]["diff_ids"]) == len(config["history"]) == len(docker["Layers"])
    assert config["created"] == "1970-01-01T00:00:01Z"
    for name, data in found.items():
        if name.startswith("blobs/"):
            import hashlib

            assert hashlib.sha256(data).hexdigest() == name.rpartition("/")[2]


def test_same_content_gives_the_same_bytes(make_image: Make) -> None:
    first, _ = make_image({"a": b"1"}, name="x.tar")
    second, _ = make_image({"a": b"1"}, name="y.tar")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_skopeo_reads_it(make_image: Make, transport: str) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("the program skopeo is not installed")
    archive, image = make_image({"a": b"1"})
    done = subprocess.run(["skopeo", "inspect", f"{transport}:{archive}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["Labels"] == {"l": "m"}
    assert transport == "docker-archive" or found["Digest"] == image.digest


def test_source_date_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert source_epoch() == FIXED_EPOCH
    assert timestamp(FIXED_EPOCH) == "2024-01-01T00:00:00Z"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "5")
    assert source_epoch() == 5
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(ToolError, match="'yesterday'"):
        source_epoch()
