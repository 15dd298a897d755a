"""`run.log` and the end of a run: rows and steps as W&B's users know them (the rules were read from its own files)."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.errors import (
    FinishedRun,
    TrialCancelled,
    TrialInterrupted,
    TrialPreempted,
    TrialStopped,
    UsageError,
)
from besom.messages import Claim, RunEdited
from besom.tracking.media.video import Video
from besom.tracking.run import row as row_module
from besom.tracking.run.config import RunConfig
from besom.tracking.run.run import Run, RunIdentity
from besom.tracking.run.trial import Trial
from besom.tracking.store.reader import summary
from besom.tracking.values import KEY_LIMIT, KEYS_LIMIT
from besom.tracking.writing.spool import WriterName
from besom.tracking.writing.writer import Writer
from tests.tracking.desk import Desk, events
from tests.tracking.stories import spec

CLAIM = Claim(sweep="s", number=1, attempt=2, token="t", params={})

Make = Callable[..., Run]


@pytest.fixture
def ends() -> list[tuple[int, str, int]]:
    """What the run told at its end: exit code, error, batches."""
    return []


@pytest.fixture
def make(fake: Connection, tmp_path: Path, ends: list[tuple[int, str, int]]) -> Make:
    def make(trial: Trial | None = None, name: str = "w", directory: Path = tmp_path) -> Run:
        claim = trial.claim if trial else None
        writer = Writer(Journal(fake), WriterName("r", claim.attempt if claim else 1, name, claim), tmp_path, 0)

        def ended(_: Run, exit_code: int, error: str, batches: int) -> None:
            ends.append((exit_code, error, batches))

        identity = RunIdentity("r", "my run", "p", "e", group="g", tags=("x",))
        return Run(
            identity, RunConfig({}), writer, trial=trial, directory=directory, on_finish=ended, patience=0
        )  # fmt: skip

    return make


@pytest.fixture
def run(make: Make) -> Run:
    return make()


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(spec(), CLAIM, tmp_path)


def test_its_folder_is_there_when_it_is_asked_for(make: Make, tmp_path: Path) -> None:
    """For a checkpoint, say; nobody else may look into it, and without being asked for it is not made."""
    run = make(directory=tmp_path / "runs" / "r")
    assert not (tmp_path / "runs").exists()
    assert Path(run.dir).stat().st_mode & 0o777 == 0o700


Call = tuple[dict[str, Any], dict[str, Any]]


@pytest.mark.parametrize(
    ("calls", "rows"),
    [
        ([({"a": 1}, {}), ({"a": 2}, {})], [{"_step": 0, "a": 1}, {"_step": 1, "a": 2}]),
        ([({"a": 1}, {"commit": False}), ({"b": 2}, {})], [{"_step": 0, "a": 1, "b": 2}]),
        ([({"a": 1}, {"commit": False}), ({"a": 2}, {})], [{"_step": 0, "a": 2}]),
        ([({"a": 1}, {"commit": False})], [{"_step": 0, "a": 1}]),
        ([({"e": 1}, {"step": 9}), ({"f": 2}, {})], [{"_step": 9, "e": 1, "f": 2}]),
        ([({"e": 1}, {"step": 9}), ({"f": 2}, {"step": 9}), ({"g": 3}, {})], [{"_step": 9, "e": 1, "f": 2, "g": 3}]),
        ([({"g": 1}, {"step": 20, "commit": True}), ({"h": 2}, {})], [{"_step": 20, "g": 1}, {"_step": 21, "h": 2}]),
        ([({"a": 1}, {"step": 3}), ({"a": 2}, {"step": 7})], [{"_step": 3, "a": 1}, {"_step": 7, "a": 2}]),
        ([({"a": 1}, {"commit": False}), ({"b": 2}, {"step": 4})], [{"_step": 0, "a": 1}, {"_step": 4, "b": 2}]),
        ([({"a": 1}, {}), ({}, {}), ({"a": 2}, {})], [{"_step": 0, "a": 1}, {"_step": 1}, {"_step": 2, "a": 2}]),
        ([({"a": 1}, {"step": np.int64(5)})], [{"_step": 5, "a": 1}]),
        ([({"n": {"x": 1, "y": {"z": 2}}}, {})], [{"_step": 0, "n": {"x": 1, "y": {"z": 2}}}]),
        ([({"train/loss": np.float32(0.5)}, {})], [{"_step": 0, "train/loss": 0.5}]),
    ],
)
def test_rows_and_steps(calls: list[Call], rows: list[dict[str, Any]], run: Run, desk: Desk) -> None:
    """Without `step` a call closes its row; with it the row stays open; the last value in a row wins; `{}` is a row."""
    for data, how in calls:
        run.log(data, **how)
    run.finish()
    assert desk.rows("r") == rows


def test_steps_only_grow(run: Run, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A smaller step is ignored with a warning that names both steps; what follows is not disturbed."""
    run.log({"a": 1}, step=9)
    with caplog.at_level(logging.WARNING, "besom"):
        run.log({"late": 2}, step=2)
    run.log({"b": 3})
    run.finish()
    assert len(caplog.messages) == 1
    assert "2" in caplog.messages[0]
    assert "9" in caplog.messages[0]
    assert desk.rows("r") == [{"_step": 9, "a": 1, "b": 3}]


def test_step_counts_closed_rows(run: Run) -> None:
    """`run.step` is where the next row goes."""
    run.log({"a": 1})
    run.log({"b": 1}, commit=False)
    assert run.step == 1
    run.log({"c": 1}, step=7)
    assert run.step == 7
    run.finish()
    assert (run.starting_step, run.step) == (0, 8)


def test_each_row_has_its_time(run: Run, desk: Desk) -> None:
    """`_timestamp` is seconds since the epoch, also in an empty row, and no part of the local summary."""
    run.log({})
    run.finish()
    desk.record()
    with desk.store.read() as conn:
        found = conn.exec_driver_sql("SELECT value FROM last WHERE run = 'r' AND key = '_timestamp'").scalar()
    assert abs(float(found) - run.start_time) < 60
    assert "_timestamp" not in run.summary


def test_numbers_that_are_none(run: Run, desk: Desk) -> None:
    """NaN, infinities, None, booleans and integers beyond 64 bits come back."""
    run.log({"nan": math.nan, "inf": -math.inf, "none": None, "yes": True, "huge": 10**30, "big": 2**62 + 1})
    run.finish()
    (row,) = desk.rows("r")
    assert math.isnan(row.pop("nan"))
    assert row == {"_step": 0, "inf": -math.inf, "none": None, "yes": True, "huge": 1e30, "big": 2**62 + 1}


@pytest.mark.parametrize("data", [[("a", 1)], "a", None, 5, {1: 2}, {None: 1}, {"model": object()}])
def test_what_cannot_be_logged(data: Any, run: Run, desk: Desk) -> None:
    """No mapping, a name that is no string, or a value with no plain form is a TypeError; nothing of it is kept."""
    with pytest.raises(TypeError):
        run.log(data)
    run.log({"a": 1})
    run.finish()
    assert desk.rows("r") == [{"_step": 0, "a": 1}]


@pytest.mark.parametrize("step", [1.0, "1", True, [1]])
def test_steps_are_whole_numbers(step: Any, run: Run) -> None:
    """Any other step is a TypeError that shows it."""
    with pytest.raises(TypeError, match="step must be an int"):
        run.log({"a": 1}, step=step)


def test_limits_of_names_and_steps(run: Run) -> None:
    """A name that is too long and a step that does not fit are refused in the caller's thread."""
    with pytest.raises(UsageError, match=f"at most {KEY_LIMIT}"):
        run.log({"k" * (KEY_LIMIT + 1): 1})
    with pytest.raises(UsageError, match="too large"):
        run.log({"a": 1}, step=2**63)


def test_threads_log_at_once(run: Run, desk: Desk) -> None:
    """Rows of several threads are all kept, each at a step of its own."""

    def work(name: str) -> None:
        for value in range(200):
            run.log({name: value})

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()
    rows = desk.rows("r")
    assert [row["_step"] for row in rows] == list(range(600))
    for name in "abc":
        assert [row[name] for row in rows if name in row] == list(range(200))


def test_what_has_no_room(run: Run, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A value above 64 kB is left out with one warning for its name; the rest of the row is kept."""
    for step in range(2):
        run.log({"big": "x" * 64_001, "a": step})
    run.log({"big": "small enough"})
    run.finish()
    assert [("big" in message, "left out" in message) for message in caplog.messages] == [(True, True)]
    assert desk.rows("r") == [{"_step": 0, "a": 0}, {"_step": 1, "a": 1}, {"_step": 2, "big": "small enough"}]


def test_too_many_names(run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names beyond the limit are left out with one warning, known ones go on."""
    monkeypatch.setattr(row_module, "KEYS_LIMIT", 2)
    run.log({"a": 1, "b": 1, "c": 1})
    run.log({"d": 1, "a": 2})
    run.finish()
    assert dict(run.summary.items()) == {"a": 2, "b": 1}
    assert ["2 names already" in message for message in caplog.messages] == [True]


def test_ten_thousand_and_one_names(run: Run, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """The limit as it is: ten thousand names are recorded, the next is left out, and the run goes on."""
    run.log({f"k{number}": number for number in range(KEYS_LIMIT + 1)})
    run.log({"k0": -1, "another": 1})
    run.finish()
    first, second = desk.rows("r")
    assert (len(first), first["k9999"], "k10000" in first) == (1 + KEYS_LIMIT, 9999, False)
    assert second == {"_step": 1, "k0": -1}
    assert ["10000 names already" in message for message in caplog.messages] == [True]


def test_media_that_cannot_be_kept(run: Run, desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Above 100 MB, or gone since: left out with one warning for each name, and the rest of the row is recorded."""
    huge, gone = tmp_path / "huge.mp4", tmp_path / "gone.mp4"
    with huge.open("wb") as file:
        file.truncate(100_000_001)
    gone.write_bytes(b"x")
    lost = Video(gone)
    gone.unlink()
    for step in range(2):
        run.log({"huge": Video(huge), "gone": lost, "loss": step})
    run.finish()
    assert desk.rows("r") == [{"_step": 0, "loss": 0}, {"_step": 1, "loss": 1}]
    assert [message.partition(" ")[0] for message in caplog.messages] == ["huge", "gone"]
    assert "at most 100000000" in caplog.messages[0]


def test_names_without_utf8(run: Run, desk: Desk) -> None:
    """A name with half a character is kept with "?" in its place and holds nothing up."""
    run.log({"bad\udcff": "\ud800"})
    run.log({"a": 1})
    run.finish()
    assert desk.rows("r") == [{"_step": 0, "bad?": "?"}, {"_step": 1, "a": 1}]


def test_the_summary_set_inside_a_dict(run: Run, desk: Desk) -> None:
    """It reaches the store, over what was logged before."""
    run.log({"u": {"v": 1, "w": 1}})
    run.summary["u"]["v"] = 5
    run.summary.u.w = 6
    run.finish()
    desk.record()
    with desk.store.read() as conn:
        assert summary(conn, run.id)["u"] == {"v": 5, "w": 6}


def test_the_summary_follows(run: Run, desk: Desk) -> None:
    """Last value of each closed row, unless set; both here and in the store."""
    run.log({"loss": 2.0, "acc": 0.5})
    run.summary["loss"] = 1.0
    run.log({"acc": 0.75})
    run.log({"open": 1}, commit=False)
    assert "open" not in run.summary
    run.finish()
    assert dict(run.summary.items()) == {"loss": 1.0, "acc": 0.75, "open": 1}
    desk.record()
    with desk.store.read() as conn:
        held = conn.exec_driver_sql("SELECT key, value FROM last WHERE run = 'r' AND key <> '_timestamp'").all()
    assert dict(map(tuple, held)) == {"loss": "1.0", "acc": "0.75", "open": "1"}


def test_dicts_of_one_row_join(run: Run, desk: Desk) -> None:
    """A dict that is logged into an open row is added name by name; media, which have a type, are replaced."""
    run.log({"n": {"x": 1, "deep": {"a": 1}}, "m": {"_type": "t", "path": "p"}}, commit=False)
    run.log({"n": {"y": 2, "deep": {"b": 2}}, "m": {"_type": "t"}})
    run.finish()
    assert desk.rows("r") == [{"_step": 0, "n": {"x": 1, "y": 2, "deep": {"a": 1, "b": 2}}, "m": {"_type": "t"}}]


def test_new_names(run: Run, desk: Desk) -> None:
    """Name, tags and notes can be set while the run is open, each told to the journal."""
    run.name, run.notes, run.tags = "new", "why", ("a", "b", "a")
    run.tags += ("c",)
    run.log({"a": 1})
    run.finish()
    assert (run.name, run.notes, run.tags) == ("new", "why", ("a", "b", "c"))
    told = [event.info() for event in events(desk.connection, RunEdited)]
    assert told == [{"name": "new"}, {"notes": "why"}, {"tags": ["a", "b"]}, {"tags": ["a", "b", "c"]}]
    with pytest.raises(FinishedRun):
        run.name = "late"


def test_after_finish(run: Run) -> None:
    """Logging, setting the summary and the config are errors that name the run; reading goes on."""
    run.log({"a": 1})
    run.finish()
    late_calls = (
        lambda: run.log({"a": 2}), lambda: run.summary.update({"a": 2}), lambda: run.config_changed({"a": 2}),
    )  # fmt: skip
    for late in late_calls:
        with pytest.raises(FinishedRun, match="run r is finished"):
            late()
    assert (run.id, run.state, run.summary["a"]) == ("r", "finished", 1)


@pytest.mark.parametrize(("exit_code", "state"), [(None, "finished"), (0, "finished"), (3, "failed")])
def test_finish_once(exit_code: int | None, state: str, run: Run, ends: list[tuple[int, str, int]]) -> None:
    """The exit code decides the state; the end is told once, with the number of batches, however often it is called."""
    run.log({"a": 1})
    run.finish(exit_code)
    run.finish(1)
    assert run.state == state
    assert ends == [(exit_code or 0, "", 1)]


def test_leaving_the_block(make: Make, ends: list[tuple[int, str, int]]) -> None:
    """A block that ends finishes the run; one that raises fails it, keeps the traceback's end, and raises on."""
    with make(name="w1") as fine:
        fine.log({"a": 1})
    with pytest.raises(ZeroDivisionError), make(name="w2") as broken:
        _ = 1 / 0
    assert (fine.state, broken.state) == ("finished", "failed")
    assert ends[0] == (0, "", 1)
    assert ends[1][0] == 1
    assert ends[1][1].endswith("ZeroDivisionError: division by zero")


def test_a_finished_block_stays_finished(run: Run) -> None:
    """`finish` inside the block is the end that counts."""
    with run:
        run.finish(7)
    assert run.state == "failed"


def test_at_a_rung_log_waits_for_the_verdict(make: Make, trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value that brings the trial to a rung is kept, and the same call raises when the rule stops the trial."""
    run = make(trial)
    run.log({"loss": 1.0})
    monkeypatch.setattr(run._writer, "await_verdict", lambda: setattr(run._writer, "control", "stop"))
    with pytest.raises(TrialStopped):
        run.log({"loss": 0.5})
    assert run.summary["loss"] == 0.5


@pytest.mark.parametrize(
    ("control", "interrupt"), [("stop", TrialStopped), ("cancel", TrialCancelled), ("stale", TrialPreempted)]
)
def test_what_redis_asks_for(control: str, interrupt: type[TrialInterrupted], make: Make, trial: Trial) -> None:
    """The reply to a batch interrupts the next `log`, and `except Exception` does not catch it."""
    run = make(trial)
    assert not run.should_stop()
    run._writer.control = control
    assert run.should_stop()
    with pytest.raises(interrupt, match="trial r") as caught:
        run.log({"a": 1})
    assert not isinstance(caught.value, Exception)


def test_what_the_agent_asks_for(make: Make, trial: Trial, ends: list[tuple[int, str, int]]) -> None:
    """An interrupt set from outside goes first, a block that it ends has no error text, and what was given is kept."""
    run = make(trial)
    run._writer.control = "stop"
    trial.interrupt = TrialPreempted
    with pytest.raises(TrialPreempted), run:
        run.log({"a": 1})
    assert (ends, run.summary["a"]) == ([(1, "", 1)], 1)


def test_pause_interrupts_nothing(make: Make, trial: Trial) -> None:
    """A paused sweep lets its running trials go on."""
    run = make(trial)
    run._writer.control = "pause"
    run.log({"a": 1})
    assert not run.should_stop()


def test_a_trials_run(make: Make, trial: Trial) -> None:
    """It knows sweep and attempt, and leaves its batch count and next step to the trial."""
    run = make(trial)
    run.log({"a": 1}, step=4)
    run.finish()
    assert (run.sweep_id, run.attempt, trial.writers, trial.next_step) == ("s", 2, {"w": 1}, 5)
    again = make(trial, name="w2")
    assert again.step == again.starting_step == 5


def test_identity(run: Run) -> None:
    """Names are read from the run as in W&B, and outside a sweep there is none."""
    assert (run.id, run.name, run.path, run.group, run.tags) == ("r", "my run", "e/p/r", "g", ("x",))
    assert (run.project, run.entity, run.job_type, run.notes, run.sweep_id, run.attempt) == ("p", "e", "", "", None, 1)
    assert repr(run) == "<besom run p/r (running)>"
