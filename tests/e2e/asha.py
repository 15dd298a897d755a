"""A sweep under asha for the agents of `epochs.py`, and how it must end."""

from __future__ import annotations

from tests.e2e.processes import House, Process, wait_until

__all__ = ["agent", "asha", "ends_as_it_should"]


def asha(house: House) -> str:
    """Four trials, of which the second is the best; at eta 2 it comes to rung 2 first, and too early."""
    rule = {"type": "asha", "eta": 2, "max_iter": 4}
    metric = {"name": "loss", "goal": "minimize"}
    return house.sweep({"x": {"values": [3.0, 1.0, 2.0, 4.0]}}, early_terminate=rule, metric=metric)


def agent(house: House, sweep: str, **environment: str) -> Process:
    """One that runs `epochs.py`."""
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
