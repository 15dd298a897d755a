"""The one check after every fault: what trials did, by their own account, against what the store and Redis say.

Reads: the history file that `train.py` writes, what `controller.py` wrote of strategies, the store, Redis.  Raises
AssertionError.  `watch` looks at run_cap while a test goes on.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import func, select

from besom.controller.sweep_plan import SweepPlan
from besom.errors import BesomError
from besom.messages import SweepSpec
from besom.strategies import make_strategy
from besom.tracking.reading.api import ApiRun
from besom.tracking.store import schema
from besom.tracking.store.points import Piece
from besom.tracking.store.store import Store
from tests.e2e.processes import House, wait_until

__all__ = ["Line", "check", "lines", "recovered", "started", "watch"]

FINAL = {"finished", "failed", "crashed", "stopped", "cancelled"}
SLACK_SECONDS = 5.0
"""Above lease and reap, for a machine with more processes than cores."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of the history file."""

    what: str
    sweep: str
    number: int
    attempt: int
    params: dict[str, Any]
    pid: int
    agent: int
    at: float
    step: int = -1
    steps: list[int] = field(default_factory=list)
    """Of a batch that Redis has acknowledged ("taken")."""


def _read(path: Any, sweep: str) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines() if sweep in line]


def lines(house: House, sweep: str, what: str | None = None, number: int | None = None) -> list[Line]:
    """What trials of this sweep wrote, oldest first."""
    found = [Line(**line) for line in _read(house.history_file, sweep)]
    return [line for line in found if what in (None, line.what) and number in (None, line.number)]


def started(house: House, sweep: str, count: int = 1, attempt: int = 1) -> list[Line]:
    """The first `count` starts, once there are so many."""

    def read() -> list[Line]:
        found = [line for line in lines(house, sweep, "start") if line.attempt >= attempt]
        return found if len(found) >= count else []

    return wait_until(read, f"{count} trials of {sweep} in attempt {attempt}")


def recovered(house: House, sweep: str, number: int, since: float, attempt: int = 2) -> Line:
    """The start of the attempt that follows a loss at `since`; it must come within lease, reap and slack."""
    again = [line for line in started(house, sweep, 1, attempt) if line.number == number and line.attempt == attempt]
    assert again, f"trial {number} was not tried again"
    promised = house.lease_seconds * (1 + 1 / 6) + SLACK_SECONDS
    assert again[0].at - since <= promised, f"ready again after {again[0].at - since:.1f} s, not {promised:.1f}"
    return again[0]


def check(
    house: House,
    sweep: str,
    *,
    grid: Mapping[str, Sequence[Any]] | None = None,
    trials: int | None = None,
    crashed: Collection[int] | None = (),
    states: Mapping[int, str] | None = None,
    acknowledged: Collection[tuple[int, int]] = (),
    lossy: bool = False,
) -> dict[int, dict[str, Any]]:
    """All of it, for a sweep that has finished.

    Args:
        house: Where it ran.
        sweep: Its id.
        grid: The values that its trials must cover exactly.
        trials: How many there must be.
        crashed: Numbers of trials that must have crashed; all others have finished. None: whichever was lost 3 times.
        states: Numbers of trials that must have ended otherwise.
        acknowledged: (number, step) of points that Redis had taken before a fault.
        lossy: Redis lost what it had acknowledged, and may have lost points that no living writer sent again.

    Returns:
        The trials as in the store, by number.
    """
    api = house.api()
    try:
        found = api.sweep(sweep)
        wait_until(lambda: found.state == "finished", f"the end of {sweep} in the store", 10)
        rows = found.trials()
        if crashed is None:
            crashed = [row["number"] for row in rows if row["losses"] >= 3]
        _check_ends(rows, found.counts, {**dict.fromkeys(crashed, "crashed"), **(states or {})})
        runs = found.runs
        assert [run["number"] for run in runs] == [row["number"] for row in rows], "one run for each trial"
        if trials is not None:
            assert len(rows) == trials
        if grid is not None:
            _check_grid(rows, grid)
        written = lines(house, sweep)
        _check_attempts(rows, [line for line in written if line.what != "taken"])
        _check_points(runs, written, acknowledged, lossy=lossy)
    finally:
        api.close()
    with _store(house) as store:
        spec = _spec(store, sweep)
        _check_plan(spec, rows)
        if not lossy:
            _check_taken(store, sweep, [line for line in written if line.what == "taken"])
    _check_told(spec, rows, _read(house.told_file, sweep))
    _check_redis(house, sweep)
    return {row["number"]: row for row in rows}


@contextmanager
def _store(house: House) -> Iterator[Store]:
    store = Store.open(house.settings.store_url, create=False)
    try:
        yield store
    finally:
        store.close()


def _spec(store: Store, sweep: str) -> SweepSpec:
    with store.read() as conn:
        return SweepSpec.model_validate_json(
            conn.scalars(select(schema.sweeps.c.spec).where(schema.sweeps.c.id == sweep)).one()
        )


def _check_ends(rows: Sequence[Row], counts: Mapping[str, int], others: Mapping[int, str]) -> None:
    states = {row["number"]: row["state"] for row in rows}
    assert sorted(states) == list(range(1, len(rows) + 1)), "each number once, none missing"
    assert sum(counts.values()) == len(rows), "each trial counted once"
    assert set(counts) <= FINAL, f"trials without an end: {counts}"
    assert states == {number: others.get(number, "finished") for number in states}


def _check_grid(rows: Sequence[Row], grid: Mapping[str, Sequence[Any]]) -> None:
    points = Counter(json.dumps(row["params"], sort_keys=True) for row in rows)
    product = itertools.product(*grid.values())
    assert points == Counter(json.dumps(dict(zip(grid, values, strict=True)), sort_keys=True) for values in product)


def _check_plan(spec: SweepSpec, rows: Sequence[Row]) -> None:
    """run_cap holds, and what learns nothing planned what an undisturbed strategy plans."""
    config = SweepPlan.of(spec, "running").config
    assert config.run_cap is None or len(rows) <= config.run_cap
    if config.method == "bayes":
        return
    calm = make_strategy(config.method, config.space(), seed=int(spec.config.get("seed", 0)), goal="minimize")
    assert [row["params"] for row in rows] == calm.suggest(len(rows)), "not what seed and number give"


def _check_attempts(rows: Sequence[Row], written: Sequence[Line]) -> None:
    """The store's word on each trial is that of the attempt that ended, with the params it ran with."""
    ends: dict[tuple[int, int], float] = {}
    for line in written:
        if line.what == "end":
            ends.setdefault((line.number, line.attempt), line.at)
    last = {row["number"]: row for row in rows}
    assert {line.number for line in written} == set(last), "trials ran that the store has not, or the other way round"
    for line in written:
        assert line.attempt <= last[line.number]["attempt"], f"an attempt that the store never heard of: {line}"
        if line.attempt == last[line.number]["attempt"]:
            assert line.params == last[line.number]["params"], f"not what the store says it ran with: {line}"
    for number, row in last.items():
        if row["state"] == "finished":
            at = ends.get((number, row["attempt"]))
            assert at is not None, f"trial {number}: the attempt that counts never ended"
            # Both clocks are this machine's; Redis' is cut to milliseconds.
            assert at - 0.01 <= row["ended"], f"trial {number}: another attempt ended it, while this one ran"


def _check_points(
    runs: Sequence[ApiRun], written: Sequence[Line], acknowledged: Collection[tuple[int, int]], *, lossy: bool
) -> None:
    """Points come out in order, once: all of the attempt that counts, and those before it that Redis had taken."""
    logged: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for line in written:
        if line.what == "step":
            logged[line.number].add((line.step, line.attempt))
    for run in runs:
        number, last = run["number"], run["attempt"]
        points = [point for point in run.scan_history() if point["loss"] >= 0]  # below 0: logged by a poisoned trial
        read = [(point["_step"], point["attempt"]) for point in points]
        at = [step for step, _ in read]
        assert at == sorted(set(at)), f"trial {number}: points out of order, or twice: {read}"
        assert [point["loss"] for point in points] == at, f"trial {number}: other values than were logged"
        assert set(read) <= logged[number], f"trial {number}: points that nobody logged: {read}"
        if run.state == "finished" and not lossy:
            wanted = sorted(point for point in logged[number] if point[1] == last)
            assert read[len(read) - len(wanted) :] == wanted, f"trial {number}: {read} does not end with {wanted}"
        lost = {step for trial, step in acknowledged if trial == number} - set(at)
        assert not lost, f"trial {number}: Redis had taken the points at {lost}"


def _check_taken(store: Store, sweep: str, taken: Sequence[Line]) -> None:
    """What Redis acknowledged is in the store, under the attempt that sent it, in order, once; hidden or not."""
    kept: dict[tuple[str, int], list[int]] = {}
    series, pieces = schema.series.c, (schema.chunks, schema.tail)
    with store.read() as conn:
        mine = select(series.id, series.run, series.attempt).where(
            series.run.startswith(f"{sweep}-"), series.key == "loss"
        )
        for row in conn.execute(mine).all():
            found = [
                Piece(*piece)
                for table in pieces
                for piece in conn.execute(
                    select(table.c.position, table.c.count, table.c.kind, table.c.steps, table.c["values"])
                    .where(table.c.series == row.id)
                    .order_by(table.c.position)
                )
            ]
            kept[row.run, row.attempt] = [int(step) for piece in found for step in piece.points().steps]
    for (run, attempt), steps in kept.items():
        assert steps == sorted(set(steps)), f"{run}, attempt {attempt}: points out of order, or twice: {steps}"
    for line in taken:
        lost = set(line.steps) - set(kept.get((f"{sweep}-{line.number}", line.attempt), ()))
        assert not lost, f"trial {line.number}, attempt {line.attempt}: Redis had taken the points at {sorted(lost)}"


def _check_told(spec: SweepSpec, rows: Sequence[Row], told: Sequence[Mapping[str, Any]]) -> None:
    """Each memory of a sweep was told each result once, and what learns has learned what the store says."""
    lives: dict[str, Counter[int]] = defaultdict(Counter)
    last: dict[str, dict[int, Any]] = defaultdict(dict)
    for line in told:
        lives[line["life"]][line["number"]] += 1 if line["what"] == "told" else -1
        if line["what"] == "told":
            last[line["life"]][line["number"]] = (line["state"], line["value"])
    for life, numbers in lives.items():
        assert max(numbers.values()) <= 1, f"told twice, in life {life}: {numbers}"
    everything = {row["number"]: (row["state"], row["value"]) for row in rows}
    assert {line["number"] for line in told if line["what"] == "told"} == everything.keys(), "results nobody was told"
    if spec.config["method"] == "bayes":
        assert last[list(lives)[-1]] == everything, "the strategy knows other results than the store"


def _check_redis(house: House, sweep: str) -> None:
    """No trial of the sweep is left in Redis, nor one that waits, nor a lease."""
    client, keys = house.connection.redis, house.connection.keys

    def left() -> list[str]:
        held = [key for key in (keys.trials(sweep), keys.ready(sweep), keys.stops(sweep)) if client.exists(key)]
        return held + [lease.decode() for lease in client.zrange(keys.leases(), 0, -1) if sweep.encode() in lease]

    wait_until(lambda: not left(), f"Redis without trials of {sweep}", 10)


@contextmanager
def watch(house: House, caps: Mapping[str, int]) -> Iterator[None]:
    """While the block runs, look again and again: no more trials than run_cap, in Redis nor in the store.

    Sweeps may be added to `caps` meanwhile.
    """
    done, seen, over = threading.Event(), Counter[str](), list[str]()

    def look() -> None:
        while not done.wait(0.05):
            for sweep, cap in list(caps.items()):
                for where, count in _issued(house, sweep).items():
                    seen[sweep] += 1
                    if count > cap:
                        over.append(f"{count} trials of {sweep} in {where}, run_cap is {cap}")

    thread = threading.Thread(target=look, name="watch")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert not over, over[0]
    for sweep, cap in caps.items():
        assert seen[sweep], f"{sweep} was never looked at"
        assert len({line.number for line in lines(house, sweep)}) <= cap


def _issued(house: House, sweep: str) -> dict[str, int]:
    """How many trials there are of it, by each account; a Redis or store that is away has none."""
    client, keys, found = house.connection.redis, house.connection.keys, {}
    with suppress(RedisError, BesomError, OSError):
        with client.pipeline() as pipe:
            pipe.hlen(keys.trials(sweep))
            pipe.bitcount(keys.done(sweep))
            found["Redis"] = sum(pipe.execute())
        with _store(house) as store, store.read() as conn:
            mine = select(func.count()).select_from(schema.trials).where(schema.trials.c.sweep == sweep)
            found["the store"] = conn.scalar(mine) or 0
    return found
