"""A bayes sweep with several metrics, from its config to its Pareto front."""

from __future__ import annotations

import math
from typing import Any

import pytest

from besom.controller.course import Course, Past
from besom.controller.create import create_sweep
from besom.controller.loop import Controller
from besom.controller.results import Results
from besom.controller.sweep_config import parse
from besom.controller.sweep_plan import Question
from besom.messages import Batch, BatchBody, Claim
from besom.settings import read_settings
from besom.strategies import EndedTrial, Params
from besom.tracking.reading.pareto import pareto_front
from tests.controller.fresh import answer
from tests.controller.world import World
from tests.tracking.stories import column

TRIALS = 16
CONFIG: dict[str, Any] = {
    "method": "bayes",
    "metrics": [{"name": "loss"}, {"name": "acc", "goal": "maximize"}],
    "parameters": {"x": {"min": -1.0, "max": 2.0}},
    "seed": 1,
    "run_cap": TRIALS,
}


class Prompt:
    """A planner that answers within this process."""

    def __init__(self) -> None:
        self.questions: list[Question] = []

    def ask(self, question: Question) -> None:
        self.questions.append(question)

    def asked(self, sweep: str) -> bool:
        return bool(self.questions)

    def answers(self) -> list[tuple[Question, list[Params] | Exception]]:
        asked, self.questions = self.questions, []
        return [(question, answer(question)) for question in asked]

    def warm_up(self) -> None:
        pass

    forget = close = warm_up

    def keep(self, sweeps: object) -> None:
        pass


def controller(world: World) -> Controller:
    made = world.controller()
    made.planner = Prompt()  # type: ignore[assignment]
    return made


def run(world: World, claim: Claim) -> None:
    """Two steps, of which the last counts; trial 3 never logs acc, trial 4 fails."""
    x = claim.params["x"]
    columns = {"loss": column([0, 1], [0.0, x * x]), "acc": column([0, 1], [9.0, 1.0 - (x - 1.0) ** 2])}
    if claim.number == 3:
        del columns["acc"]
    body = BatchBody(history=columns).pack()
    batch = Batch(run=claim.run_id, attempt=claim.attempt, writer=f"w-{claim.token}", seq=1, body=body)
    assert world.journal.append_batch(batch, first=False, limit=10**9, claim=claim).status == "ok"
    assert world.end(claim, 1, "failed" if claim.number == 4 else "finished") == "ok"


def drive(world: World, leads: Controller, sweep: str, trials: int) -> None:
    """Controller and agent by turns, until the sweep has finished or so many trials more have run."""
    for _ in range(20 * trials):
        leads.step(block_ms=0)
        claims = world.claim(sweep) if trials else []
        for claim in claims:
            run(world, claim)
        trials -= len(claims)
        if (not trials and not claims) or world.state(sweep) == "finished":
            return
    raise AssertionError(f"{trials} trials were not issued: {world.rows(sweep)}")


def test_a_sweep_with_two_metrics_finds_their_front(world: World) -> None:
    """It finishes; the front is every finished trial between the two best points, and most trials are of it."""
    leads = controller(world)
    sweep = create_sweep(world.connection, parse(CONFIG), read_settings()).id
    drive(world, leads, sweep, TRIALS + 1)
    assert world.state(sweep) == "finished"
    rows = world.rows(sweep)
    assert len(rows) == TRIALS
    assert [row["number"] for row in rows if row["state"] == "failed"] == [3, 4]
    with world.store.read() as conn:
        found = pareto_front(conn, sweep)
    # loss is best at 0 and acc at 1: all between are of the front, and at most one beyond each end.
    between = {row["number"] for row in rows if 0 <= row["params"]["x"] <= 1} - {3, 4}
    numbers = {row["number"] for row in found}
    assert between <= numbers
    assert len(numbers - between) <= 2
    assert len(numbers) > TRIALS / 2, "of random points a third would be"
    assert found[0]["values"] == {"loss": found[0]["params"]["x"] ** 2, "acc": 1 - (found[0]["params"]["x"] - 1) ** 2}


def test_values_are_rebuilt(world: World) -> None:
    """After a restart a strategy is told the same of each trial: the last of each metric, None where there is none."""
    first = controller(world)
    sweep = create_sweep(world.connection, parse(CONFIG), read_settings()).id
    drive(world, first, sweep, 4)
    first.step(block_ms=0)
    known = first.plans[sweep].question(2)
    first.close()
    second = controller(world)
    second.step(block_ms=0)
    found = second.plans[sweep].question(2)
    assert known is not None
    assert found is not None
    assert list(found.ended) == list(known.ended)
    values = {trial.number: trial.values for trial in found.ended}
    x = {row["number"]: row["params"]["x"] for row in world.rows(sweep)}
    assert values[1] == (x[1] ** 2, 1 - (x[1] - 1) ** 2)
    assert values[3] == (x[3] ** 2, None)


def test_an_earlier_sweep_teaches_all_its_metrics(world: World) -> None:
    """`prior_sweeps` come with the values of this sweep's metrics."""
    leads = controller(world)
    before = create_sweep(world.connection, parse({**CONFIG, "run_cap": 2}), read_settings()).id
    drive(world, leads, before, 3)
    world.now = 10**12
    after = create_sweep(world.connection, parse({**CONFIG, "prior_sweeps": [before]}), read_settings()).id
    leads.step(block_ms=0)
    told = {trial.params["x"]: trial.values for trial in leads.plans[after].past.prior}
    assert told == {row["params"]["x"]: pytest.approx(_values(row["params"]["x"])) for row in world.rows(before)}


def _values(x: float) -> tuple[float, float]:
    return x * x, 1 - (x - 1) ** 2


REPEATED = parse({**CONFIG, "repeats": 3})


def test_repeats_are_averaged_by_metric() -> None:
    """A point's values are the means over its trials that have all of them, with their standard errors."""
    trials = [
        EndedTrial(1, {"x": 1}, "finished", values=(1.0, 4.0)),
        EndedTrial(2, {"x": 1}, "finished", values=(3.0, 8.0)),
        EndedTrial(3, {"x": 1}, "failed", values=(100.0, None)),
        *(EndedTrial(number, {"x": 2}, "failed", values=(1.0, 1.0)) for number in (4, 5, 6)),
    ]
    results = Results(REPEATED)
    for trial in trials:
        results.add(trial)
    assert results.pending({}) == []
    mean = EndedTrial(1, {"x": 1}, "finished", values=(2.0, 6.0), spreads=(1.0, 2.0), trials=2)
    assert results.over() == [mean, EndedTrial(2, {"x": 2}, "failed")]


def test_a_point_whose_trials_were_all_stopped_keeps_a_vector() -> None:
    """Where none of its trials had time to log all metrics, one of them stands for the point."""
    results = Results(REPEATED)
    for number in (1, 2, 3):
        results.add(EndedTrial(number, {"x": 1}, "stopped", values=(0.5, None)))
    assert results.over() == [EndedTrial(1, {"x": 1}, "stopped", values=(0.5, None))]


def test_goals_reach_the_search() -> None:
    """The strategy of a sweep goes where its metrics' goals lead, not where their opposites would."""

    def suggested(goals: list[str]) -> float:
        metrics = [{"name": name, "goal": goal} for name, goal in zip("ab", goals, strict=True)]
        config = parse({**CONFIG, "metrics": metrics, "parameters": {"x": {"min": 0.0, "max": 1.0}}})
        strategy = Course(config, 1, (), Past()).strategy()
        points = [index / 8 for index in range(1, 8)]
        strategy.update([EndedTrial(i, {"x": x}, "finished", values=(x, -x)) for i, x in enumerate(points, 1)], [])
        return float(strategy.suggest(1)[0]["x"])

    assert suggested(["maximize", "minimize"]) > 7 / 8
    assert suggested(["minimize", "maximize"]) < 1 / 8
    assert math.isfinite(suggested(["minimize", "minimize"]))
