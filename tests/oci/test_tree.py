from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import ToolError
from modelyard.oci.tree import Entry, Tree, clean_path

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.text("abcé-_.Z", min_size=1, max_size=4).filter(
    lambda name: name not in (".", "..") and not name.startswith(".wh.")
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@given(st.lists(PATHS, max_size=12))
def test_parents_come_before_children_and_each_path_once(paths: list[str]) -> None:
    tree = Tree()
    for path in paths:
        try:
            tree.add(path, Entry.file(b""))
        except ToolError:  # a path below a file
            continue
    seen: list[str] = [path for path, _ in tree]
    assert len(set(seen)) == len(seen)
    for number, path in enumerate(seen):
        assert "/" not in path or path.rpartition("/")[0] in seen[:number]


@given(st.permutations(["a", "a/b", "c/d/e", "c/f"]))
def test_order_of_adding_does_not_matter(paths: list[str]) -> None:
    def build(order: list[str]) -> Tree:
        tree = Tree()
        for path in order:
            tree.add(path, Entry.directory())
        return tree

    assert build(paths).digest() == build(sorted(paths)).digest()


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "a/.wh.b", ".wh..wh..opq", "a\0b"])
def test_refuses_paths_that_lead_out_or_delete(name: str) -> None:
    with pytest.raises(ToolError, match="absolute, climbs"):
        clean_path(name)


def test_strips_setuid_and_setgid_and_keeps_sticky() -> None:
    tree = Tree()
    tree.add("bin/su", Entry.file(b"", 0o6755))
    tree.add("tmp", Entry.directory(0o1777))
    assert tree["bin/su"].mode == 0o755
    assert tree["tmp"].mode == 0o1777


def test_merged_usr_moves_library_folders_and_nothing_else() -> None:
    tree = Tree(merged_usr=True)
    for name in ("lib/x", "lib64/ld.so", "sbin/init", "library/y", "usr/lib/z"):
        tree.add(name, Entry.file(b""))
    files = [path for path, entry in tree if entry.kind == "file"]
    assert files == ["library/y", "usr/lib/x", "usr/lib/z", "usr/lib64/ld.so", "usr/sbin/init"]


def test_a_folder_and_a_file_at_one_path_are_refused() -> None:
    tree = Tree()
    tree.add("a/b", Entry.file(b""))
    with pytest.raises(ToolError, match="'a' is a folder"):
        tree.add("a", Entry.file(b""))
    with pytest.raises(ToolError, match="lies below 'a/b'"):
        tree.add("a/b/c", Entry.file(b""))


def test_add_folder_does_not_show_umask_times_or_bytecode(tmp_path: Path) -> None:
    digests = set()
    for mode, stamp in ((0o600, 1), (0o664, 2_000_000_000)):
        folder = tmp_path / str(mode)
        (folder / "__pycache__").mkdir(parents=True)
        (folder / "__pycache__" / "m.cpython-311.pyc").write_bytes(os.urandom(8))
        (folder / "m.py").write_text("x = 1\n")
        (folder / "m.py").chmod(mode)
        os.utime(folder / "m.py", (stamp, stamp))
        tree = Tree()
        tree.add_folder("app/pkg", folder)
        digests.add(tree.digest())
        assert [path for path, _ in tree] == ["app", "app/pkg", "app/pkg/m.py"]
    assert len(digests) == 1


def test_add_folder_refuses_links_that_lead_out_and_sockets(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "a").write_text("")
    (tmp_path / "good" / "b").symlink_to("a")
    tree = Tree()
    tree.add_folder("x", tmp_path / "good")
    assert tree["x/b"].target == "a"
    (tmp_path / "good" / "c").symlink_to("/etc/passwd")
    with pytest.raises(ToolError, match="points outside"):
        Tree().add_folder("x", tmp_path / "good")
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "p")
    with pytest.raises(ToolError, match="neither a file"):
        Tree().add_folder("x", tmp_path / "pipe")


def test_folders_take_the_mode_of_the_layer_below() -> None:
    lower, upper = Tree(), Tree()
    lower.add("app", Entry("dir", 0o700, uid=7))
    upper.add("app/site/x", Entry.file(b""))
    upper.replace_modes(lower.get)
    assert (upper["app"].mode, upper["app"].uid) == (0o700, 7)
    assert upper["app/site"].mode == 0o755


def test_a_folder_does_not_replace_a_link_of_the_layer_below() -> None:
    lower, upper = Tree(), Tree()
    lower.add("lib", Entry.link("usr/lib"))
    upper.add("lib/x", Entry.file(b""))
    with pytest.raises(ToolError, match="'lib' is a link in the base"):
        upper.replace_modes(lower.get)
