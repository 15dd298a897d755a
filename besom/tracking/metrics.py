"""What `run.define_metric` says of names: their own axis, and what their summary holds.

Gives: rows completed with their axis' last value, and the summary of each row's names.  Knows nothing of writers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from besom.errors import UsageError

__all__ = ["METRICS_KEY", "NO_SUMMARY", "Metric", "Metrics"]

_KINDS: Final = ("min", "max", "mean", "last", "first", "none")

METRICS_KEY: Final = "_metrics"
"""Where a run's config keeps what was defined of its metrics; names with _ in front are not the user's."""
NO_SUMMARY: Final = {"_type": "none"}
"""Stands in the store for the summary of a name that is to have none."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One definition."""

    name: str
    """A logged name, or the beginning of some and `*`."""
    step_metric: str = ""
    """The name that is its x axis."""
    step_sync: bool = False
    """Whether a row without `step_metric` gets its last value."""
    hidden: bool = False
    """Whether pages leave it out."""
    summary: tuple[str, ...] = ()


class Metrics:
    """The definitions of one run.

    Args:
        summary: That of the run, when it goes on: min, max and first go on too; mean begins anew.
    """

    def __init__(self, summary: Mapping[str, Any]) -> None:
        self._earlier = summary
        self._defined: dict[str, Metric] = {}
        self._found: dict[str, Metric | None] = {}
        self._last: dict[str, Any] = {}
        self._seen: dict[str, _Seen] = {}

    def __bool__(self) -> bool:
        return bool(self._defined)

    def define(
        self,
        name: str,
        step_metric: str | Metric | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        overwrite: bool | None = None,
    ) -> Metric:
        """Add a definition, or to one.

        Raises:
            UsageError: a name or a kind of summary that cannot be.
        """
        axis = step_metric.name if isinstance(step_metric, Metric) else step_metric
        _check_name(name)
        if axis is not None and (not isinstance(axis, str) or "*" in axis):
            raise UsageError(f"define_metric({name!r}): step_metric={axis!r} cannot be; write one logged name")
        for flag in (step_sync, hidden, overwrite):
            if flag is not None and not isinstance(flag, bool):
                raise UsageError(f"define_metric({name!r}): {flag!r} cannot be; write True or False")
        kinds = _kinds(name, summary)
        old = None if overwrite else self._defined.get(name)
        metric = Metric(
            name,
            axis if axis is not None else old.step_metric if old else "",
            step_sync if step_sync is not None else axis is not None or bool(old and old.step_sync),
            hidden if hidden is not None else bool(old and old.hidden),
            tuple(kind for kind in _KINDS if kind in kinds or (old and kind in old.summary)),
        )
        self._defined[name] = metric
        self._found.clear()
        return metric

    def of(self, key: str) -> Metric | None:
        """The definition of a logged name: its own, else the longest beginning that fits."""
        if key not in self._found:
            globs = [name for name in self._defined if name.endswith("*") and key.startswith(name[:-1])]
            self._found[key] = self._defined.get(key) or self._defined.get(max(globs, key=len, default=""))
        return self._found[key]

    def take(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row is closed: complete it; the summary of its names that have one defined."""
        self.complete(row)
        return self.summarise(row)

    def complete(self, row: dict[str, Any]) -> None:
        """Give the row the last value of each axis that it needs and does not have."""
        for key in list(row):
            metric = self.of(key)
            axis = metric.step_metric if metric and metric.step_sync else ""
            if axis and axis not in row and axis in self._last:
                row[axis] = self._last[axis]
        for metric in self._defined.values():
            if metric.step_metric in row:
                self._last[metric.step_metric] = row[metric.step_metric]

    def summarise(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The summary of the row's names that have one defined."""
        found: dict[str, Any] = {}
        for key, value in row.items():
            metric = self.of(key)
            if metric is None or not metric.summary:
                continue
            if metric.summary == ("none",):
                found[key] = NO_SUMMARY
            elif isinstance(value, int | float) and not isinstance(value, bool):
                found[key] = self._summary_of(key, value, metric.summary)
        return found

    def told(self) -> dict[str, Any]:
        """The definitions as they are kept."""
        return {name: asdict(metric) | {"summary": list(metric.summary)} for name, metric in self._defined.items()}

    def _summary_of(self, key: str, value: float, kinds: tuple[str, ...]) -> dict[str, Any]:
        seen = self._seen.get(key)
        if seen is None:
            earlier = self._earlier.get(key)
            seen = self._seen[key] = _Seen(earlier if isinstance(earlier, Mapping) else {}, value)
        seen.take(value)
        return {kind: getattr(seen, kind) for kind in kinds if kind != "none"}


class _Seen:
    """What a name's values were so far."""

    def __init__(self, earlier: Mapping[str, Any], first: float) -> None:
        self.min: Any = earlier.get("min", first)
        self.max: Any = earlier.get("max", first)
        self.first: Any = earlier.get("first", first)
        self.last: Any = first
        self._sum, self._count = 0.0, 0

    def take(self, value: float) -> None:
        self.last = value
        if math.isnan(value):
            return
        self.min = value if math.isnan(self.min) else min(self.min, value)
        self.max = value if math.isnan(self.max) else max(self.max, value)
        self._sum += value
        self._count += 1

    @property
    def mean(self) -> float:
        """NaN before the first number."""
        return self._sum / self._count if self._count else math.nan


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name or "*" in name[:-1]:
        raise UsageError(
            f"define_metric({name!r}): write a logged name, or the beginning of some with one * at its end"
        )


def _kinds(name: str, summary: str | None) -> set[str]:
    kinds = {part.strip() for part in (summary or "").split(",") if part.strip()}
    for kind in kinds:
        if kind not in _KINDS:
            raise UsageError(f"define_metric({name!r}): summary={kind!r} cannot be; write some of {', '.join(_KINDS)}")
    return kinds
