"""Edits of a running sweep: in force from their place in the history on, and the same after a restart."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from besom.controller.loop import Controller
from besom.messages import SweepEdited
from tests.controller.world import Crash, Effects, World, grid_of


def edit(world: World, sweep: str, base: int = 0, **keys: Any) -> None:
    """Append an edit that sets these keys of the config."""
    world.journal.append(SweepEdited(sweep=sweep, base=base, config={**world.spec(sweep).config, **keys}))


def params(world: World, sweep: str) -> list[Any]:
    return [row["params"]["x"] for row in world.rows(sweep)]


def test_an_edit_is_in_force_for_what_comes(world: World) -> None:
    """What is issued stays as it is; what follows is drawn from the new space, under the new cap."""
    controller, sweep = world.controller(), world.sweep("random", values=[1, 2])
    controller.step(block_ms=0)
    edit(world, sweep, parameters={"x": {"values": [7, 8]}}, run_cap=6)
    controller.step(block_ms=0)
    world.drive(controller, sweep)
    found = params(world, sweep)
    assert set(found[:2]) <= {1, 2}
    assert set(found[2:]) <= {7, 8}
    assert len(found) == 6


def test_a_grid_covers_what_the_edit_added(world: World) -> None:
    """Each point of the new grid is tried once, those of the old one count."""
    controller, sweep = world.controller(), world.sweep()
    controller.step(block_ms=0)
    world.work(sweep)
    edit(world, sweep, parameters={"x": {"values": [0, 1, 2, 5]}})
    world.drive(controller, sweep)
    assert grid_of(world.rows(sweep)) == Counter([0, 1, 2, 5])


@pytest.mark.parametrize(
    ("repeats", "target", "state"),
    [(1, 1.0, "finished"), (1, 0.5, "running"), (2, 1.5, "finished"), (2, 1.0, "running")],
)
def test_a_target_that_is_moved_to_what_was_reached(world: World, repeats: int, target: float, state: str) -> None:
    """It ends the sweep at once; with repeats the mean of a point counts, here of 1 and 2, and not its best trial."""
    metric = {"name": "loss", "goal": "minimize", "target": 0.0}
    controller, sweep = world.controller(), world.sweep("random", metric=metric, repeats=repeats)
    controller.step(block_ms=0)
    for loss in (1.0, 2.0):
        [claim] = world.claim(sweep)
        world.log(claim, loss=loss)
        world.end(claim, 1)
    controller.step(block_ms=0)
    edit(world, sweep, metric={**metric, "target": target})
    controller.step(block_ms=0)
    controller.step(block_ms=0)
    assert world.state(sweep) == state


@pytest.mark.parametrize("method", ["grid", "random"])
def test_a_restart_replays_edits(world: World, method: str) -> None:
    """Stopped and started after every turn, a sweep tries the same points as one whose controller lives."""
    found = []
    for restarts in (False, True):
        controller, sweep = world.controller(), world.sweep(method, run_cap=7, values=[1, 2, 3, 4])
        for turn in range(12):
            if turn == 2:
                edit(world, sweep, parameters={"x": {"values": [3, 4, 5, 6, 7]}})
            if turn == 3:
                edit(world, sweep, base=1, parameters={"x": {"values": [3, 4, 5, 6, 7]}}, points=[{"x": 4}])
            controller.step(block_ms=0)
            if restarts:
                controller.close()
                controller = world.controller()
                controller.step(block_ms=0)
            world.work(sweep)
        world.drive(controller, sweep)
        controller.close()
        found.append(params(world, sweep))
    assert found[0] == found[1]


@pytest.mark.parametrize("effect", range(1, 22, 2))
def test_a_crash_loses_no_edit(world: World, effect: int) -> None:
    """Whatever a controller has done when it dies, the edited grid is covered exactly."""
    first, sweep = world.controller(Effects(effect)), world.sweep()
    edit(world, sweep, parameters={"x": {"values": [3, 1, 4]}})
    try:
        for _ in range(9):
            first.step(block_ms=0)
            world.work(sweep)
    except Crash:
        pass
    world.expire_lease()
    world.drive(world.controller(), sweep)
    world.check(sweep, sorted({3, 1, 4}, key=[3, 1, 4].index))


def test_an_enqueued_point_is_next(world: World) -> None:
    """A point that was added is the next trial that is issued, though the grid has tried it before."""
    controller, sweep = world.controller(), world.sweep(values=[1, 2, 3, 4, 5, 6])
    controller.step(block_ms=0)
    world.work(sweep, 2)
    edit(world, sweep, points=[{"x": 1}])
    controller.step(block_ms=0)
    assert params(world, sweep)[:3] == [1, 2, 1]
    world.drive(controller, sweep)
    assert params(world, sweep) == [1, 2, 1, 3, 4, 5, 6]


def test_a_point_that_waits_goes_on_waiting(world: World) -> None:
    """Given before an edit and not yet tried, it comes right after it; one that was tried leaves the config."""
    controller, sweep = world.controller(), world.sweep("random", run_cap=5, points=[{"x": 1}, {"x": 2}, {"x": 3}])
    controller.step(block_ms=0)
    assert params(world, sweep) == [1, 2]
    edit(world, sweep, points=[{"x": 1}, {"x": 2}, {"x": 3}, {"x": 2}])
    controller.step(block_ms=0)
    assert controller.plans[sweep].config.points == ({"x": 3}, {"x": 2})
    world.drive(controller, sweep)
    assert params(world, sweep)[:4] == [1, 2, 3, 2]


def edits(world: World, sweep: str) -> int:
    with world.store.read() as conn:
        from besom.tracking.store import reader

        found = reader.sweep(conn, sweep)
    assert found is not None
    return len(found["spec"]["edits"])


def test_two_edits_at_once_do_not_overwrite_each_other(world: World) -> None:
    """The second one was made without knowing of the first, and does nothing; its author sees that and asks again."""
    controller, sweep = world.controller(), world.sweep("random")
    edit(world, sweep, run_cap=5)
    edit(world, sweep, run_cap=9)
    controller.step(block_ms=0)
    assert controller.plans[sweep].config.run_cap == 5
    assert edits(world, sweep) == 1


def test_a_sweep_that_is_over_is_not_edited(world: World) -> None:
    """Nothing more will happen in it."""
    controller, sweep = world.controller(), world.sweep()
    world.drive(controller, sweep)
    edit(world, sweep, run_cap=9)
    controller.step(block_ms=0)
    assert edits(world, sweep) == 0


def test_an_edit_mends_a_sweep_that_was_set_aside(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A strategy that raised is made anew from the edited config."""
    controller, sweep = world.controller(), world.sweep()
    controller.step(block_ms=0)
    controller.plans[sweep].problem = "ValueError: no"
    edit(world, sweep, parameters={"x": {"values": [1, 2, 9]}})
    world.drive(controller, sweep)
    assert grid_of(world.rows(sweep)) == Counter([1, 2, 9])


def test_prior_sweeps_are_known(world: World) -> None:
    """A grid does not run again what an earlier sweep ran; bayes is told of it with this sweep's own metric."""
    controller, first = world.controller(), world.sweep(values=[1, 2])
    world.drive(controller, first)
    second = world.sweep(values=[1, 2, 3, 4], prior_sweeps=[first])
    world.drive(controller, second)
    assert params(world, second) == [3, 4]
    third = world.sweep("bayes", values=[1, 2, 3], prior_sweeps=[first], prior_runs=[f"{second}-1"])
    controller.step(block_ms=0)
    prior = controller.plans[third].past.prior
    assert sorted((json.dumps(trial.params), trial.value) for trial in prior) == [
        ('{"x": 1}', 1.0), ('{"x": 2}', 2.0), ('{"x": 3}', 3.0),
    ]  # fmt: skip
    assert {trial.number <= 0 for trial in prior} == {True}
    assert known_again(world, controller, third) == prior


def test_what_ends_later_is_not_prior(world: World) -> None:
    """A prior sweep that goes on tells no more than what had ended when this one was made, after a restart too."""
    controller, first = world.controller(), world.sweep(values=[1, 2, 3])
    controller.step(block_ms=0)
    (claim,) = world.claim(first)
    world.end(claim)
    controller.step(block_ms=0)
    second = world.sweep("bayes", values=[1, 2, 3], prior_sweeps=[first])
    controller.step(block_ms=0)
    world.drive(controller, first)
    assert [trial.params for trial in known_again(world, controller, second)] == [{"x": 1}]


def known_again(world: World, controller: Controller, sweep: str) -> Any:
    """What another controller reads."""
    controller.close()
    other = world.controller()
    other.step(block_ms=0)
    return other.plans[sweep].past.prior
