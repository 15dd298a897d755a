"""`besom best`, `show` and `importance` of sweeps with several metrics and with repeats."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from besom.errors import UsageError
from besom.messages import Metric, SweepCreated
from besom.tracking.reading.api import Api
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.store import Store
from tests.tracking.stories import batch, claimed, ended, play

from .conftest import Besom, spec_of

FRONT = [{"name": "acc", "goal": "maximize", "threshold": 0.5}, {"name": "seconds", "goal": "minimize"}]
X = {"x": {"min": 0.0, "max": 1.0}}


def fill(trials: Sequence[tuple[str, dict[str, float]]], by: Metric | None = None, **config: Any) -> None:
    """Sweep s1 of trials in these states, with these values."""
    home = Path(os.environ["BESOM_HOME"])
    home.mkdir(mode=0o700)
    store = Store.open(f"sqlite:///{home / 'besom.db'}")
    spec = spec_of(metric=by, config={"method": "bayes", "parameters": X, **config})
    rows: list[Any] = [SweepCreated(spec=spec.model_dump_json())]
    for number, (state, values) in enumerate(trials, 1):
        logged = {name: [value] for name, value in values.items()}
        rows += [claimed(number, sweep="s1", params=json.dumps({"x": number / 100}))]
        rows += [batch(f"s1-{number}", steps=[0], writer=f"w{number}", **logged)] if logged else []
        rows += [ended(number, sweep="s1", state=state, **({f"w{number}": 1} if logged else {}))]
    play(store, Recorder(), rows)
    store.close()


@pytest.fixture
def several() -> None:
    """Of six trials 2 and 4 are the front: 1 is beaten, 3 lacks a metric, 5 is below the threshold, 6 failed."""
    told = [(0.8, 9), (0.9, 8), (1.0, None), (0.6, 2), (0.4, 1), (1.0, 0)]
    states = ["finished", "finished", "finished", "stopped", "finished", "failed"]
    columns = [{"acc": acc, **({"seconds": seconds} if seconds is not None else {})} for acc, seconds in told]
    fill(list(zip(states, columns, strict=True)), metrics=FRONT)


@pytest.fixture
def repeated() -> None:
    """Point 1 has the best trial, point 2 the best mean; of point 3 a trial is still to come."""
    values = [0.1, 0.9, 0.8, 0.3, 0.4, 0.35, 0.2, 0.2]
    told = [("finished", {"loss": value}) for value in values]
    told[2] = ("failed", {})
    fill(told, Metric(name="loss"), repeats=3)


@pytest.mark.usefixtures("several")
def test_the_best_of_several_metrics_is_a_front(besom: Besom) -> None:
    """A line for each trial that no other beats, with its values, the first metric's best first."""
    code, out, err = besom("best", "s1")
    title, head, *rows, last = out.splitlines()
    assert (code, err) == (0, "")
    assert title == "# Pareto front by acc; maximize acc, minimize seconds"
    assert head.split() == ["trial", "acc", "seconds", "state", "params"]
    assert [row.split()[:4] for row in rows] == [["s1-2", "0.9", "8", "finished"], ["s1-4", "0.6", "2", "stopped"]]
    assert last == "# one of them: besom best s1 --trial 2"


@pytest.mark.usefixtures("several")
def test_the_front_as_json(besom: Besom) -> None:
    """Values by metric, params and arguments of each."""
    found = json.loads(besom("best", "s1", "--json").out)
    assert found["metrics"] == FRONT
    assert [(one["trial"], one["values"]) for one in found["front"]] == [
        (2, {"acc": 0.9, "seconds": 8.0}),
        (4, {"acc": 0.6, "seconds": 2.0}),
    ]
    assert found["front"][0]["args"] == "--x=0.02"


@pytest.mark.usefixtures("several")
def test_one_of_the_front_is_named(besom: Besom) -> None:
    """`--trial` gives its parameters, whether it is of the front or not; arguments of a whole front are refused."""
    assert besom("best", "s1", "--trial", "4", "--args").out == "--x=0.04\n"
    assert besom("best", "s1", "--trial", "4").out.startswith("# trial s1-4: acc 0.6, seconds 2\nx: 0.04\n")
    assert besom("best", "s1", "--trial", "3").out.startswith("# trial s1-3: acc 1\n")
    code, _, err = besom("best", "s1", "--args")
    assert code == 2
    assert "2 trials that no other beats; name one: besom best s1 --trial 2 --args" in err
    code, _, err = besom("best", "s1", "--trial", "77")
    assert code == 2
    assert "sweep s1 has no trial 77" in err


@pytest.mark.usefixtures("several")
def test_show_has_the_front(besom: Besom) -> None:
    """In place of the best trials; a trial that lacked a metric stands among the failures, with the one it lacked."""
    out = besom("show", "s1").out
    assert "metric   maximize acc, minimize seconds\n" in out
    front = out.partition("Pareto front by acc\n")[2].splitlines()
    assert [row.split()[0] for row in front[1:3]] == ["s1-2", "s1-4"]
    assert "s1-3   failed  never logged seconds" in out
    assert len(json.loads(besom("show", "s1", "--json").out)["front"]) == 2
    code, _, err = besom("show", "s1", "--follow")
    assert code == 2
    assert "has several metrics, so there is no one curve; name a trial: s1-1" in err


@pytest.mark.usefixtures("several")
def test_rows_have_all_values() -> None:
    """`trials()` and `best_runs()` know several metrics; `best_run()` says why it cannot."""
    api = Api()
    try:
        sweep = api.sweep("s1")
        values = [row["values"] for row in sweep.trials()]
        assert values[2] == {"acc": 1.0, "seconds": None}
        assert [row["number"] for row in sweep.trials(state="failed")] == [3, 6]
        assert list(sweep.trials_dataframe()["values.acc"])[:2] == [0.8, 0.9]
        assert [run.id for run in sweep.best_runs()] == ["s1-2", "s1-4"]
        with pytest.raises(UsageError, match=r"best_run\(order='-summary_metrics.acc'\) the best by acc"):
            sweep.best_run()
    finally:
        api.close()


def test_a_front_that_is_empty(besom: Besom) -> None:
    """The message names the metrics, and the thresholds that nothing was within."""
    fill([("finished", {"acc": 0.1, "seconds": 1})], metrics=FRONT)
    code, _, err = besom("best", "s1")
    assert code == 2
    assert "no trial of it has logged acc and seconds within the thresholds and finished" in err


@pytest.mark.usefixtures("repeated")
def test_the_best_of_repeats_is_the_best_mean(besom: Besom) -> None:
    """Not the luckiest trial; with its standard error and how many trials it is the mean of."""
    out = besom("best", "s1").out
    assert out.startswith("# trial s1-4: loss 0.35 ± 0.029 (mean of 3 trials)\nx: 0.04\n")
    found = json.loads(besom("best", "s1", "--json").out)
    assert (found["trial"], found["trials"], round(found["value"], 9)) == (4, [4, 5, 6], 0.35)
    assert besom("ls").out.splitlines()[1].split()[-2] == "0.35"


@pytest.mark.usefixtures("repeated")
def test_show_has_the_means(besom: Besom) -> None:
    """A line for each point of which all trials are over, with how many of them count."""
    shown = besom("show", "s1").out.partition("best points, means of 3 trials\n")[2].splitlines()
    assert shown[0].split() == ["trial", "trials", "loss", "params"]
    assert [row.split()[:3] for row in shown[1:3]] == [["s1-4", "3", "0.35"], ["s1-1", "2", "0.5"]]


@pytest.mark.usefixtures("repeated")
def test_the_best_run_is_of_the_best_point() -> None:
    """`best_run()` is the best run of the point with the best mean; `best_trials()` are single trials."""
    api = Api()
    try:
        sweep = api.sweep("s1")
        best = sweep.best_run()
        assert best is not None
        assert best.id == "s1-4"
        assert [run.id for run in sweep.best_runs()] == ["s1-4", "s1-1"]
        assert sweep.best_trials(1)[0]["number"] == 1
    finally:
        api.close()


def test_means_of_several_metrics(besom: Besom) -> None:
    """With repeats the front is of means, each with its standard error."""
    told = [(0.9, 1.0), (0.7, 3.0), (0.6, 1.0), (0.6, 1.0)]
    fill([("finished", {"acc": acc, "seconds": seconds}) for acc, seconds in told], metrics=FRONT, repeats=2)
    rows = [line.split() for line in besom("best", "s1").out.splitlines()[2:4]]
    assert rows[0][:8] == ["s1-1", "2", "0.8", "±", "0.1", "2", "±", "1"]
    assert rows[1][:8] == ["s1-3", "2", "0.6", "±", "0", "1", "±", "0"]


def test_importance_of_each_metric(besom: Besom) -> None:
    """Without `--metric` there is a table for each; as JSON a list."""
    fill([("finished", {"acc": n / 12, "seconds": (n * 7) % 12}) for n in range(1, 13)], metrics=FRONT)
    out = besom("importance", "s1").out
    assert [line.split()[0] for line in out.splitlines() if " of 12 trials" in line] == ["acc", "seconds"]
    assert [one["metric"] for one in json.loads(besom("importance", "s1", "--json").out)] == ["acc", "seconds"]
    assert json.loads(besom("importance", "s1", "--json", "--metric", "acc").out)["metric"] == "acc"
