"""What running trials log of their sweep's metric, as far as the sweep must act on it while they run.

Reads: the store.  Gives: which trials a stopping rule ends, which sweeps have reached their metric's target.
Everything here can be read again from the store; only ASHA remembers whom it has judged.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from sqlalchemy import Connection, select

from besom.controller.results import reaches
from besom.controller.sweep_plan import SweepPlan
from besom.messages import home_of, run_id_of
from besom.strategies.stopping import Curve
from besom.tracking.store import schema
from besom.tracking.store.rows import pieces_of
from besom.tracking.store.score import Score, Target, metrics_of, scores, vectors

__all__ = ["Watches", "pause_after", "read_scores", "read_vectors"]

_LOOK_SECONDS: Final = 0.3
"""Between two looks at one sweep, at most: a rule is to decide within a second of what was logged."""
_LOOK_SHARE: Final = 0.1
"""Of the time, for looks at one sweep: while they are short, it is looked at as soon as something was logged."""
_PIECE: Final = 500
"""Runs whose curves are read at once."""


class Watches:
    """Looks at the sweeps that have a stopping rule or a target, when something was logged in them."""

    def __init__(self) -> None:
        self._held: dict[str, _Watch] = {}

    def logged(self, run: str, plans: Mapping[str, SweepPlan]) -> None:
        """A run has logged something."""
        sweep, number = home_of(run)
        plan = plans.get(sweep)
        if plan is not None and plan.is_watched:
            self._of(plan).touched.add(number)

    def due(self) -> list[str]:
        """Sweeps to look at now."""
        now = time.monotonic()
        return [sweep for sweep, watch in self._held.items() if watch.touched and watch.next_look <= now]

    def look(self, conn: Connection, plans: Mapping[str, SweepPlan]) -> dict[str, tuple[int, ...]]:
        """The running trials that should stop, by sweep; a plan whose target was reached knows it from then on."""
        self._held = {sweep: watch for sweep, watch in self._held.items() if sweep in plans}
        stops: dict[str, tuple[int, ...]] = {}
        for sweep in self.due():
            if found := self._held[sweep].look(conn, plans[sweep]):
                stops[sweep] = found
        return stops

    def forget(self) -> None:
        """Throw the curves away; they are read again."""
        self._held.clear()

    def _of(self, plan: SweepPlan) -> _Watch:
        held = self._held.get(plan.spec.id)
        if held is None or held.plan is not plan:  # a sweep that was edited has another plan
            held = self._held[plan.spec.id] = _Watch(plan)
        return held


class _Watch:
    """The curves of one sweep's trials, read as they grow."""

    def __init__(self, plan: SweepPlan) -> None:
        self.plan = plan
        self.touched: set[int] = set()
        self.next_look = 0.0
        self._rule = plan.config.early_terminate.rule() if plan.config.early_terminate else None
        self._curves: dict[int, tuple[float, ...]] | None = None

    def look(self, conn: Connection, plan: SweepPlan) -> tuple[int, ...]:
        started = time.monotonic()
        stops = self._look(conn, plan)
        ended = time.monotonic()
        self.next_look = ended + pause_after(ended - started)
        return stops

    def _look(self, conn: Connection, plan: SweepPlan) -> tuple[int, ...]:
        if self._curves is None:
            self._curves = {}
            if self._rule is not None:
                trials = schema.trials.c
                self.touched.update(conn.scalars(select(trials.number).where(trials.sweep == plan.spec.id)))
        found = read_scores(conn, plan, self.touched)
        self.touched.clear()
        if plan.course.repeats == 1:
            plan.reached = plan.reached or any(reaches(plan.config, score.value) for score in found.values())
        if self._rule is None:
            return ()
        sign = -1.0 if plan.goal == "maximize" else 1.0
        for number, score in found.items():
            self._curves[number] = tuple(sign * value for value in score.curve)
        running = plan.trials.keys() - plan.waiting
        return self._rule.decide([Curve(n, curve, n in running) for n, curve in sorted(self._curves.items())])


def pause_after(look: float) -> float:
    """Seconds to leave a sweep alone after a look that took so long."""
    return min(_LOOK_SECONDS, look / _LOOK_SHARE)


def read_scores(conn: Connection, plan: SweepPlan, numbers: Iterable[int]) -> dict[int, Score]:
    """What these trials have logged so far of the metric that the sweep is judged by."""
    target = Target.judged({"metric": plan.spec.metric and plan.spec.metric.model_dump(), "config": plan.spec.config})
    if target is None:
        return {}
    found: dict[int, Score] = {}
    for some in _pieces(plan, numbers):
        found.update((some[run], score) for run, score in scores(conn, some, target).items())
    return found


def read_vectors(conn: Connection, plan: SweepPlan, numbers: Iterable[int]) -> dict[int, tuple[float | None, ...]]:
    """The last value of each of the sweep's several metrics, for these trials; nothing where it has one or none."""
    found: dict[int, tuple[float | None, ...]] = {}
    metrics = metrics_of({"config": plan.spec.config})
    for some in _pieces(plan, numbers) if metrics else ():
        found.update((some[run], values) for run, values in vectors(conn, some, metrics).items())
    return found


def _pieces(plan: SweepPlan, numbers: Iterable[int]) -> Iterator[dict[str, int]]:
    """Trials by their runs, as many as are read at once."""
    for some in pieces_of(sorted(numbers), _PIECE):
        yield {run_id_of(plan.spec.id, number): number for number in some}
