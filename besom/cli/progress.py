"""The live progress of a sweep: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from besom.cli.best import best_columns, best_rows
from besom.cli.tables import Column
from besom.messages import SweepSpec
from besom.tracking.reading.api import ApiSweep

__all__ = ["Progress", "show_best"]

_PLAIN_SECONDS: Final = 5.0
_ENDED: Final = ("finished", "failed", "crashed", "stopped", "cancelled")


class Progress:
    """A context that shows what it is told.

    Args:
        spec: The sweep.
        cap: How many trials there will be, None when that is open.
        console: Where to; the default is stdout.
    """

    def __init__(self, spec: SweepSpec, cap: int | None, console: Console | None = None) -> None:
        self._spec = spec
        self._cap = cap
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, refresh_per_second=4) if self._console.is_terminal else None
        self._started = time.monotonic()
        self._first_end: tuple[float, int] | None = None
        self._said_at = 0.0
        self._line = ""

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif self._line:
            self._console.print(self._line)

    def show(self, counts: Mapping[str, int], best: Mapping[str, Any] | None) -> None:
        """Show these counts by state and this best trial."""
        ended = sum(counts.get(state, 0) for state in _ENDED)
        done, pace = self._done(counts, ended), self._pace(ended, best)
        if self._live is not None:
            total = self._cap or max(ended, 1)
            bar = Table.grid(padding=(0, 1))
            bar.add_row(
                ProgressBar(total=total, completed=min(ended, total), width=24, pulse=not self._cap), Text(done)
            )
            self._live.update(Group(bar, Text(pace, no_wrap=True, overflow="ellipsis")))
            return
        self._line = f"{done}  {pace}"
        if time.monotonic() - self._said_at > _PLAIN_SECONDS:
            self._said_at = time.monotonic()
            self._console.print(self._line)
            self._line = ""

    def _done(self, counts: Mapping[str, int], ended: int) -> str:
        failed = counts.get("failed", 0) + counts.get("crashed", 0)
        of = f"{ended}/{self._cap}" if self._cap else str(ended)
        return f"{of} trials  {counts.get('running', 0)} running  {failed} failed"

    def _pace(self, ended: int, best: Mapping[str, Any] | None) -> str:
        parts = [f"{_clock(time.monotonic() - self._started)} so far"]
        rate = self._rate(ended)
        if rate:
            parts.append(f"{rate * 60:.1f}/min" if rate < 1 else f"{rate:.1f}/s")
            if self._cap and ended < self._cap:
                parts.append(f"{_clock((self._cap - ended) / rate)} left")
        if best is not None and self._spec.metric is not None:
            count = len(best.get("trials", ()))
            of = f"mean of {count} trials" if count > 1 else f"trial {best['number']}"
            parts.append(f"best {self._spec.metric.name} {best['value']:.5g} ({of})")
        return "  ".join(parts)

    def _rate(self, ended: int) -> float:
        """Trials a second, counted from the first end: what comes before is start-up."""
        now = time.monotonic()
        if ended and self._first_end is None:
            self._first_end = (now, ended)
        if self._first_end is None or ended <= self._first_end[1]:
            return 0.0
        return (ended - self._first_end[1]) / max(now - self._first_end[0], 1e-9)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def show_best(sweep: ApiSweep, *, done: bool, count: int = 5) -> None:
    """A table of the best trials, or of the front."""
    console = Console(highlight=False)
    best = best_rows(sweep, None if sweep.config.get("metrics") else count)
    counts = sweep.counts
    told = ", ".join(f"{number} {state}" for state, number in sorted(counts.items())) or "no trials"
    console.print(f"sweep {sweep.path} {'is ' + sweep.state if done else 'is not over'}: {told}", soft_wrap=True)
    if not best:
        return
    fixed = {
        name for name, parameter in sweep.config["parameters"].items() if set(parameter) <= {"value", "distribution"}
    }
    params = {name: value for row in best for name, value in row["params"].items()}
    names = [name for name, value in params.items() if name not in fixed and not isinstance(value, dict)]
    columns = [Column("number", "trial", right=True), *best_columns(sweep, best)[1:]]
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in (*(column.head for column in columns), *names):
        table.add_column(title, justify="left" if title in names else "right", no_wrap=True)
    for row in best:
        shown = [_short(row["params"][name]) if name in row["params"] else "-" for name in names]
        table.add_row(*(column.cell(row) for column in columns), *shown)
    console.print(table)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
