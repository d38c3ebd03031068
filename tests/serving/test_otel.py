"""OpenTelemetry's own settings."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelyard.serving import otel as otel_module
from modelyard.serving.otel import SAMPLERS, Otel, OtelError
from modelyard.serving.traces import Sampler

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def read(**settings: Any) -> Any:
    return Otel.read(ENDPOINT | {f"OTEL_{name}": value for name, value in settings.items()})


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SERVICE_NAME": "digits"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        ENDPOINT | {"OTEL_SDK_DISABLED": "True"},
        ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_no_spans_are_sent_unless_that_is_asked_for(environment: Any) -> None:
    assert Otel.read(environment) is None


def test_defaults_are_those_of_the_specification() -> None:
    otel = read()

    assert (otel.url, otel.headers, otel.tls, otel.gzip) == ("http://collector:4318/v1/traces", {}, None, False)
    assert (otel.timeout_s, otel.delay_s, otel.queue, otel.batch) == (10, 5, 2048, 512)
    assert (otel.sampler, otel.resource) == (Sampler(1.0, parent_based=True), {})


def test_every_setting_is_read() -> None:
    otel = read(
        EXPORTER_OTLP_HEADERS="x-key=a%20b, Other = c=d",
        EXPORTER_OTLP_COMPRESSION="gzip",
        EXPORTER_OTLP_TIMEOUT="1500",
        EXPORTER_OTLP_PROTOCOL="http/protobuf",
        RESOURCE_ATTRIBUTES="service.name=other,deployment.environment.name=test%2C1",
        SERVICE_NAME="digits",
        TRACES_SAMPLER="traceidratio",
        TRACES_SAMPLER_ARG="0.25",
        BSP_SCHEDULE_DELAY="250",
        BSP_MAX_QUEUE_SIZE="10",
        BSP_MAX_EXPORT_BATCH_SIZE="20",
    )

    assert otel.headers == {"x-key": "a b", "Other": "c=d"}
    assert (otel.gzip, otel.timeout_s, otel.delay_s, otel.queue, otel.batch) == (True, 1.5, 0.25, 10, 10)
    assert otel.resource == {"service.name": "digits", "deployment.environment.name": "test,1"}
    assert otel.sampler == Sampler(0.25, parent_based=False)
    assert "a b" not in repr(otel), "a header may be a key"


def test_a_setting_of_traces_stands_above_that_of_all_signals() -> None:
    otel = read(
        EXPORTER_OTLP_TRACES_ENDPOINT="https://traces.example/in?tenant=1",
        EXPORTER_OTLP_TIMEOUT="soon",
        EXPORTER_OTLP_TRACES_TIMEOUT="20",
    )

    assert (otel.url, otel.timeout_s) == ("https://traces.example/in?tenant=1", 0.02)
    assert otel.tls is not None


def test_an_exporter_alone_sends_to_the_collector_beside_the_server() -> None:
    otel = Otel.read({"OTEL_TRACES_EXPORTER": "otlp"})

    assert otel is not None
    assert otel.url == "http://localhost:4318/v1/traces"


def test_every_sampler_of_the_specification_is_known() -> None:
    made = {name: read(TRACES_SAMPLER=name, TRACES_SAMPLER_ARG="0.5").sampler for name in SAMPLERS}

    assert {name for name, sampler in made.items() if sampler.parent_based} == {n for n in SAMPLERS if "parent" in n}
    assert [made[name].ratio for name in ("always_on", "always_off", "parentbased_traceidratio")] == [1.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"SDK_DISABLED": "yes"}, "OTEL_SDK_DISABLED: 'yes'; allowed: true, false"),
        ({"TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: 'zipkin'; allowed: otlp, none"),
        ({"EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc'; allowed: http/json, http/protobuf"),
        ({"EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318'; allowed: http:"),
        ({"EXPORTER_OTLP_ENDPOINT": "http://a:port"}, "OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:port'; allowed: http:"),
        ({"EXPORTER_OTLP_ENDPOINT": "http://[a"}, "OTEL_EXPORTER_OTLP_ENDPOINT: 'http://[a'; allowed: http:"),
        ({"EXPORTER_OTLP_TRACES_ENDPOINT": "http://a/b c"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://a/b c'"),
        ({"EXPORTER_OTLP_TIMEOUT": "-1"}, "OTEL_EXPORTER_OTLP_TIMEOUT: '-1'; allowed: a whole number, 1 to 600000"),
        ({"EXPORTER_OTLP_COMPRESSION": "br"}, "OTEL_EXPORTER_OTLP_COMPRESSION: 'br'; allowed: gzip, none"),
        ({"RESOURCE_ATTRIBUTES": "a"}, "OTEL_RESOURCE_ATTRIBUTES: 'a'; allowed: NAME=VALUE"),
        ({"TRACES_SAMPLER": "some"}, "OTEL_TRACES_SAMPLER: 'some'; allowed: always_on, always_off, traceidratio, par"),
        ({"TRACES_SAMPLER": "traceidratio", "TRACES_SAMPLER_ARG": "2"}, "OTEL_TRACES_SAMPLER_ARG: '2'; allowed: a num"),
        ({"TRACES_SAMPLER": "traceidratio", "TRACES_SAMPLER_ARG": "x"}, "OTEL_TRACES_SAMPLER_ARG: 'x'; allowed: a num"),
        ({"BSP_MAX_QUEUE_SIZE": "0"}, "OTEL_BSP_MAX_QUEUE_SIZE: '0'; allowed: a whole number, 1 to 1000000"),
    ],
)
def test_a_setting_that_is_not_understood_is_named_with_what_is_allowed(settings: dict[str, str], message: str) -> None:
    with pytest.raises(OtelError) as caught:
        read(**settings)

    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"EXPORTER_OTLP_ENDPOINT": "https://ann:hunter2@collector"},
        {"EXPORTER_OTLP_HEADERS": "hunter2"},
        {"EXPORTER_OTLP_HEADERS": "a b=hunter2"},
        {"EXPORTER_OTLP_HEADERS": "x-key=hunter2%0d%0aHost: other"},
        {"EXPORTER_OTLP_TRACES_HEADERS": "x-key=hunter2%00"},
    ],
)
def test_no_message_says_a_secret(settings: dict[str, str]) -> None:
    with pytest.raises(OtelError, match="OTEL_EXPORTER_OTLP") as caught:
        read(**settings)

    assert "hunter2" not in str(caught.value)


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for file in (tmp_path / "ca.pem", tmp_path / "none.pem"):
        with pytest.raises(OtelError, match=r"OTEL_EXPORTER_OTLP_CERTIFICATE: .*pem'; allowed: a file of certificates"):
            read(EXPORTER_OTLP_ENDPOINT="https://collector", EXPORTER_OTLP_CERTIFICATE=str(file))


def test_a_server_that_sends_no_spans_loads_nothing_for_it() -> None:
    script = "import sys, modelyard.serving.server, modelyard.serving.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert "modelyard.serving.traces" in loaded
    assert not {"modelyard.serving.otel", "modelyard.serving.otlp", "http.client"} & set(loaded)


def test_every_setting_is_documented_with_its_default(pytestconfig: pytest.Config) -> None:
    page = (pytestconfig.rootpath / "docs/reference/serving.md").read_text()
    rows = dict(re.findall(r"^\| `(OTEL_\w+)` \| ([^|]*?) ?\|", page, re.MULTILINE))
    code = Path(otel_module.__file__).read_text()
    read_here = set(re.findall(r'"(OTEL_\w+)"', code)) - {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}
    read_here |= {f"OTEL_EXPORTER_OTLP_{what}" for what in re.findall(r'\.name\("(\w+)"\)', code)}
    plain = {name: text.strip("`") for name, text in rows.items() if text.startswith("`")}

    assert set(rows) == read_here
    assert Otel.read(ENDPOINT | plain) == Otel.read(ENDPOINT)
