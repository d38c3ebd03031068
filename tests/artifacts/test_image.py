from __future__ import annotations

from modelyard.artifacts import ImageFacts


def test_a_manifest_names_an_image_by_tag_and_digest() -> None:
    facts = ImageFacts(
        builder="toy",
        repository="registry.example/team/digits",
        tag="1",
        digest="sha256:ab",
        image_id="sha256:cd",
        size_bytes=0,
        archive=None,
        platform="linux/amd64",
        user="1:1",
        port=8501,
        labels={},
        layers=(),
    )
    assert facts.reference == "registry.example/team/digits:1@sha256:ab"
