"""The ledger's verbs: who gets which trial, once, whatever is lost, repeated or late."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.broker.lead import Lead
from besom.broker.ledger import CRASH_LIMIT, Ending, Ledger, Retry
from besom.errors import Fenced
from besom.messages import (
    ACTIVE_SWEEP_STATES,
    AttemptLost,
    AttemptReleased,
    Claim,
    SweepCreated,
    SweepStateSet,
    TrialClaimed,
    TrialEnded,
    TrialRetried,
    Unreadable,
)
from tests.broker.clock import Clock
from tests.broker.content import content, events, spec

LEASE_SECONDS = 30.0
STATES = ("pending", "running", "paused", "stopping", "finished", "cancelled")


@pytest.fixture
def ledger(fake: Connection, clock: Clock) -> Ledger:
    """A ledger that has been reaped for a while, so that it no longer holds still."""
    ledger = Ledger(fake)
    ledger.reap()
    _pass(ledger, clock, LEASE_SECONDS + 10)
    return ledger


def _pass(ledger: Ledger, clock: Clock, seconds: float, *beating: Claim) -> int:
    """Let time pass as in a living system, with a look at leases every 10 s; how many were reaped."""
    reaped = 0
    while seconds > 0:
        clock.move(min(seconds, 10))
        for claim in beating:
            ledger.beat("beating", 30_000, [claim])
        reaped += ledger.reap()
        seconds -= 10
    return reaped


def _sweep(ledger: Ledger, trials: int, sweep: str = "s") -> None:
    ledger.create(spec(sweep))
    ledger.issue(0, sweep, [(number, {"x": number}) for number in range(trials)])


def _take(ledger: Ledger, agent: str = "a", count: int = 1, sweep: str = "s") -> list[Claim]:
    """What an agent gets with a fresh nonce."""
    return ledger.claim(sweep, agent, count, f"{agent}{random.getrandbits(64):x}")[1]


def _numbers(claims: Sequence[Claim]) -> list[int]:
    return [claim.number for claim in claims]


def _endings(connection: Connection) -> dict[int, str]:
    """Number to state of the ended trials; fails when one ended twice."""
    found = [(event.number, event.state) for event in events(connection, TrialEnded)]
    assert len(dict(found)) == len(found)
    return dict(found)


# ---- create, spec, state


def test_a_sweep_is_created_once(ledger: Ledger, fake: Connection) -> None:
    """The first writes it, pending, and the journal tells of it; the same again is fine, another is refused."""
    assert ledger.create(spec())
    assert ledger.create(spec())
    assert not ledger.create(spec(name="another"))
    assert ledger.spec("s") == spec()
    assert ledger.states() == {"s": "pending"}
    assert [event.spec for event in events(fake, SweepCreated)] == [spec()]


def test_an_unknown_sweep_is_none(ledger: Ledger) -> None:
    """Spec and state of an id that nobody created are None, and nothing runs or waits there."""
    assert (ledger.spec("x"), ledger.state("x"), ledger.running("x"), ledger.alive("x")) == (None, None, 0, set())
    assert ledger.ready_counts(["x"]) == [0]
    assert ledger.ready_counts([]) == []
    assert ledger.states() == {}


def test_a_foreign_sweep_is_told_so(ledger: Ledger, fake: Connection) -> None:
    """A sweep of a later besom is an error that says to upgrade, not a guess."""
    text = spec().model_dump_json().replace('"version":1', '"version":9')
    fake.redis.hset(fake.keys.sweep("s"), "spec", text)
    with pytest.raises(Unreadable, match="upgrade the older side"):
        ledger.spec("s")


def test_states_are_told_oldest_sweep_first(ledger: Ledger, clock: Clock) -> None:
    """All sweeps in Redis with their states, in order of creation."""
    for sweep in ("z", "a", "m"):
        ledger.create(spec(sweep))
        clock.move(1)
    ledger.set_state("a", "paused")
    assert list(ledger.states().items()) == [("z", "pending"), ("a", "paused"), ("m", "pending")]


# ---- issue


def test_issued_trials_are_claimed_in_order(ledger: Ledger, fake: Connection) -> None:
    """Beyond one script call's worth too, each with its params; the sweep runs from the first."""
    ledger.create(spec())
    assert ledger.issue(0, "s", [(number, {"x": number / 2}) for number in range(1001)]) == 1001
    assert ledger.state("s") == "running"
    assert ledger.ready_counts(["s"]) == [1001]
    assert ledger.alive("s") == set(range(1001))
    claims = _take(ledger, count=1001)
    assert [(claim.number, claim.params["x"]) for claim in claims] == [(i, i / 2) for i in range(1001)]
    assert [event.state for event in events(fake, SweepStateSet)] == ["running"]


def test_a_known_number_is_not_issued_again(ledger: Ledger) -> None:
    """Queued, running or ended: it is left as it is."""
    _sweep(ledger, 3)
    running, ended = _take(ledger, count=2)
    ledger.complete([Ending(ended, "finished")])
    assert ledger.issue(0, "s", [(0, {}), (1, {}), (2, {}), (3, {})]) == 1
    assert _numbers(_take(ledger, count=9)) == [2, 3]
    assert ledger.beat("a", 1000, [running]) == ["ok"]


def test_nothing_is_issued_to_an_unknown_sweep(ledger: Ledger, fake: Connection) -> None:
    """A sweep that was removed meanwhile gets no trials."""
    before = content(fake)
    assert ledger.issue(0, "x", [(0, {})]) == 0
    assert content(fake) == before


@pytest.mark.parametrize("state", ["stopping", "cancelled", "finished"])
def test_what_is_issued_too_late_is_cancelled(ledger: Ledger, fake: Connection, state: Any) -> None:
    """A sweep that is over takes no trial; each ends at once, so that it is counted."""
    ledger.create(spec())
    ledger.set_state("s", state)
    assert ledger.issue(0, "s", [(0, {}), (1, {})]) == 0
    assert _endings(fake) == {0: "cancelled", 1: "cancelled"}
    assert ledger.ready_counts(["s"]) == [0]
    assert ledger.state("s") == state


def test_a_paused_sweep_keeps_what_is_issued(ledger: Ledger) -> None:
    """It stays paused, and the trials wait for the resume."""
    ledger.create(spec())
    ledger.set_state("s", "paused")
    assert ledger.issue(0, "s", [(0, {})]) == 1
    assert ledger.state("s") == "paused"
    ledger.set_state("s", "running")
    assert _numbers(_take(ledger)) == [0]


# ---- claim


def test_a_claim_is_lent_and_told(ledger: Ledger, fake: Connection) -> None:
    """Attempt 1, a token of its own, and an event with what it really runs with."""
    _sweep(ledger, 2)
    state, claims = ledger.claim("s", "a", 2, "n")
    assert state == "running"
    assert [(claim.sweep, claim.number, claim.attempt, claim.params) for claim in claims] == [
        ("s", 0, 1, {"x": 0}),
        ("s", 1, 1, {"x": 1}),
    ]
    assert claims[0].token != claims[1].token
    told = [(e.number, e.attempt, e.token, e.agent, e.params) for e in events(fake, TrialClaimed)]
    assert told == [(c.number, c.attempt, c.token, "a", c.params) for c in claims]
    assert ledger.running("s") == 2


def test_a_claim_gives_no_more_than_asked(ledger: Ledger) -> None:
    """At most `count`, at most what waits; then nothing."""
    _sweep(ledger, 5)
    assert [len(_take(ledger, count=count)) for count in (0, 2, 9, 1)] == [0, 2, 3, 0]


def test_no_trial_is_lent_twice(ledger: Ledger) -> None:
    """Agents that take turns get different trials and tokens."""
    _sweep(ledger, 6)
    claims = [claim for agent in "abcabc" for claim in _take(ledger, agent)]
    assert sorted(_numbers(claims)) == list(range(6))
    assert len({claim.token for claim in claims}) == 6


def test_a_claim_whose_reply_was_lost_is_given_again(ledger: Ledger) -> None:
    """The same nonce gives the same trials, those that are still the agent's."""
    _sweep(ledger, 4)
    first = ledger.claim("s", "a", 3, "n")
    assert ledger.claim("s", "a", 3, "n") == first
    ledger.complete([Ending(first[1][0], "finished")])
    assert ledger.claim("s", "a", 3, "n")[1] == first[1][1:]
    assert _numbers(ledger.claim("s", "a", 3, "m")[1]) == [3]


def test_a_repeated_claim_takes_back_what_expired(ledger: Ledger, clock: Clock) -> None:
    """An outage longer than the lease between claim and repeat loses nothing."""
    _sweep(ledger, 1)
    first = ledger.claim("s", "a", 1, "n")
    assert _pass(ledger, clock, LEASE_SECONDS + 10) == 1
    assert ledger.claim("s", "a", 1, "n") == first
    assert _take(ledger, "b") == []


def test_nothing_is_lent_by_an_unknown_sweep(ledger: Ledger) -> None:
    """The state says so."""
    assert ledger.claim("x", "a", 1, "n") == ("unknown", [])


@pytest.mark.parametrize("state", ["paused", "stopping", "cancelled", "finished"])
def test_nothing_is_lent_when_the_sweep_does_not_run(ledger: Ledger, state: Any) -> None:
    """The agent is told the state instead."""
    _sweep(ledger, 1)
    ledger.set_state("s", state)
    assert ledger.claim("s", "a", 1, "n") == (state, [])


# ---- complete


@pytest.mark.parametrize("state", ["finished", "failed", "stopped", "cancelled"])
def test_an_ending_is_told_whole(ledger: Ledger, fake: Connection, state: Any) -> None:
    """State, error, exit code and writers stand in the journal, under the id of the reply."""
    _sweep(ledger, 1)
    claim = _take(ledger)[0]
    details = {"error": "ValueError: é", "exit_code": "3", "writers": '{"w": 7}'}
    replies, _, more = ledger.complete([Ending(claim, state, details)])
    assert (replies[0][0], more) == ("ok", [])
    event = events(fake, TrialEnded)[0]
    assert (event.number, event.attempt, event.token, event.state) == (0, 1, claim.token, state)
    assert (event.error, event.exit_code, event.writers) == ("ValueError: é", 3, {"w": 7})
    assert fake.redis.xrange(fake.keys.journal(), replies[0][1], replies[0][1])
    assert ledger.running("s") == 0


def test_an_ending_counts_once(ledger: Ledger, fake: Connection) -> None:
    """Sent again it is `done`, before the store has it and after it was forgotten."""
    _sweep(ledger, 1)
    ending = Ending(_take(ledger)[0], "finished")
    ledger.complete([ending])
    assert ledger.complete([ending])[0] == [("done", "")]
    ledger.forget(0, "s", [0])
    assert ledger.complete([ending])[0] == [("done", "")]
    assert _endings(fake) == {0: "finished"}


def test_many_endings_and_the_next_claim_in_one_call(ledger: Ledger, fake: Connection) -> None:
    """Each ending has its reply in order, and the claims that follow are as `claim` gives them."""
    _sweep(ledger, 6)
    claims = _take(ledger, count=3)
    ledger.complete([Ending(claims[1], "failed")])
    foreign = claims[2].model_copy(update={"token": "foreign"})
    endings = [
        Ending(claims[0], "finished", {"exit_code": "0"}),
        Ending(claims[1], "failed"),
        Ending(foreign, "failed"),
    ]
    replies, state, following = ledger.complete(endings, then=("s", "a", 2, "m"))
    assert [reply for reply, _ in replies] == ["ok", "done", "stale"]
    assert (state, _numbers(following)) == ("running", [3, 4])
    assert ledger.claim("s", "a", 2, "m")[1] == following
    assert _endings(fake) == {0: "finished", 1: "failed"}


def test_a_repeated_complete_claims_the_same(ledger: Ledger) -> None:
    """Its reply lost, the call gives `done` and the very claims that it gave."""
    _sweep(ledger, 4)
    claim = _take(ledger)[0]
    once = ledger.complete([Ending(claim, "finished")], then=("s", "a", 2, "m"))
    again = ledger.complete([Ending(claim, "finished")], then=("s", "a", 2, "m"))
    assert again[0] == [("done", "")]
    assert again[1:] == once[1:]


def test_complete_with_nothing_ended_is_a_claim(ledger: Ledger) -> None:
    """No ending and a claim gives the claim alone."""
    _sweep(ledger, 1)
    replies, state, claims = ledger.complete([], then=("s", "a", 1, "m"))
    assert (replies, state, _numbers(claims)) == ([], "running", [0])


def test_one_trial_twice_in_a_call_ends_once(ledger: Ledger, fake: Connection) -> None:
    """A report that holds the same trial twice counts the first."""
    _sweep(ledger, 1)
    claim = _take(ledger)[0]
    replies = ledger.complete([Ending(claim, "finished"), Ending(claim, "failed")])[0]
    assert [reply for reply, _ in replies] == ["ok", "done"]
    assert _endings(fake) == {0: "finished"}


def test_no_trial_claimed_still_tells_the_state(ledger: Ledger) -> None:
    """A claim of nothing with a report is a look at the sweep."""
    _sweep(ledger, 2)
    claim = _take(ledger)[0]
    ledger.set_state("s", "paused")
    assert ledger.complete([Ending(claim, "finished")], then=("s", "a", 0, "m"))[1:] == ("paused", [])


def _retrying(ledger: Ledger, retries: int, trials: int = 1) -> None:
    ledger.create(spec(retries=retries))
    ledger.issue(0, "s", [(number, {"x": number}) for number in range(trials)])


def test_a_failed_trial_is_tried_again(ledger: Ledger, fake: Connection) -> None:
    """Behind the others, `retries` times, each an attempt of its own; then it has failed."""
    _retrying(ledger, 2, trials=2)
    order = []
    while claims := _take(ledger):
        order.append((claims[0].number, claims[0].attempt))
        reply = ledger.complete([Ending(claims[0], "failed" if claims[0].number == 0 else "finished", {"error": "E"})])
        assert reply[0][0][0] == ("retry" if claims[0].number == 0 and claims[0].attempt < 3 else "ok")
    assert order == [(0, 1), (1, 1), (0, 2), (0, 3)]
    assert _endings(fake) == {0: "failed", 1: "finished"}
    retried = events(fake, TrialRetried)
    assert [(event.attempt, event.failures, event.details) for event in retried] == [
        (1, 1, {"error": "E"}), (2, 2, {"error": "E"}),
    ]  # fmt: skip


def test_an_attempt_that_failed_owns_nothing(ledger: Ledger, fake: Connection) -> None:
    """Its beat and a second report are stale, before the next attempt and after it."""
    _retrying(ledger, 1)
    claim = _take(ledger)[0]
    ledger.complete([Ending(claim, "failed")])
    assert ledger.beat("a", 1000, [claim]) == ["stale"]
    assert ledger.complete([Ending(claim, "finished")])[0] == [("stale", "")]
    assert _take(ledger, "b")[0].attempt == 2
    assert ledger.complete([Ending(claim, "finished")])[0] == [("stale", "")]
    assert _endings(fake) == {}


def test_losses_and_failures_are_counted_apart(ledger: Ledger, fake: Connection, clock: Clock) -> None:
    """A lost agent costs no retry."""
    _retrying(ledger, 1)
    _take(ledger)
    assert _pass(ledger, clock, LEASE_SECONDS + 10) == 1
    assert ledger.complete([Ending(_take(ledger)[0], "failed")])[0][0][0] == "retry"
    assert ledger.complete([Ending(_take(ledger)[0], "finished")])[0][0][0] == "ok"
    assert _endings(fake) == {0: "finished"}


def test_a_failure_in_a_sweep_that_stops_is_the_end(ledger: Ledger, fake: Connection) -> None:
    """No more trials are taken there, so what would be tried again is cancelled."""
    _retrying(ledger, 1)
    claim = _take(ledger)[0]
    ledger.set_state("s", "stopping")
    ledger.complete([Ending(claim, "failed")])
    assert _endings(fake) == {0: "cancelled"}
    assert ledger.ready_counts(["s"]) == [0]


# ---- retry


def test_a_forgotten_trial_is_run_again(ledger: Ledger, fake: Connection) -> None:
    """Reopened it waits with its params and attempts, and a sweep that had finished goes on."""
    _sweep(ledger, 1)
    ledger.complete([Ending(_take(ledger)[0], "failed")])
    ledger.forget(0, "s", [0])
    ledger.set_state("s", "finished")
    ledger.retry(0, "s", [Retry(0, 1, 0, 0, {"x": 7})])
    assert ledger.state("s") == "running"
    [claim] = _take(ledger)
    assert (claim.number, claim.attempt, claim.params) == (0, 2, {"x": 7})
    assert ledger.complete([Ending(claim, "finished")])[0][0][0] == "ok"


def test_what_waits_or_runs_is_not_reopened(ledger: Ledger) -> None:
    """Only what is over, or unknown, is queued; sent twice it is queued once."""
    _sweep(ledger, 2)
    [running] = _take(ledger)
    ledger.retry(0, "s", [Retry(0, 5, 0, 0, {}), Retry(1, 5, 0, 0, {}), Retry(2, 5, 1, 0, {})])
    ledger.retry(0, "s", [Retry(2, 5, 1, 0, {})])
    assert ledger.ready_counts(["s"]) == [2]
    assert ledger.beat("a", 1000, [running]) == ["ok"]
    assert [(claim.number, claim.attempt) for claim in _take(ledger, count=9)] == [(1, 1), (2, 6)]


def test_a_promoted_trial_is_taken_first(ledger: Ledger) -> None:
    """Queued in front, the most urgent first, and not stopped for what its last attempt was stopped for."""
    _sweep(ledger, 4)
    for claim in (_take(ledger)[0], _take(ledger)[0]):
        ledger.stop(0, "s", [claim.number])
        ledger.complete([Ending(claim, "stopped")])
    ledger.retry(0, "s", [Retry(1, 1, 0, 0, {"x": 1}), Retry(0, 1, 2, 1, {"x": 0})], in_front=True)
    claims = _take(ledger, count=9)
    assert [(claim.number, claim.attempt) for claim in claims] == [(1, 2), (0, 2), (2, 1), (3, 1)]
    assert ledger.beat("a", 1000, claims) == ["ok"] * 4


@pytest.mark.parametrize("state", ["stopping", "cancelled"])
def test_nothing_waits_again_in_a_sweep_that_takes_no_more(ledger: Ledger, fake: Connection, state: str) -> None:
    """What would be run again is cancelled, once."""
    _sweep(ledger, 1)
    ledger.complete([Ending(_take(ledger)[0], "stopped")])
    ledger.forget(0, "s", [0])
    ledger.set_state("s", state)  # type: ignore[arg-type]
    for _ in range(2):
        ledger.retry(0, "s", [Retry(0, 1, 0, 0, {})], in_front=True)
    assert [event.state for event in events(fake, TrialEnded)] == ["stopped", "cancelled"]
    assert ledger.ready_counts(["s"]) == [0]


def test_a_trial_that_waits_again_is_stopped_when_it_is_taken(ledger: Ledger) -> None:
    """The verdict is on the trial, whichever attempt it meets; nothing is kept of one that has ended."""
    _sweep(ledger, 2)
    first, second = _take(ledger, count=2)
    ledger.release(first, "preempted")
    ledger.complete([Ending(second, "finished")])
    ledger.stop(0, "s", [0, 1])
    claims = _take(ledger)
    assert ledger.beat("a", 1000, claims) == ["stop"]
    assert ledger.connection.redis.smembers(ledger.keys.stops("s")) == {b"0"}


# ---- fencing by token


def test_a_superseded_attempt_changes_nothing(ledger: Ledger, fake: Connection) -> None:
    """Once another agent has claimed the trial, beat, complete and release of the first are stale."""
    _sweep(ledger, 2)
    old = _take(ledger)[0]
    ledger.release(old, "preempted")
    new = _take(ledger, "b")[0]
    assert (new.number, new.attempt) == (0, 2)
    assert new.token != old.token
    ledger.beat("a", 30_000, [])
    before = content(fake)
    assert ledger.beat("a", 30_000, [old]) == ["stale"]
    assert ledger.complete([Ending(old, "failed")])[0] == [("stale", "")]
    assert not ledger.release(old, "again")
    assert content(fake) == before
    assert ledger.complete([Ending(new, "finished")])[0][0][0] == "ok"


def test_a_stranger_has_no_trial(ledger: Ledger, fake: Connection) -> None:
    """A token that nobody was given, or a trial that nobody issued, is stale."""
    _sweep(ledger, 1)
    _take(ledger)
    for claim in (
        Claim(sweep="s", number=0, attempt=1, token="made-up", params={}),
        Claim(sweep="s", number=9, attempt=1, token="", params={}),
    ):
        assert ledger.beat("a", 1000, [claim]) == ["stale"]
        assert ledger.complete([Ending(claim, "finished")])[0][0][0] == "stale"
        assert not ledger.release(claim, "x")
    assert _endings(fake) == {}


def test_a_trial_that_waits_is_nobodys(ledger: Ledger) -> None:
    """An empty token does not pass for the one that a queued trial has not."""
    _sweep(ledger, 1)
    claim = Claim(sweep="s", number=0, attempt=0, token="", params={})
    assert ledger.beat("a", 1000, [claim]) == ["stale"]
    assert _numbers(_take(ledger)) == [0]


# ---- beat


def test_a_beat_keeps_a_trial(ledger: Ledger, clock: Clock) -> None:
    """Beaten for, a trial stays its agent's for any time."""
    _sweep(ledger, 2)
    kept, _ = _take(ledger, count=2)
    assert _pass(ledger, clock, 5 * LEASE_SECONDS, kept) == 1
    assert ledger.running("s") == 1
    assert ledger.complete([Ending(kept, "finished")])[0][0][0] == "ok"


def test_a_beat_tells_what_is_wanted(ledger: Ledger, fake: Connection) -> None:
    """One verdict for each trial, in order: cancel, ok, stop, stale."""
    for sweep in "st":
        _sweep(ledger, 2, sweep)
    cancelled, (going, stopped) = _take(ledger)[0], _take(ledger, count=2, sweep="t")
    ledger.set_state("s", "cancelled")
    ledger.set_state("t", "stopping")
    fake.redis.sadd(fake.keys.stops("t"), stopped.number)
    foreign = going.model_copy(update={"token": "foreign"})
    assert ledger.beat("a", 1000, [cancelled, going, stopped, foreign]) == ["cancel", "ok", "stop", "stale"]


def test_the_lease_is_as_long_as_the_controller_set_it(ledger: Ledger, fake: Connection, clock: Clock) -> None:
    """With the lease's length in Redis changed, trials expire by the new one."""
    fake.redis.hset(fake.keys.timing(), "lease_ms", 3_600_000)
    _sweep(ledger, 1)
    _take(ledger)
    assert _pass(ledger, clock, 3_500) == 0
    assert _pass(ledger, clock, 200) == 1


# ---- taking back what expired


def test_a_beat_takes_back_what_nobody_claimed(ledger: Ledger, fake: Connection, clock: Clock) -> None:
    """Expired is not revoked: the attempt goes on, the journal tells so, and nobody else gets the trial."""
    _sweep(ledger, 1)
    claim = _take(ledger)[0]
    _pass(ledger, clock, LEASE_SECONDS + 10)
    assert ledger.ready_counts(["s"]) == [1]
    assert ledger.beat("a", 1000, [claim]) == ["ok"]
    assert ledger.ready_counts(["s"]) == [0]
    assert ledger.running("s") == 1
    told = [(event.attempt, event.token, event.agent, event.params) for event in events(fake, TrialClaimed)]
    assert told == [(1, claim.token, "a", {"x": 0})] * 2


def test_a_complete_takes_back_what_nobody_claimed(ledger: Ledger, fake: Connection, clock: Clock) -> None:
    """A result that comes after the lease's end counts, and the trial is not run again."""
    _sweep(ledger, 1)
    claim = _take(ledger)[0]
    _pass(ledger, clock, LEASE_SECONDS + 10)
    assert ledger.complete([Ending(claim, "finished")])[0][0][0] == "ok"
    assert _take(ledger, "b") == []
    assert _endings(fake) == {0: "finished"}


def test_an_expired_trial_can_be_released(ledger: Ledger, clock: Clock) -> None:
    """It waits once, not twice."""
    _sweep(ledger, 1)
    claim = _take(ledger)[0]
    _pass(ledger, clock, LEASE_SECONDS + 10)
    assert ledger.release(claim, "preempted")
    assert _numbers(_take(ledger, "b", count=5)) == [0]


def test_a_loss_that_was_none_is_not_counted(ledger: Ledger, fake: Connection, clock: Clock) -> None:
    """A slow agent that comes back each time never crashes its trial."""
    _sweep(ledger, 1)
    claim = _take(ledger)[0]
    for _ in range(2 * CRASH_LIMIT):
        assert _pass(ledger, clock, LEASE_SECONDS + 10) == 1
        assert ledger.beat("a", 1000, [claim]) == ["ok"]
    assert _endings(fake) == {}
    assert {event.losses for event in events(fake, AttemptLost)} == {1}


# ---- release


def test_a_released_trial_goes_first(ledger: Ledger, fake: Connection) -> None:
    """It is taken next, as another attempt with the same params, and its reason is told."""
    _sweep(ledger, 3)
    claim = _take(ledger)[0]
    assert ledger.release(claim, "preempted")
    assert [(event.number, event.attempt, event.reason) for event in events(fake, AttemptReleased)] == [
        (0, 1, "preempted")
    ]
    again = _take(ledger, "b")[0]
    assert (again.number, again.attempt, again.params) == (0, 2, {"x": 0})


def test_a_released_trial_is_no_longer_its_agents(ledger: Ledger) -> None:
    """Released again, beaten for or completed, it stays in the queue."""
    _sweep(ledger, 1)
    claim = _take(ledger)[0]
    ledger.release(claim, "preempted")
    assert not ledger.release(claim, "preempted")
    assert ledger.beat("a", 1000, [claim]) == ["stale"]
    assert ledger.complete([Ending(claim, "failed")])[0] == [("stale", "")]
    assert ledger.ready_counts(["s"]) == [1]


def test_releases_are_no_losses(ledger: Ledger, fake: Connection) -> None:
    """However often a trial is handed back, it does not crash."""
    _sweep(ledger, 1)
    for attempt in range(1, 3 * CRASH_LIMIT):
        claim = _take(ledger)[0]
        assert claim.attempt == attempt
        ledger.release(claim, "preempted")
    assert _endings(fake) == {}


@pytest.mark.parametrize("state", ["stopping", "cancelled", "finished"])
def test_a_release_to_a_sweep_that_is_over_ends_the_trial(ledger: Ledger, fake: Connection, state: Any) -> None:
    """Nobody would take it, so it is cancelled, once."""
    _sweep(ledger, 1)
    claim = _take(ledger)[0]
    ledger.set_state("s", state)
    ledger.release(claim, "preempted")
    ledger.release(claim, "preempted")
    assert _endings(fake) == {0: "cancelled"}
    assert ledger.running("s") == 0


# ---- reap


def test_a_lost_trial_goes_first_then_last_then_crashes(ledger: Ledger, fake: Connection, clock: Clock) -> None:
    """Lost once it is next, lost again it is last, so that others go on; the third loss ends it as crashed."""
    _sweep(ledger, 3)
    assert _numbers(_take(ledger)) == [0]
    _pass(ledger, clock, LEASE_SECONDS + 10)
    assert [(claim.number, claim.attempt) for claim in _take(ledger)] == [(0, 2)]
    _pass(ledger, clock, LEASE_SECONDS + 10)
    others = _take(ledger, "b", count=2)
    assert _numbers(others) == [1, 2]
    ledger.complete([Ending(claim, "finished") for claim in others])
    assert [(claim.number, claim.attempt) for claim in _take(ledger)] == [(0, 3)]
    assert _endings(fake) == {1: "finished", 2: "finished"}
    _pass(ledger, clock, LEASE_SECONDS + 10)
    assert _take(ledger, "b") == []
    assert _endings(fake)[0] == "crashed"
    assert [(event.attempt, event.losses) for event in events(fake, AttemptLost)] == [(1, 1), (2, 2), (3, 3)]
    assert f"lost {CRASH_LIMIT} times" in events(fake, TrialEnded)[-1].error


def test_a_crashed_trial_is_no_longer_its_agents(ledger: Ledger, fake: Connection, clock: Clock) -> None:
    """An agent that comes back after the third loss is stale, and its result too late."""
    _sweep(ledger, 1)
    for _ in range(CRASH_LIMIT):
        claim = _take(ledger)[0]
        _pass(ledger, clock, LEASE_SECONDS + 10)
    assert ledger.beat("a", 1000, [claim]) == ["stale"]
    assert ledger.complete([Ending(claim, "finished")])[0][0][0] != "ok"
    assert _endings(fake) == {0: "crashed"}


def test_a_lost_trial_is_ready_within_lease_and_look(ledger: Ledger, clock: Clock) -> None:
    """Not before the lease's end, and at the first look after it."""
    _sweep(ledger, 1)
    _take(ledger)
    assert _pass(ledger, clock, LEASE_SECONDS - 0.002) == 0
    assert _pass(ledger, clock, 0.004) == 1
    assert ledger.ready_counts(["s"]) == [1]


def test_reaping_has_a_limit(ledger: Ledger, clock: Clock) -> None:
    """One call takes so many; the next takes the rest."""
    _sweep(ledger, 5)
    _take(ledger, count=5)
    for _ in range(4):
        clock.move(LEASE_SECONDS / 4)
        ledger.reap(0)
    clock.move(1)
    assert [ledger.reap(2) for _ in range(4)] == [2, 2, 1, 0]


def test_reap_twice_is_as_once(ledger: Ledger, fake: Connection, clock: Clock) -> None:
    """Two agents that look at the same moment count one loss."""
    _sweep(ledger, 1)
    _take(ledger)
    assert _pass(ledger, clock, LEASE_SECONDS + 1) == 1
    before = content(fake)
    assert ledger.reap() == 0
    assert content(fake) == before


@pytest.mark.parametrize("state", ["stopping", "cancelled"])
def test_a_trial_lost_in_a_sweep_that_is_over_ends(ledger: Ledger, fake: Connection, clock: Clock, state: Any) -> None:
    """There is nobody to take it, so it is cancelled and the sweep can finish."""
    _sweep(ledger, 1)
    _take(ledger)
    ledger.set_state("s", state)
    _pass(ledger, clock, LEASE_SECONDS + 10)
    assert _endings(fake) == {0: "cancelled"}


def test_a_trial_lost_while_paused_waits(ledger: Ledger, fake: Connection, clock: Clock) -> None:
    """It is claimed after the resume."""
    _sweep(ledger, 1)
    _take(ledger)
    ledger.set_state("s", "paused")
    _pass(ledger, clock, LEASE_SECONDS + 10)
    assert _take(ledger, "b") == []
    ledger.set_state("s", "running")
    assert _numbers(_take(ledger, "b")) == [0]


def test_an_outage_fences_nobody(ledger: Ledger, clock: Clock) -> None:
    """After a time when nobody could beat, nothing is reaped for one lease; who beats in it keeps its trial."""
    _sweep(ledger, 2)
    living, _ = _take(ledger, count=2)
    clock.move(3600)
    assert ledger.reap() == 0
    assert _pass(ledger, clock, LEASE_SECONDS - 1) == 0
    assert ledger.running("s") == 2
    assert ledger.beat("a", 1000, [living]) == ["ok"]
    assert _pass(ledger, clock, 10) == 1
    assert ledger.complete([Ending(living, "finished")])[0][0][0] == "ok"


def test_a_new_redis_holds_still_first(fake: Connection, clock: Clock) -> None:
    """The very first look reaps nothing for one lease, for nobody knows what was before."""
    ledger = Ledger(fake)
    _sweep(ledger, 1)
    _take(ledger)
    clock.move(LEASE_SECONDS + 1)
    assert ledger.reap() == 0
    assert _pass(ledger, clock, LEASE_SECONDS - 1) == 0
    assert _pass(ledger, clock, 2) == 1


def test_a_clock_set_back_delays_by_one_lease(ledger: Ledger, clock: Clock) -> None:
    """A lease given before the step does not last until the old time comes again; the living keep theirs."""
    _sweep(ledger, 2)
    living, _ = _take(ledger, count=2)
    clock.move(-86_400)
    assert ledger.reap() == 0
    assert _pass(ledger, clock, 2 * LEASE_SECONDS + 10, living) == 1
    assert ledger.running("s") == 1


def test_a_clock_set_forward_is_an_outage(ledger: Ledger, clock: Clock) -> None:
    """All leases end at once by the new time, and none is reaped from who beats."""
    _sweep(ledger, 2)
    claims = _take(ledger, count=2)
    clock.move(86_400)
    assert ledger.reap() == 0
    assert _pass(ledger, clock, 2 * LEASE_SECONDS, *claims) == 0


# ---- replan


def test_replanning_reaches_only_what_nobody_claimed(ledger: Ledger) -> None:
    """New params for what waits untouched; running, handed back, ended and unknown trials keep theirs."""
    _sweep(ledger, 5)
    ended, running, released = _take(ledger, count=3)
    ledger.complete([Ending(ended, "finished")])
    ledger.release(released, "preempted")
    assert ledger.replan(0, "s", [(number, {"x": -1}) for number in range(7)]) == {3, 4}
    claims = _take(ledger, "b", count=9)
    assert [(claim.number, claim.params["x"]) for claim in claims] == [(2, 2), (3, -1), (4, -1)]
    assert ledger.beat("a", 1000, [running]) == ["ok"]


# ---- forget


def test_a_forgotten_trial_is_done_for_good(ledger: Ledger, fake: Connection) -> None:
    """It leaves Redis, and its number is neither issued nor claimed again."""
    _sweep(ledger, 3)
    first, _ = _take(ledger, count=2)
    ledger.complete([Ending(first, "finished")])
    ledger.forget(0, "s", [0])
    assert ledger.alive("s") == {1, 2}
    assert ledger.issue(0, "s", [(0, {})]) == 0
    assert _numbers(_take(ledger, "b", count=9)) == [2]
    assert ledger.beat("a", 1000, [first]) == ["stale"]


def test_a_trial_forgotten_while_it_waits_is_not_claimed(ledger: Ledger) -> None:
    """Its place in the queue is passed over."""
    _sweep(ledger, 3)
    ledger.forget(0, "s", [0, 1])
    assert _numbers(_take(ledger, count=9)) == [2]


def test_many_are_forgotten_in_one_call(ledger: Ledger) -> None:
    """Beyond one script call's worth too."""
    _sweep(ledger, 1200)
    ledger.forget(0, "s", range(1199))
    assert ledger.alive("s") == {1199}
    assert ledger.issue(0, "s", [(number, {}) for number in range(1201)]) == 1


# ---- set_state

MOVES = {
    "pending": {"running", "paused", "stopping", "finished", "cancelled"},
    "running": {"paused", "stopping", "finished", "cancelled"},
    "paused": {"running", "stopping", "finished", "cancelled"},
    "stopping": {"finished", "cancelled"},
    "finished": set(),
    "cancelled": set(),
}  # fmt: skip


@pytest.mark.parametrize("wanted", [state for state in STATES if state != "pending"])
@pytest.mark.parametrize("before", STATES)
def test_a_sweep_moves_as_the_table_says(ledger: Ledger, fake: Connection, before: Any, wanted: Any) -> None:
    """What is allowed is done and told once; what is not is refused with the state it is in."""
    ledger.create(spec())
    if before != "pending":
        ledger.set_state("s", before)
    told = len(events(fake, SweepStateSet))
    if wanted == before:
        assert ledger.set_state("s", wanted) == ("ok", before)
        assert len(events(fake, SweepStateSet)) == told
    elif wanted in MOVES[before]:
        assert ledger.set_state("s", wanted) == ("ok", before)
        assert ledger.state("s") == wanted
        assert [event.state for event in events(fake, SweepStateSet)[told:]] == [wanted]
    else:
        assert ledger.set_state("s", wanted) == ("refused", before)
        assert ledger.state("s") == before
        assert len(events(fake, SweepStateSet)) == told


def test_the_table_of_moves_ends_where_sweeps_end() -> None:
    """Only sweeps that are not over move, and every state has its line."""
    assert set(MOVES) == set(STATES)
    assert {state for state, moves in MOVES.items() if moves} == ACTIVE_SWEEP_STATES


def test_an_unknown_sweep_has_no_state_to_set(ledger: Ledger, fake: Connection) -> None:
    """It is told, and nothing is made."""
    before = content(fake)
    assert ledger.set_state("x", "paused") == ("unknown", "")
    assert content(fake) == before


@pytest.mark.parametrize("state", ["stopping", "cancelled", "finished"])
def test_a_sweep_that_is_over_cancels_what_waits(ledger: Ledger, fake: Connection, state: Any) -> None:
    """Each trial that waits ends, once; one that runs goes on until its agent says so."""
    _sweep(ledger, 3)
    claim = _take(ledger)[0]
    ledger.set_state("s", state)
    ledger.set_state("s", state)
    assert _endings(fake) == {1: "cancelled", 2: "cancelled"}
    assert ledger.ready_counts(["s"]) == [0]
    assert ledger.complete([Ending(claim, "finished")])[0][0][0] == "ok"
    assert _endings(fake)[0] == "finished"


def test_a_cancel_ends_an_expired_trial_too(ledger: Ledger, fake: Connection, clock: Clock) -> None:
    """A trial that waits because its agent was lost ends with the rest, and its late agent changes nothing."""
    _sweep(ledger, 1)
    claim = _take(ledger)[0]
    _pass(ledger, clock, LEASE_SECONDS + 10)
    ledger.set_state("s", "cancelled")
    assert _endings(fake) == {0: "cancelled"}
    assert ledger.complete([Ending(claim, "finished")])[0][0][0] != "ok"
    assert _endings(fake) == {0: "cancelled"}


def test_a_pause_lets_running_trials_go_on(ledger: Ledger) -> None:
    """They beat, end, and claim nothing more until the resume."""
    _sweep(ledger, 2)
    claim = _take(ledger)[0]
    ledger.set_state("s", "paused")
    assert ledger.beat("a", 1000, [claim]) == ["ok"]
    replies, state, more = ledger.complete([Ending(claim, "finished")], then=("s", "a", 1, "m"))
    assert (replies[0][0], state, more) == ("ok", "paused", [])
    ledger.set_state("s", "running")
    assert _numbers(ledger.claim("s", "a", 1, "m")[1]) == [1]


# ---- restore


def test_an_attempt_waits_for_a_redis_that_lost_it(ledger: Ledger, fake: Connection) -> None:
    """Everything lost, its beat and report are told `unknown`, not refused; written back, the report counts."""
    _sweep(ledger, 1)
    claim = _take(ledger)[0]
    fake.redis.flushall()
    assert ledger.beat("a", 1000, [claim]) == ["unknown"]
    assert ledger.complete([Ending(claim, "finished")])[0] == [("unknown", "")]
    ledger.restore(0, spec(), "running", [("running", 0, '{"x":0}', 1, claim.token, "a", 0, 0, 30_000)])
    assert ledger.complete([Ending(claim, "finished")])[0][0][0] == "ok"
    assert _endings(fake) == {0: "finished"}


def test_a_lost_redis_is_written_back(ledger: Ledger, fake: Connection, clock: Clock) -> None:
    """Done stays done, running ones go on under their token, and queued ones are issued again."""
    fake.redis.flushall()
    running = Claim(sweep="s", number=1, attempt=2, token="tok", params={"x": 1})
    ledger.restore(
        0, spec(), "running",
        [("done", 0, "", "", "", "", "", "", ""), ("running", 1, '{"x":1}', 2, "tok", "a", 1, 0, 30_000)],
    )  # fmt: skip
    assert (ledger.spec("s"), ledger.states(), ledger.alive("s")) == (spec(), {"s": "running"}, {1})
    assert ledger.issue(0, "s", [(number, {}) for number in range(3)]) == 1
    assert _numbers(_take(ledger, "b", count=9)) == [2]
    assert ledger.beat("a", 1000, [running]) == ["ok"]
    assert ledger.complete([Ending(running, "finished")])[0][0][0] == "ok"
    assert _endings(fake) == {1: "finished"}


def test_a_restored_trial_has_a_lease_and_its_losses(ledger: Ledger, fake: Connection, clock: Clock) -> None:
    """Its agent gone, it is lost like any other, and counted on from what it was."""
    ledger.restore(0, spec(), "running", [("running", 0, "{}", 1, "tok", "a", CRASH_LIMIT - 1, 0, 5_000)])
    assert _pass(ledger, clock, 4) == 0
    assert _pass(ledger, clock, 2) == 1
    assert _endings(fake) == {0: "crashed"}


def test_a_redis_that_lost_its_last_second_is_mended(ledger: Ledger, clock: Clock) -> None:
    """A trial that waits here and runs in the store is taken out of the queue."""
    _sweep(ledger, 2)
    ledger.restore(0, spec(), "running", [("running", 0, '{"x":5}', 1, "tok", "a", 0, 0, 30_000)])
    assert _numbers(_take(ledger, "b", count=9)) == [1]
    claim = Claim(sweep="s", number=0, attempt=1, token="tok", params={"x": 5})
    assert ledger.beat("a", 1000, [claim]) == ["ok"]


def test_what_redis_knows_better_is_kept(ledger: Ledger, fake: Connection) -> None:
    """A later attempt, an ended one, and the sweep's own state are not written over."""
    _sweep(ledger, 2)
    first, ended = _take(ledger, count=2)
    ledger.release(first, "preempted")
    later = _take(ledger, "b")[0]
    ledger.complete([Ending(ended, "finished")])
    ledger.set_state("s", "paused")
    before = content(fake)
    ledger.restore(
        0, spec(), "running",
        [("running", 0, "{}", 1, first.token, "a", 0, 0, 1), ("running", 1, "{}", 1, ended.token, "a", 0, 0, 1)],
    )  # fmt: skip
    assert content(fake) == before
    assert ledger.beat("b", 1000, [later]) == ["ok"]


def test_a_restored_done_trial_leaves_the_queue(ledger: Ledger) -> None:
    """Done in the store and waiting here: it is not run again."""
    _sweep(ledger, 2)
    ledger.restore(0, spec(), "running", [("done", 0, "", "", "", "", "", "", "")])
    assert ledger.ready_counts(["s"]) == [1]
    assert ledger.alive("s") == {1}


def test_a_sweep_with_no_trials_is_restored(ledger: Ledger) -> None:
    """It is there, in the state that the store has."""
    ledger.restore(0, spec(), "paused", [])
    assert (ledger.spec("s"), ledger.state("s")) == (spec(), "paused")


# ---- drop


def test_a_dropped_sweep_is_gone(ledger: Ledger, fake: Connection) -> None:
    """Nothing of it is left, its agents are told so, and another sweep is as it was."""
    _sweep(ledger, 2, "t")
    other = _take(ledger, "b", sweep="t")[0]
    before = content(fake)
    _sweep(ledger, 3)
    claim = _take(ledger, "b")[0]
    ledger.forget(0, "s", [2])
    ledger.drop(0, "s")
    kept = {name for name in content(fake) if name not in before}
    assert kept == set()
    assert (ledger.spec("s"), ledger.running("s"), list(ledger.states())) == (None, 0, ["t"])
    assert ledger.claim("s", "b", 1, "n") == ("unknown", [])
    assert ledger.beat("b", 1000, [claim, other]) == ["unknown", "ok"]


# ---- agents


def test_agents_are_there_as_long_as_they_beat(ledger: Ledger, clock: Clock) -> None:
    """With what they last said of themselves, until the beat runs out or they leave."""
    assert ledger.agents() == {}
    ledger.beat("a", 20_000, [], {"host": "h", "slots": 2})
    ledger.beat("b", 40_000, [])
    ledger.beat("a", 20_000, [])
    assert ledger.agents() == {"a": {"host": "h", "slots": 2}, "b": {}}
    clock.move(20.001)
    assert list(ledger.agents()) == ["b"]
    ledger.leave("b")
    assert ledger.agents() == {}


def test_who_leaves_keeps_its_trials(ledger: Ledger) -> None:
    """A goodbye says nothing of trials: they end or are handed back by their own verbs."""
    _sweep(ledger, 1)
    claim = _take(ledger)[0]
    ledger.leave("a")
    assert ledger.complete([Ending(claim, "finished")])[0][0][0] == "ok"


def test_running_counts_one_sweeps_trials(ledger: Ledger) -> None:
    """Sweeps whose ids begin alike are told apart."""
    for sweep, count in (("s", 1), ("s1", 2), ("s1-x", 3)):
        _sweep(ledger, 4, sweep)
        _take(ledger, count=count, sweep=sweep)
    assert [ledger.running(sweep) for sweep in ("s", "s1", "s1-x")] == [1, 2, 3]
    assert ledger.ready_counts(["s", "s1", "s1-x"]) == [3, 2, 1]


# ---- all verbs

Act = Callable[[Ledger, Sequence[Claim]], object]

VERBS: dict[str, Act] = {
    "create": lambda ledger, held: ledger.create(spec("new")),
    "claim": lambda ledger, held: ledger.claim("s", "b", 2, "m"),
    "complete": lambda ledger, held: ledger.complete([Ending(held[0], "finished", {"error": "e"})]),
    "complete and claim": lambda ledger, held: ledger.complete([Ending(held[0], "failed")], then=("s", "a", 2, "m")),
    "beat": lambda ledger, held: ledger.beat("a", 30_000, held, {"host": "h"}),
    "release": lambda ledger, held: ledger.release(held[0], "preempted"),
    "leave": lambda ledger, held: ledger.leave("a"),
    "pause": lambda ledger, held: ledger.set_state("s", "paused"),
    "stop": lambda ledger, held: ledger.set_state("s", "stopping"),
    "cancel": lambda ledger, held: ledger.set_state("s", "cancelled"),
}

CONTROLLER_VERBS: dict[str, Callable[[Ledger, int], object]] = {
    "issue": lambda ledger, epoch: ledger.issue(epoch, "s", [(8, {"x": 8}), (9, {"x": 9})]),
    "replan": lambda ledger, epoch: ledger.replan(epoch, "s", [(4, {"x": -4})]),
    "forget": lambda ledger, epoch: ledger.forget(epoch, "s", [0, 4]),
    "restore": lambda ledger, epoch: ledger.restore(
        epoch,
        spec("s"),
        "running",
        [("running", 4, "{}", 1, "t", "a", 0, 0, 1000), ("done", 5, "", "", "", "", "", "", "")],
    ),
    "retry": lambda ledger, epoch: ledger.retry(epoch, "s", [Retry(20, 1, 0, 0, {"x": 5})]),
    "drop": lambda ledger, epoch: ledger.drop(epoch, "s"),
    "finish": lambda ledger, epoch: ledger.set_state("s", "finished", epoch),
}


@pytest.mark.parametrize("verb", [*VERBS, *CONTROLLER_VERBS])
def test_a_verb_sent_twice_is_as_once(ledger: Ledger, fake: Connection, verb: str) -> None:
    """Its reply having been lost, a verb may be sent again: Redis and the journal stay as the first time left them."""
    _sweep(ledger, 6)
    held = ledger.claim("s", "a", 2, "n")[1]

    def act() -> object:
        return VERBS[verb](ledger, held) if verb in VERBS else CONTROLLER_VERBS[verb](ledger, 0)

    untouched = content(fake)
    act()
    once = content(fake)
    assert once != untouched
    act()
    assert content(fake) == once


@pytest.mark.parametrize("verb", CONTROLLER_VERBS)
def test_a_controllers_verb_needs_its_epoch(ledger: Ledger, fake: Connection, verb: str) -> None:
    """One that slept past its lease raises Fenced and changes nothing; the one that leads goes on."""
    _sweep(ledger, 6)
    lead = Lead(fake, 5, {})
    lead.hold(known=3)
    before = content(fake)
    for epoch in (0, lead.epoch - 1, lead.epoch + 1):
        with pytest.raises(Fenced):
            CONTROLLER_VERBS[verb](ledger, epoch)
    assert content(fake) == before
    CONTROLLER_VERBS[verb](ledger, lead.epoch)
    assert content(fake) != before


def test_users_verbs_need_no_controller(ledger: Ledger, fake: Connection) -> None:
    """Pause and the rest work whoever leads, and when nobody does."""
    Lead(fake, 5, {}).hold()
    ledger.create(spec())
    assert ledger.set_state("s", "paused") == ("ok", "pending")


@pytest.mark.parametrize("seed", range(4))
def test_every_trial_ends_once_whatever_happens(fake: Connection, clock: Clock, seed: int) -> None:
    """Agents that die, sleep, come back late, repeat calls and hand back: each trial has one end, and none is lost."""
    rng, ledger, trials = random.Random(seed), Ledger(fake), 12
    _sweep(ledger, trials)
    held: list[Claim] = []
    tries = 0
    while len(_endings(fake)) < trials:
        tries += 1
        assert tries < 2000
        agent = rng.choice("abc")
        held += ledger.claim("s", agent, rng.randint(0, 2), f"n{tries}")[1]
        for claim in rng.sample(held, min(len(held), 2)):
            for _ in range(rng.randint(1, 2)):  # a lost reply, and a repeat
                rng.choice([
                    lambda claim: ledger.complete([Ending(claim, "finished")]),
                    lambda claim: ledger.release(claim, "preempted"),
                    lambda claim: ledger.beat("a", 1000, [claim]),
                ])(claim)  # fmt: skip
        ledger.issue(0, "s", [(rng.randrange(trials), {"x": 0})])
        clock.move(rng.choice([0, 1, 9, 14, 50]))
        ledger.reap()
    assert set(_endings(fake)) == set(range(trials))
    assert set(_endings(fake).values()) <= {"finished", "crashed"}
    assert (ledger.running("s"), ledger.ready_counts(["s"]), _take(ledger, "d")) == (0, [0], [])
