"""A sweep as `besom.Api()` gives it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from besom.errors import UsageError
from besom.tracking.links import sweep_link
from besom.tracking.reading.api_run import ApiRun, Door
from besom.tracking.reading.filters import read_order
from besom.tracking.reading.run_list import Runs
from besom.tracking.reading.trial_frame import frame_of

if TYPE_CHECKING:
    from besom.tracking.reading.importance import Importance

__all__ = ["ApiSweep"]


class ApiSweep:
    """A sweep as recorded."""

    def __init__(self, door: Door, row: dict[str, Any]) -> None:
        self._door = door
        self._row = row
        self.id: str = row["id"]
        self.name: str = row["name"] or row["id"]
        self.entity: str = row["entity"]
        self.project: str = row["project"]
        self.config: dict[str, Any] = row["spec"]["config"]
        self.created: float = row["created"]
        """Seconds since the epoch."""

    def __repr__(self) -> str:
        return f"<besom sweep {self.path} ({self.state})>"

    @property
    def path(self) -> str:
        """entity/project/id."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def url(self) -> str | None:
        """Where the controller's HTTP read API has it; None when no controller serves one."""
        return sweep_link(self._door.address, self.id)

    @property
    def metric(self) -> dict[str, str] | None:
        """Name and goal of what it optimises."""
        metric: dict[str, str] | None = self._row["spec"].get("metric")
        return metric

    @property
    def order(self) -> str | None:
        """What W&B sorts a sweep's runs by: its metric's last value; None without a metric."""
        metric = self.metric
        if metric is None:
            return None
        return f"{'-' if metric['goal'] == 'maximize' else '+'}summary_metrics.{metric['name']}"

    @property
    def expected_run_count(self) -> int | None:
        """How many trials it will have: its run_cap, for a grid at most the grid's points; None for no end."""
        cap = self.config.get("run_cap")
        points = _grid_points(self.config.get("parameters")) if self.config.get("method") == "grid" else None
        if any(self.config.get(key) for key in ("constraints", "points", "prior_sweeps", "prior_runs")):
            points = None  # only who searches can tell
        if points is not None:
            points *= int(self.config.get("repeats", 1))
        return min((int(count) for count in (cap, points) if count is not None), default=None)

    @property
    def state(self) -> str:
        """Its state now."""
        row = self._door.ask("sweep", sweep_id=self.id)
        return str(row["state"]) if row else "removed"

    @property
    def runs(self) -> Runs:
        """The runs of its trials, first trial first."""
        return self._runs("+number")

    @property
    def counts(self) -> dict[str, int]:
        """Number of trials by state."""
        counts: dict[str, int] = self._door.ask("sweep_counts", sweep_id=self.id)
        return counts

    def trials(self, **which: Any) -> list[dict[str, Any]]:
        """Its trials as rows: number, params, state, value, error, times.

        Of a sweep with several `metrics` a row has `values`, the last that it logged of each, and its value is None.

        Args:
            which: `state`, one or a list; `order`, a column with - in front for the largest first; `limit`; `after`, a
                number.
        """
        names = self._metric_names
        several = {"metrics": names, "state": None} if names else {}
        query = "metric_values" if names else "trials"
        rows: list[dict[str, Any]] = self._door.ask(query, sweep_id=self.id, **{**several, **which})
        return rows

    def trials_dataframe(self) -> Any:
        """Its trials as a pandas DataFrame, a row each in order of number.

        Columns: number, state, value, of a sweep with several `metrics` `values.<name>` (the last that was logged),
        `params.<name>` (nested ones with more dots; missing where a condition did not hold), issued, started, ended
        (UTC), seconds from start to end, attempt, agent and error; with `repeats` also point, the same for its trials.

        Raises:
            UsageError: pandas is not installed.
        """
        return frame_of(self.trials(), self._metric_names, int(self.config.get("repeats", 1)))

    def importance(self, metric: str | None = None, *, pairs: int = 0) -> Importance:
        """Which parameters matter for the metric, and in which direction; from the trials that have a value of it.

        Args:
            metric: Any logged name, of which each trial's last value counts; by default the sweep's metric, and the
                value that the search uses.
            pairs: How many of the strongest pairs of parameters to give as well.

        Raises:
            UsageError: fewer than 4 trials have a value; or the sweep has no metric and none was named.
        """
        from besom.tracking.reading.importance import importance_of

        own = self.metric["name"] if self.metric else None
        name = metric or own or next(iter(self._metric_names), None)
        if name is None:
            raise UsageError(f"sweep {self.id} has no metric; name a logged one: importance(metric='loss')")
        if metric in (None, own) and own is not None:
            rows = [(row["params"], row["value"]) for row in self.trials(state=["finished", "stopped"])]
        else:
            told = self._door.ask("metric_values", sweep_id=self.id, metrics=[name])
            rows = [(row["params"], row["values"][name]) for row in told]
        known = [(params, value) for params, value in rows if value is not None]
        counts = self.counts
        without = len(rows) - len(known) + counts.get("failed", 0) + counts.get("crashed", 0)
        return importance_of(
            [params for params, _ in known], [value for _, value in known], self.config, metric=name, left_out=without,
            pairs=pairs,
        )  # fmt: skip

    @property
    def _metric_names(self) -> list[str]:
        """Of a sweep with several `metrics`."""
        return [metric["name"] for metric in self.config.get("metrics") or ()]

    def best_trials(self, count: int = 5) -> list[dict[str, Any]]:
        """The best trials, best first; of equals the earlier."""
        rows: list[dict[str, Any]] = self._door.ask("best_trials", sweep_id=self.id, count=count)
        return rows

    def best_points(self, count: int = 5) -> list[dict[str, Any]]:
        """The best points, by the mean of their trials and how exact that is: two standard errors to the worse side.

        Each is the row of its best trial, with the mean as `value`, its standard error as `spread` (None where one
        trial alone has a value), and the numbers of its `trials`. Without `repeats` a point is a trial.
        """
        rows: list[dict[str, Any]] = self._door.ask("best_points", sweep_id=self.id, count=count)
        return rows

    def pareto_front(self) -> list[dict[str, Any]]:
        """Of a sweep with several `metrics`, the trials that no other beats in all of them; rows with their `values`.

        A trial's values are the last that it logged of each. Best by the first metric comes first. What is worse than
        a metric's `threshold` is left out. With `repeats` a row is a point: its `values` are means, its `spreads` their
        standard errors, and `trials` has the numbers; the rest is that of the first of these.
        """
        rows: list[dict[str, Any]] = self._door.ask("pareto_front", sweep_id=self.id)
        return rows

    def best_runs(self, count: int = 5) -> list[ApiRun]:
        """The runs of the best trials, best first; of a sweep with several `metrics` those of its Pareto front.

        With `repeats` one of each of the best points: the best of its runs.
        """
        best = self.pareto_front()[:count] if self.config.get("metrics") else self.best_points(count)
        runs = (self._door.ask("run", run_id=f"{self.id}-{row['number']}") for row in best)
        return [ApiRun(self._door, row) for row in runs if row is not None]

    def best_run(self, order: str | None = None) -> ApiRun | None:
        """The run with the best value of the sweep's metric, the same value that the search uses.

        With `repeats` it is the best run of the best point (`best_points`), not the luckiest of all.

        Args:
            order: The first run by this instead, such as `-summary_metrics.acc`; `sweep.order` is W&B's choice.

        Raises:
            ValueError: `order` names no field.
            UsageError: the sweep has several `metrics`, so that none is the best, and no `order` was given.
        """
        if order is not None:
            read_order(order)
            return next(iter(self._runs(order)), None)
        if metrics := self.config.get("metrics"):
            first = f"{'-' if metrics[0].get('goal') == 'maximize' else '+'}summary_metrics.{metrics[0]['name']}"
            raise UsageError(
                f"sweep {self.id} has several metrics, so no run is the best; best_runs() gives its Pareto front, "
                f"best_run(order={first!r}) the best by {metrics[0]['name']}"
            )
        best = self.best_points(1)
        return ApiRun(self._door, self._door.ask("run", run_id=f"{self.id}-{best[0]['number']}")) if best else None

    def _runs(self, order: str) -> Runs:
        return Runs(self._door, lambda: self._door.ask("run_ids", sweep_id=self.id, order=order))


def _grid_points(parameters: Any) -> int | None:
    """Points of a grid as its sweep config writes it; None where that cannot be told."""
    total = 1
    for parameter in parameters.values() if isinstance(parameters, Mapping) else [None]:
        if not isinstance(parameter, Mapping) or parameter.get("when"):
            return None
        inner = parameter.get("parameters")
        count = _grid_points(inner) if isinstance(inner, Mapping) else _values(parameter)
        if count is None:
            return None
        total *= count
    return total


def _values(parameter: Mapping[str, Any]) -> int | None:
    if "values" in parameter:
        return len(list(parameter["values"]))
    if "value" in parameter:
        return 1
    if parameter.get("distribution") not in (None, "int_uniform", "q_uniform"):
        return None
    low: Any
    low, high, step = parameter.get("min"), parameter.get("max"), parameter.get("q", 1)
    if low is None or high is None:
        return None
    if parameter.get("distribution") == "q_uniform":
        points: int = math.floor(high / step + 1e-9) - math.ceil(low / step - 1e-9) + 1
        return points
    is_whole = isinstance(low, int) and isinstance(high, int) and parameter.get("distribution") in (None, "int_uniform")
    return int(high - low + 1) if is_whole else None
