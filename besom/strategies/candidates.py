"""Where an acquisition is looked at: everywhere, around the best trials, and then closer and closer to its peaks.

Gives rows of a `Cube`.  Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from besom.strategies.cube import Array, Cube

__all__ = ["climb", "neighbours", "pool"]

_EVERYWHERE, _NEAR = 500, 500
_PEAKS, _CLOSER = 12, 150
_WIDTHS = (0.1, 0.05, 0.025)
_MOVED = 0.4
"""The share of coordinates that a neighbour moves, at least two."""

Score = Callable[[Array], Array]


def pool(cube: Cube, rng: np.random.Generator, centres: Array) -> Array:
    """Rows from all over the space, and as many around the centres, from very near to far."""
    widths = 10.0 ** rng.uniform(-2.5, -0.5, (_NEAR, 1))
    return np.vstack([cube.draw(rng, _EVERYWHERE), neighbours(cube, rng, centres, _NEAR, widths)])


def climb(cube: Cube, rng: np.random.Generator, rows: Array, score: Score) -> Array:
    """The rows, and better ones found near the best of them; the highest score first."""
    scores = score(rows)
    for width in _WIDTHS:
        peaks = np.argsort(-scores, kind="stable")[:_PEAKS]
        closer = neighbours(cube, rng, rows[peaks], _CLOSER, np.array(width))
        rows, scores = np.vstack([rows, closer]), np.concatenate([scores, score(closer)])
    return rows[np.argsort(-scores, kind="stable")]


def neighbours(cube: Cube, rng: np.random.Generator, centres: Array, count: int, width: Array) -> Array:
    """Rows near centres drawn at random: some coordinates move, by about `width`, or anywhere where unordered.

    A step is at least about one value of a finite dimension. At the wall it is mirrored.
    """
    rows = centres[rng.integers(len(centres), size=count)]
    searched = cube.searched
    moves = np.zeros(rows.shape, dtype=bool)
    moves[:, searched] = rng.random((count, len(searched))) < max(_MOVED, 2.0 / len(searched))
    moves[np.arange(count), searched[rng.integers(len(searched), size=count)]] = True
    step = np.maximum(width, np.minimum(0.7 * cube.gaps, 0.5))
    moved = np.abs(rows + step * rng.standard_normal(rows.shape))
    moved = (1.0 - np.abs(1.0 - moved)).clip(0.0, 1.0)
    anywhere = rng.random(rows.shape)
    jumps = cube.unordered & (rng.random(rows.shape) < 0.5)
    moved = np.where(cube.unordered, np.where(jumps, anywhere, rows), moved)
    return cube.snap(np.where(moves, moved, rows))
