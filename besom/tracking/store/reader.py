"""Reading the store for Api, commands and pages: sweeps, trials, runs, summaries, console.

Gives: plain dicts, JSON decoded, times in seconds since the epoch.  History is in `history.py`.
Writes nothing.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Select, Subquery, Text, and_, cast, func, literal, null, select, tuple_, union_all

from besom.messages import home_of
from besom.tracking.metrics import NO_SUMMARY
from besom.tracking.store import schema
from besom.tracking.store.rows import Row, among, fetch, pieces_of
from besom.tracking.store.score import Target
from besom.tracking.store.store import get_meta

__all__ = [
    "attempts",
    "best_trials",
    "console",
    "last_id",
    "recorded",
    "rejected",
    "run",
    "run_count",
    "runs",
    "runs_by_id",
    "runs_view",
    "summaries",
    "summary",
    "sweep",
    "sweep_counts",
    "sweeps",
    "trial",
    "trials",
]

_JSON = {"spec", "params", "tags", "config", "metadata"}
_RUN_ORDERS = ("created", "ended", "name", "state", "value", "number", "id")


def last_id(conn: Connection) -> str:
    """The journal entry up to which everything is in the store; "0-0" in a new one."""
    return get_meta(conn, "last_id", "0-0")


def sweeps(conn: Connection, project: str | None = None) -> list[Row]:
    """All sweeps, newest first; `spec` as written by the sweep's creator."""
    query = select(schema.sweeps).order_by(schema.sweeps.c.created.desc(), schema.sweeps.c.id)
    if project is not None:
        query = query.where(schema.sweeps.c.project == project)
    return _rows(conn, query)


def sweep(conn: Connection, sweep_id: str) -> Row | None:
    """One sweep."""
    return _first(conn, select(schema.sweeps).where(schema.sweeps.c.id == sweep_id))


def sweep_counts(conn: Connection, sweep_id: str) -> dict[str, int]:
    """Number of trials by state; states without trials are left out."""
    table = schema.trials
    query = select(table.c.state, func.count()).where(table.c.sweep == sweep_id).group_by(table.c.state)
    return {row[0]: row[1] for row in conn.execute(query)}


def trials(
    conn: Connection,
    sweep_id: str,
    state: str | Collection[str] | None = None,
    order: str = "number",
    limit: int | None = None,
    after: int | None = None,
) -> list[Row]:
    """Trials of a sweep.

    Args:
        conn: A transaction of the store.
        sweep_id: Whose.
        state: One state or several.
        order: A column, with "-" in front for the largest first; trials without a value come last.
        limit: How many at most.
        after: Only numbers above this one, for paging.
    """
    table = schema.trials
    query = select(table).where(table.c.sweep == sweep_id)
    if state is not None:
        query = query.where(table.c.state.in_([state] if isinstance(state, str) else list(state)))
    if after is not None:
        query = query.where(table.c.number > after)
    query = query.order_by(*_order(table.c, order, [column.name for column in table.c], "number")).limit(limit)
    return _rows(conn, query)


def trial(conn: Connection, sweep_id: str, number: int) -> Row | None:
    """One trial."""
    table = schema.trials
    return _first(conn, select(table).where(table.c.sweep == sweep_id, table.c.number == number))


def best_trials(conn: Connection, sweep_id: str, count: int = 1) -> list[Row]:
    """The best finished or stopped trials with a value, best first; of equals the earlier."""
    found = sweep(conn, sweep_id)
    target = Target.of(found["spec"]) if found else None
    if target is None:
        return []
    table = schema.trials
    value = table.c.value.desc() if target.goal == "maximize" else table.c.value.asc()
    query = select(table).where(table.c.sweep == sweep_id, table.c.value.is_not(None))
    return _rows(conn, query.where(table.c.state.in_(["finished", "stopped"])).order_by(value, "number").limit(count))


def runs(
    conn: Connection,
    project: str | None = None,
    entity: str | None = None,
    sweep_id: str | None = None,
    state: str | None = None,
    order: str = "-created",
    limit: int | None = None,
    offset: int = 0,
) -> list[Row]:
    """Runs outside of sweeps, and trials that were claimed; a trial that never called `init()` shows its params.

    Raises:
        ValueError: `order` names no column.
    """
    view = runs_view(sweep_id)
    query = select(view)
    for column, wanted in ((view.c.project, project), (view.c.entity, entity), (view.c.state, state)):
        if wanted is not None:
            query = query.where(column == wanted)
    return _rows(conn, query.order_by(*_order(view.c, order, _RUN_ORDERS, "id")).limit(limit).offset(offset))


def runs_view(sweep_id: str | None = None) -> Subquery:
    """What `runs` reads: every run in one shape, JSON not yet decoded."""
    return union_all(_trial_runs(sweep_id), _plain_runs(sweep_id)).subquery()


def run_count(conn: Connection) -> int:
    """How many runs there are."""
    return int(conn.scalar(select(func.count()).select_from(runs_view())) or 0)


def runs_by_id(conn: Connection, run_ids: Collection[str]) -> list[Row]:
    """These runs, in the order asked for; one that is gone is left out."""
    found: dict[str, Row] = {}
    for some in pieces_of(run_ids):
        of_trials = _trial_runs(None).where(
            tuple_(schema.trials.c.sweep, schema.trials.c.number).in_([home_of(name) for name in some])
        )
        view = union_all(of_trials, _plain_runs("").where(schema.runs.c.id.in_(some))).subquery()
        found.update((row["id"], row) for row in _rows(conn, select(view)))
    return [found[name] for name in run_ids if name in found]


def run(conn: Connection, run_id: str) -> Row | None:
    """One run, in the shape of `runs`; its metadata with the package list and the diff."""
    found = next(iter(runs_by_id(conn, [run_id])), None)
    if found is not None:
        found["metadata"] = _with_texts(conn, found["metadata"])
    return found


def _with_texts(conn: Connection, told: dict[str, Any]) -> dict[str, Any]:
    ids: dict[str, str] = {name: told[name] for name in ("packages", "diff") if name in told}
    rows = conn.execute(select(schema.texts).where(schema.texts.c.id.in_(ids.values()))).all() if ids else []
    texts = {row.id: zlib.decompress(row.text).decode("utf-8", "replace") for row in rows}
    found: dict[str, Any] = {name: texts[text] for name, text in ids.items() if text in texts}
    if "packages" in found:
        return {**told, **found, "packages": found["packages"].splitlines()}
    return {**told, **found}


def attempts(conn: Connection, run_id: str) -> list[Row]:
    """The attempts of a run that logged something, or ended early."""
    table = schema.attempts
    return _rows(conn, select(table).where(table.c.run == run_id).order_by(table.c.attempt))


def summary(conn: Connection, run_id: str) -> dict[str, Any]:
    """Last or explicitly set value of each key."""
    return summaries(conn, [run_id]).get(run_id, {})


def summaries(conn: Connection, run_ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """`summary` of many runs; runs without any are left out."""
    table = schema.last
    query = select(table.c.run, table.c.key, table.c.value).where(among(conn, table.c.run, run_ids))
    rows = fetch(conn, query.order_by(table.c.run, table.c.key))
    found: dict[str, dict[str, Any]] = {}
    # Decoding one long list is several times as fast as one value after another.
    for (name, key, _), value in zip(rows, json.loads(f"[{','.join([row[2] for row in rows])}]"), strict=True):
        if value != NO_SUMMARY:
            found.setdefault(name, {})[key] = value
    return found


def console(conn: Connection, run_id: str, after: int = 0, limit: int | None = None) -> list[tuple[str, float, str]]:
    """(stream, time, line) of all attempts in order, without the first `after` lines."""
    table = schema.console
    query = select(table.c.lines).where(table.c.run == run_id).order_by(table.c.attempt, table.c.position)
    found: list[tuple[str, float, str]] = []
    for text in conn.scalars(query):
        found += [(stream, at, line) for stream, at, line in json.loads(text)]
    return found[after:] if limit is None else found[after : after + limit]


def recorded(conn: Connection, writer: str) -> int:
    """The highest number of this writer's batches; 0 for one that is not known."""
    return int(conn.scalar(select(schema.writers.c.seq).where(schema.writers.c.id == writer)) or 0)


def rejected(conn: Connection, limit: int = 100) -> list[Row]:
    """Journal entries that were set aside, with the reason."""
    return _rows(conn, select(schema.rejected).order_by(schema.rejected.c.id).limit(limit))


def _trial_runs(sweep_id: str | None) -> Select[Any]:
    """Claimed trials as runs; each belongs to its sweep's project, whatever its `init()` said."""
    trials, runs, sweeps = schema.trials.c, schema.runs.c, schema.sweeps.c
    name = trials.sweep + "-" + cast(trials.number, Text)
    joined = schema.trials.join(schema.sweeps, sweeps.id == trials.sweep).outerjoin(schema.runs, runs.id == name)
    query = select(
        func.coalesce(runs.id, name).label("id"), trials.sweep, trials.number,
        sweeps.entity, sweeps.project,
        func.coalesce(runs.name, name).label("name"),
        *(func.coalesce(runs[key], empty).label(key) for key, empty in _EMPTY.items()),
        func.coalesce(runs.config, trials.params).label("config"),
        trials.state, trials.value, runs.exit_code, trials.error,
        func.coalesce(runs.created, trials.started).label("created"),
        trials.started, trials.ended, trials.attempt, trials.agent, trials.params,
    ).select_from(joined).where(trials.attempt > 0)  # fmt: skip
    return query if sweep_id is None else query.where(trials.sweep == sweep_id)


def _plain_runs(sweep_id: str | None) -> Select[Any]:
    """Runs outside of sweeps."""
    runs = schema.runs.c
    query = select(
        runs.id, runs.sweep, runs.number, runs.entity, runs.project, runs.name, *(runs[key] for key in _EMPTY),
        runs.config, runs.state, cast(null(), schema.trials.c.value.type).label("value"), runs.exit_code, runs.error,
        runs.created, runs.started, runs.ended, runs.attempt, literal("").label("agent"),
        literal("{}").label("params"),
    )  # fmt: skip
    is_trial = select(schema.trials.c.number).where(
        and_(schema.trials.c.sweep == runs.sweep, schema.trials.c.number == runs.number)
    )
    query = query.where(~is_trial.exists())
    return query if not sweep_id else query.where(runs.sweep == sweep_id)


_EMPTY = {"group_name": "", "job_type": "", "tags": "[]", "notes": "", "host": "", "program": "", "metadata": "{}"}


def _order(columns: Any, order: str, allowed: Collection[str], then: str) -> list[Any]:
    name = order.removeprefix("-").removeprefix("+")
    if name not in allowed:
        raise ValueError(f"order {order!r}: write one of {', '.join(allowed)}, with - in front for the largest first")
    column = columns[name]
    directed = column.desc() if order.startswith("-") else column.asc()
    return [column.is_(None), directed, columns[then]]


def _rows(conn: Connection, query: Select[Any]) -> list[Row]:
    return [_decoded(row) for row in conn.execute(query).mappings()]


def _first(conn: Connection, query: Select[Any]) -> Row | None:
    row = conn.execute(query).mappings().first()
    return None if row is None else _decoded(row)


def _decoded(row: Mapping[Any, Any]) -> Row:
    return {name: json.loads(value) if name in _JSON and value else value for name, value in row.items()}
