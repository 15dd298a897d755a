"""Trials that a stopping rule has ended go on after all: when, how, and whatever dies meanwhile."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from besom.controller.loop import Controller
from besom.messages import Claim, SweepState, TrialsReopened
from tests.controller.world import Crash, Effects, World

ASHA = {"type": "asha", "min_iter": 1, "eta": 2, "max_iter": 4}
EPOCHS = 4


@pytest.fixture(autouse=True)
def _no_pause_between_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("besom.controller.watch._LOOK_SECONDS", 0.0)


class Agent:
    """Runs trials one after another, each epoch followed by a turn of the controller and a beat.

    Args:
        keeps: Whether a trial that was stopped goes on where it stopped; else it begins anew.
    """

    def __init__(self, world: World, controller: Controller, sweep: str, *, keeps: bool = True) -> None:
        self.world, self.controller, self.sweep, self.keeps = world, controller, sweep, keeps
        self.done: dict[int, int] = {}
        """Trial to its epochs."""
        self.jobs: list[tuple[int, int]] = []
        """Trial and attempt, in order."""

    def take(self) -> Claim | None:
        self.controller.step(block_ms=0)
        claims = self.world.claim(self.sweep)
        self.jobs += [(claim.number, claim.attempt) for claim in claims]
        return claims[0] if claims else None

    def train(self, claim: Claim) -> str:
        """How it ended."""
        seq, begin = 0, self.done.get(claim.number, 0) if self.keeps else 0
        for seq, epoch in enumerate(range(begin, EPOCHS), 1):
            self.world.log(claim, seq, loss=claim.params["x"] + 1 / (1 + epoch), step=epoch)
            self.done[claim.number] = epoch + 1
            self.controller.step(block_ms=0)
            if self.world.ledger.beat("hand", 30_000, [claim]) == ["stop"]:
                assert self.world.end(claim, seq, "stopped") == "ok"
                return "stopped"
        assert self.world.end(claim, seq) == "ok"
        return "finished"

    def run(self, most: int = 60) -> None:
        """Until the sweep is over."""
        for _ in range(most):
            claim = self.take()
            if claim is not None:
                self.train(claim)
            elif self.world.state(self.sweep) == "finished":
                return
        raise AssertionError(f"the sweep is not over: {self.world.rows(self.sweep)}")


def told(world: World, sweep: str, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in ("number", *columns)) for row in world.rows(sweep)]


def begun(world: World, values: list[float], **keys: Any) -> tuple[Agent, str]:
    sweep = world.sweep("grid", values, early_terminate=ASHA, **keys)
    return Agent(world, world.controller(), sweep), sweep


def stopped_twice(agent: Agent) -> None:
    """The first two trials, of which the second makes the first one of the best half."""
    for _ in range(2):
        claim = agent.take()
        assert claim is not None
        assert agent.train(claim) == "stopped"


def waiting(world: World, last: int = 4, **keys: Any) -> tuple[Agent, str, Claim]:
    """One trial that is held, and a second which has just logged what makes the first one of the best half."""
    agent, sweep = begun(world, [*range(1, last + 1)], **keys)
    claim = agent.take()
    assert claim is not None
    agent.train(claim)
    second = agent.take()
    assert second is not None
    world.log(second, 1, loss=9.0)
    return agent, sweep, second


def test_a_stopped_trial_is_promoted(world: World) -> None:
    """When it is one of the best half after all it is the next one taken, as its next attempt; that is not stopped."""
    agent, sweep = begun(world, [1, 2, 3, 4])
    stopped_twice(agent)
    assert told(world, sweep, "state", "passed", "halted")[:2] == [(1, "queued", 1, 1), (2, "running", 0, 1)]
    claim = agent.take()
    assert claim is not None
    assert (claim.number, claim.attempt, claim.params) == (1, 2, {"x": 1})
    assert world.ledger.beat("hand", 30_000, [claim]) == ["ok"]
    agent.controller.step(block_ms=0)
    assert told(world, sweep, "state", "attempt", "losses", "failures")[0] == (1, "running", 2, 0, 0)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_sweep_with_promotions(world: World, keeps: bool) -> None:
    """It ends when nothing more can be promoted; the best trial came to its end, each counted once."""
    agent, sweep = begun(world, [4, 3, 1, 2, 5, 6, 7, 8])
    agent.keeps = keeps
    agent.run()
    rows = {row["params"]["x"]: row for row in world.rows(sweep)}
    assert len(rows) == 8
    assert (rows[1]["state"], rows[1]["value"]) == ("finished", 1.25)
    assert {rows[x]["state"] for x in (5, 6, 7, 8)} == {"stopped"}
    assert [rows[x]["value"] for x in (5, 8)] == [6.0, 9.0]
    assert agent.jobs == [*((number, 1) for number in range(1, 9)), (1, 2), (4, 2)]
    assert world.ledger.alive(sweep) == set()
    assert world.ledger.state(sweep) == "finished"


def test_the_last_trial_comes_to_its_end(world: World) -> None:
    """Fewer trials than eta are no reason to finish none of them."""
    agent, sweep = begun(world, [1])
    agent.run()
    assert told(world, sweep, "state", "attempt") == [(1, "finished", 1)]


def test_a_restart_decides_the_same(world: World) -> None:
    """With another controller after every step of it the sweep runs the same attempts to the same ends."""
    values = [3.0, 1.0, 2.0, 4.0]
    agent, sweep = begun(world, values)
    agent.run()

    class Restarting(Agent):
        def take(self) -> Claim | None:
            self.controller.close()
            self.controller = world.controller()
            return super().take()

        def train(self, claim: Claim) -> str:
            self.controller.close()
            self.controller = world.controller()
            return super().train(claim)

    again = world.sweep("grid", values, early_terminate=ASHA)
    other = Restarting(world, agent.controller, again)
    other.run()
    assert other.jobs == agent.jobs
    assert told(world, again, "state", "value", "passed") == told(world, sweep, "state", "value", "passed")


def test_what_was_recorded_is_looked_at_by_the_next_controller(world: World) -> None:
    """One that died between two looks leaves a trial at its rung; nothing more need be logged for it to be judged."""
    agent, _ = begun(world, [1, 2, 3])
    claim = agent.take()
    assert claim is not None
    agent.controller.watches.due = list  # type: ignore[method-assign]
    world.log(claim, 1, loss=1.0)
    agent.controller.step(block_ms=0)
    assert world.ledger.beat("hand", 30_000, [claim]) == ["ok"]
    world.expire_lease()
    world.controller().step(block_ms=0)
    assert world.ledger.beat("hand", 30_000, [claim]) == ["stop"]


@pytest.mark.parametrize("effect", range(1, 9))
def test_a_crash_loses_no_promotion(world: World, effect: int) -> None:
    """Whatever a controller has done of a promotion when it dies, the next one brings the sweep to the same end."""
    agent, sweep, second = waiting(world, last=3)
    agent.controller.close()
    agent.controller = world.controller(Effects(effect))
    with suppress(Crash):
        for _ in range(3):
            agent.controller.step(block_ms=0)
    world.expire_lease()
    agent.controller = world.controller()
    agent.controller.step(block_ms=0)
    assert world.ledger.beat("hand", 30_000, [second]) == ["stop"]
    assert world.end(second, 1, "stopped") == "ok"
    agent.run()
    # Once more at the end: first at rung 2, it had to wait there for others.
    assert agent.jobs == [(1, 1), (2, 1), (1, 2), (3, 1), (1, 3)]
    assert told(world, sweep, "state", "attempt") == [(1, "finished", 3), (2, "stopped", 1), (3, "stopped", 1)]
    assert world.ledger.alive(sweep) == set()
    assert world.rejected() == []


def test_a_verdict_outlives_redis(world: World) -> None:
    """Who was told to stop, and who waits in front of the others, is told by a controller to a Redis that lost both."""
    agent, sweep, second = waiting(world)
    agent.controller.step(block_ms=0)
    world.connection.redis.flushall()
    world.controller().step(block_ms=0)
    assert world.ledger.beat("hand", 30_000, [second]) == ["stop"]
    assert [(claim.number, claim.attempt) for claim in world.claim(sweep, 2)] == [(1, 2), (3, 1)]


# ---- when nobody is promoted


def test_a_paused_sweep_promotes_when_it_is_resumed(world: World) -> None:
    """Until then it does not end either, though all its trials are issued and over."""
    agent, sweep, second = waiting(world, run_cap=2)
    world.ledger.set_state(sweep, "paused")
    agent.controller.step(block_ms=0)
    assert world.end(second, 1, "stopped") == "ok"
    for _ in range(3):
        agent.controller.step(block_ms=0)
    assert (world.state(sweep), told(world, sweep, "state")) == ("paused", [(1, "stopped"), (2, "stopped")])
    world.ledger.set_state(sweep, "running")
    agent.run()
    assert told(world, sweep, "state", "attempt") == [(1, "finished", 2), (2, "stopped", 1)]


def test_who_was_to_be_promoted_comes_first_when_the_sweep_is_resumed(world: World) -> None:
    """Though nothing was logged since, and others wait that were never tried."""
    agent, sweep, second = waiting(world)
    world.ledger.set_state(sweep, "paused")
    agent.controller.step(block_ms=0)
    assert world.ledger.beat("hand", 30_000, [second]) == ["stop"]
    assert told(world, sweep, "state") == [(1, "stopped"), (2, "running"), (3, "queued")]
    world.ledger.set_state(sweep, "running")
    claim = agent.take()
    assert claim is not None
    assert (claim.number, claim.attempt) == (1, 2)


@pytest.mark.parametrize("how", ["stopping", "cancelled"])
def test_a_sweep_that_takes_no_more_trials_promotes_none(world: World, how: SweepState) -> None:
    """What its rule has stopped stays as it is."""
    agent, sweep, second = waiting(world)
    world.ledger.set_state(sweep, how)
    agent.controller.step(block_ms=0)
    assert world.end(second, 1, "stopped" if how == "stopping" else "cancelled") == "ok"
    for _ in range(3):
        agent.controller.step(block_ms=0)
    assert told(world, sweep, "state", "attempt")[0] == (1, "stopped", 1)
    assert world.state(sweep) == ("finished" if how == "stopping" else "cancelled")


@pytest.mark.parametrize("keys", [{"metric": {"name": "loss", "target": 9.5}}, {"time_cap": 60}])
def test_a_sweep_that_has_what_it_wanted_promotes_none(world: World, keys: dict[str, Any]) -> None:
    """The value that would promote a trial reaches the target, or comes when time is over."""
    if "metric" in keys:
        keys = {"metric": {**keys["metric"], "goal": "maximize", "target": 9.0}}
    agent, sweep, second = waiting(world, **keys)
    world.now += 61
    agent.controller.step(block_ms=0)
    world.end(second, 1)
    for _ in range(3):
        agent.controller.step(block_ms=0)
    assert world.state(sweep) == "finished"
    assert told(world, sweep, "state", "attempt")[0] == (1, "stopped", 1)


@pytest.mark.parametrize("early", [True, False])
def test_a_promoted_trial_whose_turn_does_not_come_is_what_it_was(world: World, early: bool) -> None:
    """Stopped by the user before anybody took it, or before Redis had heard of it, it stays a result."""
    agent, sweep, second = waiting(world)
    if early:
        agent.controller._carry_out = stopping_first(agent.controller, world, sweep)  # type: ignore[method-assign]
    agent.controller.step(block_ms=0)
    assert told(world, sweep, "state")[0] == (1, "queued")
    world.ledger.set_state(sweep, "stopping")
    world.end(second, 1, "stopped")
    for _ in range(3):
        agent.controller.step(block_ms=0)
    assert told(world, sweep, "state", "value", "attempt")[:2] == [(1, "stopped", 2.0, 1), (2, "stopped", 9.0, 1)]
    assert world.state(sweep) == world.ledger.state(sweep) == "finished"
    assert world.ledger.alive(sweep) == set()


def stopping_first(controller: Controller, world: World, sweep: str) -> Any:
    """A user's `besom stop` right before a promotion is committed."""
    carry_out = controller._carry_out

    def late(*arguments: Any) -> None:
        carry_out(*arguments)
        world.ledger.set_state(sweep, "stopping")

    return late


@pytest.mark.parametrize(("state", "error"), [("finished", ""), ("failed", "ValueError"), ("cancelled", "")])
def test_a_trial_that_ends_by_itself_is_not_promoted(world: World, state: str, error: str) -> None:
    """It was told to stop, and was faster, or did not end by that."""
    agent, sweep = begun(world, [1, 2, 3, 4])
    first = agent.take()
    assert first is not None
    world.log(first, 1, loss=1.0)
    agent.controller.step(block_ms=0)
    assert world.ledger.beat("hand", 30_000, [first]) == ["stop"]
    world.end(first, 1, state)
    second = agent.take()
    assert second is not None
    world.log(second, 1, loss=9.0)
    for _ in range(2):
        agent.controller.step(block_ms=0)
    assert told(world, sweep, "state", "attempt")[0] == (1, state, 1)


@pytest.mark.parametrize("restart", [False, True])
def test_a_promoted_trial_that_fails_leaves_its_place_to_the_next(world: World, restart: bool) -> None:
    """Otherwise a sweep whose best trials fail would end with none that came to its end."""
    agent, sweep = begun(world, [1, 2, 3, 4])
    stopped_twice(agent)
    claim = agent.take()
    assert claim is not None
    assert world.end(claim, state="failed") == "ok"
    if restart:
        agent.controller.close()
        agent.controller = world.controller()
    second = agent.take()
    assert second is not None
    assert (second.number, second.attempt) == (2, 2)
    assert told(world, sweep, "state", "attempt")[0] == (1, "failed", 2)


def test_a_trial_that_timed_out_is_not_promoted(world: World) -> None:
    """It ended as stopped, but not by the rule."""
    agent, sweep = begun(world, [1, 2, 3, 4])
    claims = world.claim(sweep, 2) or [agent.take(), agent.take()]
    first, second = (claim for claim in claims if claim is not None)
    world.end(first, 0, "stopped")
    world.log(second, 1, loss=9.0)
    for _ in range(2):
        agent.controller.step(block_ms=0)
    assert told(world, sweep, "state", "attempt")[0] == (1, "stopped", 1)


def test_retried_by_its_user_a_trial_is_judged_again(world: World) -> None:
    """Told to stop it failed; reopened it is stopped at the same rung once more, and promoted from there."""
    agent, sweep = begun(world, [1, 2, 3, 4])
    first = agent.take()
    assert first is not None
    world.log(first, 1, loss=1.0)
    agent.controller.step(block_ms=0)
    world.end(first, 1, "failed")
    agent.controller.step(block_ms=0)
    world.journal.append(TrialsReopened(sweep=sweep, states=("failed",)))
    agent.controller.step(block_ms=0)
    agent.run()
    assert told(world, sweep, "state", "attempt")[0] == (1, "finished", 3)
