"""A tree-structured Parzen step: where good trials are dense and the others are not.

It assumes nothing of the objective but that good points lie near good points: a second opinion beside the process.

Source: Bergstra et al. 2011, Algorithms for hyper-parameter optimization; over all dimensions at once as in Falkner et
al. 2018, BOHB.
"""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from besom.strategies.cube import Array, Cube

__all__ = ["parzen_candidates"]

_CANDIDATES = 48
_WIDTH = 0.2
_EVEN = 0.1
"""The share of an even law over the space in both densities, so that where no trial lies neither wins."""
_KEPT = 0.8
"""The chance that an unordered coordinate stays."""


def parzen_candidates(cube: Cube, rng: np.random.Generator, rows: Array, values: Array, unwanted: Array) -> Array:
    """Rows drawn near good trials, the most promising first; those unwanted count as bad."""
    order = np.argsort(values, kind="stable")
    split = min(max(2, int(np.ceil(0.1 * len(values)))), 25)
    good, bad = rows[order[:split]], np.vstack([rows[order[split:]], unwanted])
    width = _WIDTH * split ** (-1.0 / (len(cube.searched) + 4))
    drawn = good[rng.integers(split, size=_CANDIDATES)]
    moved = 1.0 - np.abs(1.0 - np.abs(drawn + width * rng.standard_normal(drawn.shape)))
    anywhere = rng.random(drawn.shape)
    jumps = np.where(cube.unordered, rng.random(drawn.shape) > _KEPT, rng.random((_CANDIDATES, 1)) < _EVEN)
    drawn = cube.snap(np.where(jumps, anywhere, np.where(cube.unordered, drawn, moved)).clip(0.0, 1.0))
    ratio = _log_density(cube, drawn, good, width) - _log_density(cube, drawn, bad, width)
    ranked: Array = drawn[np.argsort(-ratio, kind="stable")]
    return ranked


def _log_density(cube: Cube, at: Array, data: Array, width: float) -> Array:
    """Log density of a bump about each datum, and one that is even over the cube, up to a common constant."""
    searched = cube.searched
    ordered, unordered = searched[~cube.unordered[searched]], searched[cube.unordered[searched]]
    gaps = (at[:, None, ordered] - data[None, :, ordered]) / width
    bumps = -0.5 * (gaps * gaps).sum(axis=2) - len(ordered) * np.log(width * np.sqrt(2 * np.pi))
    differ = at[:, None, unordered] != data[None, :, unordered]
    # An even law over k values, mixed with the datum's own: the others share what it does not keep.
    others = np.log((1.0 - _KEPT) * cube.gaps[unordered])
    bumps += np.where(differ, others, np.log(_KEPT + np.exp(others))).sum(axis=2)
    even = np.log(_EVEN) + np.log(cube.gaps[unordered]).sum()
    density: Array = np.logaddexp(logsumexp(bumps, axis=1) + np.log((1.0 - _EVEN) / len(data)), even)
    return density
