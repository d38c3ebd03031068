"""Layers made of Debian packages, without dpkg: what a package installs, and what its scripts would have written."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from modelyard.oci.deb import control_fields, data_entries
from modelyard.oci.tree import MERGED, Entry, Tree, is_bytecode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

USER = 65532
"""The user and group that the container runs as: numeric, because a kubelet cannot check a name against root."""

LEFT_OUT = (
    *("usr/share/man/*", "usr/share/info/*", "usr/share/lintian/*", "usr/share/locale/*", "usr/share/bug/*"),
    *("usr/share/gdb/*", "usr/share/gcc/*", "usr/share/applications/*", "usr/share/pixmaps/*", "usr/lib/*/gconv/*"),
    *("usr/lib/python3*/lib2to3/*", "usr/lib/python3*/test/*", "usr/lib/python3*/idlelib/*"),
    *("usr/lib/python3*/turtledemo/*", "usr/lib/python3*/pydoc_data/*"),
)
"""Documentation, translations and tests. Copyright files stay: licences ask for them."""

PASSWD = """\
root:x:0:0:root:/root:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin
"""
GROUP = "root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"


def base_tree(debs: Iterable[Path]) -> Tree:
    """Return the tree of the base layer: the packages `debs`, a merged `/usr`, users, the CA certificates."""
    tree = Tree(merged_usr=True)
    for name, entry in _skeleton():
        tree.add(name, entry)
    _add_packages(tree, debs)
    _add_merged_links(tree)
    _add_certificates(tree)
    for name, mode in (("tmp", 0o1777), ("var/tmp", 0o1777), ("root", 0o700)):
        tree.add(name, Entry.directory(mode))
    return tree


def packages_tree(debs: Iterable[Path], lower: Tree) -> Tree:
    """Return the tree of the packages `debs`, to lie above `lower`."""
    tree = Tree(merged_usr=True)
    _add_packages(tree, debs)
    tree.replace_modes(lower.get)
    return tree


def _skeleton() -> Iterable[tuple[str, Entry]]:
    for name, text in (("passwd", PASSWD), ("group", GROUP), ("nsswitch.conf", NSSWITCH)):
        yield f"etc/{name}", Entry.file(text.encode())
    yield "home", Entry.directory()
    yield "home/nonroot", replace(Entry.directory(0o700), uid=USER, gid=USER)


def _add_packages(tree: Tree, debs: Iterable[Path]) -> None:
    for deb in debs:
        fields, text, sums = control_fields(deb)
        for name, entry in data_entries(deb):
            if _wanted(tree.place(name)) and not (entry.kind == "link" and name in MERGED):
                tree.add(name, entry)
        # Scanners (Trivy, Grype, Syft) read this folder where there is no dpkg database.
        status = f"var/lib/dpkg/status.d/{fields['Package']}"
        tree.add(status, Entry.file(text.strip().encode() + b"\n"))
        tree.add(f"{status}.md5sums", Entry.file(sums))


def _wanted(path: str) -> bool:
    if is_bytecode(path.split("/")):
        return False
    if path.startswith("usr/share/doc/"):
        return path.endswith("/copyright") or path.count("/") == 3
    return not any(fnmatch.fnmatchcase(path, pattern) for pattern in LEFT_OUT)


def _add_merged_links(tree: Tree) -> None:
    plain = Tree()
    for name in MERGED:
        if f"usr/{name}" in tree or name in ("bin", "sbin", "lib"):
            tree.add(f"usr/{name}", Entry.directory())
            plain.add(name, Entry.link(f"usr/{name}"))
    tree.overlay(plain)


def _add_certificates(tree: Tree) -> None:
    pattern = re.compile(r"usr/share/ca-certificates/mozilla/[^/]+\.crt")
    parts = [entry.read().strip() + b"\n" for path, entry in tree if pattern.fullmatch(path)]
    if parts:
        tree.add("etc/ssl/certs/ca-certificates.crt", Entry.file(b"".join(parts)))
