"""The end of a traceback says what went wrong."""

from __future__ import annotations

from besom.tracking.run.tracebacks import ERROR_LINES, traceback_of


def test_a_long_traceback_keeps_its_end() -> None:
    """The last lines are there, the error's own among them, whatever its text."""
    error = ValueError("\n".join(str(number) for number in range(100)))
    assert traceback_of(error).splitlines() == [str(number) for number in range(100 - ERROR_LINES, 100)]


def test_a_short_one_is_whole() -> None:
    """Where it was raised, and the error."""
    try:
        raise KeyError("lr")
    except KeyError as error:
        told = traceback_of(error).splitlines()
    assert told[0] == "Traceback (most recent call last):"
    assert told[-1] == "KeyError: 'lr'"
