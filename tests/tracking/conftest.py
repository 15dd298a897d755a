from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from besom.tracking.recorder import Recorder
from besom.tracking.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path}/store.db")
    yield opened
    opened.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
