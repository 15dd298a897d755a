"""One batch of a writer taken apart: history, last values, config, console.

Collects in memory, writes with `flush`. Knows nothing of trials and their states.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import msgpack
from pydantic import ValidationError
from sqlalchemy import Connection, bindparam, delete, func, insert, or_

from besom.messages import SYSTEM, Batch, BatchBody, Unreadable
from besom.tracking.appends import Appender, Column
from besom.tracking.rows import Row, insert_into
from besom.tracking.schema import console, last

__all__ = ["Batches", "Damaged", "Opened", "open_batch"]


_Last = dict[tuple[str, str], Row]


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
        blob = bytes(msgpack.packb(values)) if kind == "j" else values
        last = _last_value(values) if kind == "j" else size - 1
        value = values[last] if kind == "j" else struct.unpack_from(f"<{kind}", values, last * 8)[0]
        first, step = (struct.unpack_from("<q", steps, offset)[0] for offset in (0, last * 8))
        self.columns[key] = (kind, steps, blob)
        if key.startswith(SYSTEM):
            return  # neither the run's summary nor its steps
        if value is not None:
            self.last[key] = (step, json.dumps(value))
        self.first_step = first if self.first_step is None else min(self.first_step, first)


def _last_value(values: list[Any]) -> int:
    """Where the last value that is not None is; 0 when there is none."""
    return next((place for place in range(len(values) - 1, 0, -1) if values[place] is not None), 0)


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
        self._console: list[Row] = []

    def forget(self) -> None:
        """Throw away what was not written."""
        self.__init__()  # type: ignore[misc]

    def add_console(self, run: str, attempt: int, position: int, lines: list[tuple[str, float, str]]) -> None:
        """Keep lines that follow `position` earlier ones."""
        self._console.append({"run": run, "attempt": attempt, "position": position, "lines": json.dumps(lines)})

    def add_last(self, run: str, attempt: int, opened: Opened) -> None:
        """Keep the last values of a batch of the run's newest attempt."""
        for key, (step, value) in opened.last.items():
            old = self._last.get((run, key))
            if old is None or old["step"] is None or (attempt, step) >= (old["attempt"], old["step"]):
                self._put(run, key, attempt, step, value, explicit=0)
        newest = max((step for step, _ in opened.last.values()), default=None)
        for name, value in opened.body.summary.items():
            key = _storable(name)
            old = self._last.get((run, key))
            known = newest if newest is not None or old is None else old["step"]
            if old is None or attempt >= old["attempt"]:
                self._put(run, key, attempt, known, json.dumps(value), explicit=1)

    def _put(self, run: str, key: str, attempt: int, step: int | None, value: str, *, explicit: int) -> None:
        row = {"run": run, "key": key, "attempt": attempt, "step": step, "value": value, "explicit": explicit}
        self._last[run, key] = row

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
        if self._console:
            conn.execute(insert(console), self._console)
        self._restarts, self._console, self._last = [], [], {}


def _write_last(conn: Connection, pending: _Last) -> None:
    for explicit in (0, 1):
        if rows := [row for row in pending.values() if row["explicit"] == explicit]:
            conn.execute(_upsert_last(conn.dialect.name, explicit), rows)


def _upsert_last(dialect: str, explicit: int) -> Any:
    """A value set explicitly always replaces; a logged one unless that of a later step is there (a slower rank)."""
    statement = insert_into(dialect, last)
    new = statement.excluded
    newer = or_(new.attempt > last.c.attempt, last.c.step.is_(None), new.step >= last.c.step)
    return statement.on_conflict_do_update(
        index_elements=["run", "key"],
        set_={
            "attempt": new.attempt,
            "step": func.coalesce(new.step, last.c.step) if explicit else new.step,
            "value": new["value"],
            "explicit": new.explicit,
        },
        where=new.attempt >= last.c.attempt if explicit else (new.attempt >= last.c.attempt) & newer,
    )
