from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import DataError
from modelyard.files.manifest import FileEntry, manifest_digest

FILES = st.dictionaries(
    st.lists(
        st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=3), min_size=1, max_size=3
    ).map("/".join),
    st.builds(FileEntry, st.sampled_from(["a" * 64, "b" * 64]), st.just(1), st.booleans()),
    max_size=5,
)


@given(FILES, FILES)
def test_manifests_have_one_digest_exactly_if_they_are_equal(
    one: dict[str, FileEntry], two: dict[str, FileEntry]
) -> None:
    assert (manifest_digest(one) == manifest_digest(two)) is (one == two)
    assert manifest_digest(one) == manifest_digest(dict(reversed(one.items())))


def test_a_part_has_a_digest_of_its_own() -> None:
    a, b = FileEntry("a" * 64, 1), FileEntry("b" * 64, 1)
    manifest = {"model/m": a, "model.json": b, "models/x": b}
    changed = {**manifest, "model.json": a, "models/x": a}
    assert manifest_digest(manifest, "model") == manifest_digest(changed, "model") != manifest_digest(manifest)
    assert manifest_digest(manifest, "model.json") != manifest_digest(changed, "model.json")


def test_a_part_that_is_not_there_is_an_error_that_lists_what_is() -> None:
    with pytest.raises(DataError, match=r"no 'mode'\n  it holds: model.json"):
        manifest_digest({"model.json": FileEntry("a" * 64, 1)}, "mode")
