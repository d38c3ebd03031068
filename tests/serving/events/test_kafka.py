"""What the client of Kafka does by itself: how far a partition is done, and CloudEvents in headers of records."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.serving.events.source import Answer, Ending, Place, Tls

kafka = pytest.importorskip("modelyard_plugins.sources.kafka_topics", reason="needs the extra kafka")
client = pytest.importorskip("modelyard_plugins.sources.kafka_topics.client")
headers = pytest.importorskip("modelyard_plugins.sources.kafka_topics.headers")
progress = pytest.importorskip("modelyard_plugins.sources.kafka_topics.progress")
sending = pytest.importorskip("modelyard_plugins.sources.kafka_topics.sending")
transactions = pytest.importorskip("modelyard_plugins.sources.kafka_topics.transactions")

from aiokafka import TopicPartition  # noqa: E402 - it is there if they are
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError  # noqa: E402
from aiokafka.partitioner import DefaultPartitioner  # noqa: E402

PLACE = Place(
    url="kafka://127.0.0.1:9092",
    input="in",
    output="out",
    dead_letter="dead",
    group="digits",
    member="one",
    client_id="one",
    lease_s=30,
    most=64,
    order="none",
    login=lambda: (None, None),
    tls=Tls(),
)


def record(headers: Sequence[Any] = (), key: Any = None) -> SimpleNamespace:
    return SimpleNamespace(headers=list(headers), key=key)


@given(st.sets(st.integers(0, 50), min_size=1), st.randoms(use_true_random=False))
def test_a_partition_is_done_up_to_the_first_event_that_is_not(offsets: Any, random: Any) -> None:
    held = progress.Progress(0)
    for offset in sorted(offsets):  # gaps are those of a compacted log
        held.begin(offset)
    left, ends = set(offsets), sorted(offsets)
    random.shuffle(ends)
    for offset in ends:
        held.end(offset)
        left.discard(offset)
        before = [one for one in offsets if one < min(left, default=51)]
        assert held.next == (max(before) + 1 if before else None)
    assert len(held) == 0


def test_a_records_headers_are_attributes_and_its_key_is_the_partition_key() -> None:
    found = headers.headers_of(
        record([("ce_id", "ü 1".encode()), ("content-type", b"text/plain"), ("Mine", None)], b"a b")
    )
    assert found == {
        b"ce-id": b"%C3%BC 1",
        b"content-type": b"text/plain",
        b"mine": b"",
        b"ce-partitionkey": b"a b",
    }
    assert headers.headers_of(record([("ce_partitionkey", b"x")], b"a"))[b"ce-partitionkey"] == b"x"
    assert headers.headers_of(record(key=b"\xff")) == {}


def test_header_fields_are_headers_of_a_record_without_percents() -> None:
    sent = headers.record_headers({"ce-id": "%C3%BC%201", "ce-datacontenttype": "application/json"})
    assert sent == [("ce_id", "ü 1".encode()), ("content-type", b"application/json")]


def test_a_topic_that_is_made_when_it_is_sent_to_is_heard_from_its_beginning(tmp_path: Path) -> None:
    from tests.serving.events.brokers.kafka import MockCluster

    broker = MockCluster(tmp_path / "broker")
    broker.start()
    broker.begin("late")
    place = dataclasses.replace(PLACE, url=broker.url, input="late-asked", output="late-out", dead_letter="late-dead")

    async def heard() -> list[Any]:
        peer = kafka.open_peer(place)
        await peer.open()
        producer = client.producer_of(place)
        await producer.start()
        found: list[Any] = []
        try:
            for topic in (place.output, place.dead_letter, place.output):
                await producer.send_and_wait(topic, topic.encode(), headers=[("ce_id", b"1")])
                end = time.monotonic() + 20
                before = len(found)
                while len(found) == before:
                    assert time.monotonic() < end
                    found += await peer.read()
            return found
        finally:
            await producer.stop()
            await peer.close()

    try:
        found = asyncio.run(heard())
    finally:
        broker.kill()
    assert [(one.is_dead, one.body) for one in found] == [
        (False, b"late-out"),
        (True, b"late-dead"),
        (False, b"late-out"),
    ]


def test_brokers_without_a_controller_are_told(tmp_path: Path) -> None:
    from tests.serving.events.brokers.kafka import MockCluster

    broker = MockCluster(tmp_path / "broker")
    broker.start()

    async def prepared() -> None:
        peer = kafka.open_peer(dataclasses.replace(PLACE, url=broker.url, input="never"))
        try:
            await peer.prepare()
        finally:
            await peer.close()

    try:
        with pytest.raises(ConnectionError, match="none is the controller; try again later, or make them: never, out"):
            asyncio.run(prepared())
    finally:
        broker.kill()


@pytest.mark.parametrize("url", ["nats://a", "kafka://", "kafka://a:1/topic"])
def test_what_is_no_address_of_kafka_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL: .*kafka://HOST:PORT"):
        kafka.open_source(dataclasses.replace(PLACE, url=url))


def test_a_password_is_shown_as_the_setting_says(monkeypatch: pytest.MonkeyPatch) -> None:
    place = dataclasses.replace(PLACE, url="kafkas://broker", login=lambda: ("ann", "s3cret"))
    monkeypatch.setenv("MODELYARD_EVENTS_SASL", "scram-sha-256")
    given = client.client_settings(place)
    assert (given["security_protocol"], given["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-256")
    assert (given["sasl_plain_username"], given["sasl_plain_password"]) == ("ann", "s3cret")
    assert given["bootstrap_servers"] == "broker:9093"
    assert "sasl_mechanism" not in client.client_settings(PLACE)
    monkeypatch.setenv("MODELYARD_EVENTS_SASL", "gssapi")
    with pytest.raises(ValueError, match="SASL: 'gssapi'; allowed: plain, scram-sha-256, scram-sha-512"):
        kafka.open_source(place)


@pytest.fixture
def mock_place(tmp_path: Path) -> Iterator[tuple[Any, Place]]:
    """A broker of its own with topics, and the place that they are."""
    from tests.serving.events.brokers.kafka import MockCluster

    broker = MockCluster(tmp_path / "broker")
    broker.start()
    broker.begin("once")
    broker.make()
    yield (
        broker,
        dataclasses.replace(
            PLACE, url=broker.url, group=broker.group, input=broker.input, output=broker.output, dead_letter=broker.dead
        ),
    )
    broker.kill()


def test_what_waits_for_an_event_before_it_is_told_so_and_goes_along_with_it(mock_place: tuple[Any, Place]) -> None:
    """A transaction is of the first events of a partition that have ended, and of no others."""
    broker, place = mock_place

    def endings(deliveries: Sequence[Any]) -> list[Ending[Any]]:
        return [Ending(one, answer=Answer("1", {"ce-id": "1"}, b"1")) for one in deliveries]

    async def settled() -> Any:
        source = kafka.Kafka(place, once=True)
        await source.open()
        try:
            taken: list[Any] = []
            while len(taken) < 6:
                taken += await source.take(64)
            late = await source.settle(endings(taken[1:3]))
            first = await source.settle(endings(taken[:4]))
            rest = await source.settle(endings(taken[4:]))
            return late, first, rest, source._partitions[taken[0].record.partition].next
        finally:
            await source.close()

    broker.send([b"x"] * 6, keys=("a",))
    late, first, rest, reached = asyncio.run(settled())
    assert [type(one) for one in late] == [BlockingIOError] * 2
    assert (first, rest, reached) == ([None] * 4, [None] * 2, 6)  # this broker forgets offsets of transactions


def test_a_record_without_key_and_value_may_be_a_dead_letter(mock_place: tuple[Any, Place]) -> None:
    """The client refuses to send one by itself, and Kafka does not: it may have come."""
    _, place = mock_place

    async def sent() -> Any:
        producer = client.producer_of(place)
        await producer.start()
        try:
            return await sending.send(producer, place, [sending.Outgoing(place.dead_letter, None, None, [])])
        finally:
            await producer.stop()

    assert asyncio.run(sent()) == [None]


def test_of_a_broker_that_closes_the_connection_it_is_said_why_that_may_be() -> None:
    """One that wants TLS, or a password, says nothing to who shows none."""

    async def opened() -> None:
        async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            peer = kafka.open_peer(dataclasses.replace(PLACE, url=f"kafka://127.0.0.1:{port}"))
            try:
                await peer.open()
            finally:
                await peer.close()

    with pytest.raises(ConnectionError, match=r"closed by the broker, .* TLS \(kafkas://\), .* \(sasl\)"):
        asyncio.run(opened())


def test_what_one_client_says_is_not_lost_by_what_another_begins() -> None:
    """Several are at work in one process; each says by the same log why it cannot connect."""

    async def opened() -> list[str]:
        places = [dataclasses.replace(PLACE, member=name) for name in ("one", "other")]
        told = await asyncio.gather(*(client.tried(place, failing(place)) for place in places), return_exceptions=True)
        return [str(problem) for problem in told]

    async def failing(place: Place) -> None:
        await asyncio.sleep(0)  # both have begun before either says anything
        logging.getLogger("aiokafka").error("%s is not let in", place.member)
        await asyncio.sleep(0)
        raise KafkaConnectionError

    one, other = asyncio.run(opened())
    assert "one is not let in" in one
    assert "other is not let in" in other


class Records:
    """A batch that is full with two records."""

    def __init__(self, most: int = 2) -> None:
        self.most = most
        self.held: list[Any] = []

    def append(self, *, timestamp: None, key: Any, value: Any, headers: Any) -> Any:
        if len(self.held) == self.most:
            return None
        self.held.append(value)
        return object()


class Recorder:
    """A producer that notes what it is asked to do, and refuses the topics and steps it is told to.

    A batch that holds `refused` as a value is too large for its broker.
    """

    def __init__(self, refused: str = "", partitions: int = 1) -> None:
        self.steps: list[Any] = []
        numbers = set(range(partitions))
        cluster = SimpleNamespace(
            partitions_for_topic=lambda _: numbers, available_partitions_for_topic=lambda _: numbers
        )
        self.client = SimpleNamespace(cluster=cluster)
        self._refused = refused

    def __getattr__(self, name: str) -> Any:
        async def step(*given: Any) -> None:
            self.steps.append((name, *given))
            if name == self._refused:
                raise KafkaError(name)

        return step

    def create_batch(self) -> Records:
        return Records()

    async def send_batch(self, batch: Records, topic: str, *, partition: int) -> asyncio.Future[None]:
        self.steps.append(("send", topic, partition, batch.held))
        sent = asyncio.get_running_loop().create_future()
        if self._refused in (topic, *batch.held):
            sent.set_exception(MessageSizeTooLargeError())
        else:
            sent.set_result(None)
        return sent


def sent_by(producer: Recorder, outgoing: Sequence[Any]) -> Any:
    return asyncio.run(sending.send(producer, PLACE, outgoing))


def record_to(topic: str, value: Any, key: Any = None) -> Any:
    return sending.Outgoing(topic, key, value, [])


def test_records_of_a_partition_go_together_in_their_order_as_many_as_a_batch_takes() -> None:
    producer = Recorder()
    values = [record_to("out", one) for one in "abc"]
    assert sent_by(producer, [*values, None, record_to("dead", "d")]) == [None] * 5
    assert producer.steps == [("send", "out", 0, ["a", "b"]), ("send", "out", 0, ["c"]), ("send", "dead", 0, ["d"])]


def test_of_a_batch_that_is_too_large_the_record_that_makes_it_so_is_found() -> None:
    producer = Recorder("b")
    found = sent_by(producer, [record_to("out", one) for one in "abcd"])
    assert [type(one) for one in found] == [type(None), ValueError, type(None), type(None)]
    sent = [values for *_, values in producer.steps]
    assert sent == [["a", "b"], ["c", "d"], ["a"], ["b"]]


@given(st.binary(max_size=40), st.integers(1, 9))
def test_a_key_has_the_partition_that_the_client_gives_it(key: bytes, count: int) -> None:
    """What others send under that key is in the same partition."""
    partitions = sending.Partitions(Recorder(partitions=count), "out")
    numbers = list(range(count))
    assert partitions.of(key) == DefaultPartitioner()(key, numbers, numbers)
    assert partitions.of(None) == partitions.of(None)


OUTGOING = {4: record_to("out", b"4"), 5: None, 7: record_to("dead", b"7")}
SENT = [("begin_transaction",), ("send", "out", 0, [b"4"]), ("send", "dead", 0, [b"7"])]
OFFSETS = ("send_offsets_to_transaction", {TopicPartition("in", 2): 8}, "digits")


def committed(producer: Recorder) -> Any:
    """Return what becomes of `OUTGOING`."""
    held = transactions.Transactions(PLACE)
    held._producers[2] = producer
    return asyncio.run(held.commit(2, OUTGOING))


def test_a_transaction_has_all_answers_before_it_has_how_far_the_partition_is() -> None:
    producer = Recorder()
    assert committed(producer) == {}
    assert producer.steps == [*SENT, OFFSETS, ("commit_transaction",)]


def test_a_transaction_is_void_when_the_broker_refuses_one_of_its_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker counts batches, and would miss the one that it refused: another producer goes on."""
    first, made = Recorder("dead"), [Recorder("dead"), Recorder("dead")]
    others = iter(made)
    monkeypatch.setattr(transactions, "producer_of", lambda *_: next(others))
    problems = committed(first)
    assert [(offset, type(one)) for offset, one in problems.items()] == [(7, ValueError)]
    void = [*SENT, ("abort_transaction",), ("stop",)]
    assert [one.steps for one in (first, *made)] == [void, [("start",), *void], [("start",)]]


@pytest.mark.parametrize("step", ["begin_transaction", "send_offsets_to_transaction", "commit_transaction"])
def test_a_transaction_whose_end_nobody_knows_is_told(step: str) -> None:
    """Whoever took the partition over has the producer fail at any of these."""
    producer = Recorder(step)
    with pytest.raises(ConnectionError, match=step):
        committed(producer)
    assert producer.steps[-1][0] == step


def test_a_partition_that_is_anothers_has_no_transaction() -> None:
    with pytest.raises(ConnectionError, match="another's"):
        asyncio.run(transactions.Transactions(PLACE).commit(2, OUTGOING))


def test_exactly_once_is_a_word_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_EVENTS_EXACTLY_ONCE", "yes")
    with pytest.raises(ValueError, match="EXACTLY_ONCE: 'yes'; allowed: true, false"):
        kafka.open_source(PLACE)
