"""Runs without Redis: mode="offline" and what `sync` makes of it, mode="disabled"."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import fakeredis
import pytest

import besom
from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.errors import NotFound, UsageError
from besom.messages import Batch, Claim, RunEnded, RunStarted
from besom.settings import read_settings
from besom.tracking.blobs.ways import blobs_of
from besom.tracking.run import run as run_module
from besom.tracking.run.active import active_run
from besom.tracking.run.init import init
from besom.tracking.run.run import Run
from besom.tracking.run.trial import Trial, set_trial
from besom.tracking.store import artifact_rows, reader
from besom.tracking.store.history import read_rows
from besom.tracking.store.store import Store
from besom.tracking.writing import connections
from besom.tracking.writing.offline import ENDED, STARTED, OfflineWriter, read_event
from besom.tracking.writing.spool import Spool, WriterName
from besom.tracking.writing.syncing import Synced, sync
from tests.tracking.desk import Desk, batches, events
from tests.tracking.stories import spec


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever asks for a connection fails the test."""

    def refuse(_: Any) -> Connection:
        raise AssertionError("a run without Redis asked for a connection")

    monkeypatch.setattr(connections, "connect", refuse)
    yield
    while (run := active_run()) is not None:
        run.finish()
    set_trial(None)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "work" / "besom-runs"


def train(mode: str) -> Run:
    run = init(id="r", mode=mode, project="p", entity="e", name="n", tags=["t"], config={"lr": 1})
    run.define_metric("loss", summary="min")
    for step in range(5):
        run.log({"loss": 1 / (step + 1), "deep": {"x": [step]}, "text": "é", "page": besom.Html(f"<b>{step}</b>")})
    model = besom.Artifact("model", "model")
    model.add(besom.Table(["a"], [[1]]), "rows")
    run.log_artifact(model, aliases=["best"])
    run.config.late = 2
    run.summary["own"] = "set"
    run.finish(3)
    return run


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sent(root: Path, connection: Connection) -> list[Synced]:
    return list(sync(root, Journal(connection), blobs_of(read_settings()), patience=0))


def kept(store: Store) -> dict[str, Any]:
    """What a store has of the run, without the times of the journal."""
    with store.read() as conn:
        row = reader.run(conn, "r")
        assert row is not None
        return {
            "run": {name: value for name, value in row.items() if name not in ("created", "started", "ended")},
            "rows": read_rows(conn, "r"),
            "summary": reader.summary(conn, "r"),
            "artifact": artifact_rows.find(conn, name="model", alias="best"),
        }


def test_offline_then_sync_is_online(
    fake: Connection, desk: Desk, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `sync` the store has what it has of an online run: history, config, summary, state, names, files."""
    monkeypatch.setattr(run_module.time, "time", lambda: 1_800_000_000.5)
    client = fakeredis.FakeRedis()
    monkeypatch.setattr(connections, "connect", lambda _: Connection("redis://other", client=client))
    with closing(Store.open(f"sqlite:///{tmp_path}/online.db")) as online:
        other = Desk(Connection("redis://other", client=client), online)
        assert train("online").mode == "online"
        other.record()
        blobs = tmp_path / "online-blobs"
        (read_settings().home / "blobs").rename(blobs)  # the offline run finds none
        assert train("offline").offline
        assert events(fake, RunStarted) == []
        assert [one.outcome for one in sent(runs, fake)] == ["sent"]
        desk.record()
        assert kept(desk.store) == kept(online)
        assert kept(online)["run"]["state"] == "failed"
        assert files_in(read_settings().home / "blobs") == files_in(blobs)
    client.close()


def test_nothing_is_sent_twice(alone: None, fake: Connection, desk: Desk, runs: Path) -> None:
    """A second `sync` sends nothing; one that was cut off before its mark repeats all, and the store stays."""
    train("offline")
    assert [(one.run, one.outcome, one.batches > 0) for one in sent(runs, fake)] == [("r", "sent", True)]
    desk.record()
    before, count = kept(desk.store), len(batches(fake))
    assert [(one.run, one.outcome, one.batches) for one in sent(runs, fake)] == [("r", "sent before", 0)]
    (mark,) = runs.glob("*/synced")
    mark.unlink()
    assert [one.outcome for one in sent(mark.parent, fake)] == ["sent"]
    desk.record()
    assert kept(desk.store) == before
    assert len(batches(fake)) == count


def test_an_offline_run_needs_nothing(alone: None, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in one folder, with start, batches and end; "dryrun" and the environment ask for it as well."""
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    run = init(id="r")
    run.log({"a": 1})
    folder = Path(run.dir)
    assert (folder.parent, folder.name[-2:]) == (runs, "-r")
    assert not (folder / ENDED).exists()
    run.finish()
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"r.1.{run._writer.name.writer}.spool", ENDED, STARTED]
    assert isinstance(read_event(folder / STARTED), RunStarted)
    assert isinstance(read_event(folder / ENDED), RunEnded)


def test_rows_are_on_disk_before_the_end(alone: None) -> None:
    """What was flushed is in the file, so that a kill loses a fraction of a second."""
    run = init(mode="offline")
    run.log({"a": 1})
    assert run._writer.flush()
    assert run._writer.due() is None
    assert Path(run.dir).glob("*.spool").__next__().stat().st_size > 0


def test_a_full_disk(tmp_path: Path, fake: Connection, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """While the disk is full batches wait in memory, in order; beyond its bound they are lost; both are said once."""
    append, full = Spool.append, [True]

    def limited(spool: Spool, seq: int, body: bytes) -> None:
        if full[0]:
            raise OSError(28, "No space left on device")
        append(spool, seq, body)

    monkeypatch.setattr(Spool, "append", limited)
    writer = OfflineWriter(WriterName("r", 1, "w"), tmp_path, 2 * 400)
    for step in range(20):
        writer.add(step, {"a": step})
        assert not writer.flush()
    assert ["keeping rows" in message for message in caplog.messages] == [True, False]
    assert "lost" in caplog.messages[1]
    full[0] = False
    assert writer.flush()
    count = writer.close(0)
    assert 1 < count < 20
    assert sent(tmp_path, fake)[0].batches == count
    assert [seq for _, seq in batches(fake)] == list(range(1, count + 1))


KILLED = """
import os, signal, besom
run = besom.init(id="r", mode="offline")
run.log({"a": 1})
run._writer.flush()
print(run.dir, flush=True)
signal.pause()
"""


def test_a_killed_run(fake: Connection, desk: Desk, tmp_path: Path) -> None:
    """While its process lives it is not sent; after kill -9 it is, and stands as crashed."""
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as child:
        assert child.stdout is not None
        folder = Path(child.stdout.readline().strip())
        assert [one.outcome for one in sent(folder, fake)] == ["running"]
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert [one.outcome for one in sent(folder, fake)] == ["sent"]
    assert desk.rows("r") == [{"_step": 0, "a": 1}]
    with desk.store.read() as conn:
        assert conn.exec_driver_sql("SELECT state FROM runs").scalar() == "crashed"


def test_spools_and_damage(alone: None, fake: Connection, tmp_path: Path, runs: Path) -> None:
    """Spools that were left behind go too; a start that cannot be read is named, and nothing at all is an error."""
    with pytest.raises(NotFound, match="no offline run or spool"):
        sent(tmp_path, fake)
    spool = Spool(tmp_path / "left", WriterName("earlier", 1, "w"))
    spool.append(1, b"\x80")
    spool.close(keep=True)
    (runs / "x").mkdir(parents=True)
    (runs / "x" / STARTED).write_bytes(b"\xc1")
    told = [(one.folder.name, one.batches, one.outcome) for one in sent(tmp_path, fake)]
    assert told == [("x", 0, "damaged"), ("left", 1, "sent")]
    assert [(one.run, one.seq) for one in events(fake, Batch)] == [("earlier", 1)]


def test_resume_offline(alone: None, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody can look the run up; it begins at 0 and says so."""
    run = init(id="r", mode="offline", resume="must")
    assert (run.step, run.resumed) == (0, False)
    assert "not looked up" in caplog.text


@pytest.mark.parametrize("mode", ["sometimes", 5])
def test_modes_that_cannot_be(alone: None, mode: Any) -> None:
    """They are refused with what may be written."""
    with pytest.raises(UsageError, match="'online', 'offline' or 'disabled'"):
        init(mode=mode)


# ---- disabled


def test_a_disabled_run_records_nothing(alone: None, tmp_path: Path) -> None:
    """Config and summary work, the step stays 0, nothing is written, and nothing is an error after its end."""
    run = init(mode="disabled", config={"lr": 1}, project="p")
    besom.log({"a": 1}, step=9)
    run.define_metric("a", summary="min")
    assert (run.id[:6], run.name == run.id, run.step, run.config.lr, run.summary["a"]) == ("dummy-", True, 0, 1, 1)
    assert (run.disabled, run.offline, besom.run is run) == (True, False, True)
    run.config.lr2 = 2
    run.finish()
    run.log({"a": 2})
    run.summary["b"] = 3
    run.finish()
    assert dict(run.summary.items()) == {"a": 2, "b": 3}
    assert active_run() is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TypeError):
        run.log([1])  # type: ignore[arg-type]


def test_modes_inside_a_sweep(wired: Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A trial is recorded for its agent: offline is ignored, with a warning if the script wrote it; disabled is not."""
    claim = Claim(sweep="s", number=1, attempt=1, token="t", params={"lr": 0.1})
    set_trial(Trial(spec(), claim, tmp_path / "trial", wired))
    with caplog.at_level(logging.WARNING, "besom"):
        run = init(mode="offline")
    assert (run.id, run.mode) == ("s-1", "online")
    assert [message.split(" ")[0] for message in caplog.messages] == ["mode='offline'"]
    run.finish()
    dummy = init(mode="disabled", config={"lr": 5})
    assert (dummy.id[:6], dummy.config.lr) == ("dummy-", 0.1)
