"""What each part of `bayes` brings: the search without it, in the shape of the search benchmark.

`python -m hpobench.run --opt benchmarks.ablation:without_output_warp ...` runs one; `VARIANTS` lists them.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.search import Besom
from besom.strategies import Space, Strategy
from besom.strategies.bayes import Bayes
from besom.strategies.gaussian_process import Prior
from besom.strategies.knowledge import PLAIN, Parts, Turn

__all__ = ["VARIANTS"]

WHOLE = Parts()


def _turns(**changes: object) -> Parts:
    """The search with every turn changed."""
    return replace(WHOLE, turns=tuple(replace(turn, **changes) for turn in WHOLE.turns))


def _priors(**changes: object) -> Parts:
    """The search with the prior of every process changed."""
    turns = [
        replace(turn, model=replace(turn.model, **changes)) if isinstance(turn.model, Prior) else turn
        for turn in WHOLE.turns
    ]
    return replace(WHOLE, turns=tuple(turns))


VARIANTS = {
    "without_rough_part": _priors(rough=-10.0, rough_width=0.1),
    "without_input_warp": _priors(input_warp=False),
    "without_output_warp": replace(WHOLE, output_warp=False),
    "without_gains": _turns(gain=0.0),
    "without_weighed_mean": _priors(mean=1e-6),
    "without_parzen_turn": replace(WHOLE, turns=WHOLE.turns[:-1]),
    "without_turns": replace(WHOLE, turns=(Turn(PLAIN),)),
    "without_feasibility": replace(WHOLE, feasibility=False),
}


def __getattr__(name: str) -> type[Besom]:
    if name not in VARIANTS:
        raise AttributeError(name)

    class Variant(Besom):
        def make(self, space: Space, seed: int) -> Strategy:
            return Bayes(space, seed, "minimize", VARIANTS[name])

    return Variant
