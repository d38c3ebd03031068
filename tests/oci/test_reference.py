from __future__ import annotations

import pytest

from modelyard.errors import ToolError
from modelyard.oci.reference import parse


@pytest.mark.parametrize(
    ("repository", "full", "familiar"),
    [
        ("digits", "docker.io/library/digits:1", "digits:1"),
        ("team/digits", "docker.io/team/digits:1", "team/digits:1"),
        ("registry.example/team/digits", "registry.example/team/digits:1", "registry.example/team/digits:1"),
        ("localhost/digits", "localhost/digits:1", "localhost/digits:1"),
        ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:1", "127.0.0.1:5000/a/b/c:1"),
        ("docker.io/library/digits", "docker.io/library/digits:1", "digits:1"),
    ],
)
def test_names_as_docker_reads_them(repository: str, full: str, familiar: str) -> None:
    found = parse(repository, "1")
    assert (found.full, found.familiar) == (full, familiar)


@pytest.mark.parametrize(
    ("repository", "tag"),
    [("Digits", "1"), ("a//b", "1"), ("", "1"), ("a", ""), ("a", "-x"), ("a b", "1"), ("a", "x" * 129)],
)
def test_refuses_what_no_registry_takes(repository: str, tag: str) -> None:
    with pytest.raises(ToolError, match="not a name that a registry takes"):
        parse(repository, tag)
