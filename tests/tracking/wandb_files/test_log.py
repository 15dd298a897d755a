"""The frame of a `.wandb` file."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from besom.tracking.wandb_files.log import LogFile, NotALog

from .writing import BLOCK, framed

SIZES = (0, 1, 100, BLOCK - 7 - 7, BLOCK - 8, BLOCK, 3 * BLOCK, 5)
"""Records that end at a block's end, just before it, and go over several."""


def made(tmp_path: Path, content: bytes) -> LogFile:
    path = tmp_path / "run-r.wandb"
    path.write_bytes(content)
    return LogFile(path)


def contents() -> list[bytes]:
    return [bytes([place + 1]) * size for place, size in enumerate(SIZES)]


def test_records_of_every_size(tmp_path: Path) -> None:
    """Each comes out as it went in, over the ends of blocks."""
    file = made(tmp_path, framed(contents()))
    assert list(file.records()) == contents()
    assert (file.count, file.damage) == (len(SIZES), [])


@pytest.mark.parametrize("cut", [1, 6, 7, 8, 40_000, 3 * BLOCK + 20])
def test_a_file_that_is_cut_off(cut: int, tmp_path: Path) -> None:
    """What is whole before the cut is given, in order, and the rest is said."""
    whole = framed(contents())
    file = made(tmp_path, whole[:-cut])
    found = list(file.records())
    assert found == contents()[: len(found)]
    assert len(found) < len(SIZES)
    assert file.damage != []


def test_a_file_of_a_run_that_was_killed_early(tmp_path: Path) -> None:
    """A header and nothing else is a file without records."""
    file = made(tmp_path, framed([]))
    assert (list(file.records()), file.damage) == ([], [])


def test_a_damaged_block(tmp_path: Path) -> None:
    """A flipped byte costs the rest of its block, and records that go through it; what follows is given."""
    records = [bytes([place]) * 10_000 for place in range(1, 10)]
    content = bytearray(framed(records))
    content[BLOCK + 50] ^= 1
    file = made(tmp_path, bytes(content))
    assert list(file.records()) == records[:3] + records[7:]  # the fourth begins before, the seventh ends after
    assert any("damaged" in problem for problem in file.damage)


def test_room_that_was_not_written(tmp_path: Path) -> None:
    """Zeros at the end are no record and no damage."""
    file = made(tmp_path, framed([b"a"]) + bytes(500))
    assert (list(file.records()), file.damage) == ([b"a"], [])


def test_nonsense_ends(tmp_path: Path) -> None:
    """Random bytes behind the header give no record that was not written, and no error."""
    for seed in range(20):
        file = made(tmp_path, framed([]) + random.Random(seed).randbytes(1000 + seed))
        assert list(file.records()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (b":W&B", "4 bytes"),
        (b"SQLite format 3\0", "is no .wandb file"),
        (b":W&B\xe1\xbe\x07", "version 7; version 0 can be read"),
    ],
)
def test_other_files(content: bytes, message: str, tmp_path: Path) -> None:
    """They are refused with what is wrong."""
    with pytest.raises(NotALog, match=message):
        made(tmp_path, content)
