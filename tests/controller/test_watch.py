"""What a sweep does while its trials run: stopping rules, the metric's target, the time that is left."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from besom.controller.loop import Controller
from besom.controller.watch import pause_after
from besom.messages import Claim
from tests.controller.world import Crash, Effects, World

HYPERBAND = {"type": "hyperband", "min_iter": 2, "eta": 2}


@pytest.fixture(autouse=True)
def _no_pause_between_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("besom.controller.watch._LOOK_SECONDS", 0.0)


def begun(world: World, controller: Controller, sweep: str, count: int = 3) -> list[Claim]:
    """So many trials that an agent runs."""
    world.ledger.beat("hand", 30_000, [], {"sweep": sweep, "slots": count})
    controller.slots.look()
    controller.step(block_ms=0)
    return world.claim(sweep, count)


def log_all(world: World, claims: Sequence[Claim], rows: Sequence[Sequence[float]]) -> None:
    for claim, losses in zip(claims, rows, strict=True):
        for seq, loss in enumerate(losses, 1):
            world.log(claim, seq, loss=loss)


def verdicts(world: World, claims: Sequence[Claim]) -> list[str]:
    return list(world.ledger.beat("hand", 30_000, claims))


@pytest.mark.parametrize(("goal", "told"), [("minimize", ["ok", "ok", "stop"]), ("maximize", ["stop", "ok", "ok"])])
def test_a_stopping_rule_ends_the_worse_trial(world: World, goal: str, told: list[str]) -> None:
    """In the turn that records a band's value the worse trial is told to stop, and nobody before the band."""
    metric = {"name": "loss", "goal": goal}
    controller, sweep = world.controller(), world.sweep("random", early_terminate=HYPERBAND, metric=metric)
    claims = begun(world, controller, sweep)
    log_all(world, claims, [[9], [1], [5]])
    controller.step(block_ms=0)
    assert verdicts(world, claims) == ["ok", "ok", "ok"]
    for claim, loss in zip(claims, [1.0, 2.0, 3.0], strict=True):
        world.log(claim, 2, loss=loss)
    controller.step(block_ms=0)
    assert verdicts(world, claims) == told


def test_a_stopped_trial_keeps_what_it_was_worth(world: World) -> None:
    """It ends as stopped, with its best value, and another trial may start."""
    controller, sweep = world.controller(), world.sweep("random", early_terminate={**HYPERBAND, "eta": 3})
    claims = begun(world, controller, sweep, 2)
    log_all(world, claims, [[3, 2], [5, 6]])
    controller.step(block_ms=0)
    assert verdicts(world, claims) == ["ok", "stop"]
    assert world.end(claims[1], 2, "stopped") == "ok"
    controller.step(block_ms=0)
    row = next(row for row in world.rows(sweep) if row["number"] == claims[1].number)
    assert (row["state"], row["value"]) == ("stopped", 5.0)


def test_a_trial_that_waits_is_not_judged(world: World) -> None:
    """Handed back, it is told nothing for what its last attempt logged; whoever takes it over may do better."""
    controller, sweep = world.controller(), world.sweep("random", early_terminate={**HYPERBAND, "eta": 3})
    claims = begun(world, controller, sweep, 2)
    log_all(world, claims, [[1], [9, 9]])
    world.ledger.release(claims[1], "preempted")
    controller.step(block_ms=0)
    world.log(claims[0], 2, loss=1)
    controller.step(block_ms=0)
    (again,) = world.claim(sweep)
    assert again.number == claims[1].number
    assert verdicts(world, [claims[0], again]) == ["ok", "ok"]


def test_what_is_recorded_is_judged(world: World) -> None:
    """Whoever hears that its batch is recorded hears of the rule's verdict on it as well."""
    controller, sweep = world.controller(), world.sweep("random", early_terminate={**HYPERBAND, "eta": 3})
    claims = begun(world, controller, sweep, 2)
    log_all(world, claims, [[1, 1], [2, 2]])
    controller.step(block_ms=0)
    answers = [controller.journal.wanted(claim, claim.run_id, f"w-{claim.token}") for claim in claims]
    assert answers == [("", 2), ("stop", 2)]


def test_a_rule_goes_on_after_a_restart(world: World) -> None:
    """Another controller reads the curves that it needs from the store, those of ended trials too."""
    first, sweep = world.controller(), world.sweep("random", early_terminate=HYPERBAND)
    claims = begun(world, first, sweep)
    log_all(world, claims, [[1, 1], [2, 2], [3]])
    world.end(claims[0], 2)
    first.step(block_ms=0)
    first.close()
    second = world.controller()
    second.step(block_ms=0)
    world.log(claims[2], 2, loss=3)
    second.step(block_ms=0)
    assert verdicts(world, claims[1:]) == ["ok", "stop"]


@pytest.mark.parametrize(("look", "pause"), [(0.002, 0.02), (0.5, 0.3)])
def test_short_looks_come_often(monkeypatch: pytest.MonkeyPatch, look: float, pause: float) -> None:
    """Looking takes a tenth of the time while that is often enough; a long look is not waited for longer than that."""
    monkeypatch.undo()
    assert pause_after(look) == pytest.approx(pause)


def test_a_rule_of_none_stops_nobody(world: World) -> None:
    """`type: none` is as good as no rule."""
    controller, sweep = world.controller(), world.sweep("random", early_terminate={"type": "none"})
    claims = begun(world, controller, sweep, 2)
    log_all(world, claims, [[1, 1, 1], [9, 9, 9]])
    controller.step(block_ms=0)
    assert verdicts(world, claims) == ["ok", "ok"]


TARGET = {"name": "loss", "goal": "minimize", "target": 0.5}


def test_a_target_that_is_reached_ends_the_sweep(world: World) -> None:
    """A value that a running trial logs is enough: no new trial starts, what waits is cancelled, what runs may end."""
    controller, sweep = world.controller(), world.sweep("random", metric=TARGET, run_cap=50)
    claims = begun(world, controller, sweep, 2)
    log_all(world, claims, [[0.9], [0.4]])
    controller.step(block_ms=0)
    assert world.ledger.state(sweep) == world.state(sweep) == "stopping"
    assert verdicts(world, claims) == ["ok", "ok"]
    assert world.claim(sweep) == []
    for claim in claims:
        assert world.end(claim, 1) == "ok"
    for _ in range(3):
        controller.step(block_ms=0)
    assert world.state(sweep) == world.ledger.state(sweep) == "finished"
    states = [row["state"] for row in world.rows(sweep)]
    assert states.count("finished") == 2
    assert set(states) == {"finished", "cancelled"}


@pytest.mark.parametrize("effect", range(1, 14))
def test_a_crash_does_not_lose_the_end(world: World, effect: int) -> None:
    """Whatever a controller has done of the stop when it dies, the next one brings the sweep to its end."""
    first, sweep = world.controller(Effects(effect)), world.sweep("grid", metric={**TARGET, "target": 1.0})
    try:
        for _ in range(4):
            first.step(block_ms=0)
            world.work(sweep)
    except Crash:
        pass
    world.expire_lease()
    world.drive(world.controller(), sweep)
    rows = world.rows(sweep)
    assert world.ledger.state(sweep) == "finished"
    assert [row["state"] for row in rows].count("finished") >= 1
    assert world.ledger.alive(sweep) == set()


def test_time_cap_ends_the_sweep(world: World) -> None:
    """Counted from the first claim on the controller's clock; what runs may end."""
    controller, sweep = world.controller(), world.sweep("random", time_cap=60)
    [claim] = begun(world, controller, sweep, 1)
    controller.step(block_ms=0)
    world.now += 59
    controller._next.clear()
    controller.step(block_ms=0)
    assert world.state(sweep) == "running"
    world.now += 1
    controller.step(block_ms=0)
    assert world.state(sweep) == "stopping"
    world.run_trial(claim)
    for _ in range(3):
        controller.step(block_ms=0)
    assert world.state(sweep) == "finished"


def test_time_cap_counts_on_after_a_restart(world: World) -> None:
    """Another controller reads from the store when the first trial was claimed."""
    world.now = time.time()  # as Redis', which says when a trial was claimed
    first, sweep = world.controller(), world.sweep("random", time_cap=60)
    begun(world, first, sweep, 1)
    first.step(block_ms=0)
    first.close()
    second = world.controller()
    world.now += 55
    second.step(block_ms=0)
    assert world.state(sweep) == "running"
    world.now += 10
    second._next.clear()
    second.step(block_ms=0)
    assert world.state(sweep) == "stopping"


def test_a_rule_judges_by_the_metric_that_it_names(world: World) -> None:
    """Of several metrics one decides, in the direction of its goal."""
    metrics = [{"name": "loss", "goal": "maximize"}, {"name": "seconds"}]
    rule = {**HYPERBAND, "metric": "loss"}
    controller, sweep = world.controller(), world.sweep("random", metric=None, metrics=metrics, early_terminate=rule)
    claims = begun(world, controller, sweep)
    log_all(world, claims, [[9, 1], [1, 2], [5, 3]])
    controller.step(block_ms=0)
    assert verdicts(world, claims) == ["stop", "ok", "ok"]
