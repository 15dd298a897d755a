"""A sweep's trials as a pandas DataFrame.

Reads: trials as rows.  pandas is imported when it is asked for, since besom does not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from besom.errors import UsageError
from besom.tracking.reading.parameter_columns import flat

__all__ = ["frame_of"]

_TIMES: Final = ("issued", "started", "ended")


def frame_of(trials: Sequence[Mapping[str, Any]], metrics: Sequence[str] = (), repeats: int = 1) -> Any:
    """One row for each trial; `ApiSweep.trials_dataframe` tells the columns.

    Args:
        trials: Rows of the store, with `values` where there are several metrics.
        metrics: Names that get a column `values.<name>`.
        repeats: Trials of each point.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise UsageError("pandas is not installed; install besom[pandas], or read the rows of sweep.trials()") from None
    params = [flat(trial["params"], "params.") for trial in trials]
    columns: dict[str, Any] = {name: [trial[name] for trial in trials] for name in ("number", "state")}
    if repeats > 1:
        columns["point"] = [-(-trial["number"] // repeats) for trial in trials]
    columns["value"] = pd.Series([trial["value"] for trial in trials], dtype="float64")
    for name in metrics:
        known = [trial["values"][name] for trial in trials]
        columns[f"values.{name}"] = pd.Series(known, dtype="float64")
    for name in sorted({name for row in params for name in row}):
        columns[name] = [row.get(name) for row in params]
    for name in _TIMES:
        columns[name] = pd.to_datetime([trial[name] for trial in trials], unit="s", utc=True)
    frame = pd.DataFrame(columns)
    frame["seconds"] = (frame["ended"] - frame["started"]).dt.total_seconds()
    for name in ("attempt", "agent", "error"):
        frame[name] = [trial[name] for trial in trials]
    return frame
