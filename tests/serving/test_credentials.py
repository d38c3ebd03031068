from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelyard.serving.errors import StartError
from modelyard.serving.settings import Settings


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_secrets_come_from_files(tmp_path: Path, ending: str) -> None:
    (tmp_path / "user").write_text(f"ann{ending}")
    (tmp_path / "password").write_text(f" p\u00e4ss word {ending}", encoding="utf-8", newline="")

    settings = Settings.read(
        {"MODELYARD_USERNAME_FILE": str(tmp_path / "user"), "MODELYARD_PASSWORD_FILE": str(tmp_path / "password")}
    )

    assert (settings.username, settings.password) == ("ann", " p\u00e4ss word ")


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")

    with pytest.raises(StartError, match="MODELYARD_PASSWORD_FILE: empty"):
        Settings.read({"MODELYARD_USERNAME": "ann", "MODELYARD_PASSWORD_FILE": str(tmp_path / "empty")})


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"EVENTS_USERNAME": "u"}, "MODELYARD_EVENTS_USERNAME is set without MODELYARD_EVENTS_PASSWORD"),
        ({"EVENTS_AUTH": "oidc"}, "MODELYARD_EVENTS_AUTH=oidc is set without MODELYARD_EVENTS_OIDC_ISSUER"),
        (
            {"EVENTS_AUTH": "oidc", "EVENTS_OIDC_ISSUER": "https://i"},
            "MODELYARD_EVENTS_AUTH=oidc is set without MODELYARD_EVENTS_OIDC_AUDIENCE",
        ),
        ({"EVENTS_OIDC_AUDIENCE": "a"}, "MODELYARD_EVENTS_OIDC_AUDIENCE is set without MODELYARD_EVENTS_AUTH=oidc"),
        (
            {"EVENTS_AUTH": "oidc", "EVENTS_OIDC_ISSUER": "http://i", "EVENTS_OIDC_AUDIENCE": "a"},
            "MODELYARD_EVENTS_OIDC_ISSUER: 'http://i'; allowed: https://HOST",
        ),
        ({"EVENTS_AUTH": "bearer"}, "MODELYARD_EVENTS_AUTH=bearer is set without MODELYARD_EVENTS_TOKEN"),
        ({"EVENTS_TOKEN": "hunter2"}, "MODELYARD_EVENTS_TOKEN is set without MODELYARD_EVENTS_AUTH=bearer"),
        ({"EVENTS_AUTH": "bearer", "EVENTS_TOKEN": "a\nhunter2 b"}, "MODELYARD_EVENTS_TOKEN: allowed: letters"),
        ({"EVENTS_AUTH": "bearer", "EVENTS_TOKEN": "\n"}, "MODELYARD_EVENTS_TOKEN: allowed: letters"),
        ({"USERNAME": "ann"}, "MODELYARD_USERNAME is set without MODELYARD_PASSWORD"),
        ({"PASSWORD": "hunter2"}, "MODELYARD_PASSWORD is set without MODELYARD_USERNAME"),
        ({"USERNAME": "a:b", "PASSWORD": "hunter2"}, "cannot hold ':'"),
        ({"USERNAME": "ann", "PASSWORD": ""}, "MODELYARD_PASSWORD: empty"),
    ],
)
def test_what_does_not_go_together_is_named_without_the_secret(environment: dict[str, Any], message: str) -> None:
    with pytest.raises(StartError) as caught:
        Settings.read({f"MODELYARD_{name}": value for name, value in environment.items()})

    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
