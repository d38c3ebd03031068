"""The main road for real: from data set to manifests, twice, and what the image does once it runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.frontend import scaffold
from tests.front_door.builds import artifacts, build
from tests.front_door.hardened import answers_as_evaluated, hardened, loaded, until_ready
from tests.standins import registry as standins
from tests.standins.tls import free_port

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow, pytest.mark.network]
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent.sock"}


def new_project(folder: Path) -> Path:
    """Start a project as a newcomer does, with an image that is meant for a registry on this machine."""
    scaffold.new_project(folder, "road")
    file = folder / "pyproject.toml"
    text = file.read_text().replace('use = "oci"', f'use = "oci"\nrepository = "127.0.0.1:{REGISTRY_PORT}/team/road"')
    file.write_text(text.replace("epochs = 5", "epochs = 3").replace("min_accuracy = 0.85", "min_accuracy = 0.7"))
    return folder


REGISTRY_PORT = free_port()


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a real project, built without an engine."""
    project = new_project(tmp_path_factory.mktemp("road") / "project")
    done = build(project, env=NO_ENGINE, timeout_s=900)
    assert done.code == 0, done.output
    assert len(done.built) == 13, done.output
    return project


def facts(project: Path) -> dict[str, Any]:
    """Return what the builder says of the image."""
    found: dict[str, Any] = json.loads((project / "artifacts/image/road/image.json").read_text())
    return found


def test_a_second_run_does_nothing(road: Path) -> None:
    done = build(road, env=NO_ENGINE)

    assert set(done.stages.values()) == {"fresh"}, done.output
    assert done.output.splitlines()[-1].startswith("built 0, restored 0, up to date 13")


def test_the_image_was_checked_from_its_own_files(road: Path) -> None:
    record = json.loads((road / "artifacts/check/road/stage.json").read_text())

    assert record["metrics"]["ran_in"] == "image files"
    assert record["metrics"]["largest_difference"] <= 1e-4


def test_the_manifests_name_the_image_by_digest(road: Path) -> None:
    reference = "{repository}:{tag}@{digest}".format(**facts(road))

    for file in ("kubernetes/30-deployment.yaml", "compose/compose.yaml"):
        path = road / "artifacts/render" / file
        path = path if path.exists() else next((road / "artifacts/render").rglob(f"*{Path(file).name.split('-')[-1]}"))
        assert reference in path.read_text()


def test_the_size_of_each_layer_was_known_before_the_image_was_made(road: Path) -> None:
    selection = json.loads((road / "artifacts/select/road/selection.json").read_text())
    (row,) = [row for row in selection["table"] if row["variant"] == selection["chosen"]]
    sizes = {layer["name"]: layer["size_bytes"] for layer in facts(road)["layers"]}
    assert next(one["value"] for one in row["metrics"] if one["name"] == "layer_size") == sizes["model"]
    assert sizes["facts"] < 1000
    evaluation = json.loads((road / "artifacts/evaluate" / row["variant"] / "evaluation.json").read_text())
    assert evaluation["layer_bytes"] == sizes["model"]


def test_the_report_tells_what_was_measured_and_shows_digits(road: Path) -> None:
    done = build(road, "report", env=NO_ENGINE)

    assert done.code == 0, done.output
    found = json.loads((road / "artifacts/report/road/report.json").read_text())
    assert found["notes"] == []
    table = json.loads((road / "artifacts/select/road/selection.json").read_text())["table"]
    same = ("misses", "compared_with", "control", "dominated_by")
    assert [[v["name"], *(v[f] for f in same)] for v in found["variants"]] == [
        [row["variant"], *(row[f] for f in same)] for row in table
    ]
    for variant in found["variants"]:
        measured = json.loads((road / "artifacts/evaluate" / variant["name"] / "evaluation.json").read_text())
        assert variant["accuracy"] == measured["accuracy"]
    assert found["image"]["digest"] == facts(road)["digest"]
    assert len(found["curves"][0]["figures"]["loss"]) == 3
    page = (road / "artifacts/report/road/index.html").read_text()
    against = {v["name"]: v["against_baseline"]["differ"] for v in found["variants"] if v["against_baseline"]}
    shown = [min(differ, 12 if name == found["shipped"] else 6) for name, differ in against.items()]
    assert page.count("data:image/png") == sum(shown)
    assert build(road, "clean", "report").code == 0  # other tests compare all artifacts


@pytest.mark.thorough
def test_another_folder_umask_and_time_zone_give_the_same_bytes(road: Path, tmp_path: Path) -> None:
    """Training included: the same weights, image digest and manifests."""
    old = os.umask(0o077)
    try:
        twin = new_project(tmp_path / "a much longer folder" / "twin")
        shutil.copytree(road / ".modelyard" / "cache", twin / ".modelyard" / "cache")
        done = build(
            twin, env={**NO_ENGINE, "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1"}, timeout_s=900
        )
    finally:
        os.umask(old)

    assert done.code == 0, done.output
    assert len(done.built) == 13
    ours, theirs = artifacts(road), artifacts(twin)
    assert sorted(ours) == sorted(theirs)
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_serve_over_tls_with_a_password(road: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    port = free_port()
    secrets = {
        "MODELYARD_TLS_CERT_FILE": str(cert),
        "MODELYARD_TLS_KEY_FILE": str(key),
        "MODELYARD_USERNAME": "ann",
        "MODELYARD_PASSWORD": "s3cret",
        "MODELYARD_DRAIN_S": "0",
    }
    command = [sys.executable, "-m", "doit", "serve", f"serve.port={port}"]
    server = subprocess.Popen(
        command,
        cwd=road,
        env={**os.environ, **secrets},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        until_ready(
            f"https://127.0.0.1:{port}",
            cert,
            lambda: None if server.poll() is None else f"exit code {server.returncode}",
        )
        answers_as_evaluated(road, f"https://127.0.0.1:{port}", cert)
    finally:
        os.killpg(server.pid, signal.SIGINT)
        output = server.communicate(timeout=60)[0].decode()
    assert server.returncode == 0, output
    assert "Traceback" not in output, output


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run Debian's docker-registry on this machine."""
    with standins.registry(tmp_path_factory.mktemp("registry"), REGISTRY_PORT) as address:
        yield f"http://{address}"


@pytest.mark.registry
def test_push_keeps_the_digest(road: Path, registry: str) -> None:
    first, second = build(road, "push", env=NO_ENGINE), build(road, "push", env=NO_ENGINE)

    assert first.code == second.code == 0, first.output + second.output
    assert "0 blobs sent" in second.output, second.output
    image = facts(road)
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    url = f"{registry}/v2/team/road/manifests/{image['digest']}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=accept)) as answer:
        assert answer.headers["Docker-Content-Digest"] == image["digest"]


def test_push_to_a_registry_that_is_not_there(road: Path) -> None:
    failed = build(road, "push", "image.repository=127.0.0.1:9/team/road", env=NO_ENGINE, timeout_s=300)

    assert failed.code == 3
    assert "127.0.0.1:9" in failed.output
    assert "Traceback" not in failed.output, failed.output
    assert build(road, env=NO_ENGINE).built == set()


@pytest.mark.docker
def test_the_container_serves_hardened(road: Path, certificate: tuple[Path, Path], docker_engine: None) -> None:
    """Not root, read-only root, no capability, TLS and a password from files, a port of one's own."""
    with loaded(road / "artifacts/image/road/image.tar") as image, hardened(image, certificate) as url:
        answers_as_evaluated(road, url, certificate[0])
