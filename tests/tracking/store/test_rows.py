from __future__ import annotations

import math

from sqlalchemy import select

from besom.tracking.recording.new_rows import new_attempt
from besom.tracking.store.rows import add_rows, among, fetch, save
from besom.tracking.store.schema import attempts, tail
from besom.tracking.store.store import Store


def test_rows_come_back(store: Store) -> None:
    """Numbers up to 64 bits, bytes of all values, texts with quotes and braces, as they were."""
    rows = [
        (1, 0, 2**62, "d", bytes(range(256)), b""),
        (2, -(2**63), 2**63 - 1, "{'\"\\,é\n}", b"NULL", b"\\x00"),
    ]
    with store.begin() as conn:
        add_rows(conn, tail, rows)
        add_rows(conn, tail, [])
        assert fetch(conn, select(tail).order_by(tail.c.series)) == rows


def test_saved_rows_replace(store: Store) -> None:
    """A row with the same key takes the place of the old one, with missing and infinite numbers as they are."""
    first = [new_attempt(f"r{number}", 1, None, number) for number in range(3)]
    with store.begin() as conn:
        save(conn, attempts, first)
        save(conn, attempts, [{**first[1], "ended": math.inf, "state": "lost"}, new_attempt("r9", 1, None, 0.25)])
        found = fetch(
            conn, select(attempts.c.run, attempts.c.state, attempts.c.started, attempts.c.ended).order_by("run")
        )
    assert found == [
        ("r0", "running", 0.0, None), ("r1", "lost", 1.0, math.inf), ("r2", "running", 2.0, None),
        ("r9", "running", 0.25, None),
    ]  # fmt: skip


def test_among_takes_any_number(store: Store) -> None:
    """None, one, or more values than a statement may have parameters."""
    rows = [(number, 0, 1, "d", b"", b"") for number in range(10)]
    with store.begin() as conn:
        add_rows(conn, tail, rows)
        for wanted in ([], [3], range(5, 100_000)):
            found = fetch(conn, select(tail.c.series).where(among(conn, tail.c.series, wanted)).order_by(tail.c.series))
            assert [row[0] for row in found] == [number for number in range(10) if number in wanted]
        names = among(conn, tail.c.kind, ["d", 'it\'s "q"'])
        assert len(fetch(conn, select(tail.c.series).where(names))) == 10
