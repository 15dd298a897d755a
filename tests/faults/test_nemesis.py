"""All faults at random, three sweeps at once; afterwards every sweep is exact."""

from __future__ import annotations

import os

import pytest

from tests.e2e.checker import check, lines, watch
from tests.e2e.processes import House, alive, wait_until
from tests.faults.nemesis import LANES, Nemesis

pytestmark = pytest.mark.redis

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
SEED = int(os.environ.get("SOAK_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
CALM_SECONDS = 60.0


def _siege(house: House, seed: int, size: str, seconds: float) -> Nemesis:
    print(f"seed {seed}; SOAK_SEED={seed} strikes the same faults")
    caps: dict[str, int] = {}
    nemesis = Nemesis(house, seed, LANES[size](), caps)
    try:
        with watch(house, caps):
            nemesis.run(seconds)
            assert nemesis.calm_down(CALM_SECONDS) == [], "sweeps that do not end"
        assert nemesis.left() == [], "agents that do not end"
        for lane in nemesis.lanes:
            for sweep in lane.sweeps:
                check(house, sweep, trials=lane.trials, crashed=None)
                ran = {line.pid for line in lines(house, sweep)}
                wait_until(lambda ran=ran: not any(map(alive, ran)), "the end of all trials", 5)
    finally:
        print("\n".join(nemesis.struck))
    return nemesis


@pytest.mark.timeout(100)
def test_a_few_seconds_of_everything(house: House) -> None:
    """A dozen faults of a fixed seed: three sweeps complete exactly."""
    nemesis = _siege(house, 11, "short", 10.0)
    assert len(nemesis.struck) >= 5


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
def test_ten_minutes_of_everything(house: House) -> None:
    """Faults of a random seed for SOAK_SECONDS: every sweep that was begun completes exactly."""
    nemesis = _siege(house, SEED, "long", SECONDS)
    assert len(nemesis.struck) >= SECONDS / 10
