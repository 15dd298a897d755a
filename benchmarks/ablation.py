"""What each part of `bayes` brings: the search without it, in the shape of the search benchmark.

`python -m hpobench.run --opt benchmarks.ablation:without_output_warp ...` runs one; `VARIANTS` lists them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.search import Besom
from besom.strategies import Space, Strategy
from besom.strategies.bayes import Bayes
from besom.strategies.knowledge import Parts
from besom.strategies.gaussian_process import Prior

__all__ = ["VARIANTS"]

WHOLE = Parts()


def models(**changes: Any):
    return tuple(None if m is None else replace(m, **changes) for m in WHOLE.models)


VARIANTS = {
    "gls": WHOLE,
    "nogls": replace(WHOLE, models=models(mean=0.0)),
    "noxi": replace(WHOLE, worthwhile=(0.0,)),
    "noparzen": replace(WHOLE, models=WHOLE.models[:5]),
}


def __getattr__(name: str) -> type[Besom]:
    if name not in VARIANTS:
        raise AttributeError(name)

    class Variant(Besom):
        def make(self, space: Space, seed: int) -> Strategy:
            return Bayes(space, seed, "minimize", VARIANTS[name])

    return Variant
