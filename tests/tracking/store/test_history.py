from __future__ import annotations

import math

import numpy as np
import pytest
from sqlalchemy import func, select, update

from besom.messages import Batch
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store import history
from besom.tracking.store.overviews import overviews
from besom.tracking.store.points import buckets
from besom.tracking.store.schema import chunks, overview, series, tail
from besom.tracking.store.store import Store
from tests.tracking.stories import batch, finished, play

POINTS = 100_000


def long_run(values: np.ndarray, size: int = 500, run: str = "r", writer: str = "w") -> list[Batch]:
    return [
        batch(run, seq, range(at, min(at + size, len(values))), writer=writer, loss=values[at : at + size].tolist())
        for seq, at in enumerate(range(0, len(values), size), 1)
    ]


@pytest.fixture
def draws() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(POINTS).cumsum()


def test_100k_points_come_back(store: Store, recorder: Recorder, draws: np.ndarray) -> None:
    """All points are there, once and in order, whole and between two steps."""
    play(store, recorder, long_run(draws))
    with store.read() as conn:
        whole = history.read_series(conn, "r", "loss")
        part = history.read_series(conn, "r", "loss", 4321, 8765)
    np.testing.assert_array_equal(whole.values, draws)
    np.testing.assert_array_equal(whole.steps, np.arange(POINTS))
    np.testing.assert_array_equal(part.values, draws[4321:8766])


@pytest.mark.parametrize(("points", "width"), [(100, 1000), (1000, 100), (10_000, 10)])
def test_a_sample_against_numpy(store: Store, recorder: Recorder, draws: np.ndarray, points: int, width: int) -> None:
    """A level's buckets are those that numpy makes of the points."""
    play(store, recorder, long_run(draws))
    with store.read() as conn:
        found = history.sample(conn, "r", "loss", points)
    np.testing.assert_allclose(found, buckets(np.arange(POINTS), draws, width))


def test_a_sample_between_steps(store: Store, recorder: Recorder, draws: np.ndarray) -> None:
    """Zooming in ends at single points."""
    play(store, recorder, long_run(draws))
    with store.read() as conn:
        near = history.sample(conn, "r", "loss", 500, 1000, 1399)
        wide = history.sample(conn, "r", "loss", 500, 10_000, 59_999)
    np.testing.assert_array_equal(near[:, 4], draws[1000:1400])
    assert 400 <= len(wide) <= 500
    assert (wide[:, 1].min(), wide[:, 2].max()) == (draws[10_000:60_000].min(), draws[10_000:60_000].max())


def test_a_closed_run_rests_in_chunks(store: Store, recorder: Recorder) -> None:
    """Closing leaves no small pieces, and an overview only where reading all points would take longer."""
    batches = long_run(np.arange(1234.0), size=100)
    play(store, recorder, batches[:10])
    play(store, recorder, [*batches[10:], finished("r", w=13)], first=20)
    with store.read() as conn:
        assert conn.scalar(select(func.count()).select_from(tail)) == 0
        assert conn.scalars(select(chunks.c["count"])).all() == [1000, 234]
        assert conn.scalars(select(overview.c["count"])).all() == []
    play(store, recorder, [*long_run(np.arange(2345.0), run="longer", writer="wl"), finished("longer", wl=5)], first=40)
    with store.read() as conn:
        assert conn.scalars(select(overview.c["count"])).all() == [2345]


def test_a_slow_logger_leaves_few_pieces(store: Store, recorder: Recorder) -> None:
    """Batches of one point are joined on the way, by a recorder that was restarted as well."""
    for start in range(0, 300, 60):
        recorder = Recorder() if start == 120 else recorder
        play(store, recorder, [batch("r", i + 1, [i], a=[i]) for i in range(start, start + 60)])
    with store.read() as conn:
        assert (conn.scalar(select(func.count()).select_from(tail)) or 0) <= 32
        assert history.read_series(conn, "r", "a").values.tolist() == list(range(300))


def test_points_after_the_close_are_seen(store: Store, recorder: Recorder) -> None:
    """Late batches of a closed run are read and seal as any others."""
    draws = np.arange(3000.0)
    batches = long_run(draws, size=450)
    play(store, recorder, [*batches[:1], finished("r", w=1), *batches[1:3]])
    play(store, Recorder(), batches[3:], first=99)
    with store.read() as conn:
        assert history.read_series(conn, "r", "loss").values.tolist() == draws.tolist()
        assert overviews(conn, ["r"], "loss")["r"][:, 5].sum() == 3000


def test_rows_join_keys_by_step(store: Store, recorder: Recorder) -> None:
    """One row for each step, with what was logged there."""
    play(store, recorder, [batch("r", 1, [0, 1], a=[1, 2], b=["x", None]), batch("r", 2, [1, 3], a=[5, 6])])
    with store.read() as conn:
        whole = history.read_rows(conn, "r")
        part = history.read_rows(conn, "r", keys=["b"], max_step=0)
        assert history.keys(conn, "r") == ["a", "b"]
    assert whole == [{"_step": 0, "a": 1, "b": "x"}, {"_step": 1, "a": 5, "b": None}, {"_step": 3, "a": 6}]
    assert part == [{"_step": 0, "b": "x"}]


def test_all_kinds_of_values_round_trip(store: Store, recorder: Recorder) -> None:
    """Ints stay ints, floats floats, and nested values are as they were; also across a chunk."""
    values = [1, 2.5, math.inf, None, "text", True, {"a": [1, {"b": 2**60}]}]
    many = values * 300
    play(store, recorder, [batch("r", 1, range(len(many)), mixed=many, ints=[2**60] * len(many))])
    with store.read() as conn:
        rows = history.read_rows(conn, "r")
    assert [row["mixed"] for row in rows] == many
    assert {row["ints"] for row in rows} == {2**60}
    assert [type(row["mixed"]) for row in rows[:7]] == [type(value) for value in values]


def test_a_restart_replaces(store: Store, recorder: Recorder) -> None:
    """An attempt that starts again at 0 hides all of the one before."""
    play(store, recorder, [batch(steps=range(10), a=[1] * 10), batch(steps=[0, 1], attempt=2, writer="v", a=[2, 2])])
    with store.read() as conn:
        assert history.read_series(conn, "s-0", "a").values.tolist() == [2, 2]
        assert conn.scalar(select(func.count()).select_from(series)) == 2


def test_a_resume_continues(store: Store, recorder: Recorder) -> None:
    """An attempt that goes on from a checkpoint keeps what is below it, for every key."""
    first = batch(steps=range(10), a=[1] * 10, only_first=[1] * 10)
    third = batch(steps=[4], attempt=3, writer="u", a=[3])
    play(store, recorder, [first, batch(steps=[6, 7], attempt=2, writer="v", a=[2, 2]), third])
    with store.read() as conn:
        assert history.read_series(conn, "s-0", "a").values.tolist() == [1, 1, 1, 1, 3]
        assert history.read_series(conn, "s-0", "only_first").steps.tolist() == [0, 1, 2, 3]
        assert overviews(conn, ["s-0"], "a")["s-0"][:, 4].tolist() == [1, 1, 1, 1, 3]
        assert history.sample(conn, "s-0", "a", 10)[:, 4].tolist() == [1, 1, 1, 1, 3]


def test_pages_make_the_whole(store: Store, recorder: Recorder) -> None:
    """Page after page gives every row once, also where attempts hide each other and columns are sparse."""
    play(store, recorder, [batch(seq=1, steps=range(3500), a=[float(n) for n in range(3500)])])
    play(store, recorder, [batch(seq=2, steps=range(0, 9000, 7), b=list(range(0, 9000, 7)))], first=2)
    play(store, recorder, [batch(steps=range(3000, 3010), attempt=2, writer="v", a=[0.5] * 10)], first=3)
    with store.read() as conn:
        for bounds, limit in (((None, None), 1000), ((10, 2900), 300), ((2990, None), 7)):
            first, found = bounds[0], []
            while page := history.read_page(conn, "s-0", None, first, bounds[1], limit):
                assert len(page) <= limit
                found += page
                first = page[-1]["_step"] + 1
            assert found == history.read_rows(conn, "s-0", None, *bounds)


def test_a_long_run_is_sampled_through_levels(store: Store, recorder: Recorder) -> None:
    """Rows are rows that were logged, as many as asked for, integers stay integers, and no chunk's values are read."""
    count = 60_000
    columns = {"a": [n / 7 for n in range(count)], "n": list(range(count))}
    play(store, recorder, [batch("r", steps=range(count), **columns)])
    with store.begin() as conn:
        rows = history.sampled_rows(conn, "r", 50)
        assert len(rows) == 50
        assert rows[-1] == {"_step": count - 1, "a": (count - 1) / 7, "n": count - 1}
        assert [(row["_step"] / 7, row["_step"], type(row["n"])) for row in rows] == [
            (row["a"], row["n"], int) for row in rows
        ]
        conn.execute(update(chunks).values({"values": b""}))
        assert history.sampled_rows(conn, "r", 50) == rows
        assert history.sampled_rows(conn, "r", 50, keys=["n"]) == [{"_step": n["_step"], "n": n["n"]} for n in rows]


def test_columns_logged_apart_are_sampled_exactly(store: Store, recorder: Recorder) -> None:
    """Rows that have both of two columns are found although one of them is sparse."""
    play(store, recorder, [batch("r", steps=range(40_000), a=[1.0] * 40_000)])
    play(store, recorder, [batch("r", 2, steps=range(0, 40_000, 3), b=[2.0] * 13_334)], first=2)
    with store.read() as conn:
        rows = history.sampled_rows(conn, "r", 10, keys=["a", "b"])
    assert [row["_step"] % 3 for row in rows] == [0] * 10
    assert (rows[0]["_step"], rows[-1]["_step"]) == (0, 39_999)
