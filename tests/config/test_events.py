"""`[tool.modelyard.events]`: typed, spell-checked, and refused when the project is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.configs import Load

from modelyard.launch import python_server
from modelyard.plan.planner import build_plan
from modelyard.plugins.load import load_plugins
from modelyard.stage_settings import ImageSettings
from modelyard_plugins.sources import nats

EVENTS = "tool.modelyard.events"


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    return Load(tmp_path_factory.mktemp("config") / "project")


def test_without_the_table_there_is_no_source(load: Load) -> None:
    config = load()
    assert config.events is None
    assert "source" not in build_plan(config, load.plugins).stages["image:some-project"].uses


def test_a_source_alone_is_enough(load: Load) -> None:
    config = load({EVENTS: 'use = "nats"'})
    assert config.events is not None
    assert config.events.component.name == "nats"
    found = {key: getattr(config.settings.events, key) for key in ("input", "output", "dead_letter", "group")}
    assert found == {
        "input": "some-project.in",
        "output": "some-project.out",
        "dead_letter": "some-project.in.dead",
        "group": "some-project",
    }


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "key 'use' is missing\n  it names the source, one of: amqp, kafka, mqtt, nats, redis"),
        ('use = "nat"', "unknown source 'nat', did you mean 'nats'?"),
        ('use = "nats"\ninptu = "a"', "unknown key 'inptu', did you mean 'input'?"),
        ('use = "nats"\nattempts = 0', "allowed: a whole number from 1 to 1000"),
        ('use = "nats"\ninput = "a b"', "no spaces"),
        ('use = "nats"\ninput = "a.*"', "'a.*' is not allowed: it is no subject"),
        ('use = "mqtt"\ninput = "a/#/b"', "it is no topic filter"),
        (
            'use = "mqtt"\ninput = "a/#"\noutput = "a/b"\ndead_letter = "d"',
            "the input, 'a/#', takes it in, so events would go round",
        ),
        ('use = "amqp"\noutput = "amq.direct"', "it is no name of a queue of ours"),
        ('use = "amqp"\norder = "kye"', "order"),
        ('use = "kafka"\ninput = "a/b"', "it is no name of a topic"),
        ('use = "kafka"\nsasl = "plian"', "allowed: one of 'plain', 'scram-sha-256'"),
        ('use = "nats"\ninput = "a"\noutput = "a"', "`input` is the same, so events would go round"),
        ('use = "nats"\nurl = "nats://ann:secret@b"', "user name and password are files of their own"),
        ('use = "nats"\nurl = "nat://b"', "no scheme 'nat', did you mean 'nats'?"),
    ],
)
def test_what_cannot_be_is_told_at_load(load: Load, body: str, told: str) -> None:
    message = load.refused({EVENTS: body})
    assert told in message
    assert "events" in message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://ann:secret@b", "nats://...@b"),
        ("redis://b?password=secret", "redis://b?..."),
        ("redis://b?password=secret@1", "redis://..."),
    ],
)
def test_a_refused_url_is_not_quoted_with_its_password(load: Load, url: str, shown: str) -> None:
    message = load.refused({EVENTS: f'use = "nats"\nurl = "{url}"'})
    assert f"key 'url': {shown!r} is not allowed" in message
    assert "secret" not in message


def test_a_server_that_comes_with_an_image_takes_no_events(load: Load) -> None:
    message = load.refused(
        {
            EVENTS: 'use = "nats"',
            "tool.modelyard.runtime": 'use = "tensorflow-serving"',
            "tool.modelyard.variants": None,
        }
    )
    assert "the server of the runtime 'tensorflow-serving' comes with its image, and takes no events" in message


def test_the_image_has_the_client_its_requirements_and_no_broker(load: Load) -> None:
    config = load({EVENTS: 'use = "nats"\ninput = "a"\nurl = "nats://b"\nretry_s = 2.5'})
    plan = build_plan(config, load.plugins)
    stage = plan.stages["image:some-project"]
    parts = python_server.parts(
        stage.settings_as(ImageSettings), stage.uses["runtime"], {"model": Path("model")}, stage.uses["source"]
    )
    plain = build_plan(load(), load.plugins).stages["image:some-project"]
    without = python_server.parts(plain.settings_as(ImageSettings), plain.uses["runtime"], {"model": Path("model")})

    folder = Path(nats.__file__).parent
    assert {*parts["server"].items()} - {*without["server"].items()} == {
        ("/app/nats_jetstream", folder / "nats_jetstream")
    }
    assert [line.partition("==")[0] for line in parts["optional_requirements"]] == ["nats-py"]
    assert without["optional_requirements"] == ()
    assert parts["facts"].event_schemes == {"nats": 4222, "tls": 4222}
    events = {name: value for name, value in parts["environment"].items() if "EVENTS" in name}
    assert events == {
        "MODELYARD_EVENTS_CLIENT": "nats_jetstream:open_source",
        "MODELYARD_EVENTS_INPUT": "a",
        "MODELYARD_EVENTS_OUTPUT": "some-project.out",
        "MODELYARD_EVENTS_DEAD_LETTER": "a.dead",
        "MODELYARD_EVENTS_GROUP": "some-project",
        "MODELYARD_EVENTS_ORDER": "none",
        "MODELYARD_EVENTS_ATTEMPTS": "5",
        "MODELYARD_EVENTS_RETRY_S": "2.5",
        "MODELYARD_EVENTS_ACK_WAIT_S": "30.0",
        "MODELYARD_EVENTS_MAX_IN_FLIGHT": "64",
    }
    assert not [name for name in without["environment"] if "EVENTS" in name]


def test_a_broker_elsewhere_changes_no_image(load: Load) -> None:
    here, there = (load({EVENTS: f'use = "nats"\nurl = "nats://{host}"'}) for host in ("a", "b"))
    assert {one.settings.events.url for one in (here, there)} == {"nats://a", "nats://b"}
    assert _image(here) == _image(there)


def _image(config: object) -> object:
    return build_plan(config, load_plugins(config.project)).stages["image:some-project"].settings  # type: ignore[attr-defined, arg-type]


@pytest.mark.parametrize("target", ["kubernetes", "compose"])
@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nats://ann:secret@b", "user name and password are files of their own"),
        ("nat://b", "no scheme 'nat', did you mean 'nats'?"),
        ("nats://b:70000", "no address of a broker"),
        ("b:4222", "no address of a broker"),
    ],
)
def test_a_targets_broker_is_looked_at_at_load(load: Load, target: str, url: str, told: str) -> None:
    message = load.refused({EVENTS: 'use = "nats"', f"tool.modelyard.targets.{target}": f'events_url = "{url}"'})
    assert told in message
    assert "events_url" in message


def test_a_target_has_no_broker_where_the_server_takes_no_events(load: Load) -> None:
    message = load.refused({"tool.modelyard.targets.kubernetes": 'events_url = "nats://b"\nevents_secret = "s"'})
    assert "the project's server takes no events\n  add [tool.modelyard.events]" in message
    message = load.refused({EVENTS: 'use = "nats"', "tool.modelyard.targets.compose": "events_auth = true"})
    assert "events_auth" in message
    assert "there is no broker" in message
