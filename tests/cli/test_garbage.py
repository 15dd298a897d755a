"""`besom gc` where it may not be called, and over a real service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import besom as public
from besom.broker.service import Service
from besom.settings import read_settings
from besom.tracking.writing.connections import release_connections
from tests.e2e.processes import wait_until

from .conftest import Besom


@pytest.mark.parametrize(
    ("given", "problem"),
    [("5m", "write 1h or more"), ("nonsense", "--older-than='nonsense' cannot be"), ("-1h", "cannot be")],
)
def test_times_that_cannot_be(besom: Besom, given: str, problem: str) -> None:
    """A grace that would take what is under way is refused before anything is opened."""
    code, out, err = besom("gc", "--older-than", given)
    assert (code, out) == (2, "")
    assert problem in err


@pytest.fixture
def service() -> Iterator[None]:
    yield
    release_connections()
    Service(read_settings()).stop()


@pytest.mark.redis
def test_gc_over_a_service(besom: Besom, service: None, tmp_path: Path) -> None:
    """A removed run's media go once they are old, another run's stay; a dry run says the same and deletes nothing."""
    for name in ("gone", "stays"):
        with public.init(project="p", id=name) as run:
            run.log({"page": public.Html(name)})
    blobs = Path(run.blobs.where)
    wait_until(lambda: besom("show", "stays").code == 0, "the second run's arrival")
    assert besom("rm", "gone", "--yes").code == 0
    files = list(blobs.glob("??/*"))
    assert len(files) == 2
    assert besom("gc").out == "deleted 0 files, 0 B\n", "they are young"
    for path in files:
        os.utime(path, (1000, 1000))
    told = besom("gc", "--dry-run").out
    assert told.startswith("would delete 1 file, ")
    assert len(list(blobs.glob("??/*"))) == 2
    assert besom("gc").out == told.replace("would delete", "deleted")
    [left] = blobs.glob("??/*")
    assert "stays" in left.read_text()
