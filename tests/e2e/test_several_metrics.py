"""Sweeps with several metrics and with repeats: real agents and a real planner on a real Redis."""

from __future__ import annotations

from contextlib import closing

import pytest

import besom
from besom.errors import UsageError
from tests.e2e.leaves import fit
from tests.e2e.processes import House

pytestmark = pytest.mark.redis

METRICS = [{"name": "accuracy", "goal": "maximize"}, {"name": "nodes"}]


def test_two_agents_find_a_front(shared_house: House) -> None:
    """Every value is what training gives; a trial is off the front when, and only when, one on it beats it."""
    space = {"leaves": {"min": 2, "max": 200}, "share": {"min": 0.1, "max": 1.0}}
    sweep = shared_house.sweep(space, "bayes", metrics=METRICS, run_cap=16, seed=1)
    agents = [shared_house.processes.python("leaves.py", sweep) for _ in range(2)]
    assert [agent.ends(60) for agent in agents] == [0, 0], "\n".join(agent.err for agent in agents)
    shared_house.finishes(sweep)
    with closing(shared_house.api()) as api:
        rows, front = api.sweep(sweep).trials(), api.sweep(sweep).pareto_front()
    assert [row["state"] for row in rows] == ["finished"] * 16
    for row in rows:
        assert (row["values"]["accuracy"], row["values"]["nodes"]) == fit(**row["params"])
    points = {row["number"]: (-row["values"]["accuracy"], row["values"]["nodes"]) for row in rows}
    beaten = {
        number
        for number, point in points.items()
        if any(other != point and other[0] <= point[0] and other[1] <= point[1] for other in points.values())
    }
    assert {row["number"] for row in front} == points.keys() - beaten
    assert len({row["agent"] for row in rows}) == 2


def test_a_loop_that_tells_two_metrics(shared_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are told by name, twice for each point; the sweep ends when the means of one reach both targets."""
    monkeypatch.setenv("BESOM_REDIS_URL", shared_house.redis.url)
    metrics = [{"name": "far", "target": 0.3}, {"name": "near", "goal": "maximize", "target": 0.5}]
    points = [{"x": 0.9}, {"x": 0.2}]
    sweep = shared_house.sweep(
        {"x": {"min": 0.0, "max": 1.0}}, "bayes", metrics=metrics, repeats=2, points=points, run_cap=40, seed=1
    )
    with besom.open_sweep(sweep) as opened:
        for trial in opened:
            with pytest.raises(UsageError, match=r"has no one metric; write names too: {'far': 0.5, 'near': ...}"):
                trial.report(0.5)
            luck = 0.05 if trial.number % 2 else -0.05
            trial.tell({"far": trial.params["x"] + luck, "near": 1 - trial.params["x"]})
    shared_house.finishes(sweep)
    with closing(shared_house.api()) as api:
        front = api.sweep(sweep).pareto_front()
        told = [row["number"] for row in api.sweep(sweep).trials(state="finished")]
    assert told[:4] == [1, 2, 3, 4]
    assert len(told) <= 6, "what had been asked for when the fourth ended may still have run"
    reached = next(row for row in front if row["params"]["x"] == 0.2)
    assert reached["trials"] == [3, 4]
    assert reached["values"] == pytest.approx({"far": 0.2, "near": 0.8})
    assert reached["spreads"] == pytest.approx({"far": 0.05, "near": 0.0})
