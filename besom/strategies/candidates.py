"""Where an acquisition is looked at: everywhere, around the best trials, and then closer and closer to its peaks.

Gives rows of a `Cube`.  Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from besom.strategies.cube import Array, Cube

__all__ = ["POOL", "candidates", "neighbours"]

POOL = 400
"""Candidates from everywhere, and as many near the best."""
_PEAKS = 12
_WIDTHS = (0.1, 0.05, 0.025)
_MOVED = 0.4
"""The share of coordinates that a neighbour moves, at least two."""

Score = Callable[[Array], Array]


def candidates(
    cube: Cube, rng: np.random.Generator, centres: Array, score: Score, count: int = POOL, *, climb: bool = True
) -> Array:
    """Rows from all over the space and others around the centres, the highest score first.

    Args:
        cube: The space.
        rng: Source of the rows.
        centres: Rows of good trials, shape (n, dimensions).
        score: How promising rows are.
        count: How many rows from all over the space, and as many around the centres.
        climb: Whether to look closer and closer around the best of both. Doubt is greatest in the corners of the cube,
            so climbing from afar ends there; without it, what comes from afar is somewhere within.
    """
    widths = 10.0 ** rng.uniform(-2.5, -0.5, (count, 1))
    rows = np.vstack([cube.draw(rng, count), neighbours(cube, rng, centres, count, widths)])
    scores = score(rows)
    for width in _WIDTHS if climb else ():
        peaks = np.argsort(-scores, kind="stable")[:_PEAKS]
        closer = neighbours(cube, rng, rows[peaks], count // 3, np.array(width))
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
