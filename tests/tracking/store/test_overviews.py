from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from besom.messages import Batch
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.history import read_series
from besom.tracking.store.overviews import overviews
from besom.tracking.store.store import Store
from tests.tracking.stories import batch, finished, play


def logged(run: str, values: Sequence[Any], size: int, stride: int = 1) -> list[Batch]:
    return [
        batch(run, seq, range(at * stride, min(at + size, len(values)) * stride, stride), writer=f"w{run}",
              loss=values[at : at + size])
        for seq, at in enumerate(range(0, len(values), size), 1)
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 199, 399, 401, 999, 1000, 1700, 2001, 3500, 54_321])
@pytest.mark.parametrize("is_closed", [False, True])
def test_an_overview_shows_everything(store: Store, recorder: Recorder, count: int, is_closed: bool) -> None:
    """At any length, running or closed, 200 points show the extremes and the last value."""
    draws = np.random.default_rng(count).standard_normal(count)
    batches = logged("r", draws.tolist(), size=333)
    play(store, recorder, [*batches, *([finished("r", wr=len(batches))] if is_closed else [])])
    with store.read() as conn:
        found = overviews(conn, ["r", "other"], "loss", 200)
    assert list(found) == ["r"]
    curve = found["r"]
    assert len(curve) == min(count, 200)
    assert (curve[:, 1].min(), curve[:, 2].max(), curve[-1, 4]) == (draws.min(), draws.max(), draws[-1])
    np.testing.assert_allclose((curve[:, 3] * curve[:, 5]).sum() / count, draws.mean(), atol=1e-12)
    assert curve[:, 5].sum() == count


def test_many_runs_are_each_by_itself(store: Store, recorder: Recorder) -> None:
    """Runs of all lengths and kinds of values, more than are taken together: each gets what it would get alone."""
    draw = np.random.default_rng(0)
    told: dict[str, list[Any]] = {}
    for number in range(70):
        values: list[Any] = draw.standard_normal(int(draw.choice([1, 3, 250, 450, 1200, 2600]))).tolist()
        if number % 7 == 1:
            values = [int(value * 100) for value in values]
        if number % 7 == 2:
            values = [math.nan if value > 1 else value for value in values]
        if number % 7 == 3:
            values[-1] = "a word"
        told[f"r{number}"] = values
    for number, (run, values) in enumerate(told.items()):
        play(store, recorder, logged(run, values, size=400, stride=1 + number % 3), first=1 + 10 * number)
    with store.read() as conn:
        together = overviews(conn, list(told), "loss", 100)
        for run, values in told.items():
            alone = overviews(conn, [run], "loss", 100)[run]
            np.testing.assert_array_equal(together[run], alone)
            numbers = [value for value in values if not isinstance(value, str) and not math.isnan(value)]
            assert len(alone) == min(100, len(values))
            assert alone[:, 5].sum() == len(numbers)
            assert np.nanmin(alone[:, 1], initial=math.inf) == min(numbers, default=math.inf)
            assert alone[-1, 0] == read_series(conn, run, "loss").steps[-1]


def test_attempts_hide_each_other_among_many(store: Store, recorder: Recorder) -> None:
    """Where one run was resumed and another started anew, the curve is that of the visible points."""
    first = [1.0] * 3000
    play(store, recorder, [*logged("s-0", first, 500), *logged("s-1", first, 500), *logged("s-2", first, 500)])
    resumed = batch("s-1", 1, range(2500, 2600), attempt=2, writer="v1", loss=[2.0] * 100)
    anew = batch("s-2", 1, range(50), attempt=2, writer="v2", loss=[3.0] * 50)
    play(store, recorder, [resumed, anew], first=50)
    with store.read() as conn:
        found = overviews(conn, ["s-0", "s-1", "s-2"], "loss")
    assert found["s-0"][:, 5].sum() == 3000
    assert found["s-1"][-1, 0] == 2599
    assert found["s-1"][found["s-1"][:, 0] >= 2500, 4].tolist()[-1] == 2.0
    assert found["s-1"][found["s-1"][:, 0] < 2480, 4].max() == 1.0
    assert found["s-2"][:, 4].tolist() == [3.0] * 50


def test_steps_logged_twice(store: Store, recorder: Recorder) -> None:
    """Two writers of one run, one behind the other: by step, and of several values at a step the last."""
    play(store, recorder, [
        batch("r", 1, [0, 2, 4], writer="a", loss=[0.0, 2.0, 4.0]),
        batch("r", 1, [1, 2, 3], writer="b", loss=[1.0, 20.0, 3.0]),
    ])  # fmt: skip
    with store.read() as conn:
        curve = overviews(conn, ["r"], "loss")["r"]
    assert curve[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert curve[:, 4].tolist() == [0, 1, 20, 3, 4]
