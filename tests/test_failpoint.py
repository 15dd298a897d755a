"""A failpoint kills the process that was told so, at the time it was told, and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

SCRIPT = """
from besom.failpoint import failpoint
for number in range(1, 4):
    failpoint("here")
    failpoint("there")
    print(number, flush=True)
"""


@pytest.mark.parametrize(
    ("told", "code", "passed"),
    [
        (None, 0, [1, 2, 3]),
        ("", 0, [1, 2, 3]),
        ("elsewhere", 0, [1, 2, 3]),
        ("here", -signal.SIGKILL, []),
        ("there:1", -signal.SIGKILL, []),
        ("there:3", -signal.SIGKILL, [1, 2]),
        ("here:4", 0, [1, 2, 3]),
    ],
)
def test_a_process_dies_where_it_was_told_to(told: str | None, code: int, passed: list[int]) -> None:
    """SIGKILL at the point that is named, the time that is named; without the variable nothing happens."""
    environment = os.environ if told is None else {**os.environ, "BESOM_FAILPOINT": told}
    ended = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, [int(line) for line in ended.stdout.split()]) == (code, passed)
