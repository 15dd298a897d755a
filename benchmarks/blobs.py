"""What it costs to keep a file, by each way that blobs take: in the caller, and until it has arrived.

    python -m benchmarks.blobs [--count N]

With BESOM_BLOBS set to an fsspec URL that place is measured too. Every blob is read back from where it rests, checked.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import Place as Bench
from benchmarks.machine import describe, place, table, until
from besom.broker.connection import Connection
from besom.broker.lead import read_leader
from besom.broker.parcels import Parcels
from besom.messages import Event
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.bucket import Bucket
from besom.tracking.blobs.folder import Folder
from besom.tracking.blobs.outbox import Outbox
from besom.tracking.blobs.over_http import HttpPlace
from besom.tracking.blobs.over_redis import RedisPlace
from besom.tracking.blobs.place import Place

SMALL, LARGE = 300_000, 15_000_000


@dataclass
class Straight:
    """A road with one way, whatever the machine."""

    place: Place
    shown: str = "there"

    def way(self) -> Place:
        return self.place

    def tell(self, event: Event) -> None:
        """No event is sent here."""


@contextmanager
def controller(here: Bench) -> Iterator[tuple[Connection, HttpPlace, Folder]]:
    """One that serves HTTP, and where it keeps blobs."""
    here.child("besom", "controller", "--http", "127.0.0.1:0")
    connection = Connection(here.url)
    until("the controller", lambda: read_leader(connection).alive)
    info = read_leader(connection).info
    yield connection, HttpPlace(info["http"], info["token"]), Folder(Path(info["blobs"]))
    connection.close()


def measure(blobs: Blobs, rests: Place, count: int) -> list[str]:
    """Median milliseconds of a small `put`, and MB/s until small and large ones have arrived."""
    contents = [os.urandom(SMALL) for _ in range(count)]
    started, taken = time.perf_counter(), []
    for content in contents:
        before = time.perf_counter()
        blobs.put(content)
        taken.append(time.perf_counter() - before)
    assert blobs.settle(600) == 0
    small = count * SMALL / 1e6 / (time.perf_counter() - started)
    large = os.urandom(LARGE)
    started = time.perf_counter()
    contents.append(large)
    blobs.put(large)
    assert blobs.settle(600) == 0
    rate = LARGE / 1e6 / (time.perf_counter() - started)
    there = Blobs(rests)
    for content in contents:
        assert there.read(there.put(content)) == content
    return [f"{statistics.median(taken) * 1000:.1f}", f"{small:.1f}", f"{rate:.1f}"]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100)
    count = parser.parse_args().count
    url = os.environ.pop("BESOM_BLOBS", None)  # the controller keeps what it is sent in a folder
    print(describe())
    with place() as here, controller(here) as (connection, http, kept):
        folder = Folder(here.folder / "straight")
        ways: dict[str, tuple[Place, Place]] = {
            "HTTP": (http, kept),
            "Redis": (RedisPlace(Parcels(connection), connection.shown), kept),
        }
        if url:
            bucket = Bucket(url)
            ways[url.partition(":")[0]] = (bucket, bucket)
        rows = [["way", "put ms", f"{SMALL // 1000} kB: MB/s", f"{LARGE // 1_000_000} MB: MB/s"]]
        rows.append(["folder", *measure(Blobs(folder), folder, count)])
        for name, (way, rests) in ways.items():
            outbox = Outbox(here.folder / f"outbox-{name}", Straight(way))
            rows.append([name, *measure(Blobs(outbox), rests, count)])
        print(table(rows))


if __name__ == "__main__":
    main()
