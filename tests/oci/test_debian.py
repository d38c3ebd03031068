from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
    members: list[tuple[str, bytes | str | None]] = [
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


@pytest.mark.parametrize(
    "path",
    [
        "usr/share/info/gzip.info.gz",
        "usr/share/lintian/overrides/a",
        "usr/share/locale/de/LC_MESSAGES/a.mo",
        "usr/share/bug/a/control",
        "usr/share/gdb/auto-load/a.py",
        "usr/share/gcc/python/a.py",
        "usr/share/applications/a.desktop",
        "usr/share/pixmaps/a.xpm",
        "usr/lib/x86_64-linux-gnu/gconv/UTF-16.so",
        "usr/lib/python3.11/lib2to3/main.py",
        "usr/lib/python3.11/idlelib/idle.py",
        "usr/lib/python3.11/turtledemo/clock.py",
        "usr/lib/python3.11/pydoc_data/topics.py",
        "usr/lib/python3.11/__pycache__/os.cpython-311.pyc",
    ],
)
def test_leaves_out_what_no_server_reads(path: str, tmp_path: Path) -> None:
    deb = write_deb(
        tmp_path / "a.deb",
        "a",
        [("./usr/lib/python3.11/os.py", b""), ("./usr/lib/python3.11/__pycache__", None), (f"./{path}", b"x")],
    )
    tree = packages_tree([deb], base_tree([]))
    assert path not in tree
    assert "usr/lib/python3.11/__pycache__" not in tree
    assert "usr/lib/python3.11/os.py" in tree


def test_a_folder_of_documentation_that_is_a_link_to_another_stays(tmp_path: Path) -> None:
    deb = write_deb(tmp_path / "a.deb", "a", [("./usr/share/doc/liba", "gcc-12-base")])
    assert base_tree([deb])["usr/share/doc/liba"].target == "gcc-12-base"


def test_the_folders_of_a_base_without_packages_have_their_modes() -> None:
    tree = base_tree([])
    assert {name: oct(tree[name].mode) for name in ("tmp", "var/tmp", "root", "home", "usr/bin", "usr/lib")} == {
        "tmp": "0o1777",
        "var/tmp": "0o1777",
        "root": "0o700",
        "home": "0o755",
        "usr/bin": "0o755",
        "usr/lib": "0o755",
    }
    assert [tree[name].target for name in ("bin", "sbin", "lib")] == ["usr/bin", "usr/sbin", "usr/lib"]
    assert "lib64" not in tree


def test_packages_above_a_base_lie_in_its_merged_usr_and_keep_the_modes_of_its_folders(tmp_path: Path) -> None:
    deb = write_deb(tmp_path / "a.deb", "a", [("./lib/liba.so", b"elf"), ("./tmp/a", b"x"), ("./root/a", b"x")])
    tree = packages_tree([deb], base_tree([]))
    assert tree["usr/lib/liba.so"].read() == b"elf"
    assert "lib" not in tree, "the link of the base stays"
    assert (tree["tmp"].mode, tree["root"].mode) == (0o1777, 0o700)


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
