"""Wheels for the Python of a base: fetched by pip for that Python, unpacked without it.

pip itself would write the build host's interpreter into scripts, compile modules and note where a
wheel came from; a wheel that is only unpacked is the same everywhere.

Source: PyPA binary distribution format (PEP 427, 491, 600).
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from modelyard.errors import ToolError
from modelyard.files.atomic import replacing
from modelyard.files.hashing import hash_file
from modelyard.files.json import find_json, write_json
from modelyard.oci.cache import FileCache, sha256_json
from modelyard.oci.markers import applicable
from modelyard.oci.tree import Entry, Tree, clean_path, is_bytecode

if TYPE_CHECKING:
    from modelyard.oci.python import BasePython

Report = Callable[[float, str], None]
SCHEMES = {"purelib": "", "platlib": "", "scripts": "bin/", "data": "", "headers": "include/"}
"""Where the folders of `NAME.data/` go, below the site folder."""


def fetch(requirements: Sequence[str], python: BasePython, cache: FileCache, report: Report) -> list[Path]:
    """Return the wheels that `requirements` (lines pinned with hashes) name, sorted by file name.

    One from the cache has a SHA-256 that its line names, as pip would ask for: what the cache says of itself is not believed.

    Raises:
        ToolError: pip is missing, a line has no hash, or there is no wheel for this Python, C library and machine.
    """
    lines = applicable(requirements, python)
    index = cache.folder / "resolved" / f"{sha256_json([lines, python.version, python.glibc, python.machine])}.json"
    known = _known(find_json(index, list[tuple[str, str]]) or [], lines, cache)
    if known:
        return known
    wheels = _download(lines, python, cache, report) if lines else []
    for wheel in wheels:
        python.check_wheel(wheel.name)
    with replacing(index) as draft:
        write_json(draft, [(wheel.name, wheel.parent.name) for wheel in wheels])
    return wheels


def _known(index: Iterable[tuple[str, str]], lines: Sequence[str], cache: FileCache) -> list[Path]:
    """Return the wheels that the cache has for `lines`, one a line and each with a hash that the line names; or none."""
    names = {digest: name for name, digest in index}
    pinned = [set(re.findall(r"--hash[= ]sha256:([0-9a-f]{64})\b", line)) & names.keys() for line in lines]
    if any(len(digests) != 1 for digests in pinned) or len(names) != len(lines) or set().union(*pinned) != names.keys():
        return []
    found = [cache.get(digest, name) for digest, name in names.items() if name == Path(name).name]
    return [path for path in found if path is not None] if len(found) == len(lines) and None not in found else []


def _download(lines: Sequence[str], python: BasePython, cache: FileCache, report: Report) -> list[Path]:
    with tempfile.TemporaryDirectory(prefix="modelyard-wheels-") as temporary:
        requirements, folder = Path(temporary, "requirements.txt"), Path(temporary, "wheels")
        requirements.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        folder.mkdir()
        _run_pip([*_pip_options(python), "--dest", str(folder), "-r", str(requirements)], len(lines), report)
        files = sorted(folder.iterdir())
        return [cache.put(file, hash_file(file), file.name) for file in files]


def _pip_options(python: BasePython) -> list[str]:
    compact = f"cp{python.version[0]}{python.version[1]}"
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--python-version", python.dotted]
    options += ["--implementation", "cp", "--abi", compact, "--abi", "abi3", "--abi", "none"]
    return options + [word for platform in python.platforms() for word in ("--platform", platform)]


def _run_pip(options: Sequence[str], total: int, report: Report) -> None:
    common = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    command = [sys.executable, "-m", "pip", "download", *common, *options]
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            assert process.stdout is not None
            begun = _begun(process.stdout, total, report)
        errors.seek(0)
        lines = [line for line in errors.read().splitlines() if line and not line.startswith("WARNING")]
    if process.returncode:
        reason = "\n  ".join(lines[-4:]) or f"exit code {process.returncode}"
        msg = (
            f"pip download, at requirement {begun} of {total}: {reason}\n"
            "  check the pins of the runtime's requirements, and pip's configuration"
        )
        raise ToolError(msg)


def _begun(lines: Iterable[str], total: int, report: Report) -> int:
    begun = 0
    for line in lines:
        if line.startswith("Collecting "):
            report(100 * begun / total, line.split()[1])
            begun += 1
    return begun


def site_tree(wheels: Iterable[Path], site: str, interpreter: str, log: Callable[[str], None]) -> Tree:
    """Return `wheels` unpacked below `site` in the image, scripts started by `interpreter`, nothing compiled."""
    tree = Tree()
    for wheel in wheels:
        for name, entry in _contents(wheel, interpreter).items():
            path = f"{site.strip('/')}/{clean_path(name)}"
            before = tree.get(path)
            if before is not None and before.read() != entry.read():
                log(f"{path}: taken from {wheel.name}, an earlier wheel has another file of that name")
            tree.add(path, entry)
    return tree


def _contents(wheel: Path, interpreter: str) -> dict[str, Entry]:
    archive = zipfile.ZipFile(wheel)
    contents: dict[str, Entry] = {}
    moved: dict[str, str] = {}
    for info in archive.infolist():
        if info.is_dir() or is_bytecode(info.filename.split("/")):
            continue
        place = _place(info.filename)
        moved[info.filename] = place
        contents[place] = _entry(archive, info, place, interpreter)
    record = next((name for name in contents if name.endswith(".dist-info/RECORD")), None)
    if record is not None and any(old != new for old, new in moved.items()):
        contents[record] = _rewritten_record(contents, record, moved)
    return contents


def _place(name: str) -> str:
    found = re.match(r"[^/]+\.data/([^/]+)/(.+)", name)
    if not found:
        return name
    if found[1] not in SCHEMES:
        msg = f"wheel: {name!r} is for an unknown place {found[1]!r}\n  pin another version"
        raise ToolError(msg)
    return f"{SCHEMES[found[1]]}{found[2]}"


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: str, interpreter: str) -> Entry:
    executable = bool(info.external_attr >> 16 & 0o111) or place.startswith("bin/")
    mode = 0o755 if executable else 0o644
    if ".data/scripts/" in info.filename:
        data = re.sub(rb"^#!pythonw?", b"#!" + interpreter.encode(), archive.read(info))
        return Entry.file(data, mode)
    return Entry("file", mode, size=info.file_size, source=lambda: cast("BinaryIO", archive.open(info)))


def _rewritten_record(contents: dict[str, Entry], record: str, moved: dict[str, str]) -> Entry:
    """Return RECORD with the new place, digest and size of each file that the unpacking moved."""
    rows = []
    for name, digest, size in csv.reader(io.StringIO(contents[record].read().decode("utf-8"))):
        place = moved.get(name, name)
        if place == name:
            rows.append((name, digest, size))
        else:
            data = contents[place].read()
            sha256 = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append((place, f"sha256={sha256}", str(len(data))))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return Entry.file(text.getvalue().encode())
