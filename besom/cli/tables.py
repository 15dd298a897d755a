"""How commands print what they found: tables and facts for people, one JSON document for scripts.

On a terminal tables come from rich; elsewhere columns are aligned with spaces, for `awk` and log files.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from besom.tracking.values import strict

__all__ = [
    "Column",
    "ago",
    "clean",
    "duration",
    "moment",
    "on_terminal",
    "print_facts",
    "print_json",
    "print_table",
    "short",
    "size",
]

_NOTHING: Final = "-"
_TEXT_LIMIT: Final = 200
"""Characters of one cell, and of one fact's line."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: the row's key, and how its value is shown."""

    key: str
    title: str = ""
    right: bool = False
    show: Callable[[Any], str] | None = None

    @property
    def head(self) -> str:
        """What stands above it."""
        return self.title or self.key

    def cell(self, row: Mapping[str, Any]) -> str:
        """The value as one line; '-' for none."""
        value = row.get(self.key)
        if value is None or value == "":
            return _NOTHING
        return clean((self.show or short)(value))


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column | str], *, as_json: bool = False) -> None:
    """Print rows; as JSON each row with all that it holds, else the columns asked for."""
    rows = list(rows)
    if as_json:
        print_json(rows)
        return
    chosen = [Column(column) if isinstance(column, str) else column for column in columns]
    cells = [[column.cell(row) for column in chosen] for row in rows]
    if on_terminal():
        _print_rich(chosen, cells)
        return
    heads = [column.head.replace(" ", "_") for column in chosen]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for line in (heads, *cells):
        padded = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for column, cell, width in zip(chosen, line, widths, strict=True)
        ]
        click.echo("  ".join(padded).rstrip())


def print_facts(facts: Mapping[str, Any], *, as_json: bool = False) -> None:
    """Print names and values, one a line; a mapping or list is indented below its name."""
    if as_json:
        print_json(facts)
        return
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        label = clean(name).ljust(width)
        if isinstance(value, Mapping) and value:
            inner = max(len(str(key)) for key in value)
            lines = [f"{clean(str(key)).ljust(inner)}  {_one_line(item)}" for key, item in value.items()]
        elif isinstance(value, list | tuple) and value:
            lines = [_one_line(item) for item in value]
        else:
            lines = [_one_line(value)]
        for place, line in enumerate(lines):
            click.echo(f"{label if place == 0 else ' ' * width}  {line}".rstrip())


def print_json(document: Any) -> None:
    """One JSON document on stdout; NaN and infinities, which JSON has not, become null."""
    click.echo(json.dumps(strict(document), indent=2, ensure_ascii=False, allow_nan=False, default=str))


def on_terminal() -> bool:
    """Whether somebody looks at stdout."""
    return sys.stdout.isatty()


def short(value: Any) -> str:
    """A value in few characters: six digits of a number, JSON for what has parts."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return value
    return json.dumps(strict(value), ensure_ascii=False, default=str)


def clean(text: str) -> str:
    """One line that cannot move the cursor or change colours, whoever wrote it."""
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"


def moment(seconds: float | None) -> str | None:
    """Local date and time of seconds since the epoch, and how long ago."""
    if seconds is None:
        return None
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))} ({ago(seconds)} ago)"


def ago(seconds: float) -> str:
    """Time passed since then, such as `3m` or `2d`: one unit."""
    passed = max(0.0, time.time() - seconds)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if passed >= length:
            return f"{int(passed // length)}{unit}"
    return f"{int(passed)}s"


def duration(seconds: float) -> str:
    """A length of time, such as `0.52 s`, `12 s`, `3:07` or `1:02:03`."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: int) -> str:
    """Bytes in decimal units, such as `1.5 MB`."""
    if count < 1000:
        return f"{count} B"
    number = float(count)
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"


def _one_line(value: Any) -> str:
    return _NOTHING if value is None or value == "" else clean(short(value))


def _print_rich(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for place, column in enumerate(columns):
        # The first column is what a user copies: it is never cut.
        table.add_column(
            Text(column.head), justify="right" if column.right else "left", no_wrap=place == 0, overflow="fold"
        )
    for line in cells:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in line))
    Console(highlight=False).print(table)


_STYLES: Final = {
    "running": "cyan",
    "finished": "green",
    "failed": "red",
    "crashed": "red",
    "cancelled": "yellow",
    "stopping": "yellow",
    "paused": "yellow",
    _NOTHING: "dim",
}
