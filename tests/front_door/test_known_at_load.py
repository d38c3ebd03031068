"""What can be known when the project is loaded is told then: by `doit list`, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.front_door.builds import build

PINNED = "nginx:1@sha256:" + "a" * 64
KUBERNETES, COMPOSE = "[tool.modelyard.targets.kubernetes]\n", "[tool.modelyard.targets.compose]\n"
SERVED = '[tool.modelyard.runtime]\nuse = "tensorflow-serving"\n[tool.modelyard.image]\nuse = "oci"\n'


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (f'{KUBERNETES}memory = "256MB"', "key 'memory': '256MB' is not allowed: it is not a quantity above 0"),
        (f'{KUBERNETES}cpu = "2 cores"', "key 'cpu': '2 cores' is not allowed: it is not a quantity above 0"),
        (f"{KUBERNETES}replicas = 9", "key 'max_replicas': 6 is not allowed: it is below replicas = 9"),
        (f'{KUBERNETES}namespace = "My NS"', "'My NS' is not a DNS label\n  allowed: lower-case letters"),
        (f'{KUBERNETES}ingress_host = "https://x.example"', "a host has no scheme 'https://'\n  allowed: 'x.example'"),
        (f'{COMPOSE}memory = "256Mi"', "key 'memory': '256Mi' is not allowed: it is not a size as Compose reads it"),
        (f'{COMPOSE}bind = "localhost"', "key 'bind': 'localhost' is not allowed: it is not an address"),
        ('[tool.modelyard.image]\nrepository = "https://registry.example/x"', "a repository has no scheme"),
        ('[tool.modelyard.image]\nrepository = "registry.example/X"', "a repository has no capitals"),
        ('[tool.modelyard.image]\ntag = "a b"', "key 'tag': 'a b' is not allowed: no registry takes such a tag"),
        (SERVED, "key 'base_image' is missing: the server of the runtime 'tensorflow-serving' comes with an image"),
        (f"{SERVED}{KUBERNETES}", "key 'proxy_image' is missing: the server of the runtime 'tensorflow-serving' has"),
        (f'{KUBERNETES}proxy_image = "{PINNED}"', "it has no effect: the runtime's server has a password and TLS"),
        (
            '[tool.modelyard.train]\nuse = "tensorflow"\nearly_stopping = 3',
            "key 'early_stopping': 3 is not allowed: there are no samples to watch",
        ),
    ],
)
def test_a_value_that_cannot_be_right_is_refused_before_anything_runs(new_toy: Path, tables: str, said: str) -> None:
    file = new_toy / "pyproject.toml"
    replaced = {line for line in tables.splitlines() if line.startswith("[")}
    kept = [part for part in file.read_text().split("\n\n") if part.splitlines()[0] not in replaced]
    file.write_text("\n\n".join([*kept, tables]) + "\n")

    done = build(new_toy, "list")

    assert done.code == 3, done.output
    assert said in done.output
    assert "Traceback" not in done.output
    assert not (new_toy / "artifacts").exists()
