"""What a sweep's trials tell of its parameters: which matter, and in which direction.

Reads: trials with params and a value.  Gives: for each parameter the permutation importance in a random forest and the
correlation, as W&B's panel shows them, and its share of the variance (`fanova.py`).  Deterministic.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from besom.errors import UsageError
from besom.tracking.reading.fanova import Leaves, pair_shares, shares
from besom.tracking.reading.parameter_columns import ParameterColumn, columns_of

__all__ = ["Importance", "PairImportance", "ParameterImportance", "importance_of"]

Floats = NDArray[np.float64]

_LEAST_TRIALS: Final = 4
_ROUGH: Final = 10
"""Trials for each parameter below which the answer is called rough."""
_TREES: Final = 64
_SAMPLE: Final = 2000
"""Trials that one tree learns from at most; it bounds the time for long sweeps."""
_LEAVES: Final = 512
_SEED: Final = 0


@dataclass(frozen=True)
class ParameterImportance:
    """What is known of one parameter."""

    name: str
    importance: float
    """Permutation importance: how much worse the forest predicts when the values are shuffled. All sum to 1, or to 0
    when nothing can be predicted."""
    correlation: float | None
    """Pearson's with the metric, over the trials that have it; None of a categorical one, and where it is undefined."""
    rank_correlation: float | None
    """Spearman's, which does not depend on the scale."""
    variance: float
    """Share of the metric's variance over the space that it has alone, by fANOVA."""
    trials: int
    """Trials that have it."""
    correlations: dict[str, float | None] = field(default_factory=dict)
    """Of a categorical one, for each value the correlation of having it with the metric."""


@dataclass(frozen=True)
class PairImportance:
    """What two parameters have together."""

    names: tuple[str, str]
    variance: float
    """Share of the metric's variance beyond what the two have alone."""


@dataclass(frozen=True)
class Importance:
    """What a sweep's trials tell, the most important parameter first."""

    metric: str
    trials: int
    """Finished and stopped trials with a value; the others are left out."""
    left_out: int
    """Trials that ended without a value."""
    fit: float
    """R² of the forest on trials that its trees have not seen: near 0 or below, the rest says nothing."""
    parameters: tuple[ParameterImportance, ...]
    pairs: tuple[PairImportance, ...] = ()
    constants: tuple[str, ...] = ()
    """Parameters with one value only."""
    notice: str = ""
    """What to bear in mind."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def importance_of(
    params: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    config: Mapping[str, Any],
    *,
    metric: str,
    left_out: int = 0,
    pairs: int = 0,
) -> Importance:
    """What these trials tell.

    Args:
        params: Of each trial.
        values: The metric's, finite.
        config: The sweep's.
        metric: Its name.
        left_out: Trials that have no value.
        pairs: How many of the strongest pairs of parameters to give.

    Raises:
        UsageError: too few trials, or a number of pairs that cannot be.
    """
    if isinstance(pairs, bool) or not isinstance(pairs, int) or pairs < 0:
        raise UsageError(f"pairs={pairs!r} cannot be; write how many pairs to give, 0 for none")
    if len(values) < _LEAST_TRIALS:
        raise UsageError(
            f"{len(values)} ended trials have a value of {metric!r}, and importance needs {_LEAST_TRIALS}; "
            "ask again when more have ended"
        )
    columns, constants = columns_of(params, config)
    target = _scaled(np.array(values, dtype=np.float64))
    forest = _Forest(columns, target)
    told = zip(columns, forest.permutation(), forest.variances(), strict=True)
    found = [_of_column(column, target, float(share), float(variance)) for column, share, variance in told]
    found.sort(key=lambda one: (-one.importance, -one.variance, one.name))
    return Importance(
        metric, len(values), left_out, forest.fit, tuple(found), forest.pairs(pairs), tuple(constants),
        _notice(len(values), len(columns), target, forest.fit),
    )  # fmt: skip


class _Forest:
    """A random forest over the columns; where a parameter is absent it is given a value that others have.

    So an absent parameter explains nothing there, and that it is absent counts for the parameter it depends on.
    """

    def __init__(self, columns: Sequence[ParameterColumn], target: Floats) -> None:
        self._names = [column.name for column in columns]
        self._target = target
        self._rng = np.random.default_rng(_SEED)
        self._places = np.column_stack([self._filled(column) for column in columns]) if columns else None
        self._trees: list[tuple[Any, NDArray[np.intp]]] = []
        self._shares: Floats = np.zeros(len(columns))
        self.fit = 0.0
        if self._places is not None and np.ptp(target) > 0:
            self._grow(self._places.astype(np.float32))

    def permutation(self) -> Floats:
        """For each column the rise of the squared error outside a tree's sample, as shares of their sum.

        Source: Breiman 2001, "Random Forests", section 10.
        """
        return self._shares

    def variances(self) -> Floats:
        """For each column its share of the variance."""
        return shares(self._leaves) if self._leaves else np.zeros(len(self._names))

    def pairs(self, count: int) -> tuple[PairImportance, ...]:
        """The pairs with the largest shares of the variance."""
        if not count or not self._leaves:
            return ()
        which = list(itertools.combinations(range(len(self._names)), 2))
        found = [
            PairImportance((self._names[one], self._names[other]), float(share))
            for (one, other), share in zip(which, pair_shares(self._leaves, which), strict=True)
        ]
        return tuple(sorted(found, key=lambda pair: (-pair.variance, pair.names))[:count])

    @cached_property
    def _leaves(self) -> list[Leaves]:
        return [Leaves.of(tree, len(self._names)) for tree, _ in self._trees]

    def _filled(self, column: ParameterColumn) -> Floats:
        drawn = self._rng.choice(column.units[column.present], len(column.units))
        return np.where(column.present, column.units, drawn)

    def _grow(self, places: NDArray[np.float32]) -> None:
        from sklearn.ensemble import RandomForestRegressor

        count = len(places)
        forest = RandomForestRegressor(
            _TREES, max_leaf_nodes=_LEAVES, max_samples=min(count, _SAMPLE), random_state=_SEED
        ).fit(places, self._target)
        everything = np.arange(count)
        self._trees = [
            (estimator.tree_, _some(np.setdiff1d(everything, drawn)))
            for estimator, drawn in zip(forest.estimators_, forest.estimators_samples_, strict=True)
        ]
        self._judge(places)

    def _judge(self, places: NDArray[np.float32]) -> None:
        """The fit and the rise of the error, over what each tree has not seen."""
        rises, total, seen = np.zeros(places.shape[1]), np.zeros(len(places)), np.zeros(len(places))
        for tree, unseen in self._trees:
            rows, truth = places[unseen], self._target[unseen]
            if not len(unseen):
                continue
            told = tree.predict(rows)[:, 0]
            total[unseen] += told
            seen[unseen] += 1
            before = float(((told - truth) ** 2).mean())
            for column in range(places.shape[1]):
                shuffled = rows.copy()
                shuffled[:, column] = self._rng.permutation(rows[:, column])
                rises[column] += float(((tree.predict(shuffled)[:, 0] - truth) ** 2).mean()) - before
        gains = np.maximum(rises, 0.0)
        self._shares = gains / gains.sum() if gains.sum() > 0 else gains
        known = seen > 0
        wrong = self._target[known] - total[known] / seen[known]
        spread = float(self._target[known].var()) if known.any() else 0.0
        self.fit = 1.0 - float((wrong**2).mean()) / spread if spread else 0.0


def _some(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most so many of them as a tree learns from, spread evenly."""
    return rows[:: -(-len(rows) // _SAMPLE) or 1]


def _scaled(values: Floats) -> Floats:
    """The same shape with mean 0 and spread about 1, so that squares of huge and tiny numbers stay numbers."""
    largest = float(np.abs(values).max()) or 1.0
    values = values / largest
    spread = float(values.std())
    scaled: Floats = (values - values.mean()) / spread if spread > 1e-13 else np.zeros(len(values))
    return scaled


def _of_column(column: ParameterColumn, target: Floats, share: float, variance: float) -> ParameterImportance:
    from scipy.stats import rankdata

    known, trials = target[column.present], int(column.present.sum())
    if column.numbers is None:
        labels = [label for label in column.labels if label is not None]
        by_label = {
            label: _pearson(np.array([one == label for one in labels], dtype=np.float64), known)
            for label in dict.fromkeys(labels)
        }
        return ParameterImportance(column.name, share, None, None, variance, trials, by_label)
    numbers = column.numbers[column.present]
    ranked = _pearson(rankdata(numbers), rankdata(known))
    return ParameterImportance(column.name, share, _pearson(numbers, known), ranked, variance, trials)


def _pearson(one: Floats, other: Floats) -> float | None:
    one, other = _scaled(one), _scaled(other)
    if not (one.any() and other.any()):
        return None
    return min(1.0, max(-1.0, float((one * other).mean())))


def _notice(trials: int, parameters: int, target: Floats, fit: float) -> str:
    if not parameters:
        return "no parameter has more than one value, so none can matter"
    if not target.any():
        return "all trials have the same value, so no parameter can be told from another"
    if trials < _ROUGH * parameters:
        return f"{trials} trials for {parameters} parameter{'' if parameters == 1 else 's'}: the figures are rough"
    if fit < 0.1:
        return f"the forest explains little (R² {fit:.2f}): noise, or parameters that hardly matter"
    return ""
