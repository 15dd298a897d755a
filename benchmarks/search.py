"""`bayes` in the shape of the search benchmark `hpobench`: ask for a configuration, tell its value.

Translates the benchmark's space into ours and nothing more. From the benchmark's folder:

    PYTHONPATH=<this repository> python -m hpobench.run --opt benchmarks.search:Besom --out results.jsonl
"""

from __future__ import annotations

from typing import Any

from besom.strategies import (
    Categorical,
    Condition,
    Dimension,
    EndedTrial,
    IntUniform,
    LogUniform,
    QLogUniform,
    RunningTrial,
    Space,
    Strategy,
    Uniform,
    make_strategy,
)

__all__ = ["Besom", "translated"]


class Besom:
    """The strategy that the controller uses, told of each trial as it ends."""

    def __init__(self, space: Any, seed: int, pending: int = 1, budget: int = 100) -> None:
        self._space = space
        ours = translated(space)
        self._strategy = self.make(ours, seed)
        self._middle = ours.params([0.5] * len(ours.dimensions))
        self._running: dict[int, tuple[int, dict[str, Any], dict[str, Any]]] = {}
        self._issued = 0

    def make(self, space: Space, seed: int) -> Strategy:
        """The strategy under test."""
        return make_strategy("bayes", space, seed=seed)

    def ask(self) -> dict[str, Any]:
        """The next configuration."""
        running = [RunningTrial(number, params) for number, params, _ in self._running.values()]
        self._strategy.update([], running)
        # When every point is tried a sweep ends, but the benchmark asks on: any point will do.
        (params,) = self._strategy.suggest(1) or [self._middle]
        self._issued += 1
        answer = {p.name: params.get(p.name, p.from_unit(0.5)) for p in self._space}
        self._running[id(answer)] = (self._issued, params, answer)
        return answer

    def tell(self, cfg: dict[str, Any], value: float | None) -> None:
        """What the configuration gave; None when it failed."""
        number, params, _ = self._running.pop(id(cfg))
        running = [RunningTrial(number, params) for number, params, _ in self._running.values()]
        ended = EndedTrial(number, params, "failed" if value is None else "finished", value)
        self._strategy.update([ended], running)

    def preload(self, configs: list[dict[str, Any]], values: list[float]) -> None:
        """Trials that ended before, for the latency measurement."""
        for config, value in zip(configs, values, strict=True):
            self._issued += 1
            self._strategy.update([EndedTrial(self._issued, config, "finished", value)], [])


def translated(space: Any) -> Space:
    """The benchmark's space as one of ours."""
    return Space(tuple(Dimension((p.name,), _domain(p), _when(p)) for p in space))


def _domain(p: Any) -> Any:
    if p.kind != "cat" and p.low == p.high:
        return Categorical((p.low,))
    if p.kind == "cat":
        return Categorical(tuple(p.choices))
    if p.kind == "int":
        return QLogUniform(p.low, p.high, 1) if p.log else IntUniform(int(p.low), int(p.high))
    return LogUniform(p.low, p.high) if p.log else Uniform(p.low, p.high)


def _when(p: Any) -> tuple[Condition, ...]:
    return () if p.when is None else (Condition((p.when[0],), tuple(p.when[1])),)
