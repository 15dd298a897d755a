"""How fast the store takes what runs log, how small it rests, how fast it is read; next to a table of one row a point.

    python -m benchmarks.store [--store URL | --postgres] [--runs N] [--steps N] [--flush N] [--quick] [--no-peer]

Ingest is the recorder's whole way: entries as Redis gives them, decoded, applied, committed in turns of 500 as the
controller does. Runs log one metric, and `init()`'s writer adds the time, so each point is two values; a point counts
once. A thousand runs that log 500 steps a second make half a million points a second, and each writer sends 100 steps
every 0.2 s: that is `--flush`; runs are out of step with each other.
Reads are `Api`'s and a page's, each for another run, after all runs have ended; "live" is read before, while each run
still has up to a thousand points outside its chunks. Medians, the slowest, and the CPU time of the median.
Ends with code 1 when a wanted figure is missed. CPU time is this process', without the database server's.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from benchmarks.machine import machine, peak_mb, table
from benchmarks.rows_store import RowsStore
from besom.messages import (
    Batch,
    BatchBody,
    Event,
    RunStarted,
    SweepCreated,
    SweepSpec,
    TrialClaimed,
    TrialEnded,
    encode,
    read_events,
)
from besom.settings import read_settings
from besom.tracking.reading.api import Api
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.overviews import overviews
from besom.tracking.store.reader import run_count
from besom.tracking.store.rows import pieces_of
from besom.tracking.store.schema import metadata
from besom.tracking.store.store import Store
from tests.postgres_server import PostgresServer

TURN = 500
"""Entries that the controller takes at once."""
METRIC = "loss"
LONG = "long"
START = 1_700_000_000.0
WANTED = {"ingest": 500_000, "bytes": 20.0, "chart": 5.0, "last": 5.0, "sweep": 30.0, "long": 50.0}
"""Points a second, bytes a point, then milliseconds."""

Entry = dict[bytes, bytes]


@dataclass
class Flush:
    """What one writer sends at once."""

    run: str
    seq: int
    steps: Any
    times: Any
    values: Any

    def entry(self) -> Entry:
        """As the journal keeps it."""
        columns = {METRIC: self.values, "_timestamp": self.times}
        steps = self.steps.tobytes()
        body = BatchBody(history={key: ("d", steps, column.tobytes()) for key, column in columns.items()})
        return fields(Batch(run=self.run, attempt=1, writer=f"w-{self.run}", seq=self.seq, body=body.pack()))


@dataclass
class Measured:
    """One store's figures; times of reads in ms, of turns in seconds."""

    name: str
    points: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    turns: list[float] = field(default_factory=list)
    bytes: int = 0
    bytes_before: int = 0
    """Of PostgreSQL before VACUUM FULL; in use, autovacuum gives that room to what comes next."""
    reads: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Wall and CPU."""

    @property
    def rate(self) -> float:
        return self.points / self.wall

    @property
    def turn_seconds(self) -> tuple[float, float]:
        """Median and slowest."""
        return statistics.median(self.turns), max(self.turns)

    @contextmanager
    def turn(self, points: int) -> Iterator[None]:
        """Around what ends with a commit."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.turns.append(time.perf_counter() - wall)
        self.wall += self.turns[-1]
        self.cpu += time.process_time() - cpu
        self.points += points

    def read(self, what: str, reading: Callable[[int], int], wanted: int, times: int = 15) -> None:
        """Time a read; `reading` is told how often it was called and gives how many things it found."""
        reading(0)
        for turn in range(1, times + 1):
            with self.timed(what):
                found = reading(turn)
            assert found == wanted, f"{self.name}, {what}: {found} instead of {wanted}"

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Around one of several of a kind."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        took = ((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3)
        self.reads.setdefault(what, []).append(took)

    def median(self, what: str) -> float:
        return statistics.median(wall for wall, _ in self.reads[what])

    def cells(self, what: str) -> list[str]:
        """Median, slowest, CPU."""
        if what not in self.reads:
            return ["-"] * 3
        slowest, cpu = max(wall for wall, _ in self.reads[what]), statistics.median(cpu for _, cpu in self.reads[what])
        return [f"{part:.1f} ms" for part in (self.median(what), slowest, cpu)]


def fields(event: Event) -> Entry:
    """A journal entry as Redis' client gives it."""
    flat = {**encode(event), "total": 1_000_000}
    return {name.encode(): value if isinstance(value, bytes) else str(value).encode() for name, value in flat.items()}


def flushes(runs: list[str], steps: int, size: int, seed: int = 0) -> Iterator[list[Flush]]:
    """Rounds in which every run that has not ended sends half to one and a half times `size` steps, in random order.

    Values are a falling curve with noise in all bits of a float64. Times are those of ten steps a second, with a jitter
    of 10 %: they take more bytes than those of faster steps.
    """
    draw, order = np.random.default_rng(seed), random.Random(seed)
    at, clock = dict.fromkeys(runs, 0), dict.fromkeys(runs, START)
    seq = dict.fromkeys(runs, 0)
    while at:
        names = list(at)
        order.shuffle(names)
        sent = []
        for run in names:
            first, count = at[run], min(int(draw.integers(size // 2, size * 3 // 2 + 1)), steps - at[run])
            some = np.arange(first, first + count)
            times = clock[run] + np.cumsum(draw.lognormal(-2.3, 0.1, count))
            seq[run] += 1
            sent.append(Flush(run, seq[run], some, times, np.exp(-some / steps) + draw.normal(0, 0.05, count)))
            at[run], clock[run] = first + count, float(times[-1])
            if at[run] == steps:
                del at[run]
        yield sent


class Recording:
    """The recorder with a store, fed with journal entries."""

    def __init__(self, store: Store) -> None:
        self.store, self.recorder = store, Recorder()
        self._entries = 0

    def apply(self, entries: list[Entry]) -> None:
        """One turn of the controller's loop, from the entries to the commit."""
        with self.store.begin() as conn:
            told = [(self._next_id(), event) for entry in entries for event in read_events(entry)]
            self.recorder.apply(conn, told, START)
        self.recorder.take_recorded()

    def end(self, runs: list[str], sent: dict[str, int]) -> None:
        """The trials of these runs end, and the runs close: scored, sealed."""
        events: list[tuple[str, Event]] = []
        for run in runs:
            sweep, number = run.split("-")
            who = {"sweep": sweep, "number": int(number), "attempt": 1, "token": f"t{number}"}
            writers = json.dumps({f"w-{run}": sent[run]})
            events.append((self._next_id(), TrialEnded(**who, state="finished", writers=writers)))
        with self.store.begin() as conn:
            closed = self.recorder.apply(conn, events, START)
        assert len(closed) == len(runs)

    def begin(self, sweep: str, count: int) -> list[str]:
        """A sweep whose trials all run, and a run outside of it; the trials' runs."""
        spec = SweepSpec(
            id=sweep, entity="e", project="p", name=sweep, created=START, config={},
            metric={"name": METRIC, "goal": "minimize"},
        )  # fmt: skip
        info = msgpack.packb({"project": "p"})
        events: list[Event] = [RunStarted(run=LONG, body=info)]
        for number in range(count):
            who = {"sweep": sweep, "number": number, "attempt": 1}
            events.append(TrialClaimed(**who, token=f"t{number}", agent="a", params="{}"))
            events.append(RunStarted(run=f"{sweep}-{number}", sweep=sweep, number=number, body=info))
        with self.store.begin() as conn:
            self.recorder.apply(conn, [(self._next_id(), SweepCreated(spec=spec.model_dump_json()))], START)
            self.recorder.issue(conn, sweep, [(number, {"lr": number / count}) for number in range(count)], START)
            self.recorder.apply(conn, [(self._next_id(), event) for event in events], START)
        return [f"{sweep}-{number}" for number in range(count)]

    def _next_id(self) -> str:
        self._entries += 1
        return f"{1_700_000_000_000 + self._entries}-0"


def measure_besom(options: argparse.Namespace, home: Path) -> Measured:
    measured = Measured("besom")
    store = Store.open(options.url)
    with store.read() as conn:
        if run_count(conn):
            raise SystemExit(f"{store.url} has runs already; give an empty database")
    recording = Recording(store)
    runs = recording.begin("s", options.runs)
    sent = dict.fromkeys(runs, 0)
    for some in flushes(runs, options.steps, options.flush):
        for start in range(0, len(some), TURN):
            part = some[start : start + TURN]
            sent.update((flush.run, flush.seq) for flush in part)
            entries = [flush.entry() for flush in part]
            with measured.turn(sum(len(flush.steps) for flush in part)):
                recording.apply(entries)
    measured.read("live", lambda _: sweep_page(store, runs), 200 * len(runs))
    for some_runs in pieces_of(runs, 50):
        with measured.timed("end"):
            recording.end(some_runs, sent)
    store.close()  # so that SQLite's log is back in its file
    measured.bytes, measured.bytes_before = size_of(options.url)
    store = Store.open(options.url)
    recording = Recording(store)
    for some in flushes([LONG], options.long, 500, seed=1):
        recording.apply([flush.entry() for flush in some])
    read_besom(measured, store, runs, options, home)
    store.close()
    return measured


def sweep_page(store: Store, runs: list[str]) -> int:
    with store.read() as conn:
        return sum(map(len, overviews(conn, runs, METRIC, 200).values()))


def read_besom(measured: Measured, store: Store, runs: list[str], options: argparse.Namespace, home: Path) -> None:
    api = Api(settings=read_settings(store=options.url, home=home, silent=True))
    some = [api.run(run) for run in random.Random(0).sample(runs, 16)]
    long = api.run(LONG)
    points = min(1000, options.steps)
    measured.read("chart", lambda turn: len(some[turn].history(points, keys=[METRIC], pandas=False)), points)
    measured.read("last", lambda _: len(api.ask("summaries", run_ids=runs)), len(runs))
    measured.read("sweep", lambda _: sweep_page(store, runs), 200 * len(runs))
    measured.read("long", lambda _: len(long.history(1000, keys=[METRIC], pandas=False)), 1000)
    measured.read("curve", lambda _: len(api.ask("curve", run=LONG, key=METRIC, points=1000)), 1000)
    api.close()


def measure_rows(options: argparse.Namespace, folder: Path) -> Measured:
    """The same points in one table, one row each, committed in the same turns."""
    measured = Measured("a row a point")
    rows = RowsStore(options.url, folder)
    runs = [f"s-{number}" for number in range(options.runs)]
    for some in flushes(runs, options.steps, options.flush):
        for start in range(0, len(some), TURN):
            part = some[start : start + TURN]
            with measured.turn(sum(len(flush.steps) for flush in part)):
                rows.add((flush.run, flush.steps, flush.times, flush.values) for flush in part)
    measured.bytes = measured.bytes_before = rows.size()
    for some in flushes([LONG], options.long, 500, seed=1):
        rows.add((flush.run, flush.steps, flush.times, flush.values) for flush in some)
    chosen = random.Random(0).sample(runs, 16)
    points = min(1000, options.steps)
    measured.read("chart", lambda turn: len(rows.chart(chosen[turn], points)), points)
    measured.read("last", lambda _: len(rows.last(runs)), len(runs), times=3)
    measured.read(
        "sweep",
        lambda _: sum(map(len, rows.overviews(len(runs), options.steps // 200).values())),
        200 * len(runs),
        times=3,
    )
    measured.read("long", lambda _: len(rows.chart(LONG, 1000)), 1000, times=3)
    rows.close()
    return measured


def size_of(url: str) -> tuple[int, int]:
    """Bytes on disk of a file, or of tables with their indexes: at rest, and before with PostgreSQL's dead rows."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
        return size, size
    import psycopg

    sizes = " + ".join(f"pg_total_relation_size('{name}')" for name in metadata.tables)
    with psycopg.connect(url, autocommit=True) as conn:
        before = conn.execute(f"SELECT {sizes}").fetchone()
        for name in metadata.tables:
            conn.execute(f"VACUUM (FULL) {name}")
        after = conn.execute(f"SELECT {sizes}").fetchone()
    return int(after[0]), int(before[0])


TITLES = {
    "chart": "one run's chart, 1000 points",
    "last": "last values of all runs",
    "sweep": "200 points of each run",
    "live": "200 points of each run, live",
    "end": "50 runs end",
    "long": "long run's chart, 1000 points",
    "curve": "long run, 1000 min/max/mean",
}


def as_table(results: list[Measured]) -> str:
    rows = [["", "wanted", *(part for one in results for part in (one.name, "slowest", "CPU"))]]
    rates = [[f"{one.rate:.0f}", "-", f"{one.cpu / one.points * 1e6:.2f} us"] for one in results]
    turns = [[f"{part * 1e3:.0f} ms" for part in one.turn_seconds] + ["-"] for one in results]
    sizes = [[*(f"{part / one.points:.1f}" for part in (one.bytes, one.bytes_before)), "-"] for one in results]
    rows.append(["points/s", f">= {WANTED['ingest']}", *chain.from_iterable(rates)])
    rows.append(["turn with its commit", "", *chain.from_iterable(turns)])
    rows.append(["bytes a point (most)", f"<= {WANTED['bytes']:.0f}", *chain.from_iterable(sizes)])
    for what, title in TITLES.items():
        wanted = f"<= {WANTED[what]:.0f} ms" if what in WANTED else ""
        rows.append([title, wanted, *(cell for one in results for cell in one.cells(what))])
    return table(rows)


def missed(one: Measured) -> list[str]:
    """What was wanted and is not."""
    found = {"ingest": one.rate, "bytes": one.bytes / one.points}
    found |= {what: one.median(what) for what in WANTED if what in one.reads}
    return [
        f"{what}: {value:.1f}, wanted {WANTED[what]}"
        for what, value in found.items()
        if (value < WANTED[what] if what == "ingest" else value > WANTED[what])
    ]


@contextmanager
def database(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """The URL to measure: given, of a server made for it, or a file."""
    if not options.postgres:
        yield options.store or f"sqlite:///{folder}/store.db"
        return
    with tempfile.TemporaryDirectory(prefix="besom-pg-", ignore_cleanup_errors=True) as own:  # its user's, not ours
        server = PostgresServer(Path(own), durable=True)
        server.start()
        try:
            yield server.new_store()
        finally:
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", help="URL of an empty database; default a SQLite file, gone afterwards")
    parser.add_argument("--postgres", action="store_true", help="start a PostgreSQL server and measure that")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--flush", type=int, default=100, help="steps that a writer sends at once, on average")
    parser.add_argument("--long", type=int, default=1_000_000, help="points of the long run")
    parser.add_argument("--quick", action="store_true", help="200 runs of 2000 steps, 100 000 points of the long run")
    parser.add_argument("--no-peer", action="store_true", help="without the table of one row a point")
    parser.add_argument("--json", type=Path, help="keep all figures here")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.steps, options.long = 200, 2000, 100_000
    print(f"{machine()}\n{options.runs} runs of {options.steps} points, {options.flush} steps a batch")
    with tempfile.TemporaryDirectory(prefix="besom-", ignore_cleanup_errors=True) as name, ExitStack() as stack:
        folder = Path(name)
        options.url = stack.enter_context(database(options, folder))
        results = [measure_besom(options, folder / "home")]
        peak = peak_mb(os.getpid())
        if not options.no_peer:
            results.append(measure_rows(options, folder))
    print(as_table(results))
    print(f"memory at most {peak:.0f} MB, the load's own included")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in results], indent=1))
    if short := missed(results[0]):
        sys.exit("missed: " + "; ".join(short))


if __name__ == "__main__":
    main()
