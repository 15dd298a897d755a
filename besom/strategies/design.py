"""The first trials, before there is anything to learn from: the middle of the space, then spread evenly."""

from __future__ import annotations

import random

import numpy as np

from besom.strategies.cube import Array, Cube

__all__ = ["design", "design_size"]

_SOBOL_LIMIT = 256
_MAX_DIMENSIONS = 20000  # scipy has direction numbers for 21201


def design_size(cube: Cube) -> int:
    """How many trials follow the design before a model may choose."""
    return max(4, min(2 * len(cube.searched) + 1, 12))


def design(cube: Cube, seed: int) -> Array:
    """Rows for the first trials, as many as a large fleet may start before any result."""
    # Here and not above: a third of a second, which a search that goes on beyond its design need not wait for.
    from scipy.stats import qmc

    searched = cube.searched
    rows = np.full((_SOBOL_LIMIT, len(cube.unordered)), 0.5)
    source = random.Random(f"{seed}:design").getrandbits(64)
    rng = np.random.default_rng(source)
    if len(searched) <= _MAX_DIMENSIONS:
        rows[1:, searched] = qmc.Sobol(len(searched), rng=rng).random(_SOBOL_LIMIT)[:-1]
    else:
        rows[1:, searched] = rng.random((_SOBOL_LIMIT - 1, len(searched)))
    return cube.snap(rows)
