from __future__ import annotations

from pathlib import Path

from modelyard.contexts import ImageContent
from modelyard.oci import content as parts


def content(**changes: object) -> ImageContent:
    values = {
        "repository": "team/digits",
        "tag": "1",
        "requirements": (),
        "server": {"/app/server": Path("server")},
        "model": {"/model": Path("model")},
        "entrypoint": ("python3", "-m", "server"),
        "environment": {"PYTHONUNBUFFERED": "0", "X": "1"},
        "labels": {"org.opencontainers.image.title": "mine", "a": "b"},
        "port": 8080,
    }
    return ImageContent(**{**values, **changes})  # type: ignore[arg-type]


def test_settings_start_the_server_as_a_numeric_user() -> None:
    found = parts.settings(content(), "/usr/bin/python3", {"PATH": "/bin"}, {"a": "b"})
    assert found["User"] == "65532:65532"
    assert found["Entrypoint"] == ["/usr/bin/python3", "-m", "server"]
    assert found["ExposedPorts"] == {"8080/tcp": {}}
    assert {"PYTHONPATH=/app:/app/site", "PATH=/bin", "X=1", "PYTHONUNBUFFERED=0"} <= set(found["Env"])
    assert found["Env"] == sorted(found["Env"])


def test_labels_given_win_over_the_standard_ones() -> None:
    found = parts.labels(content(), 1, "debian:bookworm", "sha256:0")
    assert found["org.opencontainers.image.title"] == "mine"
    assert found["org.opencontainers.image.base.name"] == "debian:bookworm"
    assert found["org.opencontainers.image.created"] == "1970-01-01T00:00:01Z"
    assert found["a"] == "b"


def test_trees_hold_server_and_model_where_they_belong(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "main.py").write_text("")
    (tmp_path / "m.tflite").write_bytes(b"x")
    made = content(server={"/app/server": tmp_path / "server"}, model={"/model/m.tflite": tmp_path / "m.tflite"})
    trees = parts.app_trees(made, [], "/usr/bin/python3", print)
    assert list(trees) == ["wheels", "server", "model"]
    assert [path for path, _ in trees["server"]()] == ["app", "app/server", "app/server/main.py"]
    assert [path for path, _ in trees["model"]()] == ["model", "model/m.tflite"]
