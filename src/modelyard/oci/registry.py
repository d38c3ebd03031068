"""An image archive pushed to a registry without an engine: the digest stays what the build said.

Source: OCI distribution-spec 1.1, "Push".
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, urlencode, urljoin

from modelyard.errors import ToolError
from modelyard.oci.archive import SourceImage, read_image
from modelyard.oci.image import CONFIG, MANIFEST
from modelyard.oci.image import digest as digest_of
from modelyard.oci.reference import Reference, parse
from modelyard.oci.transport import Answer, Body, Client, advice_for

if TYPE_CHECKING:
    from pathlib import Path

_MANIFESTS = (
    MANIFEST,
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""What an image's digest may be that of."""
CHUNK_BYTES = 4 << 20
"""What registries behind a proxy accept in one request."""
MAX_CHUNK_BYTES = 256 << 20
"""A piece is held in memory; S3 behind a registry asks for 5 MiB."""

GREETING_S = 10
"""How long a registry may take to say whether it would let a push in."""

Report = Callable[[int, int, str], None]
"""Takes bytes done, bytes in all, and a short text."""


def _quiet(done: int, total: int, note: str) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Pushed:
    """What a push did: the image's address by digest, and how many bytes of which blobs had to be sent."""

    reference: str
    digest: str
    sent: tuple[str, ...]
    sent_bytes: int
    present: tuple[str, ...]


@dataclass(frozen=True)
class _Blob:
    digest: str
    size_bytes: int
    open: Callable[[], BinaryIO]


def push(
    archive: Path,
    repository: str,
    tag: str,
    *,
    insecure: bool = False,
    mount_from: str = "",
    chunk_bytes: int = 0,
    report: Report = _quiet,
) -> Pushed:
    """Push the image in `archive` to `repository` (host and path) under its digest and under `tag`.

    Args:
        archive: an archive or OCI layout with an OCI manifest.
        repository: the image's name without a tag, for instance `registry.example/team/digits`.
        tag: the tag to set.
        insecure: speak plain http to a registry that is not on this machine.
        mount_from: path of another repository of the same registry that may have the layers already.
        chunk_bytes: send blobs in pieces of this size; 0 sends each whole, in pieces only if that is refused.
        report: is told the bytes done, the bytes in all, and what is being sent.

    Raises:
        ToolError: the registry cannot be reached, refuses, or ends up with another digest.
    """
    image, where = _pushable(archive), parse(repository, tag)
    scopes = [f"repository:{where.path}:pull,push"] + ([f"repository:{mount_from}:pull"] if mount_from else [])
    client = Client(where.host, tuple(scopes), insecure=insecure)
    blobs = _blobs(image)
    total, done = sum(blob.size_bytes for blob in blobs), 0
    sent: list[_Blob] = []
    for blob in blobs:
        report(done, total, blob.digest[7:19])
        if _Upload(client, where, blob, chunk_bytes).run(mount_from):
            sent.append(blob)
        done += blob.size_bytes
    _put_manifest(client, where, image)
    report(total, total, image.digest)
    names = tuple(blob.digest for blob in sent)
    rest = tuple(blob.digest for blob in blobs if blob not in sent)
    return Pushed(f"{repository}:{tag}@{image.digest}", image.digest, names, sum(b.size_bytes for b in sent), rest)


def check_push(repository: str, *, insecure: bool = False) -> None:
    """Ask the registry whether a push to `repository` would be let in: an upload is begun, and called off.

    Raises:
        ToolError: the registry cannot be reached, or does not let us in.

    Source: go-containerregistry, `remote.CheckPushPermission`.
    """
    where = parse(repository, "latest")
    scopes = (f"repository:{where.path}:pull,push",)
    client = Client(where.host, scopes, insecure=insecure, tries=1, timeout_s=GREETING_S)
    begun = client.request("POST", f"{where.path}/blobs/uploads/")
    if begun.status not in (201, 202):
        msg = (
            f"registry {where.host!r}: {begun.status} where a push to {where.path!r} begins: {begun.errors()}\n"
            "  check the repository's name, and that you may push there"
        )
        raise ToolError(msg)
    if location := begun.headers.get("location"):
        with contextlib.suppress(ToolError):
            client.request("DELETE", location)


def has_manifest(repository: str, digest: str, *, insecure: bool = False) -> bool:
    """Tell whether the registry has the image with `digest` in `repository`.

    Raises:
        ToolError: the registry cannot be reached, does not let us in, or answers neither yes nor no.
    """
    where = parse(repository, "latest")
    scopes = (f"repository:{where.path}:pull",)
    client = Client(where.host, scopes, insecure=insecure, tries=1, timeout_s=GREETING_S)
    headers = {"Accept": ", ".join(_MANIFESTS)}
    answer = client.request("HEAD", f"{where.path}/manifests/{digest}", headers=headers)
    return answer.status != 404 and bool(require(answer, 200, f"HEAD manifest {digest}", where.host))


def _pushable(archive: Path) -> SourceImage:
    image = read_image(archive)
    if not image.manifest:
        msg = (
            f"{archive}: has no OCI manifest, so its digest in a registry is not known\n  push an archive that has one"
        )
        raise ToolError(msg)
    return image


def _blobs(image: SourceImage) -> list[_Blob]:
    layers = {layer.digest: _Blob(layer.digest, layer.size_bytes, layer.blob) for layer in image.layers}
    config = json.loads(image.manifest)["config"]
    assert config["mediaType"] == CONFIG or config["mediaType"].startswith("application/vnd.docker")
    return [*layers.values(), _Blob(config["digest"], config["size"], lambda: _bytes_stream(image.config_bytes))]


def _bytes_stream(data: bytes) -> BinaryIO:
    import io

    return io.BytesIO(data)


@dataclass(frozen=True)
class _Upload:
    """One blob on its way."""

    client: Client
    where: Reference
    blob: _Blob
    chunk_bytes: int

    def run(self, mount_from: str) -> bool:
        """Bring the blob there; return whether its bytes had to be sent."""
        if self.client.request("HEAD", f"{self.where.path}/blobs/{self.blob.digest}").status == 200:
            return False
        mount = {"mount": self.blob.digest, "from": mount_from} if mount_from else {}
        begun = self._begin(mount)
        if begun.status == 201:
            return False
        if self.chunk_bytes:
            self._in_chunks(begun)
            return True
        answer = self._put(begun, self.blob.open, self.blob.size_bytes)
        if answer.status == 413:
            self._in_chunks(self._begin({}))
        else:
            self._require(answer, 201, "PUT")
        return True

    def _begin(self, query: dict[str, str]) -> Answer:
        url = f"{self.where.path}/blobs/uploads/" + (f"?{urlencode(query)}" if query else "")
        answer = self.client.request("POST", url)
        return self._require(answer, 201 if answer.status == 201 else 202, "POST")

    def _put(self, begun: Answer, body: Body, size: int) -> Answer:
        location = self._location(begun)
        url = f"{location}{'&' if '?' in location else '?'}digest={quote(self.blob.digest)}"
        return self.client.request(
            "PUT", url, body=body, size=size, headers={"Content-Type": "application/octet-stream"}
        )

    def _in_chunks(self, begun: Answer) -> None:
        length, at = max(self.chunk_bytes or CHUNK_BYTES, self._least_chunk(begun)), 0
        with self.blob.open() as stream:
            while piece := stream.read(length):
                begun = self._patch(begun, piece, at)
                at += len(piece)
        self._require(self._put(begun, b"", 0), 201, "PUT")

    def _least_chunk(self, begun: Answer) -> int:
        text = begun.headers.get("oci-chunk-min-length", "0")
        if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) > MAX_CHUNK_BYTES:
            msg = (
                f"registry {self.client.host!r}: asks for pieces of at least {text[:40]!r} bytes (OCI-Chunk-Min-Length)\n"
                f"  allowed: 0 to {MAX_CHUNK_BYTES}; check that it is a registry"
            )
            raise ToolError(msg)
        return int(text)

    def _patch(self, begun: Answer, piece: bytes, at: int) -> Answer:
        headers = {"Content-Type": "application/octet-stream", "Content-Range": f"{at}-{at + len(piece) - 1}"}
        return self._require(
            self.client.request("PATCH", self._location(begun), body=piece, headers=headers), 202, "PATCH"
        )

    def _location(self, answer: Answer) -> str:
        if not answer.headers.get("location"):
            msg = (
                f"registry {self.client.host!r}: gave no place to send blob {self.blob.digest} to\n"
                "  check that it is a registry"
            )
            raise ToolError(msg)
        try:
            return urljoin(self.client.root, answer.headers["location"])
        except ValueError as exc:
            place = answer.headers["location"][:200]
            msg = f"registry {self.client.host!r}: gave {place!r} as a place to send a blob to: {exc}\n  check that it is a registry"
            raise ToolError(msg) from exc

    def _require(self, answer: Answer, status: int, method: str) -> Answer:
        return require(answer, status, f"{method} blob {self.blob.digest}", self.client.host)


def _put_manifest(client: Client, where: Reference, image: SourceImage) -> None:
    """Put the manifest by digest, which the registry checks, and then by tag, which it does not."""
    for name in (image.digest, where.tag):
        url = f"{where.path}/manifests/{name}"
        known = client.request("HEAD", url, headers={"Accept": MANIFEST})
        if known.status == 200 and known.headers.get("docker-content-digest") == image.digest:
            continue
        answer = client.request("PUT", url, body=image.manifest, headers={"Content-Type": MANIFEST})
        require(answer, 201, f"PUT manifest {name}", client.host)
        theirs = answer.headers.get("docker-content-digest", image.digest)
        if theirs != image.digest or digest_of(image.manifest) != image.digest:
            msg = f"registry {client.host!r}: stored {name!r} as {theirs}, not as {image.digest}\n  push again"
            raise ToolError(msg)


def require(answer: Answer, status: int, what: str, host: str) -> Answer:
    """Return `answer` if it has `status`.

    Raises:
        ToolError: it has another one.
    """
    if answer.status != status:
        msg = (
            f"registry {host!r}: {what}: {answer.status}, expected {status}: {answer.errors()}\n"
            f"  {advice_for(answer.status, 'check the repository and your rights to it')}"
        )
        raise ToolError(msg)
    return answer
