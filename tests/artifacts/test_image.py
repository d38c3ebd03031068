from __future__ import annotations

from tests.facts import image_facts


def test_a_manifest_names_an_image_by_tag_and_digest() -> None:
    assert image_facts().reference == "registry.example/team/digits:1@sha256:ab"
