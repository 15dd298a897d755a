"""What earlier sweeps and runs teach a sweep before its first trial (`prior_sweeps`, `prior_runs`).

Reads: the store, as far as it was settled when the sweep was created, so that a restart finds the same.
Gives: trials numbered from 0 downwards, valued by this sweep's own metrics.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, or_, select

from besom.messages import SweepSpec, home_of, run_id_of
from besom.strategies import EndedTrial
from besom.tracking.store import schema
from besom.tracking.store.rows import pieces_of
from besom.tracking.store.score import Score, Target, metrics_of, scores, vectors

__all__ = ["load_prior"]

log = logging.getLogger("besom")


def load_prior(conn: Connection, spec: SweepSpec) -> list[EndedTrial]:
    """The trials of prior sweeps and the prior runs that had ended when the sweep was created, newest first."""
    named = spec.config.get("prior_sweeps", ()), spec.config.get("prior_runs", ())
    if not any(named):
        return []
    rows = {row["id"]: row for row in (*_trials(conn, spec, *named), *_runs(conn, spec, named[1]))}
    for run in named[1]:
        if run not in rows:
            log.warning("sweep %s: prior run %s is not in the store, or had not ended", spec.id, run)
    written = spec.model_dump(include={"metric", "config"})
    target, single = Target.judged(written), Target.of(written) is not None
    logged: dict[str, Score] = {}
    for some in pieces_of(rows) if target else ():
        assert target is not None
        logged.update(scores(conn, some, target))
    metrics, told = metrics_of({"config": spec.config}), {}
    for some in pieces_of(rows) if metrics else ():
        told.update(vectors(conn, some, metrics))
    newest = sorted(rows.values(), key=lambda row: (row["ended"], row["id"]), reverse=True)
    found: list[EndedTrial] = []
    for index, row in enumerate(newest):
        score = logged.get(row["id"], Score(None, ()))
        value, values = score.value if single else None, told.get(row["id"], ())
        found.append(EndedTrial(-index, row["params"], row["state"], value, score.curve, values=values))
    return found


def _trials(conn: Connection, spec: SweepSpec, sweeps: list[str], runs: list[str]) -> Iterator[dict[str, Any]]:
    trials = schema.trials.c
    named = [home_of(run) for run in runs]
    wanted = or_(trials.sweep.in_(sweeps), *((trials.sweep == sweep) & (trials.number == n) for sweep, n in named))
    query = select(schema.trials).where(wanted, trials.ended <= spec.created, trials.state != "cancelled")
    for row in conn.execute(query.order_by(trials.sweep, trials.number)).mappings():
        run = run_id_of(row["sweep"], row["number"])
        yield {"id": run, "params": json.loads(row["params"]), "state": row["state"], "ended": row["ended"]}


def _runs(conn: Connection, spec: SweepSpec, runs: list[str]) -> Iterator[dict[str, Any]]:
    """Runs outside of sweeps; their config is what they tried."""
    table = schema.runs.c
    query = select(schema.runs).where(table.id.in_(runs), table.sweep == "", table.ended <= spec.created)
    for row in conn.execute(query.order_by(table.id)).mappings():
        yield {"id": row["id"], "params": json.loads(row["config"]), "state": row["state"], "ended": row["ended"]}
