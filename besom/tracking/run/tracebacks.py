"""What is kept of why a run failed: the end of a traceback, or of what a program wrote to stderr."""

from __future__ import annotations

import traceback

__all__ = ["ERROR_LINES", "traceback_of"]

ERROR_LINES = 30
"""Lines that are kept."""


def traceback_of(error: BaseException) -> str:
    """The last lines of an exception's traceback."""
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return "\n".join(lines[-ERROR_LINES:])
