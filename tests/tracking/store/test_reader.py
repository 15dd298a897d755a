from __future__ import annotations

import pytest

from besom.tracking.recording.recorder import Recorder
from besom.tracking.store import reader
from besom.tracking.store.store import Store
from tests.tracking.stories import batch, claimed, created, ended, finished, play, started


@pytest.fixture
def told(store: Store, recorder: Recorder) -> Store:
    """A sweep with trials 0 (no init), 1 (with init), 2 (failed), 3 (running), 4 and 5 (queued), and a run."""
    with store.begin() as conn:
        recorder.apply(conn, [("1-0", created(goal="maximize"))], 0.0)
        recorder.issue(conn, "s", [(number, {"lr": number / 10}) for number in range(6)], 1.0)
    events = [
        *(claimed(number, params=f'{{"lr": {number}}}') for number in range(4)),
        started("s-1", sweep="s", number=1, config={"lr": 1, "seed": 7}, tags=["x"], group="g"),
        batch("s-0", summary={"loss": 2.0}, writer="w0"),
        batch("s-1", steps=[0, 1], loss=[5.0, 4.0], writer="w1"),
        ended(0, w0=1), ended(1, w1=1), ended(2),
        started("r", config={"a": 1}),
        batch("r", steps=[0], acc=[0.5], writer="wr"),
        finished("r", wr=1),
    ]  # fmt: skip
    play(store, recorder, events, first=2)
    return store


def test_sweeps(told: Store) -> None:
    """A sweep comes with its spec decoded, by project."""
    with told.read() as conn:
        (only,) = reader.sweeps(conn, "p")
        assert reader.sweeps(conn, "other") == []
        assert reader.sweep(conn, "s") == only
        assert reader.sweep(conn, "?") is None
        assert reader.last_id(conn) == "14-0"
    assert only["spec"]["metric"] == {"name": "loss", "goal": "maximize"}
    assert (only["state"], only["issued"]) == ("pending", 6)


def test_counts_by_state(told: Store) -> None:
    """Every trial is counted once."""
    with told.read() as conn:
        assert reader.sweep_counts(conn, "s") == {"finished": 2, "failed": 1, "running": 1, "queued": 2}


def test_trials_by_state_and_order(told: Store) -> None:
    """Filtered, ordered with missing values last, limited and paged."""
    with told.read() as conn:
        assert [row["number"] for row in reader.trials(conn, "s", state="queued")] == [4, 5]
        assert [row["number"] for row in reader.trials(conn, "s", order="-value", limit=3)] == [1, 0, 2]
        assert [row["number"] for row in reader.trials(conn, "s", after=3)] == [4, 5]
        with pytest.raises(ValueError, match="order 'lr'"):
            reader.trials(conn, "s", order="lr")


def test_best_trials(told: Store) -> None:
    """Best first by the sweep's goal, failed ones left out."""
    with told.read() as conn:
        assert [row["value"] for row in reader.best_trials(conn, "s", 5)] == [5.0, 2.0]
        assert reader.best_trials(conn, "?") == []


def test_runs_and_trials_as_one_list(told: Store) -> None:
    """Claimed trials and runs outside sweeps; without init() a trial's config is its params."""
    with told.read() as conn:
        runs = {row["id"]: row for row in reader.runs(conn)}
        assert [row["id"] for row in reader.runs(conn, sweep_id="s", order="number", limit=2, offset=1)] == [
            "s-1",
            "s-2",
        ]
        assert [row["id"] for row in reader.runs(conn, project="p", entity="e", state="running")] == ["s-3"]
        assert reader.runs(conn, project="?") == []
    assert sorted(runs) == ["r", "s-0", "s-1", "s-2", "s-3"]
    assert runs["s-1"]["config"] == {"lr": 1, "seed": 7}
    assert (runs["s-1"]["tags"], runs["s-1"]["group_name"], runs["s-1"]["value"]) == (["x"], "g", 5.0)
    assert (runs["s-3"]["config"], runs["s-3"]["state"], runs["s-3"]["project"]) == ({"lr": 3}, "running", "p")
    assert (runs["r"]["config"], runs["r"]["state"], runs["r"]["value"]) == ({"a": 1}, "finished", None)


@pytest.mark.parametrize("name", ["r", "s-0", "s-1", "s-2"])
def test_one_run_is_as_in_the_list(told: Store, name: str) -> None:
    """`run` gives the row of `runs`."""
    with told.read() as conn:
        assert reader.run(conn, name) == next(row for row in reader.runs(conn) if row["id"] == name)


def test_unknown_runs(told: Store) -> None:
    """Neither an unknown id nor a queued trial is a run."""
    with told.read() as conn:
        assert reader.run(conn, "?") is None
        assert reader.run(conn, "s-4") is None
        assert reader.summary(conn, "?") == {}


def test_summaries_of_many(told: Store) -> None:
    """One dict for each run that logged."""
    with told.read() as conn:
        found = reader.summaries(conn, ["r", "s-0", "s-1", "s-2"])
    assert found == {"r": {"acc": 0.5}, "s-0": {"loss": 2.0}, "s-1": {"loss": 4.0}}


def test_attempts(told: Store) -> None:
    """Attempts that logged are listed, with the state they ended in."""
    with told.read() as conn:
        (only,) = reader.attempts(conn, "s-1")
        assert reader.attempts(conn, "s-2") == []
    assert (only["attempt"], only["agent"], only["state"], only["first_step"]) == (1, "a", "finished", 0)


def test_a_trials_run_belongs_to_its_sweep(store: Store, recorder: Recorder) -> None:
    """Whatever `init()` said of project and entity, or left out, a trial's run is found under its sweep's."""
    wrong = started("s-0", sweep="s", number=0, project="other", entity="them")
    silent = started("s-1", sweep="s", number=1).model_copy(update={"body": b"\x80"})
    play(store, recorder, [created(), claimed(0), claimed(1), wrong, silent])
    with store.read() as conn:
        found = reader.runs(conn, project="p", entity="e", order="number")
        assert [(row["id"], row["project"], row["entity"]) for row in found] == [("s-0", "p", "e"), ("s-1", "p", "e")]
        assert reader.run(conn, "s-0") == found[0]
        assert reader.runs(conn, project="other") == []
