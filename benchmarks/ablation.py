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
_PLAIN, _SMOOTH, _BENT = WHOLE.models[:3]


def models(**changes: Any):
    return tuple(None if m is None else replace(m, **changes) for m in WHOLE.models)


R = dict(rough=-2.5, rough_width=1.0)
VARIANTS = {
    "base": WHOLE,
    "allrough": replace(WHOLE, models=tuple(m and replace(m, **R) for m in WHOLE.models)),
    "rough10": replace(WHOLE, models=models(roughness=0.1)),
    "rough25": replace(WHOLE, models=models(roughness=0.25)),
    "noparzen": replace(WHOLE, models=WHOLE.models[:5]),
    "noxi": replace(WHOLE, worthwhile=(0.0,)),
    "onlysmooth": replace(WHOLE, models=(_SMOOTH, _SMOOTH, _SMOOTH, _SMOOTH, _SMOOTH, None)),
    "norough": replace(WHOLE, models=models(rough=-10.0, rough_width=0.1)),
}


def __getattr__(name: str) -> type[Besom]:
    if name not in VARIANTS:
        raise AttributeError(name)

    class Variant(Besom):
        def make(self, space: Space, seed: int) -> Strategy:
            return Bayes(space, seed, "minimize", VARIANTS[name])

    return Variant
