from __future__ import annotations

import io
import os
import tarfile
import time
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from modelyard.oci.tar import write_tar
from modelyard.oci.tree import Entry, Tree

if TYPE_CHECKING:
    import pytest


def tar_of(tree: Tree, epoch: int = 1_700_000_000) -> bytes:
    stream = io.BytesIO()
    write_tar(tree, stream, epoch)
    return stream.getvalue()


@given(
    st.dictionaries(
        st.text("abé/", min_size=1, max_size=120).filter(lambda t: t.strip("/")), st.binary(max_size=2000), max_size=5
    )
)
def test_same_entries_give_the_same_bytes_and_come_back(files: dict[str, bytes]) -> None:
    def tree(names: list[str]) -> Tree:
        made = Tree()
        for name in names:
            made.add("d" + name.strip("/").replace("/", "-"), Entry.file(files[name]))
        return made

    first, second = tar_of(tree(list(files))), tar_of(tree(sorted(files)))
    kept = {f"d{name.strip('/').replace('/', '-')}" for name in files}
    if len(kept) == len(files):
        assert first == second
        with tarfile.open(fileobj=io.BytesIO(first)) as archive:
            found = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
        assert found == {f"d{name.strip('/').replace('/', '-')}": data for name, data in files.items()}


def test_header_names_no_user_machine_or_time() -> None:
    tree = Tree()
    tree.add("a/b", Entry.file(b"x"))
    tree.add("a/l", Entry.link("b"))
    with tarfile.open(fileobj=io.BytesIO(tar_of(tree))) as archive:
        members = archive.getmembers()
        assert not archive.pax_headers
    assert [(m.name, m.mtime, m.uname, m.gname, m.uid) for m in members] == [
        (name, 1_700_000_000, "", "", 0) for name in ("a", "a/b", "a/l")
    ]


def test_time_zone_locale_and_umask_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree()
    tree.add("a/" + "long" * 40, Entry.file(b"x"))
    before = tar_of(tree)
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    monkeypatch.setenv("LC_ALL", "C")
    time.tzset()
    mask = os.umask(0o077)
    try:
        assert tar_of(tree) == before
    finally:
        os.umask(mask)
        monkeypatch.undo()
        time.tzset()
