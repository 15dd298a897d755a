"""The one check after every fault: what trials did, by their own account, against what the store and Redis say.

Reads: the history file that `train.py` writes, the store through `besom.Api`, Redis.  Raises AssertionError.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from besom.tracking.api import ApiRun
from tests.e2e.processes import House, wait_until

__all__ = ["Line", "check", "lines", "started"]

FINAL = {"finished", "failed", "crashed", "stopped", "cancelled"}


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


def lines(house: House, sweep: str, what: str | None = None, number: int | None = None) -> list[Line]:
    """What trials of this sweep wrote, oldest first."""
    if not house.history_file.exists():
        return []
    whole = house.history_file.read_text(encoding="utf-8").rpartition("\n")[0]
    found = [Line(**json.loads(line)) for line in whole.splitlines() if sweep in line]
    return [line for line in found if what in (None, line.what) and number in (None, line.number)]


def started(house: House, sweep: str, count: int = 1, attempt: int = 1) -> list[Line]:
    """The first `count` starts, once there are so many."""

    def read() -> list[Line]:
        found = [line for line in lines(house, sweep, "start") if line.attempt >= attempt]
        return found if len(found) >= count else []

    return wait_until(read, f"{count} trials of {sweep} in attempt {attempt}")


def check(
    house: House,
    sweep: str,
    *,
    grid: Mapping[str, Sequence[Any]] | None = None,
    trials: int | None = None,
    crashed: Collection[int] = (),
    acknowledged: Collection[tuple[int, int]] = (),
) -> dict[int, dict[str, Any]]:
    """All of it, for a sweep that has finished.

    Args:
        house: Where it ran.
        sweep: Its id.
        grid: The values that its trials must cover exactly.
        trials: How many there must be.
        crashed: Numbers of trials that must have crashed; all others have finished.
        acknowledged: (number, step) of points that Redis had taken before a fault.

    Returns:
        The trials as in the store, by number.
    """
    api = house.api()
    try:
        found = api.sweep(sweep)
        rows = found.trials()
        states, counts = {row["number"]: row["state"] for row in rows}, found.counts
        assert found.state == "finished"
        assert sorted(states) == list(range(1, len(rows) + 1)), "each number once, none missing"
        assert sum(counts.values()) == len(rows), "each trial counted once"
        assert set(counts) <= FINAL, f"trials without an end: {counts}"
        assert states == {number: "crashed" if number in crashed else "finished" for number in states}
        runs = found.runs
        assert [run["number"] for run in runs] == sorted(states), "one run for each trial"
        if trials is not None:
            assert len(rows) == trials
        if grid is not None:
            _check_grid(rows, grid)
        _check_attempts(rows, lines(house, sweep))
        _check_points(runs, lines(house, sweep, "step"), acknowledged)
    finally:
        api.close()
    _check_redis(house, sweep)
    return {row["number"]: row for row in rows}


def _check_grid(rows: Sequence[Mapping[str, Any]], grid: Mapping[str, Sequence[Any]]) -> None:
    points = Counter(json.dumps(row["params"], sort_keys=True) for row in rows)
    product = itertools.product(*grid.values())
    assert points == Counter(json.dumps(dict(zip(grid, values, strict=True)), sort_keys=True) for values in product)


def _check_attempts(rows: Sequence[Mapping[str, Any]], written: Sequence[Line]) -> None:
    """The store's word on each trial is that of the attempt that ended, with the params it ran with."""
    ends = defaultdict(set)
    for line in written:
        if line.what == "end":
            ends[line.number].add(line.attempt)
    last = {row["number"]: row for row in rows}
    assert {line.number for line in written} == set(last), "trials ran that the store has not, or the other way round"
    for line in written:
        assert line.attempt <= last[line.number]["attempt"], f"an attempt that the store never heard of: {line}"
        if line.attempt == last[line.number]["attempt"]:
            assert line.params == last[line.number]["params"], f"not what the store says it ran with: {line}"
    for number, row in last.items():
        if row["state"] == "finished":
            assert row["attempt"] in ends[number], f"trial {number}: the attempt that counts never ended"


def _check_points(runs: Sequence[ApiRun], steps: Sequence[Line], acknowledged: Collection[tuple[int, int]]) -> None:
    """Points come out in order, once: all of the attempt that counts, and those before it that Redis had taken."""
    written: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for line in steps:
        written[line.number].add((line.step, line.attempt))
    for run in runs:
        number, last = run["number"], run["attempt"]
        points = list(run.scan_history())
        read = [(point["_step"], point["attempt"]) for point in points]
        at = [step for step, _ in read]
        assert at == sorted(set(at)), f"trial {number}: points out of order, or twice: {read}"
        assert [point["loss"] for point in points] == at, f"trial {number}: other values than were logged"
        assert set(read) <= written[number], f"trial {number}: points that nobody logged: {read}"
        if run.state == "finished":
            wanted = sorted(point for point in written[number] if point[1] == last)
            assert read[len(read) - len(wanted) :] == wanted, f"trial {number}: {read} does not end with {wanted}"
        lost = {step for trial, step in acknowledged if trial == number} - set(at)
        assert not lost, f"trial {number}: Redis had taken the points at {lost}"


def _check_redis(house: House, sweep: str) -> None:
    """No trial of the sweep is left in Redis, nor one that waits, nor a lease."""
    client = house.connection.redis

    def left() -> list[str]:
        names = [key.decode() for key in client.scan_iter("besom:*", count=1000)]
        held = [
            name for name in names if name.startswith(tuple(f"besom:{w}:{sweep}" for w in ("trial", "ready", "alive")))
        ]
        return held + [lease.decode() for lease in client.zrange("besom:leases", 0, -1) if sweep.encode() in lease]

    wait_until(lambda: not left(), f"Redis without trials of {sweep}", 10)
