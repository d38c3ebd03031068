from __future__ import annotations

import pytest

from modelyard.errors import ToolError
from modelyard.oci.packages import Package, closure


def package(name: str, depends: str = "", provides: str = "") -> Package:
    text = f"Package: {name}\nVersion: 1:2-3\nArchitecture: amd64\nSHA256: {'0' * 64}\nSize: 7\n"
    return Package.parse(text + f"Depends: {depends}\nProvides: {provides}\n")


def universe(*packages: Package) -> dict[str, Package]:
    return {one.name: one for one in packages}


def test_reads_alternatives_versions_and_architectures() -> None:
    found = package("a", "b (>= 1.0) | c:any, d [linux-any]", "e (= 2), f")
    assert found.depends == (("b", "c"), ("d",))
    assert found.provides == ("e", "f")
    assert found.exact == "a=1:2-3"
    assert found.file == "a_1%3a2-3_amd64.deb"


def test_closure_leaves_out_denied_packages_and_what_only_they_need() -> None:
    known = universe(
        package("a", "dpkg, libz"),
        package("dpkg", "tar, libz"),
        package("tar", "libacl"),
        package("libacl"),
        package("libz"),
    )
    assert closure(known, ["a"], ["dpkg"]) == ["a", "libz"]
    assert closure(known, ["a"], []) == ["a", "dpkg", "libacl", "libz", "tar"]


def test_closure_takes_the_first_alternative_that_is_there_and_knows_virtual_names() -> None:
    known = universe(package("a", "missing | awk"), package("mawk", "", "awk"))
    assert closure(known, ["a"], []) == ["a", "mawk"]
    assert closure(known, ["a"], ["mawk"]) == ["a"]


def test_closure_takes_one_of_the_alternatives_that_are_there() -> None:
    known = universe(package("a", "b | c"), package("b"), package("c"))
    assert closure(known, ["a"], []) == ["a", "b"]


def test_a_virtual_name_may_be_asked_for_and_a_package_of_the_name_is_taken_first() -> None:
    known = universe(package("mawk", "", "awk, sh"), package("sh"))
    assert closure(known, ["awk"], []) == ["mawk"]
    assert closure(known, ["sh"], []) == ["sh"]


def test_what_must_be_there_before_is_needed_too() -> None:
    text = f"Package: a\nVersion: 1\nArchitecture: all\nSHA256: {'0' * 64}\nSize: 7\nPre-Depends: b\nDepends: c\n"
    found = Package.parse(text)
    assert found.depends == (("b",), ("c",))
    assert found.layer == "base"


def test_closure_ends_on_a_cycle() -> None:
    assert closure(universe(package("a", "b"), package("b", "a")), ["a"], []) == ["a", "b"]


def test_unknown_root_is_named() -> None:
    with pytest.raises(ToolError, match="no package 'nope'"):
        closure(universe(package("a")), ["nope"], [])
