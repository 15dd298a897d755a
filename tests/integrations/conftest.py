"""Tests with real libraries, in the venv of `make test-integrations`; other runs do not even import them."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import besom
from besom.broker.service import Service
from besom.settings import read_settings
from besom.tracking.reading.api_run import ApiRun
from besom.tracking.run.active import runs_in_process


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A module here may import its library at its head."""
    if collection_path.suffix == ".py" and config.option.markexpr != "integrations":
        return True
    return None


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """One service for the tests of this process, started by the first that needs it."""
    with tempfile.TemporaryDirectory(prefix="besom-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
        Service(read_settings(home=Path(folder))).stop()


@pytest.fixture
def service(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`import wandb` gives besom, nothing is configured, and the working folder is the test's."""
    importlib.import_module("besom.compat.wandb")
    monkeypatch.setenv("BESOM_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    yield
    for run in runs_in_process():
        run.finish()


@pytest.fixture
def recorded(service: None) -> Callable[[str], ApiRun]:
    """The only run of a project, as the store has it."""

    def read(project: str) -> ApiRun:
        (run,) = besom.Api().runs(project)
        return run

    return read
