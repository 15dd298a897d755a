"""The state of one sweep in the controller: pure, rebuilt from the store at any time.

Reads: what happened (`tracking.recording.outcomes`).  Gives: how many trials are due, and whether the sweep is over.
Knows nothing of Redis, databases or clocks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from besom.controller.course import Course, Past
from besom.controller.results import Results, reaches
from besom.controller.sweep_config import SweepConfig, parse
from besom.messages import ACTIVE_SWEEP_STATES, SweepSpec
from besom.strategies import EndedTrial, Params, RunningTrial, Strategy
from besom.tracking.recording.outcomes import TrialClosed

__all__ = ["Question", "SweepPlan"]

_READY_SECONDS: Final = 0.5
"""Work kept ready, so that no agent waits for the controller."""
_READY_SLACK: Final = 1.5
"""More than what just ended, so that agents which had too little get more the next time."""
_READY_LIMIT: Final = 5000


@dataclass(frozen=True)
class Question:
    """What a strategy is asked; answered void when trials were issued in between."""

    sweep: str
    course: Course
    ended: Sequence[EndedTrial]
    """All that have; the same list as in an earlier question when it has only grown since."""
    guessed: Sequence[EndedTrial]
    """Trials that still run, with values for now."""
    running: Sequence[RunningTrial]
    """All others that do."""
    issued: int
    """Trials, when it was asked."""
    replan: tuple[tuple[int, ...], ...]
    """Trials nobody has claimed, point by point, whose params are asked for anew: the first answers are theirs."""
    given: tuple[Params, ...]
    """Points that the user gave and that come next, before those asked for."""
    count: int
    """Points that the strategy is asked for beyond those of `replan`."""
    due: int
    """Trials to be issued."""

    @property
    def pending(self) -> list[RunningTrial]:
        """What has not ended when the strategy's own points begin."""
        first = self.course.point_of(self.issued) + 1
        return [*self.running, *(RunningTrial(first + index, params) for index, params in enumerate(self.given))]

    @property
    def wanted(self) -> int:
        """Points that the strategy is asked for."""
        return len(self.replan) + self.count


@dataclass
class SweepPlan:
    """One sweep that is not over."""

    spec: SweepSpec
    config: SweepConfig
    state: str
    past: Past = field(default_factory=Past)
    issued: int = 0
    trials: dict[int, Params] = field(default_factory=dict)
    """Params of what is issued and has not ended."""
    waiting: set[int] = field(default_factory=set)
    """Of these, what no agent runs."""
    unclaimed: set[int] = field(default_factory=set)
    """Of these, what no agent ever ran."""
    exhausted: bool = False
    problem: str = ""
    """Why the sweep was set aside."""
    began: float | None = None
    """When its first trial was claimed, seconds since the epoch."""
    reached: bool = False
    """Whether the targets of its metrics were reached."""
    holds_back: bool = False
    """Whether a stopping rule would promote trials, were the sweep one that gives."""

    def __post_init__(self) -> None:
        self.adaptive = self.config.method == "bayes"
        self.learns = self.adaptive or (self.config.repeats > 1 and self.config.has_target)
        """Whether it keeps what its trials gave."""
        self.course = Course.of(self.spec, self.config, self.past)
        self._results = Results(self.config)
        self._news = 0  # ended since the last answer
        self._ended_in: dict[int, int] = {}  # span of _READY_SECONDS to trials that ended in it; the last two
        self._last: Params = {}  # of the trial issued last
        self._strategy: Strategy | None = None if self.adaptive else self.course.strategy()

    @classmethod
    def of(cls, spec: SweepSpec, state: str, past: Past | None = None) -> SweepPlan:
        """A plan for a sweep as it was created.

        Raises:
            ConfigError: the config in Redis cannot be; it was not made by `besom.sweep`.
        """
        return cls(spec, parse(spec.config), state, past or Past())

    # ---- what happened

    def issue(self, number: int, params: Params, *, claimed: bool = False, waiting: bool = True) -> None:
        """A trial was issued."""
        if number >= self.issued:
            self.issued, self._last = number, params
        self.trials[number] = params
        if waiting:
            self.waiting.add(number)
        if not claimed:
            self.unclaimed.add(number)

    def replan(self, number: int, params: Params) -> None:
        """A trial that nobody has claimed has other params now."""
        self.trials[number] = params
        if number == self.issued:
            self._last = params

    def taken(self, number: int, params: Params) -> None:
        """An agent claimed it, with these params."""
        if number in self.trials:
            self.trials[number] = params
        self.waiting.discard(number)
        self.unclaimed.discard(number)

    def back(self, number: int) -> None:
        """It waits again."""
        if number in self.trials:
            self.waiting.add(number)

    def reopened(self, number: int, params: Params) -> None:
        """It was over, and waits to run again."""
        self._results.remove(number)
        self.trials[number] = params
        self.waiting.add(number)

    def closed(self, trial: TrialClosed) -> None:
        """It ended, and all it logged is recorded."""
        self.trials.pop(trial.number, None)
        self.waiting.discard(trial.number)
        self.unclaimed.discard(trial.number)
        self.remember(trial.number, trial.params)
        span = int(trial.ended / _READY_SECONDS)
        self._ended_in[span] = self._ended_in.get(span, 0) + 1
        while len(self._ended_in) > 2:
            del self._ended_in[min(self._ended_in)]
        result = EndedTrial(trial.number, trial.params, trial.state, trial.value, trial.curve, values=trial.values)
        self.learn(result)
        self.reached = self.reached or self._reaches(result)

    def remember(self, number: int, params: Params) -> None:
        """It was issued some time ago, and may be the last one."""
        if number >= self.issued:
            self.issued, self._last = number, params

    def learn(self, ended: EndedTrial) -> None:
        """Its result is kept: for a strategy which learns, and where the mean of a point may reach a target."""
        if self.learns:
            self._results.add(ended)
            self._news += 1

    def _reaches(self, ended: EndedTrial) -> bool:
        """Whether it reaches the targets; with repeats, whether its point does, now that all of that is over."""
        if self.course.repeats > 1 and self.learns:
            result = self._results.result(self.course.point_of(ended.number))
            if result is None:
                return False
            ended = result
        values = ended.values if ended.state in ("finished", "stopped") else ()
        return reaches(self.config, ended.value, values)

    def has_reached(self, best: float | None) -> bool:
        """Whether what is over reaches the targets, given the best value of its trials."""
        if self.course.repeats == 1:
            return reaches(self.config, best)
        return any(reaches(self.config, point.value) for point in self._results.whole())

    # ---- what is due

    def due(self, slots: int) -> int:
        """How many more trials should be issued now, for so many live slots."""
        if not self.gives or self.problem:
            return 0
        target = max(1, slots)
        if not self.adaptive:
            ended = max(self._ended_in.values(), default=0)
            target = min(_READY_LIMIT, max(2, 2 * slots, math.ceil(ended * _READY_SLACK)))
        cap = self.config.run_cap
        left = self._owed_repeats if self.exhausted else target - len(self.waiting)
        return max(0, left if cap is None else min(left, cap - self.issued))

    def question(self, slots: int, live: Mapping[int, tuple[float, ...]] | None = None) -> Question | None:
        """What to ask an adaptive strategy now, or None: nothing is due, and nothing new makes queued trials stale.

        Args:
            slots: Live ones.
            live: What running trials have logged of the metric, where `impute_while_running` asks for it.
        """
        due = self.due(slots)
        stale = self._stale() if self._news and self.state == "running" and not self.problem else ()
        if not due and not stale:
            return None
        again = {number for group in stale for number in group}
        running = {number: params for number, params in self.trials.items() if number not in again}
        guessed, pending = self._results.guessed(self._results.pending(running), live or {})
        given, count = self._next_points(due)
        ended, spec, issued = self._results.over(), self.spec, self.issued
        return Question(spec.id, self.course, ended, guessed, pending, issued, stale, tuple(given), count, due)

    def answered(self) -> None:
        """An answer was used: what is known now is planned for."""
        self._news = 0

    def suggest(self, slots: int) -> list[Params]:
        """The trials that a strategy which learns nothing wants now; sets `exhausted`."""
        due = self.due(slots)
        if not due or self._strategy is None:
            return []
        given, count = self._next_points(due)
        # All that these strategies ask of a history is how far it goes.
        known = self.course.point_of(self.issued) + len(given)
        self._strategy.update((), [RunningTrial(known, {})] if known else [])
        points = self._strategy.suggest(count)
        self.exhausted = self.exhausted or len(points) < count
        return self.trials_of([*given, *points], due)

    def trials_of(self, points: Sequence[Params], due: int) -> list[Params]:
        """Params of the next trials: what the last point still lacks, then each of these, as often as it repeats."""
        owed = [self._last] * self._owed_repeats
        return [*owed, *(params for params in points for _ in range(self.course.repeats))][:due]

    def stop_reason(self, now: float) -> str:
        """Why the sweep should take no more trials now, or nothing."""
        cap = self.config.time_cap
        if not self.gives:
            return ""
        if self.reached:
            return "the target is reached"
        return "time_cap is over" if cap is not None and self.began is not None and now >= self.began + cap else ""

    @property
    def _owed_repeats(self) -> int:
        """Trials that the last point still lacks."""
        return -self.issued % self.course.repeats

    def _next_points(self, due: int) -> tuple[list[Params], int]:
        """The given points that come next, and how many more the strategy should suggest."""
        if self.exhausted:
            return [], 0
        wanted = -(-max(0, due - self._owed_repeats) // self.course.repeats)
        given = self.course.given(self.course.point_of(self.issued), wanted)
        return given, wanted - len(given)

    def _stale(self) -> tuple[tuple[int, ...], ...]:
        """Trials nobody has claimed, by point; a point that was given, or that somebody has begun, stays as it is."""
        repeats, given = self.course.repeats, self.course.given_numbers
        groups = [
            tuple(range((point - 1) * repeats + 1, min(point * repeats, self.issued) + 1))
            for point in sorted({self.course.point_of(number) for number in self.unclaimed})
            if point not in given
        ]
        return tuple(group for group in groups if self.unclaimed.issuperset(group))

    # ---- its state

    @property
    def goal(self) -> str:
        """Where the metric should go that trials are judged by: minimize or maximize."""
        return self.config.judged.goal if self.config.judged else "minimize"

    @property
    def is_watched(self) -> bool:
        """Whether what its trials log while they run can end one of them, or the sweep."""
        metric, rule = self.config.metric, self.config.early_terminate
        by_rule = rule is not None and rule.type != "none"
        return by_rule or (metric is not None and metric.target is not None and self.course.repeats == 1)

    @property
    def promotes(self) -> bool:
        """Whether trials that its stopping rule has ended may go on later."""
        rule = self.config.early_terminate
        return self.is_watched and rule is not None and rule.promotes

    def may_promote(self, now: float) -> bool:
        """Whether they may now."""
        return self.gives and not self.stop_reason(now)

    @property
    def gives(self) -> bool:
        """Whether its trials may be claimed."""
        return self.state in ("pending", "running")

    @property
    def active(self) -> bool:
        """Whether agents may still find work or be working."""
        return self.state in ACTIVE_SWEEP_STATES

    @property
    def over(self) -> bool:
        """Whether nothing more will happen in it, unless trials are promoted now."""
        if not self.active or self.trials or (self.state == "paused" and self.holds_back):
            return False
        return self.state == "stopping" or self.is_all_issued

    @property
    def is_all_issued(self) -> bool:
        """Whether no other trial will be issued, as its config stands."""
        cap = self.config.run_cap
        return (cap is not None and self.issued >= cap) or (self.exhausted and not self._owed_repeats)
