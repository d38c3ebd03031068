from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from modelyard.serving.credentials import OIDC
from modelyard.serving.errors import StartError
from modelyard.serving.settings import KNOWN, Settings


def test_nothing_set_gives_the_defaults() -> None:
    settings = Settings.read(
        {"PATH": "/bin", "MODELYARD_DEBUG": "1", "MODELYARD_SERVICE_HOST": "10.0.0.1", "MY_MODELYARD_PORT": "1"}
    )

    assert settings == Settings()
    assert (settings.host, settings.port, settings.model_version) == ("0.0.0.0", 8080, "1")


def test_every_setting_is_read(tmp_path: Path) -> None:
    pem = tmp_path / "pem"
    pem.touch()
    texts = {
        "MODEL_DIR": "/m", "MODEL_NAME": "digits", "MODEL_VERSION": "7", "BACKEND": "a:b", "HANDLERS": "{}", "HOST": "::1", "PORT": "0",
        "GRPC_PORT": "1", "EVENTS_AUTH": "bearer", "EVENTS_TOKEN": "a==", "EVENTS_SOURCE": "/models/digits",
        "EVENTS_CLIENT": "c:f", "EVENTS_URL": "nats://b:4222", "EVENTS_USERNAME": "bob", "EVENTS_PASSWORD": "b:pw",
        "EVENTS_CA_FILE": str(pem), "EVENTS_CERT_FILE": str(pem), "EVENTS_KEY_FILE": str(pem),
        "EVENTS_INPUT": "a.in", "EVENTS_OUTPUT": "a.out", "EVENTS_DEAD_LETTER": "a.dead",
        "EVENTS_GROUP": "g", "EVENTS_CONSUMER": "d-0", "EVENTS_ORDER": "key", "EVENTS_ACK_WAIT_S": "21", "EVENTS_ATTEMPTS": "22", "EVENTS_RETRY_S": "23",
        "EVENTS_MAX_IN_FLIGHT": "24",
        "USERNAME": "ann", "PASSWORD": "pa:ss", "TLS_CERT_FILE": str(pem), "TLS_KEY_FILE": str(pem), "THREADS": "2",
        "WORKERS": "3", "BATCHING": "on", "MAX_QUEUE": "4", "QUEUE_S": "4.5", "MAX_BATCH": "5", "MAX_LENGTH": "25", "MAX_BODY_BYTES": "6",
        "MAX_HEADER_BYTES": "2048", "MAX_SEQUENCES": "7", "SEQUENCE_IDLE_S": "26", "MAX_CONNECTIONS": "8", "MEMORY_BYTES": "10", "HEADER_S": "11", "BODY_S": "12",
        "IDLE_S": "13", "DRAIN_S": "0.5", "GRACE_S": "9", "LOG_LEVEL": "debug", "PARAMETERS": "MODELYARD_X",
    }  # fmt: skip
    assert {f"MODELYARD_{name}" for name in texts} == set(KNOWN) - set(OIDC), "which only go with EVENTS_AUTH=oidc"

    settings = Settings.read({f"MODELYARD_{name}": text for name, text in texts.items()})

    assert settings == Settings(
        Path("/m"), "digits", "7", "a:b", "{}", "::1", 0, 1, "ann", "pa:ss", "bearer", "a==", "/models/digits",
        "c:f", "nats://b:4222", "bob", "b:pw", pem, pem, pem, "a.in", "a.out", "a.dead", "g", "d-0", "key", 21.0, 22, 23.0, 24, pem, pem, 2, 3, "on", 4, 4.5, 5, 25, 6, 2048, 7, 26.0, 8, 10,
        11.0, 12.0, 13.0, 0.5, 9.0, "debug", "MODELYARD_X",
    )  # fmt: skip
    assert all(getattr(settings, name.name) != name.default for name in dataclasses.fields(Settings))


def test_what_follows_from_the_container_is_auto() -> None:
    settings = Settings.read({"MODELYARD_WORKERS": "auto", "MODELYARD_MEMORY_BYTES": "auto"})

    assert (settings.workers, settings.memory_bytes) == (0, 0)


def test_the_password_is_not_in_the_repr() -> None:
    assert "hunter2" not in repr(Settings(username="ann", password="hunter2"))


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"EVENTS_URL": "nats://h", "EVENTS_CLIENT": "c:f", "EVENTS_OUTPUT": "b"},
            "MODELYARD_EVENTS_URL is set without MODELYARD_EVENTS_INPUT",
        ),
        ({"EVENTS_INPUT": "a", "EVENTS_OUTPUT": "a"}, "events would go round"),
        ({"EVENTS_INPUT": "a b"}, "without spaces"),
        ({"EVENTS_CLIENT": "nats"}, "MODELYARD_EVENTS_CLIENT: 'nats'; allowed: module:function"),
        ({"EVENTS_GROUP": "a.b"}, "letters, digits, '_', '-'"),
        ({"EVENTS_OIDC_ISUER": "https://i"}, "did you mean MODELYARD_EVENTS_OIDC_ISSUER?"),
        ({"EVENTS_SOURCE": "a b"}, "MODELYARD_EVENTS_SOURCE: 'a b'; allowed: a URI reference"),
        ({"MODEL_VERSION": "v1"}, "MODELYARD_MODEL_VERSION: 'v1'; allowed: a whole number"),
        ({"MODEL_NAME": "a/b"}, "MODELYARD_MODEL_NAME: 'a/b'; allowed: letters"),
        ({"TLS_KEY_FILE": __file__}, "MODELYARD_TLS_KEY_FILE is set without MODELYARD_TLS_CERT_FILE"),
        ({"PASSWRD": "hunter2"}, "MODELYARD_PASSWRD: unknown setting, did you mean MODELYARD_PASSWORD?"),
        ({"PASSWORD_FILES": "hunter2"}, "did you mean MODELYARD_PASSWORD_FILE?"),
        ({"EVENTS_PASSWRD": "hunter2"}, "did you mean MODELYARD_EVENTS_PASSWORD?"),
        ({"EVENTS_ULR": "nats://b"}, "did you mean MODELYARD_EVENTS_URL?"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line_without_the_secret(environment: dict[str, Any], message: str) -> None:
    with pytest.raises(StartError) as caught:
        Settings.read({f"MODELYARD_{name}": value for name, value in environment.items()})

    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_parameter_of_a_source_is_no_misspelt_setting() -> None:
    assert Settings.read({"MODELYARD_EVENTS_SASL": "plain"}).events_url is None


def test_neither_is_what_an_image_says_is_a_plugins_own() -> None:
    mine = {"MODELYARD_PORTS": "2", "MODELYARD_EVENTS_FILE": "events.sqlite"}
    assert Settings.read({**mine, "MODELYARD_PARAMETERS": "MODELYARD_EVENTS_FILE,MODELYARD_PORTS"}).port == 8080
    with pytest.raises(StartError, match="MODELYARD_PORTS: unknown setting, did you mean MODELYARD_PORT"):
        Settings.read({**mine, "MODELYARD_PARAMETERS": "MODELYARD_EVENTS_FILE"})


def test_every_setting_is_documented(pytestconfig: pytest.Config) -> None:
    page = (pytestconfig.rootpath / "docs/reference/serving.md").read_text()

    assert [name for name in KNOWN if f"`{name}`" not in page] == []


def test_every_default_is_the_documented_one(pytestconfig: pytest.Config) -> None:
    """Setting a variable to what the page calls its default changes nothing."""
    page = (pytestconfig.rootpath / "docs/reference/serving.md").read_text()
    rows = dict(re.findall(r"^\| `(MODELYARD_\w+)` \| ([^|]*?) ?\|", page, re.MULTILINE))
    fields = {f"MODELYARD_{field.name.upper()}": field.name for field in dataclasses.fields(Settings)}
    assert rows.keys() == fields.keys() | set(OIDC)
    assert not any(rows.pop(name) for name in OIDC)
    for variable, text in rows.items():
        default = getattr(Settings(), fields[variable])
        if not text or variable == "MODELYARD_MODEL_NAME":  # the name in model.json, which is read later
            assert default is None, variable
        else:
            said = re.match(r"`([^`]+)`", text)
            assert said, variable
            assert getattr(Settings.read({variable: said[1]}), fields[variable]) == default, variable


def test_every_number_has_the_documented_bounds(pytestconfig: pytest.Config) -> None:
    page = (pytestconfig.rootpath / "docs/reference/serving.md").read_text()
    rows = dict(re.findall(r"^\| `MODELYARD_(\w+)` \|[^|]*\|(.*)$", page, re.MULTILINE))
    numbers = [field.name for field in dataclasses.fields(Settings) if field.type == "int"]
    assert len(numbers) == 13
    for name in numbers:
        said = re.search(r", (\d+) to (\d+)[;, ]", rows[name.upper()])
        assert said, name
        low, high = map(int, said.groups())
        variable = f"MODELYARD_{name.upper()}"
        assert [getattr(Settings.read({variable: str(end)}), name) for end in (low, high)] == [low, high]
        for beyond in (low - 1, high + 1):
            with pytest.raises(StartError, match=f"a whole number, {low} to {high}$"):
                Settings.read({variable: str(beyond)})


def test_every_duration_has_the_documented_bounds(pytestconfig: pytest.Config) -> None:
    assert "seconds are 0 to 3600" in (pytestconfig.rootpath / "docs/reference/serving.md").read_text()
    for name in (field.name for field in dataclasses.fields(Settings) if field.type == "float"):
        ends = [getattr(Settings.read({f"MODELYARD_{name.upper()}": end}), name) for end in ("0", "0.5", "3600")]
        assert ends == [0, 0.5, 3600]
