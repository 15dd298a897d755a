"""A sweep under asha, with real agents: who came too early goes on in the end."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.processes import House, Process, wait_until

pytestmark = pytest.mark.redis


def asha(house: House) -> str:
    """Four trials, of which the second is the best; at eta 2 it comes to rung 2 first, and too early."""
    rule = {"type": "asha", "eta": 2, "max_iter": 4}
    metric = {"name": "loss", "goal": "minimize"}
    return house.sweep({"x": {"values": [3.0, 1.0, 2.0, 4.0]}}, early_terminate=rule, metric=metric)


def agent(house: House, sweep: str, **environment: str) -> Process:
    return house.processes.python("epochs.py", sweep, environment=environment)


def ends_as_it_should(house: House, sweep: str) -> dict[int, list[tuple[int, int]]]:
    """Steps and attempts that each trial's history has."""
    api = house.api()
    try:
        found = api.sweep(sweep)
        wait_until(lambda: found.state == "finished", "the end in the store", 10)
        rows = [(row["number"], row["state"], row["attempt"], row["value"]) for row in found.trials()]
        assert rows == [
            (1, "stopped", 1, 4.0),
            (2, "finished", 2, 1.25),
            (3, "stopped", 2, 2.5),
            (4, "stopped", 1, 5.0),
        ]
        assert all((row["losses"], row["failures"]) == (0, 0) for row in found.trials())
        best = found.best_run()
        assert best is not None
        assert best.config["x"] == 1.0
        return {run["number"]: [(p["_step"], p["attempt"]) for p in run.scan_history()] for run in found.runs}
    finally:
        api.close()


def test_promoted_trials_go_on_from_their_checkpoints(house: House) -> None:
    """Each epoch is trained once; a controller that is killed in between is followed by one that decides the same."""
    first = house.controller()
    sweep = asha(house)
    working = agent(house, sweep, EPOCHS_KEEP="1")
    api = house.api()
    wait_until(
        lambda: len(api.sweep(sweep).trials()) > 1 and api.sweep(sweep).trials()[1]["passed"], "a trial that passed"
    )
    api.close()
    first.kill()
    house.controller()
    house.finishes(sweep)
    assert working.ends() == 0, working.err
    history = ends_as_it_should(house, sweep)
    assert history == {1: [(0, 1)], 2: [(0, 1), (1, 1), (2, 2), (3, 2)], 3: [(0, 1), (1, 2)], 4: [(0, 1)]}


@pytest.mark.parametrize("point", ["before-promote", pytest.param("after-promote", marks=pytest.mark.soak)])
def test_promoted_trials_begin_anew(house: House, point: str) -> None:
    """Without a checkpoint the second attempt logs all of it, judged only where it had not passed; though the
    controller dies right when it promotes the first of them."""
    doomed = house.controller(BESOM_FAILPOINT=f"controller.{point}")
    sweep = asha(house)
    working = agent(house, sweep)
    assert doomed.ends(60) == -signal.SIGKILL, doomed.err
    house.controller()
    house.finishes(sweep)
    assert working.ends() == 0, working.err
    history = ends_as_it_should(house, sweep)
    assert history == {1: [(0, 1)], 2: [(s, 2) for s in range(4)], 3: [(0, 2), (1, 2)], 4: [(0, 1)]}
