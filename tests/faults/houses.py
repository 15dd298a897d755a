"""What the tests of Redis, signals and networks share: a house with short leases, and agents that are looked after."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.checker import lines
from tests.e2e.processes import House, Process, wait_until
from tests.redis_server import RedisServer

__all__ = ["LEASE_SECONDS", "a_house", "all_end", "hearing_interrupts", "passes", "tended", "trials_end"]

LEASE_SECONDS = 1.0


@contextmanager
def a_house(folder: Path, server: RedisServer, url: str | None = None) -> Iterator[House]:
    """A house whose processes reach Redis at `url`; leases are 1 s."""
    with House(folder, server) as house:
        house.processes.environment["BESOM_LEASE_SECONDS"] = str(LEASE_SECONDS)
        house.processes.environment["BESOM_REDIS_URL"] = url or server.url
        yield house


@contextmanager
def hearing_interrupts() -> Iterator[None]:
    """Children hear SIGINT, though whoever started the tests in the background has it ignored."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)


def all_end(agents: list[Process]) -> None:
    """They end by themselves, content."""
    assert [agent.ends() for agent in agents] == [0] * len(agents), "\n".join(agent.err for agent in agents)


def trials_end(house: House, sweep: str, count: int) -> None:
    """Wait until so many trials have come to their end."""
    wait_until(lambda: len(lines(house, sweep, "end")) >= count, f"{count} ends of trials")


def tended(house: House, sweep: str, agents: list[Process], start: Callable[[], Process], seconds: float = 60) -> None:
    """Wait for the end of the sweep; an agent that ends before is followed by another."""

    def look() -> bool:
        if house.state(sweep) == "finished":
            return True
        for place, agent in enumerate(agents):
            if agent.popen.poll() is not None:
                agents[place] = start()
        return False

    wait_until(look, f"the end of sweep {sweep}", seconds)


def passes(seconds: float) -> None:
    """Wait for so long: the length of an outage."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, "the outage's end", seconds + 10)
