from __future__ import annotations

from collections.abc import Iterator

import pytest

from besom.tracking.store.store import Store


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all cases; each takes its runs away again."""
    opened = Store.open(f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db")
    yield opened
    opened.close()


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs record what the case logs and nothing of their surroundings."""
    for name in ("BESOM_CONSOLE", "BESOM_DISABLE_STATS", "BESOM_DISABLE_GIT"):
        monkeypatch.setenv(name, "off" if name == "BESOM_CONSOLE" else "true")
