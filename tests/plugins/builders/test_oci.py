from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.shared import usual

from modelyard.contexts import ImageContext
from modelyard.errors import ToolError
from modelyard.launch.python_server import requirement_lines
from modelyard.oci import apt, rootfs
from modelyard.oci.archive import open_layer, read_image
from modelyard_plugins import runtimes
from modelyard_plugins.builders.oci import oci

if TYPE_CHECKING:
    from modelyard.artifacts import ImageFacts
    from modelyard.oci.layers import Layer

Make = Callable[..., ImageContext]
needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="this host has no apt")
pytestmark = [pytest.mark.network, pytest.mark.slow, needs_apt]


def build(context: ImageContext, **parameters: Any) -> ImageFacts:
    facts = oci(context, **parameters)
    assert (context.out / "image.tar").is_file()
    return facts


def files(layer: Layer) -> dict[str, bytes]:
    """Return the content of each file of a layer, by its path."""
    opened = ((member.name, file) for member, take in open_layer(layer) if (file := take()))
    return {name: file.read() for name, file in opened}


def test_facts_are_those_of_the_archive(make_context: Make) -> None:
    context = make_context()
    facts = build(context)
    assert [layer.name for layer in facts.layers] == [
        "base",
        "python",
        "wheels",
        "bytecode",
        "server",
        "model",
        "facts",
    ]
    assert facts.user == "65532:65532"
    assert facts.base["libc6"]
    done = subprocess.run(["skopeo", "inspect", f"oci-archive:{context.out}/image.tar"], capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found["Digest"] == facts.digest
    assert found["Labels"] == facts.labels
    assert found["Labels"]["dev.modelyard.model.variant"] == 'int8 "quoted" $HOME \\'
    sbom = json.loads((context.out / "sbom.spdx.json").read_text())
    assert {"libc6", "numpy", "ai-edge-litert", "model"} <= {package["name"] for package in sbom["packages"]}


def test_a_model_that_is_larger_than_a_layer_may_be_comes_in_several(make_context: Make) -> None:
    context = make_context()
    (context.out.parent / "model" / "more.bin").write_bytes(bytes(300_000))
    facts = build(context, layer_max="350 kB")
    assert [one.name for one in facts.layers[-3:]] == ["model", "model-2", "facts"]
    held = [files(layer) for layer in read_image(context.out / "image.tar").layers[-3:-1]]
    given = {name: (context.out.parent / "model" / name).read_bytes() for name in ("model.tflite", "more.bin")}
    assert held[0] | held[1] == {f"model/{name}": data for name, data in given.items()}
    assert not held[0].keys() & held[1].keys()
    sbom = json.loads((context.out / "sbom.spdx.json").read_text())
    assert {"model", "model-2"} <= {package["name"] for package in sbom["packages"]}


@pytest.mark.thorough
def test_other_folder_umask_zone_locale_times_and_cache_give_the_same_bytes(
    make_context: Make, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_context("first")
    facts = build(first)
    mask = os.umask(0o077)
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    monkeypatch.setenv("LC_ALL", "C")
    time.tzset()
    try:
        second = make_context("second", cache=tmp_path / "cache")
        for kind in ("debs", "wheels", "apt"):  # the layers are made again, from the same downloads
            shutil.copytree(cache / kind, tmp_path / "cache" / kind)
        for path in tmp_path.joinpath("second").rglob("*.py"):
            os.utime(path, (1, 1))
        again = build(second)
    finally:
        os.umask(mask)
        monkeypatch.undo()
        time.tzset()
    assert again == facts
    assert (second.out / "image.tar").read_bytes() == (first.out / "image.tar").read_bytes()
    assert (second.out / "sbom.spdx.json").read_bytes() == (first.out / "sbom.spdx.json").read_bytes()


@pytest.mark.thorough
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_gives_the_same_bytes(make_context: Make, open_path: Path, cache: Path) -> None:
    facts = build(make_context("first"))
    context = make_context("second", parent=open_path, cache=open_path / "cache")
    for kind in ("debs", "wheels", "apt"):
        shutil.copytree(cache / kind, open_path / "cache" / kind)
    subprocess.run(["chown", "-R", "65534:65534", str(open_path)], check=True)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.umask(0o077)
            code = 0 if oci(context).digest == facts.digest else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_new_model_changes_its_layer_only(make_context: Make) -> None:
    first = build(make_context("first"))
    context = make_context("second")
    (next(iter(context.content.model.values())) / "model.tflite").write_bytes(b"new")
    second = build(context)
    assert [a.digest == b.digest for a, b in zip(first.layers, second.layers, strict=True)] == [True] * 5 + [
        False,
        True,
    ]
    assert first.digest != second.digest


def test_what_only_some_images_have_is_a_layer_of_its_own(make_context: Make) -> None:
    requirements = Path(runtimes.__file__).with_name("grpc-requirements.txt")
    usual = build(make_context("usual"))
    context = make_context("more", optional_requirements=requirement_lines(requirements))
    more = build(context)

    added = [layer for layer in more.layers if layer not in usual.layers]
    assert [layer.name for layer in added] == ["optional"], "the server has no use for it"
    assert [layer for layer in more.layers if layer not in added] == list(usual.layers)
    assert added[0].size_bytes < 150_000
    assert "hpack" in (context.out / "sbom.spdx.json").read_text()


def test_a_lock_gives_the_same_image_and_asks_no_mirror(
    make_context: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt.write_lock(tmp_path / "base.lock")
    first = build(make_context("first"), lock=str(tmp_path / "base.lock"))
    monkeypatch.setattr(apt, "resolve", lambda *_: pytest.fail("asked the mirrors in spite of the lock"))
    second = build(make_context("second"), lock=str(tmp_path / "base.lock"))
    assert first == second
    with pytest.raises(ToolError, match="write the lock again"):
        build(make_context("third"), lock=str(tmp_path / "base.lock"), profile="full")


@pytest.mark.thorough
def test_an_image_archive_as_base_keeps_its_layers(make_context: Make) -> None:
    lower = make_context("lower")
    below = build(lower)
    facts = build(make_context("upper", tag="v2"), base_image=str(lower.out / "image.tar"))
    assert [layer.digest for layer in facts.layers[:7]] == [layer.digest for layer in below.layers]
    assert [layer.name for layer in facts.layers[7:]] == ["wheels", "bytecode", "server", "model", "facts"]
    assert facts.base == {"image.tar": below.digest}
    assert facts.labels["org.opencontainers.image.base.digest"] == below.digest


def as_nobody() -> dict[str, Any]:
    return {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}


@pytest.mark.parametrize("profile", usual(["slim", "full"], 1))
def test_the_images_own_python_runs_without_an_engine(make_context: Make, open_path: Path, profile: str) -> None:
    context = make_context()
    build(context, profile=profile)
    root = rootfs.unpack(context.out / "image.tar", open_path / "root")
    process = subprocess.Popen(
        rootfs.start_command(root),
        env=rootfs.environment(root),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        **as_nobody(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        found = json.loads(process.stdout.readline() or b"{}")
        foreign = rootfs.foreign_libraries(root, process.pid)
        process.stdin.close()
    assert process.returncode == 0
    assert found["model"] == 256 * 400
    assert found["numpy"].startswith(str(root.folder / "app" / "site"))
    assert all(path.startswith(str(root.folder)) for path in found["path"] if path not in ("", "/"))
    assert foreign == []
    modules = (
        "readline, sqlite3, curses, dbm.ndbm, crypt" if profile == "full" else "ssl, ctypes, bz2, lzma, uuid, asyncio"
    )
    done = subprocess.run(
        [*rootfs.python_command(root), "-c", f"import {modules}"], env=rootfs.environment(root), capture_output=True
    )
    assert done.returncode == 0, done.stderr
    command = [*rootfs.python_command(root), "-v", "-c", "import json, ssl, ai_edge_litert.interpreter, numpy"]
    said = subprocess.run(command, env=rootfs.environment(root), capture_output=True, text=True).stderr
    ready = re.findall(r"^# code object from '(.+)'", said, re.MULTILINE)
    compiled_now = re.findall(r"^# code object from ([^'].+)", said, re.MULTILINE)
    assert len(ready) > 100
    assert len(compiled_now) < 10, "what numpy imports from C is not seen in a text"


def test_without_bytecode_there_is_none(make_context: Make) -> None:
    context = make_context()
    facts = build(context, bytecode=False)
    assert [layer.name for layer in facts.layers] == ["base", "python", "wheels", "server", "model", "facts"]
    layers = read_image(context.out / "image.tar").layers
    assert not [member.name for layer in layers for member, _ in open_layer(layer) if member.name.endswith(".pyc")]


@pytest.mark.docker
def test_an_engine_loads_it_and_runs_it_hardened(make_context: Make, docker_client: Any) -> None:
    context = make_context()
    facts = build(context)
    name = f"{facts.repository}:{facts.tag}"
    subprocess.run(["docker", "rmi", "-f", name], capture_output=True)  # a known layer is not read again
    try:
        subprocess.run(["docker", "load", "-i", str(context.out / "image.tar")], check=True, capture_output=True)
        assert docker_client.images.get(name).id == facts.image_id
        options = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none", "--rm"]
        done = subprocess.run(
            ["docker", "run", *options, name], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["uid"] == 65532
    finally:
        subprocess.run(["docker", "rmi", "-f", name], capture_output=True)
