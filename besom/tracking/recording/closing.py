"""The end of a run: its final state, its value, its history sealed.

Reads and writes: the rows in `Memory`.  Knows nothing of how it came to the end.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select

from besom.tracking.recording.memory import Memory
from besom.tracking.recording.outcomes import Outcome, RunClosed, TrialClosed
from besom.tracking.store.rows import Row, pieces_of
from besom.tracking.store.schema import attempts
from besom.tracking.store.score import Score, Target, metrics_of, scores, vectors

__all__ = ["close"]

_NOTHING = Score(None, ())


def close(conn: Connection, memory: Memory, ended: Sequence[Row]) -> list[Outcome]:
    """Close the runs of these rows of `closings`; everything they logged must be flushed."""
    specs = _specs(conn, memory, ended)
    found, values = _scores(conn, ended, specs), _values(conn, ended, specs)
    logged = _attempts(conn, [row["run"] for row in ended])
    memory.attempts.fetch(conn, logged)
    memory.batches.series.close(conn, logged)
    memory.trials.fetch(conn, ((row["sweep"], row["number"]) for row in ended if row["sweep"]))
    memory.runs.fetch(conn, (row["run"] for row in ended))
    outcomes: list[Outcome] = []
    for row in ended:
        memory.open_closings(conn).pop(row["run"], None)
        if row["sweep"]:
            score, vector = found.get(row["run"], _NOTHING), values.get(row["run"], ())
            outcomes.append(_close_trial(memory, row, specs[row["sweep"]], score, vector))
        else:
            _close_run(memory, row, row["state"], row["error"])
            outcomes.append(RunClosed(row["run"], row["state"]))
    memory.flush(conn)
    return outcomes


def _specs(conn: Connection, memory: Memory, ended: Iterable[Row]) -> dict[str, dict[str, Any]]:
    names = {row["sweep"] for row in ended if row["sweep"]}
    memory.sweeps.fetch(conn, names)
    held = {name: memory.sweeps.get(name) for name in names}
    return {name: json.loads(row["spec"]) if row else {} for name, row in held.items()}


def _scores(conn: Connection, ended: Iterable[Row], specs: dict[str, dict[str, Any]]) -> dict[str, Score]:
    """The score of each trial by the metric of its sweep, or by the one that its stopping rule looks at."""
    found: dict[str, Score] = {}
    for sweep, names in _by_sweep(ended).items():
        if target := Target.judged(specs.get(sweep, {})):
            found.update(scores(conn, names, target))
    return found


def _values(
    conn: Connection, ended: Iterable[Row], specs: dict[str, dict[str, Any]]
) -> dict[str, tuple[float | None, ...]]:
    """The values of each trial in a sweep with several metrics."""
    found: dict[str, tuple[float | None, ...]] = {}
    for sweep, names in _by_sweep(ended).items():
        if metrics := metrics_of(specs.get(sweep, {})):
            found.update(vectors(conn, names, metrics))
    return found


def _by_sweep(ended: Iterable[Row]) -> dict[str, list[str]]:
    """Runs by their sweep, "" for those outside."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in ended:
        found[row["sweep"]].append(row["run"])
    return found


def _attempts(conn: Connection, names: Sequence[str]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for some in pieces_of(names):
        query = select(attempts.c.run, attempts.c.attempt).where(attempts.c.run.in_(some))
        found += [(run, attempt) for run, attempt in conn.execute(query)]
    return found


def _close_trial(
    memory: Memory, row: Row, spec: dict[str, Any], score: Score, values: tuple[float | None, ...]
) -> TrialClosed:
    state, error, target = row["state"], row["error"], Target.of(spec)
    value = score.value if target else None
    told = {target.name: value} if target else dict(zip(metrics_of(spec), values, strict=True))
    lacking = [name for name, one in told.items() if one is None]
    if state == "finished" and lacking:
        state, error = "failed", f"never logged {', '.join(lacking)}"
    trial = memory.trials.get((row["sweep"], row["number"]))
    assert trial is not None, "a closing is made together with its trial"
    trial.update(state=state, error=error, value=value, ended=row["ended"])
    memory.trials.put(trial)
    _close_run(memory, row, state, error)
    params = json.loads(trial["params"])
    return TrialClosed(row["sweep"], row["number"], state, value, score.curve, params, row["ended"], values)


def _close_run(memory: Memory, row: Row, state: str, error: str) -> None:
    run = memory.runs.get(row["run"])
    if run is not None:
        run.update(state=state, error=error, exit_code=row["exit_code"], ended=row["ended"])
        memory.runs.put(run)
    attempt = memory.attempts.get((row["run"], memory.newest_attempt(row["run"])))
    if attempt is not None:
        attempt.update(state=state, ended=row["ended"])
        memory.attempts.put(attempt)
