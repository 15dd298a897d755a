"""Bringing `.wandb` files into the store: what is there afterwards, and that nothing comes in twice."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.errors import Unreachable, UsageError
from besom.messages import Batch, FileSaved, RunBeat
from besom.settings import read_settings
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.folder import Folder
from besom.tracking.metrics import METRICS_KEY
from besom.tracking.reading.source import LocalSource
from besom.tracking.store import history, reader
from besom.tracking.store.alert_rows import alerts_of
from besom.tracking.wandb_files import sending
from besom.tracking.wandb_files.importing import Importer, find_files
from besom.tracking.wandb_files.sending import Imported
from tests.conformance.bench import plain_json
from tests.tracking.desk import Desk, events
from tests.tracking.stories import claimed, created, play, started

from .test_records import SAMPLES, TOLD
from .writing import ended, framed, item, message, row, run, summary, write

LATER = 4e9
"""Seconds since the epoch, when no file is fresh any more."""
Import = Callable[..., list[Imported]]


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(Folder(tmp_path / "blobs"))


@pytest.fixture
def progress() -> list[tuple[str, int, int]]:
    """How far files were said to be."""
    return []


@pytest.fixture
def bring(fake: Connection, desk: Desk, blobs: Blobs, progress: list[tuple[str, int, int]]) -> Import:
    """Import what is at a path; the recorder works whenever the store is asked."""

    def bring(root: Path, now: float = LATER, **settings: Any) -> list[Imported]:
        source = LocalSource(desk.store)

        def ask(query: str, **arguments: Any) -> Any:
            desk.record()
            return source.ask(query, **arguments)

        found = Importer(
            Journal(fake), blobs, ask, read_settings(**settings), lambda: now, lambda *told: progress.append(told)
        )
        told = list(found.import_all(find_files(root)))
        desk.record()
        return told

    return bring


def kept(desk: Desk, name: str = "r") -> dict[str, Any]:
    with desk.store.read() as conn:
        found = reader.run(conn, name)
        assert found is not None
        return {
            **found, "rows": history.read_rows(conn, name), "summary": reader.summary(conn, name),
            "console": reader.console(conn, name), "system": history.read_system(conn, name),
        }  # fmt: skip


def of_user(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in ("_timestamp", "_runtime", "_wandb")}


def without_files(value: Any) -> Any:
    """Media's JSON as wandb wrote it: what a list of images says of its files is ours."""
    if isinstance(value, dict):
        found = {name: without_files(held) for name, held in value.items()}
        return {name: found[name] for name in found if not ("filenames" in found and name in ("sha256", "size"))}
    return [without_files(held) for held in value] if isinstance(value, list) else value


# ---- real files


def test_a_real_run(bring: Import, desk: Desk, blobs: Blobs) -> None:
    """All of it is in the store: names, config, rows, summary, definitions, console, system metrics, media."""
    told = TOLD["everything"]
    (one,) = bring((SAMPLES / told["file"]).parent)
    assert (one.outcome, one.run, one.rows, one.files) == ("imported", "sample-everything", 24, 6)
    assert [problem.partition(":")[0] for problem in one.problems] == ["artifact model"]
    found = kept(desk, "sample-everything")
    assert (found["state"], found["exit_code"], found["name"], found["tags"]) == (
        "finished", 0, "everything sample", ["a", "b"],
    )  # fmt: skip
    assert {"lr": 0.2, "late": [1, 2]}.items() <= found["config"].items()
    assert found["config"][METRICS_KEY]["val/*"]["summary"] == ["max"]
    assert [plain_json(without_files(of_user(row))) for row in found["rows"]] == told["history"]
    shown = {name: value for name, value in found["summary"].items() if value != {"_type": "none"}}
    assert plain_json(without_files(of_user(shown))) == {
        name: value for name, value in told["summary"].items() if name != "_step"
    }
    assert [(stream, line) for stream, _, line in found["console"]] == [
        ("stdout", "training begins"), ("stdout", "done"), ("stderr", "careful"),
    ]  # fmt: skip
    assert found["system"][0]["system/memory"] > 0
    assert found["metadata"]["packages"] == ["numpy==2.4.6", "wandb==0.31.0"]
    media = next(row["page"] for row in found["rows"] if "page" in row)
    assert blobs.read(media["sha256"]) == b"<b>hi</b>"
    pictures = next(row["imgs"] for row in found["rows"] if "imgs" in row)
    assert [blobs.read(name)[:4] for name in pictures["sha256"]] == [b"\x89PNG"] * 2


def test_a_whole_folder_twice(bring: Import, desk: Desk, fake: Connection) -> None:
    """Finished, failed and killed runs come in, oldest first; the second time nothing is sent and nothing changes."""
    first = bring(SAMPLES)
    assert [one.run for one in first] == ["sample-everything", "sample-killed", "sample-failed"]
    assert [kept(desk, one.run)["state"] for one in first] == ["finished", "crashed", "failed"]
    before = json.dumps([kept(desk, one.run) for one in first]), len(events(fake, Batch))
    second = bring(SAMPLES)
    assert [one.outcome for one in second] == ["imported before"] * 3
    assert (json.dumps([kept(desk, one.run) for one in first]), len(events(fake, Batch))) == before


def test_a_killed_run(bring: Import, desk: Desk) -> None:
    """The rows before the last whole block are there, and nothing else of it is a fault."""
    told = TOLD["killed"]
    (one,) = bring((SAMPLES / told["file"]).parent)
    assert one.problems == ["the last record is cut off"]
    assert [plain_json(of_user(row)) for row in kept(desk, "sample-killed")["rows"]] == told["history"]
    assert one.rows == len(told["history"]) > 19


# ---- what is told of a run


def test_ends(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """Start and end are the file's: start and runtime, or the last row's time; an exit code that is not 0 failed."""
    write(tmp_path / "w", [run(at=1000), row(0, at=1001.5), ended(3, runtime=9)])
    bring(tmp_path)
    found = kept(desk)
    assert (found["created"], found["ended"], found["state"], found["exit_code"]) == (1000, 1009, "failed", 3)


def test_without_entity_and_project(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """Offline runs may have neither; then the settings' are taken, and wandb's name for no project."""
    write(tmp_path / "w", [message({17: {1: "r", 17: {1: 1000}}}), ended()])
    bring(tmp_path, entity="lab")
    found = kept(desk)
    assert (found["entity"], found["project"], found["name"]) == ("lab", "uncategorized", "r")


def test_a_trial_of_a_wandb_sweep(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """The sweep's id is in the metadata, and its group where the run has none."""
    write(tmp_path / "w", [run(f12="sweep7"), ended()])
    bring(tmp_path)
    found = kept(desk)
    assert (found["group_name"], found["metadata"]["wandb"]["sweep"]) == ("sweep7", "sweep7")


def test_names_that_changed(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """A later record of the run has what it is called in the end."""
    write(tmp_path / "w", [run(f8="old", f10=["a"]), row(0), run(f8="new", f10=["b", "c"]), ended()])
    bring(tmp_path)
    assert (kept(desk)["name"], kept(desk)["tags"]) == ("new", ["b", "c"])


def test_the_summary_of_the_last_row_stays_its(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """Only what the rows do not say is set by hand: a later row of a resumed run goes over the rest."""
    told = summary(a=2, nan=float("nan"), best=9, _step=1, _runtime=3)
    write(tmp_path / "w", [run(), row(0, a=1), row(1, a=2, nan=float("nan"), none=None), told, ended()])
    bring(tmp_path)
    assert {name: repr(value) for name, value in of_user(kept(desk)["summary"]).items()} == {
        "a": "2", "nan": "nan", "best": "9",
    }  # fmt: skip
    with desk.store.read() as conn:
        explicit = conn.exec_driver_sql("SELECT key FROM last WHERE explicit = 1").scalars().all()
    assert explicit == ["best"]


def test_values_without_room(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """A value above the limit of a row is left out, counted, and the rest of its row is there."""
    write(tmp_path / "w", [run(), row(0, a=1, long="x" * 70_000), row(1, long="x" * 70_000), ended()])
    (one,) = bring(tmp_path)
    assert one.problems == ["1 names have values too large for a row"]
    assert [of_user(row) for row in kept(desk)["rows"]] == [{"_step": 0, "a": 1}, {"_step": 1}]


def test_many_rows(
    bring: Import, desk: Desk, fake: Connection, progress: list[tuple[str, int, int]], tmp_path: Path
) -> None:
    """A long file goes in batches of about 48 kB, each of which is said; every row is there once."""
    write(tmp_path / "w", [run(), *(row(step, a=step, t="x" * 100) for step in range(2000)), ended()])
    bring(tmp_path)
    sizes = [len(batch.body) for batch in events(fake, Batch)]
    assert len(sizes) > 4
    assert max(sizes) < 60_000
    assert [(name, of) for name, _, of in progress] == [("r", 2002)] * (len(sizes) - 1)
    assert [done for _, done, _ in progress] == sorted(done for _, done, _ in progress)
    assert [row["a"] for row in kept(desk)["rows"]] == list(range(2000))


def test_output_of_older_versions(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """Where the file tells of no output, output.log is taken; wandb-metadata.json where it tells of no environment."""
    path = write(tmp_path / "w", [run(), row(0), ended()])
    (path.parent / "files").mkdir()
    (path.parent / "files" / "output.log").write_text("one\ntwo")
    metadata = {"host": "old", "args": ["--password", "x"], "gpu": "A100", "gpu_count": 2, "git": {"commit": "c"}}
    (path.parent / "files" / "wandb-metadata.json").write_text(json.dumps(metadata))
    bring(tmp_path)
    found = kept(desk)
    assert [line for _, _, line in found["console"]] == ["one", "two"]
    told = found["metadata"]
    assert (found["host"], told["args"], told["gpus"], told["git"]["commit"]) == (
        "old", ["--password", "***"], ["A100", "A100"], "c",
    )  # fmt: skip


# ---- files


def media(path: str) -> dict[str, Any]:
    return {"_type": "image-file", "path": path, "sha256": "0" * 64}


def test_media_that_is_not_there(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """Rows stay as they are; files that are gone, or lie outside the run's folder, are counted and not taken."""
    (tmp_path / "secret.png").write_bytes(b"secret")
    gone, outside = media("media/gone.png"), media("../../secret.png")
    write(tmp_path / "w", [run(), row(0, gone=gone, outside=outside), ended()])
    (one,) = bring(tmp_path)
    assert (one.files, one.problems) == (0, ["2 media files are not there"])
    assert of_user(kept(desk)["rows"][0]) == {"_step": 0, "gone": gone, "outside": outside}


def test_an_artifact(bring: Import, desk: Desk, tmp_path: Path, blobs: Blobs) -> None:
    """Where wandb's staged copy is there, and is the one that was logged, it is a version here."""
    staged = tmp_path / "staged"
    staged.write_bytes(b"weights")
    digest = base64.b64encode(hashlib.md5(b"weights", usedforsecurity=False).digest()).decode()
    contents = [{1: "model.txt", 2: digest, 4: 7, 6: str(staged)}, {1: "d.csv", 3: "https://example.org/d.csv"}]
    told = {4: "model", 5: "net", 8: '{"k": 1}', 11: ["latest", "best", "v3"], 12: {4: contents}}
    own_table = {4: "run_table", 5: "run-r-t", 12: {4: contents}}
    write(tmp_path / "w", [run(), message({8: own_table}), message({8: told}), ended()])
    (one,) = bring(tmp_path)
    assert one.problems == []
    with desk.store.read() as conn:
        rows = conn.exec_driver_sql("SELECT name, type, metadata, files, run FROM artifacts").all()
        aliases = conn.exec_driver_sql("SELECT alias FROM artifact_aliases ORDER BY alias").scalars().all()
    assert rows == [("net", "model", '{"k": 1}', 2, "r")]
    assert aliases == ["best", "latest"]
    assert hashlib.sha256(b"weights").hexdigest() in blobs


def test_an_artifact_whose_copy_is_another(bring: Import, tmp_path: Path) -> None:
    """A file that is not the one that was logged is not taken for it."""
    other = tmp_path / "other"
    other.write_bytes(b"other")
    contents = [{1: "model.txt", 2: "AAAA", 6: str(other)}]
    write(tmp_path / "w", [run(), message({8: {4: "model", 5: "net", 12: {4: contents}}}), ended()])
    (one,) = bring(tmp_path)
    assert [problem.partition(";")[0] for problem in one.problems] == [
        "artifact net: its file model.txt is not on this machine"
    ]


def test_saved_files(bring: Import, fake: Connection, tmp_path: Path, blobs: Blobs) -> None:
    """What wandb.save kept is a file of the run; what is wandb's own is not, and what is gone is said."""
    names = [{1: "best.ckpt", 2: 2}, {1: "gone.txt"}, {1: "requirements.txt", 3: 1}, {1: "media/x.png"}, {1: "../x"}]
    path = write(tmp_path / "w", [run(), message({6: {1: names}}), ended()])
    (path.parent / "files").mkdir()
    (tmp_path / "best.ckpt").write_bytes(b"weights")
    (path.parent / "files" / "best.ckpt").symlink_to(tmp_path / "best.ckpt")
    (one,) = bring(tmp_path)
    assert [problem.partition(":")[0] for problem in one.problems] == ["file gone.txt", "file ../x"]
    (saved,) = events(fake, FileSaved)
    assert (saved.run, saved.name, blobs.read(saved.sha256)) == ("r", "best.ckpt", b"weights")


def test_alerts(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """They are the run's alerts, at the time of the record before them."""
    alert = message({10: {1: "loss", 2: "is high", 3: "WARN"}})
    write(tmp_path / "w", [run(), row(0, at=1002), alert, message({10: {1: "odd", 3: "LOUD"}}), ended()])
    bring(tmp_path)
    with desk.store.read() as conn:
        assert alerts_of(conn, "r") == [
            {"title": "loss", "text": "is high", "level": "WARN", "created": 1002.0},
            {"title": "odd", "text": "", "level": "INFO", "created": 1002.0},
        ]


# ---- several times, several files


def test_a_file_that_has_grown(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """What was brought in from the half of it is not brought in again; the rest follows, and the run ends well."""
    printed = [message({13: {1: 1, 2: {1: 1001}, 3: f"line {place}\n"}}) for place in range(2)]
    records = [run(), row(0, a=1), printed[0], row(1, a=2), row(2, a=3), printed[1], summary(best=1), ended()]
    path = write(tmp_path / "w", records[:4])
    assert [one.outcome for one in bring(tmp_path)] == ["imported"]
    assert (kept(desk)["state"], len(kept(desk)["rows"])) == ("crashed", 2)
    path.write_bytes(framed(records))
    assert [one.outcome for one in bring(tmp_path)] == ["imported"]
    found = kept(desk)
    assert (found["state"], [row["a"] for row in found["rows"]]) == ("finished", [1, 2, 3])
    assert [line for _, _, line in found["console"]] == ["line 0", "line 1"]
    with desk.store.read() as conn:
        points = conn.exec_driver_sql(
            "SELECT sum(count) FROM (SELECT count, series FROM tail UNION ALL SELECT count, series FROM chunks) "
            "JOIN series ON id = series WHERE key = 'a'"
        ).scalar()
    assert points == 3


def test_a_run_that_still_runs(bring: Import, fake: Connection, tmp_path: Path) -> None:
    """A file without an end that was written to a moment ago is left alone; a minute later than five it has crashed."""
    path = write(tmp_path / "w", [run(), row(0)])
    now = path.stat().st_mtime
    assert [one.outcome for one in bring(tmp_path, now + 10)] == ["running"]
    assert events(fake, RunBeat) == []
    assert [one.outcome for one in bring(tmp_path, now + 360)] == ["imported"]


def test_a_resumed_run(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """Two files of one id are one run, whichever is found first."""
    write(tmp_path / "a", [run(at=2000), row(5, at=2001, a=5), ended(0)])
    write(tmp_path / "b", [run(at=1000), row(0, at=1001, a=0), ended(1)])
    assert [one.path.parent.name for one in bring(tmp_path)] == ["b", "a"]
    found = kept(desk)
    assert (found["state"], [row["a"] for row in found["rows"]]) == ("finished", [0, 5])


def test_an_id_that_is_taken(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """A run of the same id in another project is not touched."""
    write(tmp_path / "a", [run(at=1000), row(0, a=1), ended()])
    write(tmp_path / "b", [run(at=2000, f3="other"), row(0, a=2), ended()])
    told = bring(tmp_path)
    assert [(one.outcome, one.problems) for one in told] == [
        ("imported", []), ("taken", ["e/p has another run of this id"]),
    ]  # fmt: skip
    assert [row["a"] for row in kept(desk)["rows"]] == [1]


def test_an_id_of_a_trial(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """A trial's run is not touched either, though it is in the same project."""
    play(desk.store, desk.recorder, [created(), claimed(), started("s-0", sweep="s", name="n")])
    write(tmp_path / "a", [run("s-0"), row(0, a=1), ended()])
    assert [one.outcome for one in bring(tmp_path)] == ["taken"]
    assert kept(desk, "s-0")["rows"] == []


def test_files_that_cannot_be_read(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """Each says why, and the others come in."""
    (tmp_path / "a.wandb").write_bytes(b"no such thing")
    (tmp_path / "b.wandb").write_bytes(framed([]))
    write(tmp_path / "c", [run("a b"), ended()])
    write(tmp_path / "d", [run(), ended()])
    told = bring(tmp_path)
    assert [one.outcome for one in told] == ["damaged", "damaged", "damaged", "imported"]
    for one, problem in zip(told, ["no .wandb file", "no run is told of", "'a b' cannot be"], strict=False):
        assert problem in one.problems[0]


def test_finding_files(tmp_path: Path) -> None:
    """A file, a run's folder, a whole folder; the link to the latest run is passed over; nothing is an error."""
    shutil.copytree(SAMPLES, tmp_path / "wandb", ignore=shutil.ignore_patterns("*.json"))
    (latest, *_) = (tmp_path / "wandb").iterdir()
    (tmp_path / "wandb" / "latest-run").symlink_to(latest)
    files = find_files(tmp_path)
    assert len(files) == 3
    assert find_files(files[0]) == find_files(files[0].parent) == [files[0]]
    os.mkdir(tmp_path / "empty")
    for nothing in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(UsageError, match=r"no \.wandb file"):
            find_files(nothing)


def test_a_journal_that_nobody_reads(bring: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the journal's limit it waits for the recorder, and then says what to start."""
    monkeypatch.setattr(sending, "_FULL_SECONDS", 0.0)
    write(tmp_path / "w", [run(), *(row(step, t="x" * 1000) for step in range(1200)), ended()])
    with pytest.raises(Unreachable, match="start one with: besom controller"):
        bring(tmp_path, journal_limit_mb=1)


def test_an_unknown_gauge_keeps_its_name(bring: Import, desk: Desk, tmp_path: Path) -> None:
    """System metrics that we have too go under our names, the others under wandb's."""
    items = [item("cpu", 5.0), item("gpu.0.temp", 60), item("gpu.0.memoryAllocated", 7.5), item("tpu.duty", 1)]
    write(tmp_path / "w", [run(), message({7: {2: {1: 1005}, 3: items}}), ended()])
    bring(tmp_path)
    assert kept(desk)["system"] == [
        {
            "_timestamp": 1005.0, "system/cpu": 5.0, "system/gpu/0/temperature_c": 60, "system/gpu/0/memory": 7.5,
            "system/wandb/tpu/duty": 1,
        }
    ]  # fmt: skip
