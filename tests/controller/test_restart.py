"""What a controller does at its start: whose store this is, and what Redis lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from besom.errors import StoreMismatch
from besom.strategies import EndedTrial
from besom.tracking.store.store import Store
from tests.controller.world import GRID, World


def _keys(world: World) -> dict[bytes, bytes]:
    """All of Redis, as a server that loses its last second would have it."""
    client = world.connection.redis
    return {key: client.dump(key) for key in client.keys("*")}


def _go_back(world: World, kept: dict[bytes, bytes]) -> None:
    client = world.connection.redis
    client.flushall()
    for key, held in kept.items():
        client.restore(key, 0, held)


def test_redis_that_lost_everything(world: World) -> None:
    """After FLUSHALL done trials are not run again, the running one keeps its token, and the sweep completes."""
    controller, sweep = world.controller(), world.sweep()
    controller.step(block_ms=0)
    world.work(sweep)
    controller.step(block_ms=0)
    [running] = world.claim(sweep)
    controller.step(block_ms=0)
    world.connection.redis.flushall()
    successor = world.controller()
    successor.step(block_ms=0)
    assert world.spec(sweep).id == sweep
    assert world.ledger.state(sweep) == "running"
    assert [claim.number for claim in world.claim(sweep, 9, "other")] == [3]
    world.run_trial(running)  # its token still counts
    successor.step(block_ms=0)
    assert [row["state"] for row in world.rows(sweep)] == ["finished", "finished", "running"]


def test_same_controller_notices_the_loss(world: World) -> None:
    """The controller that leads writes Redis back itself when it next looks after its lease."""
    controller, sweep = world.controller(controller_lease_seconds=0.06), world.sweep()
    controller.step(block_ms=0)
    world.work(sweep)
    controller.step(block_ms=0)
    world.connection.redis.flushall()
    for _ in range(200):
        if controller.step(block_ms=10) and world.ledger.state(sweep) is not None:
            break
    world.drive(controller, sweep)
    world.check(sweep)


@pytest.mark.parametrize("state", ["paused", "stopping", "cancelled"])
def test_state_of_a_sweep_comes_back(world: World, state: str) -> None:
    """What a user had set before Redis lost it is set again."""
    controller, sweep = world.controller(), world.sweep()
    controller.step(block_ms=0)
    world.claim(sweep)
    world.ledger.set_state(sweep, state)  # type: ignore[arg-type]
    controller.step(block_ms=0)
    world.connection.redis.flushall()
    world.controller().step(block_ms=0)
    assert world.ledger.state(sweep) == state


def test_journal_that_lost_its_tail(world: World) -> None:
    """A Redis that went back a second behind the store: what ended since is not run again."""
    controller, sweep = world.controller(), world.sweep()
    controller.step(block_ms=0)
    before = _keys(world)
    world.work(sweep)
    controller.step(block_ms=0)
    assert world.rows(sweep)[0]["state"] == "finished"
    _go_back(world, before)
    assert world.ledger.alive(sweep) == {1, 2}
    world.expire_lease()
    successor = world.controller()
    successor.step(block_ms=0)
    world.drive(successor, sweep)
    world.check(sweep)


def test_running_trial_in_the_lost_tail(world: World) -> None:
    """A claim that Redis forgot and the store knows still counts: its token ends the trial, no other agent gets it."""
    controller, sweep = world.controller(), world.sweep()
    controller.step(block_ms=0)
    before = _keys(world)
    [claim] = world.claim(sweep)
    controller.step(block_ms=0)
    _go_back(world, before)
    world.expire_lease()
    successor = world.controller()
    successor.step(block_ms=0)
    assert [other.number for other in world.claim(sweep, 1, "other")] == [2]
    world.run_trial(claim)
    successor.step(block_ms=0)
    assert world.rows(sweep)[0]["state"] == "finished"


def test_restart_without_loss_reads_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A new controller on the same Redis continues where the last one was, and reports no loss."""
    first, sweep = world.controller(), world.sweep()
    first.step(block_ms=0)
    world.work(sweep)
    first.step(block_ms=0)
    first.close()
    world.drive(world.controller(), sweep)
    world.check(sweep)
    assert "lost" not in caplog.text


def test_store_of_another_namespace(world: World, tmp_path: Path) -> None:
    """A controller with another store refuses, names both, and writes to neither Redis nor that store."""
    first, sweep = world.controller(), world.sweep()
    first.step(block_ms=0)
    first.close()
    other = Store.open(f"sqlite:///{tmp_path}/other.db")
    controller = world.controller(store=other)
    with pytest.raises(StoreMismatch) as refused:
        controller.step(block_ms=0)
    assert world.store.id in str(refused.value)
    assert other.id in str(refused.value)
    assert "BESOM_NAMESPACE" in str(refused.value)
    world.expire_lease()
    world.drive(world.controller(), sweep)
    world.check(sweep)
    other.close()


def test_plans_are_rebuilt_from_the_store_alone(world: World) -> None:
    """A new controller knows of every trial what the last one knew: issued, waiting, claimed."""
    first, sweep = world.controller(), world.sweep(values=range(10))
    first.step(block_ms=0)
    world.work(sweep)
    world.claim(sweep)
    first.step(block_ms=0)
    known = first.plans[sweep]
    first.close()
    second = world.controller()
    second.step(block_ms=0)
    found = second.plans[sweep]
    assert (found.issued, found.trials, found.waiting, found.unclaimed, found.state) == (
        known.issued, known.trials, known.waiting, known.unclaimed, known.state,
    )  # fmt: skip


def _bayes(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sweep of which two trials have ended, recorded by a controller that is gone; nobody makes suggestions."""
    monkeypatch.setattr("besom.controller.planner.Planner.warm_up", lambda self: None)
    monkeypatch.setattr("besom.controller.planner.Planner.ask", lambda self, question: None)
    first, sweep = world.controller(), world.sweep("bayes", [1.5, 2.5, 3.5])
    first.step(block_ms=0)
    plan = first.plans[sweep]
    trials = [(number, {"x": x}) for number, x in enumerate([2.5, 1.5], 1)]
    with world.store.begin() as conn:
        first.recorder.issue(conn, sweep, trials, 0.0)
    for number, params in trials:
        plan.issue(number, params)
    world.ledger.issue(1, sweep, trials)
    world.work(sweep, 2)
    first.step(block_ms=0)
    first.close()
    return sweep


def test_history_of_an_adaptive_sweep_is_rebuilt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bayes sweep's results come back from the store, in order and with their values."""
    sweep = _bayes(world, monkeypatch)
    second = world.controller()
    second.step(block_ms=0)
    asked = second.plans[sweep].question(1)
    assert asked is not None
    assert list(asked.ended) == [
        EndedTrial(1, {"x": 2.5}, "finished", 2.5, (2.5,)),
        EndedTrial(2, {"x": 1.5}, "finished", 1.5, (1.5,)),
    ]


def test_lease_is_kept_while_history_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long history takes longer than the lease: it is renewed on the way, so that no other takes over meanwhile."""
    _bayes(world, monkeypatch)
    monkeypatch.setattr("besom.controller.restart.pieces_of", lambda rows: ([row] for row in rows))
    second, renewals = world.controller(), []
    hold = second._lead.hold
    monkeypatch.setattr(second, "_every", lambda what, seconds: True)  # whatever is due from time to time
    monkeypatch.setattr(second._lead, "hold", lambda *known: renewals.append(known) or hold(*known))
    second.step(block_ms=0)
    assert len(renewals) == 3
    assert second.leading


def test_sweep_that_was_cancelled_is_not_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its history serves nothing; while a trial of it still runs, there is a plan that sees it end."""
    sweep = _bayes(world, monkeypatch)
    leads = world.controller()
    leads.step(block_ms=0)
    world.ledger.set_state(sweep, "cancelled")
    leads.step(block_ms=0)
    leads.close()
    monkeypatch.setattr("besom.controller.restart._load_trials", lambda *told: pytest.fail("it was read"))
    last = world.controller()
    assert last.step(block_ms=0)
    assert last.plans == {}


def test_sweep_over_in_the_store_is_over_in_redis(world: World) -> None:
    """When a crash came before Redis heard of the end, the next start tells it, and agents stop waiting."""
    controller, sweep = world.controller(), world.sweep(values=GRID)
    world.drive(controller, sweep)
    world.connection.redis.hset(world.connection.keys.sweep(sweep), "state", "running")
    world.expire_lease()
    world.controller().step(block_ms=0)
    assert world.ledger.state(sweep) == "finished"
