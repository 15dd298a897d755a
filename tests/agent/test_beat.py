"""The beat thread: leases are renewed, what is wanted comes back, and the agent leaves."""

from __future__ import annotations

import threading

import pytest

from besom.agent.beat import Beat
from besom.agent.signals import Signals
from besom.broker.connection import Connection
from besom.broker.ledger import Ledger
from besom.messages import Claim
from besom.settings import read_settings
from tests.agent.conftest import Lend
from tests.waiting import until

LEASE = 0.3


class Heard:
    """What a beat thread tells."""

    def __init__(self) -> None:
        self.verdicts: list[tuple[int, str]] = []
        self.signals = threading.Event()

    def verdict(self, claim: Claim, verdict: str) -> None:
        self.verdicts.append((claim.number, verdict))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def beat(fake: Connection, signals: Signals, heard: Heard) -> Beat:
    fake.redis.hset(fake.keys.timing(), "lease_ms", int(LEASE * 1000))
    settings = read_settings(lease_seconds=60)
    return Beat(Ledger(fake), "agent", "s", settings, signals, heard.verdict, heard.signals.set)


def _lease_end(fake: Connection) -> float:
    return float(fake.redis.zscore(fake.keys.leases(), "s:1") or 0)


def test_agent_is_there_and_leaves(fake: Connection, beat: Beat) -> None:
    """Inside the context the agent is known with its sweep and one slot, at once; afterwards it is gone."""
    ledger = Ledger(fake)
    with beat:
        info = ledger.agents()["agent"]
        assert (info["sweep"], info["slots"]) == ("s", 1)
    assert ledger.agents() == {}


def test_lease_is_renewed(fake: Connection, beat: Beat, lend: Lend) -> None:
    """The lease that stands in Redis counts, not this process' setting: a held trial outlives it several times."""
    _, claim = lend()
    first = _lease_end(fake)
    with beat:
        beat.hold([claim])
        until(lambda: _lease_end(fake) > first + 3 * LEASE * 1000, "four leases", 10)
    assert Ledger(fake).ready_counts(["s"]) == [0]


def test_dropped_trial_is_not_renewed(fake: Connection, beat: Beat, lend: Lend) -> None:
    """A trial that was dropped runs out, and the beat thread itself puts it back."""
    _, claim = lend()
    with beat:
        beat.hold([claim])
        beat.drop(claim)
        until(lambda: Ledger(fake).ready_counts(["s"]) == [1], "the trial back in the queue", 10)


@pytest.mark.parametrize("verdict", ["cancel", "stale"])
def test_verdict(fake: Connection, beat: Beat, lend: Lend, heard: Heard, verdict: str) -> None:
    """A cancelled sweep, or a trial that another agent has, is told to the agent."""
    _, claim = lend()
    held = claim.model_copy(update={"token": "of another"}) if verdict == "stale" else claim
    with beat:
        beat.hold([held])
        if verdict == "cancel":
            Ledger(fake).set_state("s", "cancelled")
        until(lambda: heard.verdicts, "a verdict", 10)
    assert heard.verdicts[0] == (1, verdict)


def test_signal_wakes_it(beat: Beat, heard: Heard, signals: Signals) -> None:
    """A signal's number in the socket is acted on long before the next beat."""
    with beat:
        signals._write.send(bytes([15]))
        assert heard.signals.wait(LEASE * 10)
        assert signals.handing_back.is_set()


def test_beat_goes_on_after_an_error(
    fake: Connection, beat: Beat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One beat that raises is logged, and the next ones come."""
    calls: list[int] = []
    real = Ledger.reap

    def reap(self: Ledger, limit: int = 100) -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        return real(self, limit)

    monkeypatch.setattr(Ledger, "reap", reap)
    with beat:
        until(lambda: len(calls) > 2, "more beats", 10)
    assert "beat: going on" in caplog.text


def test_a_trial_that_a_rule_may_end_hears_within_a_second(
    fake: Connection, signals: Signals, heard: Heard, lend: Lend
) -> None:
    """With a lease of a minute the beat comes every second while such a trial is held."""
    fake.redis.hset(fake.keys.timing(), "lease_ms", 60_000)
    _, claim = lend()
    with Beat(Ledger(fake), "agent", "s", read_settings(), signals, heard.verdict, heard.signals.set) as often:
        often.hold([claim], often=True)
        fake.redis.sadd(fake.keys.stops("s"), claim.number)
        until(lambda: (claim.number, "stop") in heard.verdicts, "the verdict", seconds=3)
        often.drop(claim)
        assert often._pace() == 20.0
