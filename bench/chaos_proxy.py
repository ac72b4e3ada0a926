"""A TCP proxy that can be a bad line: cut, silent for a while, or slow."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any, Self

PIECE = 65_536
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing throws away what was not sent and resets the connection."""


class Proxy:
    """Listens on a port of the loopback and passes everything on to `target`: a port, or the path of a socket."""

    def __init__(self, target: int | Path) -> None:
        self.target = target
        self.silent_until = 0.0
        self.refuses_until = 0.0
        self.delay = 0.0
        self.port = 0
        self._pairs: set[Any] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    # --- Weather, from any thread -----------------------------------------------------------------------------
    def cut(self, seconds: float = 0.0) -> None:
        """Reset every connection, in the middle of whatever it carries; refuse new ones for a while."""
        self.refuses_until = time.monotonic() + seconds
        done = threading.Event()

        def reset() -> None:
            for writer in list(self._pairs):
                self._reset(writer)
            done.set()

        self._loop.call_soon_threadsafe(reset)
        done.wait(10)

    def silence(self, seconds: float) -> None:
        """Nothing passes for a while, and nobody is told."""
        self.silent_until = time.monotonic() + seconds

    def clear(self) -> None:
        self.silent_until = self.refuses_until = self.delay = 0.0

    # --- Inside the loop --------------------------------------------------------------------------------------
    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(asyncio.sleep(0.05))  # who was let in last is known by then
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0.05))  # what was reset closes now
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far: asyncio.StreamWriter | None = None
        self._pairs.add(writer)
        try:
            if time.monotonic() < self.refuses_until:
                return
            far_reader, far = await self._connect()
            self._pairs.add(far)
            await asyncio.gather(self._pass(reader, far), self._pass(far_reader, writer))
        except (OSError, asyncio.CancelledError):  # the end of one side, or of the proxy
            pass
        finally:
            for one in (writer, far):
                if one is not None:
                    self._pairs.discard(one)
                    self._reset(one)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, Path):
            return await asyncio.open_unix_connection(str(self.target))
        return await asyncio.open_connection("127.0.0.1", self.target)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the end of this direction; the other one may go on (a half-closed connection)."""
        while piece := await reader.read(PIECE):
            while (wait := self.silent_until - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            if self.delay:
                await asyncio.sleep(self.delay)
            writer.write(piece)
            await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()

    @staticmethod
    def _reset(writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
