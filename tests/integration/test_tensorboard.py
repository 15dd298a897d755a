"""`patch()` and `unpatch()`, by besom's name and by wandb's."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import besom
from tests.compat.conftest import stand_in as stand_in
from tests.tracking.desk import Desk


class FileWriter:
    """As tensorboardX's, for numbers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get_logdir(self) -> str:
        return str(self.folder)

    def add_event(self, event: Any, step: int | None = None, walltime: float | None = None) -> None:
        event.step = step


def write(folder: Path, step: int) -> None:
    value = SimpleNamespace(tag="loss", simple_value=0.5, WhichOneof=lambda _: "simple_value")
    FileWriter(folder).add_event(SimpleNamespace(summary=SimpleNamespace(value=[value])), step)


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = ModuleType("tensorboardX.writer")
    module.FileWriter = FileWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    real = FileWriter.add_event
    yield
    assert FileWriter.add_event is real


@pytest.mark.parametrize(
    "module", ["besom.integration.tensorboard", "wandb.tensorboard", "wandb.integration.tensorboard"]
)
def test_patch(module: str, run: besom.Run, desk: Desk, tmp_path: Path, writers: None, stand_in: None) -> None:
    """From `patch` to `unpatch` the active run has what is written, under names told from `root_logdir`."""
    held: Any = importlib.import_module(module)
    held.patch(root_logdir=tmp_path, pytorch=True)
    write(tmp_path / "a", 3)
    held.unpatch()
    write(tmp_path / "a", 4)
    run.finish()
    assert desk.rows(run.id) == [{"_step": 0, "a/loss": 0.5, "a/global_step": 3}]
