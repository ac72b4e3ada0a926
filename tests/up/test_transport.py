"""The broker in a folder: nothing lost, nothing doubled, nothing read half."""

import json
import multiprocessing
import threading
from multiprocessing.synchronize import Event
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection, Consumer, Exchange, Producer, Queue
from kombu.exceptions import ChannelError

from ump_portal import transport

QUEUE = Queue("ticks", Exchange("ticks", type="direct"), routing_key="ticks")
PRODUCERS, CONSUMERS, MESSAGES = 3, 3, 1000
SECONDS = 120
# Long enough that a half-written file would be caught between its first and its last byte.
PADDING = "x" * 20_000


def connect(folder: Path) -> Connection:
    url, options = transport.broker(folder)
    return Connection(url, transport_options={**options, "polling_interval": 0.01})


def produce(folder: Path, number: int) -> None:
    with connect(folder) as connection:
        producer = Producer(connection.channel())
        for index in range(MESSAGES):
            producer.publish(
                {"id": f"{number}-{index}", "padding": PADDING},
                exchange=QUEUE.exchange,
                routing_key="ticks",
                declare=[QUEUE],
                serializer="json",
            )


def consume(folder: Path, finished: Event, result: Path) -> None:
    taken: list[str] = []

    def keep(body: dict[str, str], message: object) -> None:
        assert len(body["padding"]) == len(PADDING)
        taken.append(body["id"])
        message.ack()  # type: ignore[attr-defined]  # kombu is not typed

    with connect(folder) as connection, Consumer(connection.channel(), [QUEUE], callbacks=[keep]):
        while True:
            last = finished.is_set()
            try:
                connection.drain_events(timeout=0.05)
            except TimeoutError:
                if last:
                    break
    result.write_text(json.dumps(taken))


def test_no_message_of_many_processes_is_lost_or_doubled(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    spawn = multiprocessing.get_context("spawn")
    finished = spawn.Event()
    results = [tmp_path / f"{number}.json" for number in range(CONSUMERS)]
    consumers = [spawn.Process(target=consume, args=(folder, finished, result)) for result in results]
    producers = [spawn.Process(target=produce, args=(folder, number)) for number in range(PRODUCERS)]
    for process in [*consumers, *producers]:
        process.start()
    for process in producers:
        process.join(SECONDS)
        assert process.exitcode == 0
    finished.set()
    for process in consumers:
        process.join(SECONDS)
        assert process.exitcode == 0
    taken = [name for result in results for name in json.loads(result.read_text())]
    assert len(taken) == PRODUCERS * MESSAGES
    assert len(set(taken)) == PRODUCERS * MESSAGES
    left = [path for path in folder.rglob("*") if path.suffix in {".msg", ".new"}]
    assert left == []


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    with connect(tmp_path / "broker") as connection:
        yield connection


def put(connection: Connection, queue: str, body: object) -> None:
    with connection.SimpleQueue(queue) as simple:
        simple.put(body)


def take(connection: Connection, queue: str) -> object:
    with connection.SimpleQueue(queue) as simple:
        message = simple.get(block=False)
        message.ack()
        return message.payload


def test_messages_come_in_the_order_of_their_writing(connection: Connection) -> None:
    for number in range(20):
        put(connection, "ordered", number)
    assert [take(connection, "ordered") for _ in range(20)] == list(range(20))


def test_a_queue_whose_name_ends_like_another_keeps_its_own(connection: Connection) -> None:
    put(connection, "a.b", "first")
    put(connection, "b", "second")
    assert take(connection, "b") == "second"
    with pytest.raises(Empty):
        take(connection, "b")
    assert take(connection, "a.b") == "first"


@pytest.mark.parametrize("queue", ["../escaped", "with space", "worker@host.pidbox", "ümlaut", "a=b"])
def test_a_queue_name_never_leaves_the_folder(connection: Connection, tmp_path: Path, queue: str) -> None:
    channel = connection.channel()
    channel._put(queue, {"body": "x"})
    assert channel._size(queue) == 1
    assert [path.parent.name for path in tmp_path.rglob("*.msg")] == ["messages"]
    assert channel._get(queue) == {"body": "x"}


def test_an_exchange_name_that_leaves_the_folder_is_refused(connection: Connection) -> None:
    with pytest.raises(ChannelError):
        connection.channel().get_table("../escaped")


def test_half_written_messages_are_not_seen(connection: Connection, tmp_path: Path) -> None:
    put(connection, "ticks", "whole")
    claimed = tmp_path / "broker" / "claimed" / "00000000000000000001-x.ticks.msg.new"
    claimed.write_text('{"half')
    assert take(connection, "ticks") == "whole"
    with pytest.raises(Empty):
        take(connection, "ticks")


def test_a_message_that_another_takes_first_is_passed_over(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = connection.channel()
    channel._put("ticks", {"body": "stays"})
    listed = channel._messages("ticks")
    missing = listed[0].with_name("00000000000000000000-gone.ticks.msg")
    monkeypatch.setattr(channel, "_messages", lambda queue: [missing, *listed])
    assert channel._get("ticks") == {"body": "stays"}
    assert channel._purge("ticks") == 0


def test_bindings_made_at_once_are_all_kept(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    barrier = threading.Barrier(8)

    def bind(number: int) -> None:
        with connect(folder) as connection:
            channel = connection.channel()
            barrier.wait(SECONDS)
            channel._queue_bind("shared", "", "", f"queue{number}")

    threads = [threading.Thread(target=bind, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    with connect(folder) as connection:
        table = connection.channel().get_table("shared")
    assert {row.queue for row in table} == {f"queue{number}" for number in range(8)}


def test_deleting_a_queue_takes_its_messages_and_its_binding(connection: Connection) -> None:
    queue = Queue("passing", Exchange("passing", type="fanout"), channel=connection.channel())
    queue.declare()
    Producer(connection.channel()).publish("x", exchange=queue.exchange)
    assert connection.channel()._size("passing") == 1
    queue.delete()
    assert connection.channel()._size("passing") == 0
    assert connection.channel().get_table("passing") == []


def test_purge_counts_what_it_takes(connection: Connection) -> None:
    for number in range(3):
        put(connection, "ticks", number)
    assert connection.channel()._purge("ticks") == 3
    assert connection.channel()._size("ticks") == 0


def test_empty_takes_everything(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    with connect(folder) as connection:
        put(connection, "ticks", 1)
    transport.empty(folder)
    assert not folder.exists()
    transport.empty(folder)
    with connect(folder) as connection, pytest.raises(Empty):
        take(connection, "ticks")
