from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.oci.debian import base_tree, packages_tree

from .conftest import write_deb

if TYPE_CHECKING:
    from pathlib import Path


def test_base_has_a_merged_usr_users_and_a_sticky_tmp(tmp_path: Path) -> None:
    deb = write_deb(
        tmp_path / "a.deb", "libc6", [("./lib/x86/libc.so.6", b"elf"), ("./lib64/ld.so", "../lib/x86/libc.so.6")]
    )
    tree = base_tree([deb])
    assert {name: tree[name].target for name in ("bin", "sbin", "lib", "lib64")} == {
        name: f"usr/{name}" for name in ("bin", "sbin", "lib", "lib64")
    }
    assert tree["usr/lib/x86/libc.so.6"].read() == b"elf"
    assert tree["tmp"].mode == 0o1777
    assert b"nonroot:x:65532:65532" in tree["etc/passwd"].read()
    assert (tree["home/nonroot"].uid, tree["home/nonroot"].mode) == (65532, 0o700)


def test_links_of_a_package_for_a_merged_usr_are_made_once(tmp_path: Path) -> None:
    deb = write_deb(tmp_path / "a.deb", "base-files", [("./lib", "usr/lib"), ("./usr/lib/os-release", b"ID=debian\n")])
    assert base_tree([deb])["lib"].target == "usr/lib"


def test_leaves_out_documentation_and_bytecode_and_keeps_copyright(tmp_path: Path) -> None:
    members = [
        ("./usr/share/doc/a/copyright", b"c"),
        ("./usr/share/doc/a/changelog.gz", b"c"),
        ("./usr/share/man/man1/a.1.gz", b"m"),
        ("./usr/lib/python3.11/json/__init__.py", b""),
        ("./usr/lib/python3.11/json/__pycache__/__init__.cpython-311.pyc", b""),
        ("./usr/lib/python3.11/test/x.py", b""),
    ]
    tree = packages_tree([write_deb(tmp_path / "a.deb", "a", members)], base_tree([]))
    found = sorted(path for path, entry in tree if entry.kind == "file" and path.startswith("usr/"))
    assert found == ["usr/lib/python3.11/json/__init__.py", "usr/share/doc/a/copyright"]


def test_scanners_find_the_packages(tmp_path: Path) -> None:
    tree = base_tree([write_deb(tmp_path / "a.deb", "liba", [("./usr/x", b"")])])
    assert tree["var/lib/dpkg/status.d/liba"].read().startswith(b"Package: liba\nVersion: 1.0\n")
    assert tree["var/lib/dpkg/status.d/liba.md5sums"].read().endswith(b"usr/x\n")


def test_certificates_become_one_bundle_in_the_order_of_names(tmp_path: Path) -> None:
    folder = "./usr/share/ca-certificates/mozilla"
    deb = write_deb(tmp_path / "a.deb", "ca-certificates", [(f"{folder}/b.crt", b"B"), (f"{folder}/a.crt", b"A\n")])
    assert base_tree([deb])["etc/ssl/certs/ca-certificates.crt"].read() == b"A\nB\n"


def test_order_of_packages_does_not_show(tmp_path: Path) -> None:
    debs = [write_deb(tmp_path / f"{name}.deb", name, [(f"./usr/{name}", b"")]) for name in ("a", "b")]
    assert base_tree(debs).digest() == base_tree(debs[::-1]).digest()
