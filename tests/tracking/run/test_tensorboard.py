"""What is written for TensorBoard, with a stand-in for tensorboardX; tests/integrations has the real ones."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import besom
from besom.broker.connection import Connection
from besom.errors import TrialStopped
from besom.messages import Claim
from besom.tracking.run import tensorboard
from besom.tracking.run.trial import Trial, set_trial
from tests.tracking.desk import Desk, record
from tests.tracking.stories import spec


class FileWriter:
    """As tensorboardX's: keeps the events of its folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.events: list[Any] = []

    def get_logdir(self) -> str:
        return self.folder

    def add_event(self, event: Any, step: int | None = None, walltime: float | None = None) -> None:
        event.step = step or 0
        self.events.append(event)

    def scalar(self, tag: str, number: float, step: int | None = None) -> None:
        value = SimpleNamespace(tag=tag, simple_value=number, WhichOneof=lambda _: "simple_value")
        self.add_event(SimpleNamespace(summary=SimpleNamespace(value=[value])), step)


REAL = FileWriter.add_event


@pytest.fixture(autouse=True)
def writer_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = ModuleType("tensorboardX.writer")
    module.FileWriter = FileWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    tensorboard._say_once.cache_clear()
    yield
    tensorboard.unfollow_all()
    assert FileWriter.add_event is REAL, "the writer is as it was"


def test_a_row_for_each_global_step(wired: Connection, desk: Desk) -> None:
    """Tags of one step share a row; what the writer keeps is as before; after the end nothing is logged."""
    run = besom.init(project="p", sync_tensorboard=True)
    writer = FileWriter("runs/a")
    for step in (10, 20):
        writer.scalar("loss", 1 / step, step)
        writer.scalar("acc", step / 100, step)
    run.finish()
    assert FileWriter.add_event is REAL
    writer.scalar("loss", 0.0, 30)
    assert len(writer.events) == 5
    assert desk.rows(run.id) == [
        {"_step": 0, "loss": 0.1, "acc": 0.1, "global_step": 10},
        {"_step": 1, "loss": 0.05, "acc": 0.2, "global_step": 20},
    ]


def test_without_a_step(wired: Connection, desk: Desk) -> None:
    """A name that comes again opens a row; no global step is made up."""
    run = besom.init(project="p", tensorboard=True)
    writer = FileWriter("runs/a")
    for loss in (3.0, 2.0):
        writer.scalar("loss", loss)
    run.finish()
    assert desk.rows(run.id) == [{"_step": 0, "loss": 3.0}, {"_step": 1, "loss": 2.0}]


@pytest.mark.parametrize(
    ("folders", "root", "prefixes"),
    [
        (["logs/x", "logs/x/best"], "", ["", "best/"]),
        (["logs/x", "logs/y"], "", ["", "y/"]),
        (["logs/train", "logs/validation"], "", ["train/", "validation/"]),
        (["logs/x/a", "logs/x"], "logs", ["x/a/", "x/"]),
        (["logs"], "logs", [""]),
    ],
)
def test_folders_stand_before_tags(
    folders: list[str], root: str, prefixes: list[str], wired: Connection, desk: Desk
) -> None:
    """Told from the root that `patch` was given, else from the first writer's folder; each has its own global step."""
    tensorboard.follow_all(root)
    run = besom.init(project="p")
    for number, folder in enumerate(folders):
        FileWriter(folder).scalar("loss", 0.5, number)
    run.finish()
    (row,) = desk.rows(run.id)
    expected: dict[str, Any] = {"_step": 0}
    for number, prefix in enumerate(prefixes):
        expected |= {f"{prefix}loss": 0.5, f"{prefix}global_step": number}
    assert row == expected


def test_only_runs_that_asked(wired: Connection, desk: Desk) -> None:
    """A run beside one that follows its writers has none of their values."""
    asked = besom.init(project="p", sync_tensorboard=True)
    other = besom.init(project="p", reinit="finish_previous")
    third = besom.init(project="p", reinit="create_new", sync_tensorboard=True)
    FileWriter("runs/a").scalar("loss", 1.0, 1)
    other.finish()
    FileWriter("runs/a").scalar("loss", 2.0, 2)
    third.finish()
    assert (desk.rows(asked.id), desk.rows(other.id)) == ([], [])
    assert [row["loss"] for row in desk.rows(third.id)] == [2.0]


def test_a_stopped_trial_ends_in_its_writer(wired: Connection, tmp_path: Path) -> None:
    """A script that logs by a SummaryWriter alone is stopped there, its own event written."""
    claim = Claim(sweep="s", number=1, attempt=1, token="t", params={})
    wired.redis.hset(wired.keys.sweep("s"), "state", "running")
    wired.redis.hset(wired.keys.trials("s"), "1", record("t"))
    trial = Trial(spec(), claim, tmp_path / "trial", wired)
    set_trial(trial)
    besom.init(sync_tensorboard=True)
    writer = FileWriter("runs/a")
    trial.interrupt = TrialStopped
    with pytest.raises(TrialStopped):
        writer.scalar("loss", 1.0, 1)
    assert len(writer.events) == 1


def test_what_cannot_be_logged(wired: Connection, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, and the script's own writer goes on."""
    run = besom.init(project="p", sync_tensorboard=True)
    writer = FileWriter("runs/a")
    with caplog.at_level(logging.WARNING, "besom"):
        for step in range(3):
            writer.scalar("x" * 300, 1.0, step)
            writer.scalar("loss", 1.0, step)
    run.finish()
    assert caplog.text.count("cannot be logged, and is left out") == 1
    assert [row["loss"] for row in desk.rows(run.id)] == [1.0] * 3


def test_a_disabled_run(wired: Connection) -> None:
    """It follows nothing."""
    besom.init(project="p", mode="disabled", sync_tensorboard=True)
    assert FileWriter.add_event is REAL
