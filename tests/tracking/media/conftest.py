from __future__ import annotations

from pathlib import Path

import pytest

from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.folder import Folder


class Shelf:
    """What a run is to media: a place for files."""

    def __init__(self, folder: Path) -> None:
        self.blobs = Blobs(Folder(folder))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "blobs")
