"""Words to whoever sits at the terminal, on stderr: `termlog`, `termwarn`, `termerror`."""

from __future__ import annotations

import sys

__all__ = ["termerror", "termlog", "termwarn"]

_said: set[str] = set()


def termlog(string: str = "", newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Print to stderr.

    Args:
        string: The text; each of its lines begins with `besom:`.
        newline: End the line.
        repeat: Print the same text again; False prints it once for the life of the process.
        prefix: Put `besom:` in front.
    """
    _say(string, newline, repeat, "besom: " if prefix else "")


def termwarn(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Print a warning to stderr; the arguments are those of `termlog`."""
    _say(string, newline, repeat, "besom: WARNING " if prefix else "")


def termerror(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Print an error to stderr; the arguments are those of `termlog`."""
    _say(string, newline, repeat, "besom: ERROR " if prefix else "")


def _say(text: str, newline: bool, repeat: bool, prefix: str) -> None:
    lines = "\n".join(prefix + line for line in text.split("\n"))
    if not repeat and lines in _said:
        return
    if not repeat:
        _said.add(lines)
    print(lines, end="\n" if newline else "", file=sys.stderr)
