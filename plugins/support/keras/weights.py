"""Look at the weights of a `.keras` file before Keras loads them.

Source: HDF5 File Format Specification; links and storage may lie in other files of the machine.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from modelyard.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def count_weights(file: IO[bytes], path: Path) -> int:
    """Return how many numbers `file`, an HDF5 file, holds; all of them in itself, none more than it says.

    Raises:
        DataError: something is in another file, or takes more memory than the file has bytes.
    """
    import h5py

    with h5py.File(file, "r") as weights:
        links: list[tuple[str, Any]] = []
        weights.visititems_links(lambda name, link: links.append((name, link)))  # HDF5 must not be left by an exception
        for name, link in links:
            _check_link(name, link, path)
        arrays = [one for name, _ in links if isinstance(one := weights[name], h5py.Dataset)]
        for array in arrays:
            _check_storage(array, path)
        return sum(int(array.size) for array in arrays if array.dtype.kind in "biufc")


def _check_link(name: str, link: Any, path: Path) -> None:
    import h5py

    if not isinstance(link, h5py.HardLink):
        msg = f"{path}: its weights at {name!r} are in another place, {link.path!r}\n  save the model as one file"
        raise DataError(msg)


def _check_storage(one: Any, path: Path) -> None:
    if one.external or one.is_virtual:
        msg = f"{path}: its weights at {one.name!r} are in another file\n  save the model as one file"
        raise DataError(msg)
    if one.size and one.nbytes > one.id.get_storage_size():
        msg = (
            f"{path}: its weights at {one.name!r} take {one.nbytes:,} bytes, but the file has "
            f"{one.id.get_storage_size():,}\n  save the model with Keras, which compresses nothing"
        )
        raise DataError(msg)
