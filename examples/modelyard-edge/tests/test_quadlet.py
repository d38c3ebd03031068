from __future__ import annotations

from collections import defaultdict

from modelyard.testing import check_target


def read(text: str) -> dict[str, dict[str, list[str]]]:
    """Return the values of each key in each section; systemd allows a key several times."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            keys = sections[line.strip("[]")] = defaultdict(list)
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            keys[key].append(value)
    return sections


def test_the_unit_runs_the_image_by_digest_and_hardened() -> None:
    files = check_target("quadlet", params={"host_port": 9000})
    assert list(files) == ["model.container"]
    container = read(files["model.container"])["Container"]
    assert container["Image"] == ["registry.example/team/sample:1.0.0@sha256:" + "a" * 64]
    assert container["PublishPort"] == ["127.0.0.1:9000:8080"]
    assert (container["User"], container["ReadOnly"], container["DropCapability"]) == (["65532"], ["true"], ["all"])
    assert len(container["Secret"]) == len(container["Environment"]) == 4
