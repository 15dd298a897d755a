"""What running trials log of their sweep's metric, as far as the sweep must act on it while they run.

Reads: the store.  Gives: what a stopping rule decides, which sweeps have reached their metric's target.
Everything here can be read again from the store, the rule's verdicts as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, select

from besom.controller.results import reaches
from besom.controller.sweep_plan import SweepPlan
from besom.messages import home_of, run_id_of
from besom.strategies.stopping import Curve, Verdict
from besom.tracking.recording.outcomes import TrialClosed
from besom.tracking.store import schema
from besom.tracking.store.rows import pieces_of
from besom.tracking.store.score import Score, Target, metrics_of, scores, vectors

__all__ = ["Watches", "pause_after", "read_scores", "read_vectors"]

_LOOK_SECONDS: Final = 0.3
"""Between two looks at one sweep, at most: a rule is to decide within a second of what was logged."""
_LOOK_SHARE: Final = 0.1
"""Of the time, for looks at one sweep: while they are short, it is looked at as soon as something was logged."""
_LOST: Final = ("failed", "crashed", "cancelled")
"""How trials end that give no result."""
_PIECE: Final = 500
"""Runs whose curves are read at once."""


class Watches:
    """Looks at the sweeps that have a stopping rule or a target, when something was logged in them."""

    def __init__(self) -> None:
        self._held: dict[str, _Watch] = {}

    def begin(self, plans: Mapping[str, SweepPlan]) -> None:
        """Start anew: what an earlier controller has recorded it may not have looked at."""
        self._held = {sweep: _Watch(plan) for sweep, plan in plans.items() if plan.is_watched}

    def logged(self, run: str, plans: Mapping[str, SweepPlan]) -> None:
        """A run has logged something."""
        sweep, number = home_of(run)
        plan = plans.get(sweep)
        if plan is not None and plan.is_watched:
            self._of(plan).touched.add(number)

    def closed(self, outcome: TrialClosed, plans: Mapping[str, SweepPlan]) -> None:
        """A trial is over; a rule that promotes may take it up again."""
        plan = plans.get(outcome.sweep)
        if plan is not None and plan.promotes:
            self._of(plan).closed(outcome)

    def due(self) -> list[str]:
        """Sweeps to look at now."""
        now = time.monotonic()
        return [sweep for sweep, watch in self._held.items() if watch.has_news and watch.next_look <= now]

    def look(self, conn: Connection, plans: Mapping[str, SweepPlan], now: float) -> dict[str, Verdict]:
        """What the rules of sweeps with news decide; a plan whose target was reached knows it from then on.

        Args:
            conn: The transaction in which the verdicts are kept.
            plans: All sweeps that are not over.
            now: Seconds since the epoch.
        """
        self._held = {sweep: watch for sweep, watch in self._held.items() if sweep in plans}
        return {sweep: self.look_at(conn, plans[sweep], now) for sweep in self.due()}

    def look_at(self, conn: Connection, plan: SweepPlan, now: float) -> Verdict:
        """The same for one sweep, whether anything is new or not."""
        return self._of(plan).look(conn, now)

    def forget(self, sweep: str) -> None:
        """Throw the curves of a sweep away; they are read again."""
        self._held.pop(sweep, None)

    def _of(self, plan: SweepPlan) -> _Watch:
        held = self._held.get(plan.spec.id)
        if held is None or held.plan is not plan:  # a sweep that was edited has another plan
            held = self._held[plan.spec.id] = _Watch(plan)
        return held


@dataclass(slots=True)
class _Standing:
    """One trial as its rule sees it; lower values are better."""

    values: tuple[float, ...] = ()
    passed: int = 0
    halted: int = 0
    state: str = "running"

    def curve(self, number: int, *, running: bool) -> Curve:
        told = self.halted > self.passed
        held, lost = self.state == "stopped" and told, self.state in _LOST
        return Curve(number, self.values, running and not told, self.passed, held, lost)


class _Watch:
    """The curves of one sweep's trials, read as they grow."""

    def __init__(self, plan: SweepPlan) -> None:
        self.plan = plan
        self.touched: set[int] = set()
        self.next_look = 0.0
        self._has_changed = True
        """Whether there is more than `touched` tells."""
        self._sign = -1.0 if plan.goal == "maximize" else 1.0
        self._rule = plan.config.early_terminate.rule() if plan.config.early_terminate else None
        self._standings: dict[int, _Standing] | None = None

    @property
    def has_news(self) -> bool:
        resumed = self.plan.holds_back and self.plan.gives
        return self._has_changed or bool(self.touched) or resumed

    def closed(self, outcome: TrialClosed) -> None:
        self._has_changed = True
        if self._standings is not None:
            standing = self._standings.setdefault(outcome.number, _Standing())
            standing.values = self._lower_is_better(outcome.curve)
            standing.state = outcome.state

    def look(self, conn: Connection, now: float) -> Verdict:
        started = time.monotonic()
        verdict = self._look(conn, now)
        ended = time.monotonic()
        self.next_look = ended + pause_after(ended - started)
        return verdict

    def _look(self, conn: Connection, now: float) -> Verdict:
        plan, standings = self.plan, self._read(conn)
        if self._rule is None:
            return Verdict()
        running = plan.trials.keys() - plan.waiting
        history = [standing.curve(number, running=number in running) for number, standing in sorted(standings.items())]
        verdict = self._rule.decide(history, left=len(plan.trials) if plan.is_all_issued else None)
        plan.holds_back = bool(verdict.promotions) and not plan.may_promote(now)
        if plan.holds_back:
            verdict = replace(verdict, promotions={})
        self._keep(standings, verdict)
        return verdict

    def _read(self, conn: Connection) -> dict[int, _Standing]:
        """The trials as they stand now; the first time all of them are read, where there is a rule."""
        if self._standings is None:
            self._standings = dict(self._stored(conn)) if self._rule is not None else {}
            self.touched.update(self._standings or self.plan.trials)
        found = read_scores(conn, self.plan, self.touched)
        self.touched.clear()
        self._has_changed = False
        if self.plan.course.repeats == 1:
            reached = any(reaches(self.plan.config, score.value) for score in found.values())
            self.plan.reached = self.plan.reached or reached
        if self._rule is not None:
            for number, score in found.items():
                self._standings.setdefault(number, _Standing()).values = self._lower_is_better(score.curve)
        return self._standings

    def _stored(self, conn: Connection) -> Iterator[tuple[int, _Standing]]:
        trials = schema.trials.c
        query = select(trials.number, trials.passed, trials.halted, trials.state)
        for number, passed, halted, state in conn.execute(query.where(trials.sweep == self.plan.spec.id)):
            yield number, _Standing((), passed, halted, state)

    def _keep(self, standings: Mapping[int, _Standing], verdict: Verdict) -> None:
        for number, iteration in verdict.stops.items():
            standings[number].halted = iteration
        for number, iteration in (verdict.passes | verdict.promotions).items():
            standings[number].passed = iteration
        for number in verdict.promotions:
            standings[number].state = "queued"

    def _lower_is_better(self, curve: Iterable[float]) -> tuple[float, ...]:
        return tuple(self._sign * value for value in curve)


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
