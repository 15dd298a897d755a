"""`besom.Api()` over a store, with and without a recorder at work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zlib import compress

import pandas as pd
import pytest

from besom.broker.connection import Connection
from besom.controller.sweep_config import parse
from besom.errors import NotFound, Unreachable, UsageError
from besom.messages import RunEdited, SweepCreated, SweepSpec
from besom.tracking.reading import api as api_module
from besom.tracking.reading import api_run as api_run_module
from besom.tracking.reading.api import Api
from besom.tracking.recording.recorder import Recorder
from besom.tracking.run.init import init
from besom.tracking.store.store import Store
from tests.tracking.desk import Desk, events
from tests.tracking.stories import batch, claimed, created, ended, finished, play, started

STAMPS = [10.0, 11.5, 13.0]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The default store of this test's home."""
    opened = Store.open(f"sqlite:///{tmp_path}/home/besom.db")
    yield opened
    opened.close()


@pytest.fixture
def told(store: Store) -> Store:
    """A sweep to maximise acc with three ended trials and one queued, and a run of its own."""
    rows = [
        created(goal="maximize", metric="acc"),
        claimed(1), claimed(2), claimed(3),
        started("s-1", sweep="s", number=1, at_ms=10_000, name="one", tags=["t"], config={"lr": 1.0, "extra": 2}),
        batch("s-1", steps=[0, 1, 2], writer="w1", acc=[0.1, 0.9, 0.5], _timestamp=STAMPS),
        batch("s-2", steps=[0, 1], writer="w2", acc=[0.2, 0.7], console=[("stdout", 1.0, "a"), ("stderr", 2.0, "b")]),
        ended(1, w1=1), ended(2, w2=1), ended(3, state="failed"),
        started("r", at_ms=20_000, project="q", metadata={"os": "x"}, texts={"packages": compress(b"a==1\nb==2")}),
        batch("r", steps=[5], writer="wr", n=[{"x": 1}]),
        batch("r", seq=2, steps=[30], writer="wr", **{"_system/cpu": [50.0], "_system/memory": [9.0]}),
        finished("r", wr=2),
    ]  # fmt: skip
    recorder = Recorder()
    play(store, recorder, rows)
    with store.begin() as conn:
        recorder.issue(conn, "s", [(4, {"lr": 4.0})], 1.0)
    return store


@contextmanager
def opened() -> Iterator[Api]:
    api = Api()
    try:
        yield api
    finally:
        api.close()


@pytest.fixture
def api(told: Store) -> Iterator[Api]:
    with opened() as found:
        yield found


def test_nothing_running_reads_the_store(api: Api, tmp_path: Path) -> None:
    """Without service and Redis the store is read, and nothing is started."""
    assert not api.connected
    assert api.where == str(tmp_path / "home" / "besom.db")
    assert [sweep.id for sweep in api.sweeps()] == ["s"]
    assert not (tmp_path / "home" / "service.json").exists()


def test_no_store(tmp_path: Path) -> None:
    """Where there is none, the error names the place, and none is made."""
    with pytest.raises(Unreachable, match=r"no store at .*besom\.db"):
        Api()
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("path", ["s", "p/s", "e/p/s"])
def test_a_sweep(path: str, api: Api) -> None:
    """Found by id, project/id and entity/project/id."""
    sweep = api.sweep(path)
    assert (sweep.path, sweep.name, sweep.state, sweep.metric) == (
        "e/p/s", "n", "pending", {"name": "acc", "goal": "maximize"},
    )  # fmt: skip
    assert sweep.counts == {"finished": 2, "failed": 1, "queued": 1}
    assert [run.id for run in sweep.runs] == ["s-1", "s-2", "s-3"]
    assert [row["number"] for row in sweep.trials(state="finished")] == [1, 2]


@pytest.mark.parametrize(("what", "path"), [("sweep", "t"), ("sweep", "x/s"), ("run", "s-4"), ("run", "x/p/s-1")])
def test_not_found(what: str, path: str, api: Api) -> None:
    """An unknown id, or one of another project, is an error that tells kind, id and place."""
    with pytest.raises(NotFound, match=rf"no {what} '{path}' at .*besom\.db"):
        getattr(api, what)(path)


@pytest.mark.parametrize("path", ["", "a/b/c/d", "s 1"])
def test_paths_that_cannot_be(path: str, api: Api) -> None:
    """What is no address is refused with its shape."""
    with pytest.raises(UsageError, match="project/id"):
        api.run(path)


def test_best_run(api: Api) -> None:
    """The best value of the metric by the sweep's goal: the best of its history, not the last."""
    best = api.sweep("s").best_run()
    assert best is not None
    assert (best.id, best.value, best.summary["acc"]) == ("s-1", 0.9, 0.5)
    assert [row["number"] for row in api.sweep("s").best_trials()] == [1, 2]


def test_no_best_run(store: Store) -> None:
    """A sweep in which nothing has ended has none."""
    play(store, Recorder(), [created(), claimed()])
    with opened() as api:
        assert api.sweep("s").best_run() is None


def test_a_run(api: Api) -> None:
    """Config, tags, state and other columns; a trial's run is named by sweep and number."""
    run = api.run("e/p/s-1")
    assert (run.name, run.state, run.config, run.tags, run["number"], run["agent"]) == (
        "one", "finished", {"lr": 1.0, "extra": 2}, ["t"], 1, "a",
    )  # fmt: skip
    assert (api.run("s-3").state, api.run("s-3").value, api.run("s-3").summary) == ("failed", None, {})
    assert (api.run("r").path, api.run("r").value) == ("e/q/r", None)


def test_history(api: Api) -> None:
    """A DataFrame by step with its time and seconds since the start; without pandas, rows."""
    run = api.run("s-1")
    frame = run.history()
    assert isinstance(frame, pd.DataFrame)
    assert frame["acc"].tolist() == [0.1, 0.9, 0.5]
    assert frame["_runtime"].tolist() == [stamp - STAMPS[0] for stamp in STAMPS]
    rows = run.history(pandas=False)
    assert rows[1] == {"_step": 1, "acc": 0.9, "_timestamp": 11.5, "_runtime": 1.5}
    assert [row["acc"] for row in run.history(x_axis="acc", pandas=False)] == [0.1, 0.5, 0.9]


def test_history_without_pandas(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pandas is not installed rows come as a list of dicts."""
    monkeypatch.setattr(api_run_module, "_data_frame", lambda: None)
    assert api.run("s-2").history() == [{"_step": 0, "acc": 0.2}, {"_step": 1, "acc": 0.7}]


@pytest.mark.parametrize(("samples", "steps"), [(1, [99]), (2, [0, 99]), (4, [0, 33, 66, 99]), (100, list(range(100)))])
def test_thinned_history(samples: int, steps: list[int], store: Store) -> None:
    """Evenly chosen rows, the first and the last among them, never more than asked for."""
    play(store, Recorder(), [started("r"), batch("r", steps=range(100), a=[float(step) for step in range(100)])])
    with opened() as api:
        assert [row["_step"] for row in api.run("r").history(samples=samples, pandas=False)] == steps
        assert len(list(api.run("r").scan_history())) == 100


def test_chosen_keys(store: Store) -> None:
    """Only the names asked for, and only rows that have all of them."""
    play(
        store, Recorder(), [started("r"), batch("r", steps=[0, 1], a=[1.0, 2.0]), batch("r", 2, steps=[1, 2], b=[3, 4])]
    )
    with opened() as api:
        run = api.run("r")
        assert list(run.scan_history(keys=["b"])) == [{"_step": 1, "b": 3}, {"_step": 2, "b": 4}]
        assert list(run.scan_history(min_step=1, max_step=2)) == [{"_step": 1, "a": 2.0, "b": 3}]
        assert list(run.scan_history(keys=["none"])) == []
        assert list(run.scan_history(keys=["a", "b"])) == [{"_step": 1, "a": 2.0, "b": 3}]
        assert run.history(keys=["a", "b"], pandas=False) == [{"_step": 1, "a": 2.0, "b": 3}]
        assert run.history(keys=["a", "none"], pandas=False) == []


def test_console(api: Api) -> None:
    """What a run printed, from any line on."""
    assert api.run("s-2").console() == [("stdout", 1.0, "a"), ("stderr", 2.0, "b")]
    assert api.run("s-2").console(after=1) == [("stderr", 2.0, "b")]


def test_order_and_place_of_runs(api: Api) -> None:
    """Runs by project, ordered by a column, largest first with a minus; a column that is none is named."""
    assert [run.id for run in api.runs("e/p", order="-value")] == ["s-1", "s-2", "s-3"]
    assert [run.id for run in api.runs("p", order="+value", per_page=1)] == ["s-2", "s-1", "s-3"]
    assert [run.id for run in api.runs("q")] == ["r"]
    assert len(api.runs()) == 4
    with pytest.raises(ValueError, match="order 'lr'"):
        api.runs(order="lr")


def test_filtered_runs(api: Api) -> None:
    """Filters speak of config, summary, state, tags and time; what cannot be is said before anything is read."""
    ids = [
        [run.id for run in api.runs("e/p", filters)]
        for filters in (
            {"config.lr": {"$gte": 1}},
            {"summary_metrics.acc": {"$gt": 0.6}},
            {"$or": [{"tags": "t"}, {"state": "failed"}]},
            {"created_at": {"$lte": datetime(1970, 1, 1, 0, 0, 10)}, "config.extra": {"$exists": True}},
        )
    ]
    assert ids == [["s-3", "s-1"], ["s-2"], ["s-3", "s-1"], ["s-1"]]
    with pytest.raises(ValueError, match=r"\$near is no operator"):
        api.runs(filters={"config.lr": {"$near": 1}})


def test_runs_are_paged(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Length and ids load no run, an index loads its page, and the summaries come with it."""
    asked: list[str] = []
    ask = api.ask

    def told(query: str, **arguments: object) -> object:
        asked.append(query)
        return ask(query, **arguments)

    monkeypatch.setattr(api, "ask", told)
    runs = api.runs("e/p", order="+number", per_page=2)
    assert asked == []
    assert (len(runs), runs.ids) == (3, ["s-1", "s-2", "s-3"])
    assert asked == ["run_ids"]
    assert (runs[-1].id, [run.id for run in runs[:2]], runs[0].summary["acc"]) == ("s-3", ["s-1", "s-2"], 0.5)
    assert asked == ["run_ids", *["runs_by_id", "summaries"] * 2]
    with pytest.raises(IndexError):
        runs[3]


def test_overrides(told: Store) -> None:
    """Entity and project stand in for what a path leaves out; any other override is refused."""
    api = Api(overrides={"project": "q"}, timeout=5, api_key="x")
    try:
        assert [run.id for run in api.runs()] == ["r"]
        assert api.run("r").id == "r"
        with pytest.raises(NotFound):
            api.run("s-1")
        assert api.run("e/p/s-1").id == "s-1"
    finally:
        api.close()
    with pytest.raises(UsageError, match="overrides projekt='q'"):
        Api({"projekt": "q"})


def test_a_sweep_as_wandb_has_it(api: Api) -> None:
    """W&B's order takes the last value, ours the best; a run that is read only cannot be changed."""
    sweep = api.sweep("s")
    assert (sweep.order, sweep.expected_run_count, sweep.url) == ("-summary_metrics.acc", None, None)
    best = sweep.best_run(sweep.order)
    assert best is not None
    assert best.id == "s-2"
    best.notes = "good"
    with pytest.raises(UsageError, match="can only be read"):
        best.update()


@pytest.mark.parametrize(
    "parameters",
    [
        {"a": {"values": [1, 2, 3]}, "b": {"value": 7}, "c": {"min": 1, "max": 4}},
        {"a": {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.25}},
        {"a": {"parameters": {"b": {"values": ["x", "y"]}, "c": {"min": 0, "max": 2}}}},
        {"a": {"distribution": "q_uniform", "min": 0.1, "max": 1.0, "q": 0.25}},
    ],
)
def test_expected_runs_of_a_grid(parameters: dict[str, Any], store: Store) -> None:
    """As many as the search itself counts, and never more than the run_cap."""
    config: dict[str, Any] = {"method": "grid", "parameters": parameters}
    size = parse(config).space().size
    for cap, expected in ((None, size), (2, 2)):
        given = config | ({"run_cap": cap} if cap else {})
        made = SweepSpec(id=f"g{cap}", entity="e", project="p", name="", created=1.0, config=given)
        play(store, Recorder(), [SweepCreated(spec=made.model_dump_json())])
        with opened() as api:
            assert api.sweep(f"g{cap}").expected_run_count == expected


def test_a_sweep_that_was_removed(api: Api, told: Store) -> None:
    """What was read before stays readable; its state tells that it is gone."""
    sweep = api.sweep("s")
    with told.begin() as conn:
        conn.exec_driver_sql("DELETE FROM sweeps WHERE id = 's'")
    assert (sweep.id, sweep.state) == ("s", "removed")


# ---- with a recorder


@pytest.fixture
def live(wired: Connection, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """An Api that sees fakeredis."""
    monkeypatch.setattr(api_module, "_reachable", lambda _: wired)
    with opened() as api:
        yield api


@contextmanager
def recording(desk: Desk) -> Iterator[None]:
    """A recorder at work beside the test."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.005):
            desk.record()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_you_read_your_own_writes(live: Api, wired: Connection, store: Store) -> None:
    """What was logged before a call is in the answer, however far behind the recorder was."""
    with recording(Desk(wired, store)):
        for count in range(1, 6):
            with init(id=f"r{count}") as run:
                run.log({"count": count})
            found = live.run(f"r{count}")
            assert found.state == "finished"
            assert [row["count"] for row in found.scan_history()] == [count]


def test_a_recorder_that_stands_still(
    live: Api, wired: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After its patience the Api answers with what there is, says so once, and does not wait again."""
    monkeypatch.setattr(api_module, "_WAIT_SECONDS", 0.05)
    live._patience = 0.05
    init(id="r").finish()
    assert list(live.runs()) == []
    assert live.sweeps() == []
    assert [message for message in caplog.messages if "has not caught up" in message] == caplog.messages
    assert len(caplog.messages) == 1


def test_it_waits_again_once_caught_up(live: Api, wired: Connection, store: Store) -> None:
    """A recorder that stood still for a while is waited for again after it came back."""
    desk = Desk(wired, store)
    live._patience = 0.0
    init(id="r").finish()
    desk.record()
    assert [run.id for run in live.runs()] == ["r"]
    with recording(desk):
        init(id="q").finish()
        assert {run.id for run in live.runs()} == {"r", "q"}


def test_a_run_is_edited(live: Api, wired: Connection, store: Store) -> None:
    """What was changed is in the store, what was not stays, and nothing is sent when nothing was changed."""
    with recording(Desk(wired, store)):
        with init(id="r", name="old", config={"lr": 1, "bad": 2}, tags=["a"]) as run:
            run.log({"loss": 3.0, "other": 1})
        found = live.run("r")
        found.name, found.notes, found.group = "new", "seen", "g"
        found.tags.append("b")
        found.config["lr"] = 5
        del found.config["bad"]
        found.summary["loss"] = 0.5
        found.update()
        found.update()
        found.summary.update({"more": [1]})
        again = found.load(force=True)
        assert (again.name, again.notes, again.tags, again.group) == ("new", "seen", ["a", "b"], "g")
        assert (again.config, again.state) == ({"lr": 5}, "finished")
        assert {key: again.summary[key] for key in ("loss", "other", "more")} == {"loss": 0.5, "other": 1, "more": [1]}
        assert len(events(wired, RunEdited)) == 2


def test_a_run_is_deleted(live: Api, wired: Connection, store: Store) -> None:
    """A run that is over goes with all it had; one that runs does not."""
    with recording(Desk(wired, store)):
        run = init(id="r")
        with pytest.raises(UsageError, match="is running"):
            live.run("r").delete()
        run.finish()
        runs = live.runs()
        assert len(runs) == 1
        live.run("r").delete()
        assert (list(live.runs()), list(runs)) == ([], [])


def test_redis_that_went_away(live: Api, wired: Connection, monkeypatch: pytest.MonkeyPatch, told: Store) -> None:
    """The store still has what it had."""

    def away(*_: object, **__: object) -> None:
        raise Unreachable("away")

    monkeypatch.setattr(wired, "call", away)
    assert live.sweep("s").counts["finished"] == 2
    monkeypatch.undo()


def test_a_store_on_another_machine(wired: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a Redis configured, no store here and no HTTP there, the error tells both ways out."""
    monkeypatch.setenv("BESOM_REDIS_URL", "redis://elsewhere")
    monkeypatch.setattr(api_module, "connect", lambda *_, **__: wired)
    with pytest.raises(Unreachable, match=r"--http HOST:PORT, or set BESOM_STORE"):
        Api()


def test_metadata_of_a_run(api: Api) -> None:
    """What a run was made in, its packages as a list; a run of before has none."""
    assert api.run("r").metadata == {"os": "x", "packages": ["a==1", "b==2"]}
    assert next(run for run in api.runs("q") if run.id == "r").metadata["packages"] == ["a==1", "b==2"]
    assert api.run("s-1").metadata == {}


@pytest.mark.parametrize("stream", ["system", "events"])
def test_system_metrics_of_a_run(api: Api, stream: str) -> None:
    """They are a stream of their own, with their own time; the run's history and summary are as logged."""
    run = api.run("r")
    whole = {"_timestamp": 30.0, "_runtime": 10.0, "system/cpu": 50.0, "system/memory": 9.0}
    assert run.history(stream=stream, pandas=False, x_axis="_timestamp") == [whole]
    some = run.history(stream=stream, pandas=False, keys=["system/cpu"])
    assert some == [{"_timestamp": 30.0, "_runtime": 10.0, "system/cpu": 50.0}]
    assert run.history(pandas=False) == [{"_step": 5, "n": {"x": 1}}]
    assert run.summary == {"n": {"x": 1}}


def test_what_a_sweep_learned(store: Store) -> None:
    """Importance and the DataFrame are of the sweep's own metric; another is named; failed trials are left out."""
    rows = [created(goal="maximize", metric="acc")]
    for number in range(1, 7):
        rows += [claimed(number, params=f'{{"x": {number}.5}}')]
        rows += [batch(f"s-{number}", steps=[0, 1], writer=f"w{number}", acc=[number, 0.0], loss=[9.0, -number])]
        rows += [ended(number, state="failed" if number == 6 else "finished", **{f"w{number}": 1})]
    play(store, Recorder(), rows)
    with opened() as api:
        sweep = api.sweep("s")
        own, other = sweep.importance(), sweep.importance("loss", pairs=1)
        frame = sweep.trials_dataframe()
        with pytest.raises(UsageError, match="0 ended trials have a value of 'none'"):
            sweep.importance("none")
    assert [(found.metric, found.trials, found.left_out) for found in (own, other)] == [("acc", 5, 1), ("loss", 5, 1)]
    assert [found.parameters[0].correlation for found in (own, other)] == [pytest.approx(1), pytest.approx(-1)]
    assert frame["value"].tolist()[:5] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert frame["params.x"].tolist() == [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
    assert frame["state"].tolist() == ["finished"] * 5 + ["failed"]


def test_a_sweep_with_several_metrics_learns_from_the_first(store: Store) -> None:
    """Of its trials the last value of the first of `metrics` counts; the DataFrame has a column for each."""
    metrics = [{"name": "acc", "goal": "maximize"}, {"name": "loss"}]
    spec = SweepSpec(
        id="s", entity="e", project="p", name="", created=1.0, config={"method": "random", "metrics": metrics}
    )
    rows: list[Any] = [SweepCreated(spec=spec.model_dump_json())]
    for number in range(1, 6):
        rows += [claimed(number, params=f'{{"x": {number}.5}}')]
        rows += [batch(f"s-{number}", steps=[0, 1], writer=f"w{number}", acc=[9.0, -number], loss=[0.0, number])]
        rows += [ended(number, **{f"w{number}": 1})]
    play(store, Recorder(), rows)
    with opened() as api:
        found, frame = api.sweep("s").importance(), api.sweep("s").trials_dataframe()
    assert (found.metric, found.parameters[0].correlation) == ("acc", pytest.approx(-1))
    assert frame["values.acc"].tolist() == [-1, -2, -3, -4, -5]
    assert frame["values.loss"].tolist() == [1, 2, 3, 4, 5]


def test_importance_needs_a_metric(store: Store) -> None:
    """A sweep without one says how to name one."""
    play(store, Recorder(), [created(metric=None)])
    with opened() as api, pytest.raises(UsageError, match=r"has no metric; name a logged one"):
        api.sweep("s").importance()
