"""A proxy between clients and a Redis, which answers slowly, loses answers, or is cut: what networks do, without one.

It listens on a unix socket and runs in a thread of the test's process. What it does wrong is drawn from a seed.
"""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path

__all__ = ["Proxy"]


class Proxy:
    """A context; all attributes may be changed while it runs.

    Args:
        listen: Path of its socket.
        upstream: Path of the server's socket.
        seed: Of what it draws.
    """

    def __init__(self, listen: Path, upstream: Path, seed: int = 0) -> None:
        self.url = f"unix://{listen}?db=0"
        self.upstream = upstream
        self.delay = (0.0, 0.0)
        """Seconds, from and to, that each answer takes longer."""
        self.loses = 0.0
        """Share of answers that are lost together with their connection; the command has been executed."""
        self.lost = 0
        """How many were."""
        self._listen = listen
        self._random = random.Random(seed)
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), name="proxy")

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    async def _work(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._links: set[asyncio.Task[None]] = set()
        server = await asyncio.start_unix_server(self._accept, self._listen)
        self._up.set()
        await self._end.wait()
        server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        await asyncio.sleep(0.05)  # transports close in the loop's next rounds

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = self._loop.create_task(self._link(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(self.upstream)
        except OSError:
            writer.close()
            return
        ways = [
            self._loop.create_task(self._ask(reader, server_writer)),
            self._loop.create_task(self._answer(server_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server_writer.close()
            writer.close()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if self._random.random() < self.loses:
                self.lost += 1
                return
            if self.delay[1]:
                await asyncio.sleep(self._random.uniform(*self.delay))
            writer.write(data)
            await writer.drain()
