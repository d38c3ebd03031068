from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ToolError
from modelyard.oci.credentials import Credentials, find_credentials

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_nothing_there_is_no_login(config: Path) -> None:
    assert find_credentials("registry.example") is None


@pytest.mark.parametrize("key", ["registry.example", "https://registry.example", "https://registry.example/v1/"])
def test_reads_what_docker_login_wrote(config: Path, key: str) -> None:
    config.write_text(json.dumps({"auths": {key: {"auth": encoded("me:pass:word")}}}))
    assert find_credentials("registry.example") == Credentials("me", "pass:word")
    assert find_credentials("other.example") is None


def test_docker_hub_has_a_key_of_its_own(config: Path) -> None:
    config.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": encoded("me:x")}}}))
    assert find_credentials("docker.io") == Credentials("me", "x")


def test_identity_token(config: Path) -> None:
    config.write_text(json.dumps({"auths": {"r.example": {"identitytoken": "tok"}}}))
    assert find_credentials("r.example") == Credentials(identity_token="tok")


def test_asks_a_credential_helper(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = config.parent / "docker-credential-test"
    helper.write_text('#!/bin/sh\nread host\necho "{\\"Username\\":\\"of-$host\\",\\"Secret\\":\\"s\\"}"\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{config.parent}:/usr/bin:/bin")
    config.write_text(json.dumps({"credHelpers": {"r.example": "test"}}))
    assert find_credentials("r.example") == Credentials("of-r.example", "s")
    assert find_credentials("other.example") is None


def test_missing_helper_and_damaged_file_are_named(config: Path) -> None:
    config.write_text(json.dumps({"credsStore": "not-there"}))
    with pytest.raises(ToolError, match="docker-credential-not-there"):
        find_credentials("r.example")
    for text in ("{", '{"auths":' * 100_000):
        config.write_text(text)
        with pytest.raises(ToolError, match=r"config\.json"):
            find_credentials("r.example")


@pytest.mark.parametrize("answer", ["", "[]", '{"Username":"me"}', '{"Username":"me","Secret":3}'])
def test_a_helper_that_answers_something_else_is_named(
    answer: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = config.parent / "docker-credential-test"
    helper.write_text(f"#!/bin/sh\ncat >/dev/null\nprintf '%s' '{answer}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{config.parent}:/usr/bin:/bin")
    config.write_text(json.dumps({"credsStore": "test"}))
    with pytest.raises(ToolError, match="'docker-credential-test': its answer cannot be read") as told:
        find_credentials("r.example")
    assert len(str(told.value).splitlines()) == 2


def test_secrets_are_not_in_the_representation() -> None:
    assert "hunter2" not in repr(Credentials("me", "hunter2", "hunter2"))
