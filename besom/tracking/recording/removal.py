"""Deletes sweeps and runs with everything that hangs on them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, Table, delete, select

from besom.tracking.store.artifact_rows import remove_versions
from besom.tracking.store.rows import pieces_of
from besom.tracking.store.schema import (
    alerts,
    attempts,
    chunks,
    closings,
    console,
    files,
    last,
    levels,
    overview,
    run_texts,
    runs,
    series,
    sweeps,
    tail,
    texts,
    trials,
    writers,
)

__all__ = ["remove_runs", "remove_sweep", "runs_of_sweep"]

_OF_SERIES: tuple[Table, ...] = (tail, chunks, levels, overview)
_OF_RUN: tuple[Table, ...] = (series, attempts, writers, last, console, closings, alerts, files, run_texts)


def runs_of_sweep(conn: Connection, sweep: str) -> set[str]:
    """Ids of everything recorded for a sweep's trials, also of runs that logged before they started."""
    started = conn.scalars(select(runs.c.id).where(runs.c.sweep == sweep))
    numbers = conn.scalars(select(trials.c.number).where(trials.c.sweep == sweep))
    return {*started, *(f"{sweep}-{number}" for number in numbers)}


def remove_runs(conn: Connection, gone: Collection[str]) -> set[str]:
    """Delete runs, their history, console, last values and files, the artifact versions that they were the first to
    log, and the texts that no other run has; the ids of these texts.

    Blobs stay until `besom gc`.
    """
    gone_texts: set[str] = set()
    for some in pieces_of(gone):
        ids = conn.scalars(select(series.c.id).where(series.c.run.in_(some))).all()
        for numbers in pieces_of(ids):
            for table in _OF_SERIES:
                conn.execute(delete(table).where(table.c.series.in_(numbers)))
        remove_versions(conn, some)
        had = set(conn.scalars(select(run_texts.c.text).where(run_texts.c.run.in_(some))))
        for table in _OF_RUN:
            conn.execute(delete(table).where(table.c.run.in_(some)))
        conn.execute(delete(runs).where(runs.c.id.in_(some)))
        gone_texts |= _remove_texts(conn, had)
    return gone_texts


def _remove_texts(conn: Connection, had: Collection[str]) -> set[str]:
    """Delete those of these texts that no run has any more."""
    gone: set[str] = set()
    for some in pieces_of(had):
        wanted = set(conn.scalars(select(run_texts.c.text).where(run_texts.c.text.in_(some)).distinct()))
        gone |= set(some) - wanted
        conn.execute(delete(texts).where(texts.c.id.in_(set(some) - wanted)))
    return gone


def remove_sweep(conn: Connection, sweep: str) -> None:
    """Delete a sweep and its trials; its runs go by `remove_runs`."""
    conn.execute(delete(trials).where(trials.c.sweep == sweep))
    conn.execute(delete(sweeps).where(sweeps.c.id == sweep))
