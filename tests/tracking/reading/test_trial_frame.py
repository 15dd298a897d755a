"""Trials as a DataFrame."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from besom.errors import UsageError
from besom.tracking.reading.trial_frame import frame_of

TRIAL = {
    "number": 1, "state": "finished", "value": 0.5, "params": {"lr": 0.1, "opt": {"name": "sgd"}}, "issued": 10.0,
    "started": 11.0, "ended": 13.5, "attempt": 1, "agent": "a", "error": "",
}  # fmt: skip
QUEUED = {
    **TRIAL, "number": 2, "state": "queued", "value": None, "params": {"lr": 0.2}, "started": None, "ended": None,
    "attempt": 0,
}  # fmt: skip


def test_a_row_each() -> None:
    """Params have columns of their own; what is missing is missing; times are UTC."""
    frame = frame_of([{**TRIAL, "values": {"acc": 0.9}}, {**QUEUED, "values": {"acc": None}}], ["acc"])
    assert list(frame.columns) == [
        "number", "state", "value", "values.acc", "params.lr", "params.opt.name", "issued", "started", "ended",
        "seconds", "attempt", "agent", "error",
    ]  # fmt: skip
    first, second = frame.to_dict("records")
    assert (first["value"], first["values.acc"], first["params.opt.name"], first["seconds"]) == (0.5, 0.9, "sgd", 2.5)
    assert first["started"] == pd.Timestamp(11, unit="s", tz="UTC")
    assert [second[name] is None or pd.isna(second[name]) for name in ("value", "params.opt.name", "ended", "seconds")]
    assert frame["value"].dtype == "float64"


@pytest.mark.parametrize("trials", [[], [QUEUED]])
def test_no_trials_or_none_that_ran(trials: list[dict[str, object]]) -> None:
    """The columns keep their types, so that a script goes on."""
    frame = frame_of(trials)
    assert len(frame) == len(trials)
    assert str(frame["ended"].dtype).endswith("UTC]")
    assert frame["seconds"].dtype == frame["value"].dtype == "float64"


def test_repeated_trials_share_a_point() -> None:
    """With repeats, a column says which trials belong together."""
    frame = frame_of([{**TRIAL, "number": number, "value": float(number)} for number in (1, 2, 3, 4)], repeats=2)
    assert frame.groupby("point")["value"].mean().to_dict() == {1: 1.5, 2: 3.5}


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install, and what to use instead."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"install besom\[pandas\], or read the rows of sweep.trials\(\)"):
        frame_of([])
