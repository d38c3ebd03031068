"""Secrets whose keys are files in the pod: each is mounted once, and every variable names a file that is there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.kubernetes.exposure import Proxy
from modelyard.kubernetes.secret_files import (
    PATHS,
    MountedSecret,
    broker_settings,
    events_secrets,
    files_of,
    mounted_secrets,
    secret_variables,
)
from modelyard.kubernetes.target_params import KubernetesParams

PROXY = Proxy("nginx:1@sha256:0", ("nginx",), 8443, "/etc/nginx", {"nginx.conf": "events {}"}, "/live")
BROKER: dict[str, Any] = {"events_url": "redis://b", "events_secret": "u", "events_ca_secret": "ca"}


def files(secrets: list[MountedSecret]) -> set[str]:
    return {f"{one.path}/{key}" for one in secrets for key in one.keys}


@given(
    st.dictionaries(
        st.sampled_from(["A", "B", "C", "D"]),
        st.builds("{}/{}".format, st.sampled_from(["one", "two"]), st.sampled_from(["x", "y", "z"])),
    )
)
def test_every_variable_names_a_file_of_a_secret_that_is_mounted_once(variables: dict[str, str]) -> None:
    secrets = secret_variables(variables)
    assert len({one.name for one in secrets}) == len({one.volume for one in secrets}) == len(secrets)
    told = files_of(variables)
    assert told.keys() == {f"{name}_FILE" for name in variables}
    assert set(told.values()) == files(secrets), "and no key is there that nobody asked for"
    for name, value in variables.items():
        (secret,) = (one for one in secrets if told[f"{name}_FILE"].startswith(f"{one.path}/"))
        assert f"{secret.name}/{told[f'{name}_FILE'].rpartition('/')[2]}" == value


def test_the_password_and_the_certificate_lie_where_the_server_looks_for_them() -> None:
    auth, tls = mounted_secrets("net", KubernetesParams(), None)
    assert (auth.name, auth.path, auth.keys) == ("net-auth", PATHS["auth"], ("username", "password"))
    assert (tls.name, tls.path, tls.keys) == ("net-tls", PATHS["tls"], ("tls.crt", "tls.key"))
    assert mounted_secrets("net", KubernetesParams(auth=False, tls=False), None) == []
    assert [one.name for one in mounted_secrets("net", KubernetesParams(auth_secret="a", tls_secret="t"), None)] == [
        "a",
        "t",
    ]


def test_a_proxy_has_the_password_as_nginx_wants_it_and_speaks_with_no_broker() -> None:
    secrets = mounted_secrets("net", KubernetesParams(**BROKER), PROXY)
    assert [one.keys for one in secrets] == [("htpasswd",), ("tls.crt", "tls.key")]


@pytest.mark.parametrize(
    "given", [BROKER, {"events_url": "redis://b"}, BROKER | {"events_tls_secret": "t"}], ids=["some", "none", "all"]
)
def test_whoever_speaks_with_the_broker_is_told_of_each_file_of_its_secrets(given: dict[str, Any]) -> None:
    p = KubernetesParams(**given)
    told = broker_settings(p)
    assert told.pop("MODELYARD_EVENTS_URL") == "redis://b"
    assert set(told.values()) == files(events_secrets(p))
    assert [one.name for one in events_secrets(p)] == [value for name, value in given.items() if name != "events_url"]


def test_jobs_that_answer_events_take_the_secrets_of_the_broker_from_the_pods() -> None:
    p = KubernetesParams(**BROKER, events_per_replica=8, events_jobs=5)
    assert [one.volume for one in mounted_secrets("net", p, None)] == ["auth", "tls"]
    assert [one.volume for one in events_secrets(p)] == ["events-auth", "events-ca"]


def test_without_a_broker_nothing_is_told_of_one() -> None:
    assert broker_settings(KubernetesParams(events_secret="u")) == {}
