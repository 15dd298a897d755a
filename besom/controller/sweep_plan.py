"""The state of one sweep in the controller: pure, rebuilt from the store at any time.

Reads: what happened (`tracking.outcomes`).  Gives: how many trials are due, and whether the sweep is over.
Knows nothing of Redis, databases or clocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from besom.controller.sweep_config import SweepConfig, parse
from besom.messages import ACTIVE_SWEEP_STATES, SweepSpec
from besom.strategies import EndedTrial, Params, RunningTrial, Strategy, make_strategy
from besom.tracking.outcomes import TrialClosed

__all__ = ["Question", "SweepPlan", "answer"]

_READY_SECONDS: Final = 0.5
"""Work kept ready, so that no agent waits for the controller."""
_READY_SLACK: Final = 1.5
"""More than what just ended, so that agents which had too little get more the next time."""
_READY_LIMIT: Final = 5000


@dataclass(frozen=True)
class Question:
    """What a strategy is asked; answered void when trials were issued in between."""

    sweep: str
    method: str
    seed: int
    goal: str
    config: SweepConfig
    ended: Sequence[EndedTrial]
    running: Sequence[RunningTrial]
    issued: int
    replan: tuple[int, ...]
    """Trials nobody has claimed, whose params are asked for anew: the first answers are theirs."""
    count: int


@dataclass
class SweepPlan:
    """One sweep that is not over."""

    spec: SweepSpec
    config: SweepConfig
    state: str
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

    def __post_init__(self) -> None:
        self.adaptive = self.config.method == "bayes"
        self._history: list[EndedTrial] = []
        self._news = 0  # ended since the last answer
        self._ended_in: dict[int, int] = {}  # span of _READY_SECONDS to trials that ended in it; the last two
        self._strategy: Strategy | None = None if self.adaptive else self._fresh_strategy()

    @classmethod
    def of(cls, spec: SweepSpec, state: str) -> SweepPlan:
        """A plan for a sweep as it was created.

        Raises:
            ConfigError: the config in Redis cannot be; it was not made by `besom.sweep`.
        """
        return cls(spec, parse(spec.config), state)

    # ---- what happened

    def issue(self, number: int, params: Params, *, claimed: bool = False, waiting: bool = True) -> None:
        """A trial was issued."""
        self.issued = max(self.issued, number)
        self.trials[number] = params
        if waiting:
            self.waiting.add(number)
        if not claimed:
            self.unclaimed.add(number)

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
        self._history = [ended for ended in self._history if ended.number != number]
        self.trials[number] = params
        self.waiting.add(number)

    def closed(self, trial: TrialClosed) -> None:
        """It ended, and all it logged is recorded."""
        self.trials.pop(trial.number, None)
        self.waiting.discard(trial.number)
        self.unclaimed.discard(trial.number)
        self.issued = max(self.issued, trial.number)
        span = int(trial.ended / _READY_SECONDS)
        self._ended_in[span] = self._ended_in.get(span, 0) + 1
        while len(self._ended_in) > 2:
            del self._ended_in[min(self._ended_in)]
        self.learn(EndedTrial(trial.number, trial.params, trial.state, trial.value, trial.curve))

    def learn(self, ended: EndedTrial) -> None:
        """Its result goes to the strategy."""
        self._history.append(ended)
        self._news += 1

    # ---- what is due

    def due(self, slots: int) -> int:
        """How many more trials should be issued now, for so many live slots."""
        if not self.gives or self.exhausted or self.problem:
            return 0
        target = max(1, slots)
        if not self.adaptive:
            ended = max(self._ended_in.values(), default=0)
            target = min(_READY_LIMIT, max(2, 2 * slots, math.ceil(ended * _READY_SLACK)))
        cap = self.config.run_cap
        left = target - len(self.waiting)
        return max(0, left if cap is None else min(left, cap - self.issued))

    def question(self, slots: int) -> Question | None:
        """What to ask an adaptive strategy now, or None: nothing is due, and nothing new makes queued trials stale."""
        count = self.due(slots)
        stale = tuple(sorted(self.unclaimed)) if self._news and self.state == "running" and not self.problem else ()
        if not count and not stale:
            return None
        seed, goal = int(self.spec.config.get("seed", 0)), self.config.metric.goal if self.config.metric else "minimize"
        running = [
            RunningTrial(number, params) for number, params in sorted(self.trials.items()) if number not in stale
        ]
        return Question(
            self.spec.id, self.config.method, seed, goal, self.config, tuple(self._history), running,
            self.issued, stale, count,
        )  # fmt: skip

    def answered(self) -> None:
        """An answer was used: what is known now is planned for."""
        self._news = 0

    def suggest(self, slots: int) -> list[Params]:
        """What a strategy that learns nothing suggests now; sets `exhausted`."""
        count = self.due(slots)
        if not count or self._strategy is None:
            return []
        running = [RunningTrial(number, params) for number, params in self.trials.items()]
        self._strategy.update(self._history, running)
        self._history.clear()
        points = self._strategy.suggest(count)
        self.exhausted = len(points) < count
        return points

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
        """Whether nothing more will happen in it."""
        if not self.active or self.trials:
            return False
        cap = self.config.run_cap
        return self.state == "stopping" or self.exhausted or (cap is not None and self.issued >= cap)

    def _fresh_strategy(self) -> Strategy:
        goal = self.config.metric.goal if self.config.metric else "minimize"
        return make_strategy(
            self.config.method, self.config.space(), seed=int(self.spec.config.get("seed", 0)), goal=goal
        )


def answer(question: Question) -> list[Params]:
    """Ask a fresh strategy; runs in the process beside the loop."""
    strategy = make_strategy(question.method, question.config.space(), seed=question.seed, goal=question.goal)
    strategy.update(list(question.ended), list(question.running))
    return strategy.suggest(len(question.replan) + question.count)
