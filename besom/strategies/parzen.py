"""A tree-structured Parzen step: where good trials are dense and the others are not.

Each dimension is drawn on its own, so it sees no interplay, and is misled by none: a second opinion beside the process.

Source: Bergstra et al. 2011, Algorithms for hyper-parameter optimization.
"""

from __future__ import annotations

import numpy as np

from besom.strategies.cube import Array, Cube

__all__ = ["parzen_step"]

_CANDIDATES = 48


def parzen_step(cube: Cube, rng: np.random.Generator, rows: Array, values: Array, pending: Array) -> Array:
    """One row, made of the most promising coordinate of each dimension; pending points count as bad."""
    order = np.argsort(values, kind="stable")
    split = min(max(2, int(np.ceil(0.1 * len(values)))), 25)
    good, bad = rows[order[:split]], np.vstack([rows[order[split:]], pending])
    wide, narrow = max(0.06, 0.5 * len(good) ** -0.5), max(0.06, 0.5 * max(len(bad), 1) ** -0.4)
    chosen = np.full(rows.shape[1], 0.5)
    for column in cube.searched:
        drawn = _draw(rng, good[:, column], wide, bool(cube.unordered[column]))
        filled = np.tile(good[0], (_CANDIDATES, 1))
        filled[:, column] = drawn
        drawn = cube.snap(filled)[:, column]
        if cube.unordered[column]:
            ratio = _share(drawn, good[:, column]) - _share(drawn, bad[:, column])
        else:
            ratio = _density(drawn, good[:, column], wide) - _density(drawn, bad[:, column], narrow)
        chosen[column] = drawn[int(np.argmax(ratio))]
    snapped: Array = cube.snap(chosen[None])[0]
    return snapped


def _draw(rng: np.random.Generator, good: Array, width: float, unordered: bool) -> Array:
    anywhere = rng.random(_CANDIDATES)
    centres = good[rng.integers(len(good), size=_CANDIDATES)]
    near = centres if unordered else 1.0 - np.abs(1.0 - np.abs(centres + width * rng.standard_normal(_CANDIDATES)))
    chance = 0.8 if unordered else len(good) / (len(good) + 1.0)
    drawn: Array = np.where(rng.random(_CANDIDATES) < chance, near, anywhere).clip(0.0, 1.0)
    return drawn


def _density(at: Array, data: Array, width: float) -> Array:
    """Log density of a normal about each datum, and an even one over the axis."""
    bumps = np.exp(-0.5 * ((at[:, None] - data[None, :]) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    density: Array = np.log((bumps.sum(axis=1) + 1.0) / (len(data) + 1.0))
    return density


def _share(at: Array, data: Array) -> Array:
    share: Array = np.log(((at[:, None] == data[None, :]).sum(axis=1) + 1.0) / (len(data) + 2.0))
    return share
