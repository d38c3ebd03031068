from __future__ import annotations

from typing import Any

import pytest

from modelyard.serving.errors import StartError
from modelyard.serving.settings import Settings


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PORT": "http"}, "MODELYARD_PORT: 'http'; allowed: a whole number, 0 to 65535"),
        ({"GRPC_PORT": "65536"}, "MODELYARD_GRPC_PORT: '65536'; allowed: a whole number, 0 to 65535"),
        ({"EVENTS_URL": "nats://u:hunter2@h"}, "MODELYARD_EVENTS_URL: 'nats://...@h'; allowed: SCHEME://HOST:PORT"),
        (
            {"EVENTS_URL": "redis://h?password=hunter2"},
            "MODELYARD_EVENTS_URL: 'redis://h?...'; allowed: SCHEME://HOST:PORT",
        ),
        ({"EVENTS_URL": "h:6379?password=hunter2"}, "MODELYARD_EVENTS_URL: 'h:6379?...'; allowed: SCHEME://HOST:PORT"),
        ({"EVENTS_AUTH": "token"}, "MODELYARD_EVENTS_AUTH: 'token'; allowed: basic, bearer, oidc, none"),
        ({"PORT": "65536"}, "allowed: a whole number, 0 to 65535"),
        ({"PORT": "-1"}, "allowed: a whole number, 0 to 65535"),
        ({"PORT": "tcp://10.0.0.1:80"}, "enableServiceLinks: false"),
        ({"THREADS": "0"}, "MODELYARD_THREADS: '0'; allowed: a whole number, 1 to 256"),
        ({"THREADS": "auto"}, "MODELYARD_THREADS: 'auto'; allowed: a whole number, 1 to 256"),
        ({"WORKERS": "many"}, "MODELYARD_WORKERS: 'many'; allowed: auto, or a whole number, 1 to 256"),
        ({"BATCHING": "yes"}, "MODELYARD_BATCHING: 'yes'; allowed: auto, on, off"),
        ({"MODEL_NAME": ""}, "MODELYARD_MODEL_NAME: empty"),
        ({"DRAIN_S": "soon"}, "MODELYARD_DRAIN_S: 'soon'; allowed: seconds, 0 to 3600"),
        ({"DRAIN_S": "3600.1"}, "allowed: seconds, 0 to 3600"),
        ({"DRAIN_S": "nan"}, "allowed: seconds, 0 to 3600"),
        ({"LOG_LEVEL": "loud"}, "MODELYARD_LOG_LEVEL: 'loud'; allowed: debug, info, warning, error"),
        ({"USERNAME": "ann", "PASSWORD": "hunter2", "PASSWORD_FILE": "/x"}, "MODELYARD_PASSWORD_FILE are both set"),
        ({"USERNAME": "ann", "PASSWORD_FILE": "/no/such"}, "MODELYARD_PASSWORD_FILE: '/no/such' cannot be read"),
        ({"TLS_CERT_FILE": "/dev/null", "PORT": "1"}, "MODELYARD_TLS_CERT_FILE: no such file: '/dev/null'"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(environment: dict[str, Any], message: str) -> None:
    with pytest.raises(StartError) as caught:
        Settings.read({f"MODELYARD_{name}": value for name, value in environment.items()})

    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
