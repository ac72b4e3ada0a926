"""Celery's doorbell without Redis: kombu's filesystem transport, with every step made atomic.

The stock transport writes a message in place and locks it only after it has appeared, so that a consumer may
take half of it, and it rewrites its table of bindings in place, so that a publisher may read an empty one and
drop the message. Here a message is written beside and renamed into the queue, is claimed by a rename, and
the table is replaced as a whole, under a lock.

A claimed message is not kept for a worker that dies: the row is the truth, the message only rings.
"""

import fcntl
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any, cast

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.transport.filesystem import exchange_queue_t
from kombu.transport.virtual import BrokerState
from kombu.utils import json

SCHEME = "folder"
POLL_SECONDS = 0.2
Payload = dict[str, Any]
# Kombu's own: they carry what plain JSON does not, such as dates and UUIDs.
dumps: Callable[[object], str] = json.dumps
loads: Callable[[bytes], Any] = json.loads
_states: dict[str, BrokerState] = {}
# Queue names become file names; everything else of a name is written as =XX.
UNSAFE = re.compile(rb"[^A-Za-z0-9_@-]")


def broker(folder: Path) -> tuple[str, dict[str, Any]]:
    """Celery's `broker_url` and `broker_transport_options` for a broker in `folder`.

    The directories are made; every process that uses the same folder shares the broker.
    """
    TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"
    for name in ("messages", "claimed", "control"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    options = {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "processed_folder": str(folder / "claimed"),
        "control_folder": str(folder / "control"),
        "polling_interval": POLL_SECONDS,
    }
    return f"{SCHEME}://localhost", options  # kombu warns of a URL without a host


def empty(folder: Path) -> None:
    """Throw away every message and binding: what queues of former workers left. Nobody may use the broker."""
    shutil.rmtree(folder, ignore_errors=True)


class Channel(filesystem.Channel):
    """One connection's view of the folder."""

    def _put(self, queue: str, payload: Payload, **kwargs: Any) -> None:  # type: ignore[override]  # kombu's two parents differ
        del kwargs
        target = Path(self.data_folder_out, _file_name(queue))
        half = Path(self.processed_folder, f"{target.name}.new")
        _replace(target, half, payload)

    def _get(self, queue: str, timeout: float | None = None) -> Payload:
        del timeout
        for path in self._messages(queue):
            claimed = Path(self.processed_folder, path.name)
            try:
                path.rename(claimed)  # only one of several takers succeeds
            except FileNotFoundError:
                continue
            content = claimed.read_bytes()
            claimed.unlink()
            return cast("Payload", loads(content))
        raise Empty

    def _messages(self, queue: str) -> list[Path]:
        """The queue's messages, oldest first."""
        suffix = _suffix(queue)
        with os.scandir(self.data_folder_in) as entries:
            return [Path(entry.path) for entry in sorted(entries, key=_name) if entry.name.endswith(suffix)]

    def _size(self, queue: str) -> int:
        return len(self._messages(queue))

    def _purge(self, queue: str) -> int:
        count = 0
        for path in self._messages(queue):
            try:
                path.unlink()
            except FileNotFoundError:
                continue
            count += 1
        return count

    def get_table(self, exchange: str) -> list[exchange_queue_t]:
        """The exchange's bindings; a reader needs no lock, since the file is only ever replaced."""
        try:
            content = self._exchange_file(exchange).read_bytes()
        except FileNotFoundError:
            return []
        return [exchange_queue_t(*row) for row in loads(content)]

    def _exchange_file(self, exchange: str) -> Path:
        """Raises ChannelError for a name that would leave the folder."""
        return cast("Path", super()._exchange_file(exchange))  # type: ignore[no-untyped-call]  # kombu's

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        binding = exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with self._table_lock(exchange):
            table = self.get_table(exchange)
            if binding not in table:
                self._write_table(exchange, [binding, *table])

    def _delete(
        self, queue: str, exchange: str, routing_key: str, pattern: str, *args: Any, **kwargs: Any
    ) -> None:
        del args, kwargs
        self._purge(queue)
        binding = exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with self._table_lock(exchange):
            table = self.get_table(exchange)
            if binding in table:
                self._write_table(exchange, [row for row in table if row != binding])

    def _write_table(self, exchange: str, table: list[exchange_queue_t]) -> None:
        target = self._exchange_file(exchange)
        _replace(target, target.with_name(f"{target.name}.{uuid.uuid4()}.new"), table)

    @contextmanager
    def _table_lock(self, exchange: str) -> Iterator[None]:
        path = self._exchange_file(exchange).with_suffix(".lock")
        with path.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield  # closing the file gives the lock back


class Transport(filesystem.Transport):
    """What `folder://` means."""

    Channel = Channel

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)  # type: ignore[no-untyped-call]  # kombu's
        # The stock transport remembers bindings for the process; two folders would then be taken for one.
        folder = client.transport_options["control_folder"]
        self.state = _states.setdefault(folder, BrokerState())  # type: ignore[no-untyped-call]  # kombu's


def _replace(target: Path, half: Path, content: object) -> None:
    """Write `content` as JSON to `half`, then let it appear as `target`, whole, in one step."""
    half.write_text(dumps(content))
    half.rename(target)


def _file_name(queue: str) -> str:
    """Sorts by time of writing; the clock is the wall's, since messages outlive a restart."""
    return f"{time.time_ns():020d}-{uuid.uuid4().hex}{_suffix(queue)}"


def _suffix(queue: str) -> str:
    """Without a dot of its own, or the queue `b` would also find the messages of `a.b`."""
    safe = UNSAFE.sub(lambda found: b"=%02X" % found[0][0], queue.encode())
    return f".{safe.decode()}.msg"


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name
