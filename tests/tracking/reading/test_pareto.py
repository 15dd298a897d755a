"""Sweeps with several metrics: the trials that no other beats."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from besom.messages import SweepCreated, SweepSpec, TrialEnded
from besom.tracking.reading.pareto import front, pareto_front
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.store import Store
from tests.tracking.stories import batch, claimed, play

POINTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2)), max_size=12)


@given(POINTS)
def test_front_is_what_nothing_dominates(points: list[tuple[int, int, int]]) -> None:
    """It agrees with comparing every point with every other."""
    beaten = {
        i
        for i, j in product(range(len(points)), repeat=2)
        if points[i] != points[j] and all(b <= a for a, b in zip(points[i], points[j], strict=True))
    }
    assert front(points) == [index for index in range(len(points)) if index not in beaten]


def test_the_front_of_a_sweep(store: Store) -> None:
    """Last values count, each by its goal; a trial that lacks a metric, or failed, is not in it."""
    metrics = [{"name": "acc", "goal": "maximize"}, {"name": "seconds"}]
    config = {"method": "random", "parameters": {"x": {"min": 0.0, "max": 1.0}}, "metrics": metrics}
    spec = SweepSpec(id="s", entity="e", project="p", name="", created=1.0, config=config)
    recorder = Recorder()
    play(store, recorder, [SweepCreated(spec=spec.model_dump_json())])
    with store.begin() as conn:
        recorder.issue(conn, "s", [(number, {"x": number / 10}) for number in range(1, 6)], 1.0)
    logged = {
        1: ([0.5, 0.9], [9, 9]),
        2: ([0.8, 0.7], [1, 1]),
        3: ([0.9, 0.6], [1, 5]),
        4: ([1, 1], []),
        5: ([1, 1], [0, 0]),
    }
    events = [claimed(number, params='{"x": 0.1}') for number in logged]
    for number, (acc, seconds) in logged.items():
        columns = {"acc": acc, **({"seconds": seconds} if seconds else {})}
        events.append(batch(f"s-{number}", steps=[0, 1], writer=f"w{number}", **columns))
        state = "failed" if number == 5 else "finished"
        token = f"t{number}.1"
        ended = {"sweep": "s", "number": number, "attempt": 1, "token": token, "state": state, "at_ms": 9}
        events.append(TrialEnded(**ended, writers=f'{{"w{number}": 1}}'))
    play(store, recorder, events, first=2)
    with store.read() as conn:
        found = pareto_front(conn, "s")
        assert pareto_front(conn, "none") == []
    assert [(row["number"], row["values"]) for row in found] == [
        (1, {"acc": 0.9, "seconds": 9.0}),
        (2, {"acc": 0.7, "seconds": 1.0}),
    ]
