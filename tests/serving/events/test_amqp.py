"""What the client of RabbitMQ does by itself: attributes are headers, however they are called there."""

from __future__ import annotations

import pytest

amqp = pytest.importorskip("modelyard_plugins.sources.amqp_queues", reason="needs the extra amqp")


def test_attributes_are_headers_by_any_of_their_names() -> None:
    headers = {
        "cloudEvents:id": "a b%",
        "cloudEvents_type": "t",
        "ce-source": b"/s",
        "ce-x": True,
        "ce-n": 5,
        "Other": "o",
    }
    sent = amqp.BasicProperties(headers=headers, content_type="text/plain")
    assert amqp._headers(sent) == {
        b"ce-id": b"a b%25",
        b"ce-type": b"t",
        b"ce-source": b"/s",
        b"ce-x": b"true",
        b"ce-n": b"5",
        b"other": b"o",
        b"content-type": b"text/plain",
    }


def test_a_dead_letter_has_the_properties_that_came_and_no_count_of_its_deliveries() -> None:
    came = {"ce-id": "1", amqp.COUNT: 3}
    sent = amqp.BasicProperties(headers=came, content_type="text/plain", correlation_id="7", delivery_mode=1)
    made = amqp.properties_of(sent, {"ce-errordetail": "no%20shape"})
    assert made.headers == {"ce-id": "1", "ce-errordetail": "no shape"}
    assert (made.content_type, made.correlation_id, made.delivery_mode) == ("text/plain", "7", amqp.PERSISTENT)


def test_an_answer_has_its_type_as_a_property() -> None:
    made = amqp.properties_of(None, {"ce-id": "%C3%A9", "ce-datacontenttype": "application/json"})
    assert (made.headers, made.content_type) == ({"ce-id": "\u00e9"}, "application/json")


@pytest.mark.parametrize("url", ["http://x", "amqp://", "amqp://x/a/b"])
def test_what_is_no_address_of_rabbitmq_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL: "):
        amqp.open_source(type("Place", (), {"url": url})())
