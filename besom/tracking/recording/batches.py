"""One batch of a writer taken apart: history, last values, config, console.

Collects in memory, writes with `flush`. Knows nothing of trials and their states.
"""

from __future__ import annotations

import json
import math
import struct
from functools import cache
from typing import Any, NamedTuple

import msgpack
from pydantic import ValidationError
from sqlalchemy import Connection, Dialect, bindparam, delete, func, or_

from besom.messages import SYSTEM, Batch, BatchBody, Unreadable
from besom.tracking.recording.appends import Appender, Column
from besom.tracking.store.rows import Row, Statement, Values, add_rows, insert_into
from besom.tracking.store.schema import console, last

__all__ = ["Batches", "Damaged", "Opened", "open_batch"]


_INT, _FLOAT = struct.Struct("<q"), struct.Struct("<d")


class _Value(NamedTuple):
    """A row of `last`, its columns in order."""

    run: str
    key: str
    attempt: int
    step: int | None
    value: str
    explicit: int


_Last = dict[tuple[str, str], _Value]


class Damaged(ValueError):
    """A batch whose columns do not fit together."""


class Opened:
    """A checked batch: blobs of its columns, and the last value of each."""

    def __init__(self, body: BatchBody) -> None:
        self.body = body
        self.columns: dict[str, Column] = {}
        self.last: dict[str, tuple[int, str]] = {}
        self.first_step: int | None = None
        for key, (kind, steps, values) in body.history.items():
            self._column(_storable(key), kind, steps, values)

    def _column(self, key: str, kind: str, steps: bytes, values: Any) -> None:
        size = len(steps) // 8
        fits = len(values) == (size if kind == "j" else len(steps)) and not len(steps) % 8
        if kind not in ("d", "q", "j") or isinstance(values, bytes) is (kind == "j") or not fits:
            raise Damaged(f"column {key!r} of kind {kind!r}: {len(steps)} bytes of steps, {len(values)} of values")
        if not size:
            return
        self.columns[key] = (kind, steps, bytes(msgpack.packb(values)) if kind == "j" else values)
        if key.startswith(SYSTEM):
            return  # neither the run's summary nor its steps
        (first,) = _INT.unpack_from(steps)
        last = len(values) - 1 if kind == "j" else size - 1
        while kind == "j" and last >= 0 and values[last] is None:
            last -= 1  # None is history, and nothing's last value
        if last >= 0:
            (step,) = _INT.unpack_from(steps, last * 8)
            self.last[key] = (step, _as_json(kind, values, last))
        if self.first_step is None or first < self.first_step:
            self.first_step = first


def _as_json(kind: str, values: Any, place: int) -> str:
    """One value of a column as JSON."""
    if kind == "j":
        return json.dumps(values[place])
    if kind == "q":
        return str(_INT.unpack_from(values, place * 8)[0])
    value: float = _FLOAT.unpack_from(values, place * 8)[0]
    return repr(value) if math.isfinite(value) else json.dumps(value)


def _storable(key: str) -> str:
    """The name without NUL, which PostgreSQL's text cannot hold."""
    return key.replace("\0", "\N{REPLACEMENT CHARACTER}")


def open_batch(event: Batch) -> Opened:
    """The batch, decoded and checked.

    Raises:
        Damaged: it cannot be read; says why.
    """
    try:
        return Opened(event.columns())
    except (Unreadable, ValidationError, TypeError, ValueError) as error:
        raise Damaged(str(error)) from None


class Batches:
    """Where the parts of batches gather until the flush of a transaction."""

    def __init__(self) -> None:
        self.series = Appender()
        self._last: _Last = {}
        self._restarts: list[tuple[_Last, Row]] = []
        self._console: list[Values] = []

    def forget(self) -> None:
        """Throw away what was not written."""
        self.__init__()  # type: ignore[misc]

    def add_console(self, run: str, attempt: int, position: int, lines: list[tuple[str, float, str]]) -> None:
        """Keep lines that follow `position` earlier ones."""
        self._console.append((run, attempt, position, json.dumps(lines)))

    def add_last(self, run: str, attempt: int, opened: Opened) -> None:
        """Keep the last values of a batch of the run's newest attempt."""
        for key, (step, value) in opened.last.items():
            old = self._last.get((run, key))
            if old is None or old.step is None or (attempt, step) >= (old.attempt, old.step):
                self._last[run, key] = _Value(run, key, attempt, step, value, 0)
        if not opened.body.summary:
            return
        newest = max((step for step, _ in opened.last.values()), default=None)
        for name, value in opened.body.summary.items():
            key = _storable(name)
            old = self._last.get((run, key))
            known = newest if newest is not None or old is None else old.step
            if old is None or attempt >= old.attempt:
                self._last[run, key] = _Value(run, key, attempt, known, json.dumps(value), 1)

    def restart(self, run: str, attempt: int, first_step: int) -> None:
        """Drop earlier attempts' last values from steps that this attempt hides."""
        self._restarts.append((self._last, {"b_run": run, "b_attempt": attempt, "b_step": first_step}))
        self._last = {}

    def flush(self, conn: Connection) -> None:
        """Write everything."""
        self.series.flush(conn)
        hidden = func.coalesce(last.c.step, 0) >= bindparam("b_step")
        older = last.c.attempt < bindparam("b_attempt")
        for before, restarted in self._restarts:
            _write_last(conn, before)
            conn.execute(delete(last).where(last.c.run == bindparam("b_run"), older, hidden), restarted)
        _write_last(conn, self._last)
        add_rows(conn, console, self._console)
        self._restarts, self._console, self._last = [], [], {}


def _write_last(conn: Connection, pending: _Last) -> None:
    for explicit in (0, 1):
        rows = [row for row in pending.values() if row.explicit == explicit]
        _upsert_last(conn.dialect, explicit).run(conn, rows)


@cache
def _upsert_last(dialect: Dialect, explicit: int) -> Statement:
    """A value set explicitly always replaces; a logged one unless that of a later step is there (a slower rank)."""
    statement = insert_into(dialect.name, last)
    new = statement.excluded
    newer = or_(new.attempt > last.c.attempt, last.c.step.is_(None), new.step >= last.c.step)
    upsert = statement.on_conflict_do_update(
        index_elements=["run", "key"],
        set_={
            "attempt": new.attempt,
            "step": func.coalesce(new.step, last.c.step) if explicit else new.step,
            "value": new["value"],
            "explicit": new.explicit,
        },
        where=new.attempt >= last.c.attempt if explicit else (new.attempt >= last.c.attempt) & newer,
    )
    return Statement(dialect, last, upsert)
