"""The end of a run: its final state, its value, its history sealed.

Reads and writes: the rows in `Memory`.  Knows nothing of how it came to the end.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from besom.tracking.memory import Memory
from besom.tracking.outcomes import Outcome, RunClosed, TrialClosed
from besom.tracking.rows import Row, pieces_of
from besom.tracking.schema import attempts
from besom.tracking.score import Score, Target, scores

__all__ = ["close"]

_NOTHING = Score(None, ())


def close(conn: Connection, memory: Memory, ended: Sequence[Row]) -> list[Outcome]:
    """Close the runs of these rows of `closings`; everything they logged must be flushed."""
    targets = _targets(conn, memory, ended)
    found = _scores(conn, ended, targets)
    logged = _attempts(conn, [row["run"] for row in ended])
    memory.attempts.fetch(conn, logged)
    memory.batches.series.close(conn, logged)
    memory.trials.fetch(conn, ((row["sweep"], row["number"]) for row in ended if row["sweep"]))
    memory.runs.fetch(conn, (row["run"] for row in ended))
    outcomes: list[Outcome] = []
    for row in ended:
        memory.open_closings(conn).pop(row["run"], None)
        if row["sweep"]:
            outcomes.append(_close_trial(memory, row, targets[row["sweep"]], found.get(row["run"], _NOTHING)))
        else:
            _close_run(memory, row, row["state"], row["error"])
            outcomes.append(RunClosed(row["run"], row["state"]))
    memory.flush(conn)
    return outcomes


def _targets(conn: Connection, memory: Memory, ended: Iterable[Row]) -> dict[str, Target | None]:
    names = {row["sweep"] for row in ended if row["sweep"]}
    memory.sweeps.fetch(conn, names)
    held = {name: memory.sweeps.get(name) for name in names}
    return {name: Target.of(json.loads(row["spec"])) if row else None for name, row in held.items()}


def _scores(conn: Connection, ended: Iterable[Row], targets: dict[str, Target | None]) -> dict[str, Score]:
    """The score of each trial in a sweep with a metric."""
    by_sweep: dict[str, list[str]] = defaultdict(list)
    for row in ended:
        by_sweep[row["sweep"]].append(row["run"])
    found: dict[str, Score] = {}
    for sweep, names in by_sweep.items():
        if target := targets.get(sweep):
            found.update(scores(conn, names, target))
    return found


def _attempts(conn: Connection, names: Sequence[str]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for some in pieces_of(names):
        query = select(attempts.c.run, attempts.c.attempt).where(attempts.c.run.in_(some))
        found += [(run, attempt) for run, attempt in conn.execute(query)]
    return found


def _close_trial(memory: Memory, row: Row, target: Target | None, score: Score) -> TrialClosed:
    state, error = row["state"], row["error"]
    if state == "finished" and target and score.value is None:
        state, error = "failed", f"never logged {target.name}"
    trial = memory.trials.get((row["sweep"], row["number"]))
    assert trial is not None, "a closing is made together with its trial"
    trial.update(state=state, error=error, value=score.value, ended=row["ended"])
    memory.trials.put(trial)
    _close_run(memory, row, state, error)
    params = json.loads(trial["params"])
    return TrialClosed(row["sweep"], row["number"], state, score.value, score.curve, params, row["ended"])


def _close_run(memory: Memory, row: Row, state: str, error: str) -> None:
    run = memory.runs.get(row["run"])
    if run is not None:
        run.update(state=state, error=error, exit_code=row["exit_code"], ended=row["ended"])
        memory.runs.put(run)
    attempt = memory.attempts.get((row["run"], memory.newest_attempt(row["run"])))
    if attempt is not None:
        attempt.update(state=state, ended=row["ended"])
        memory.attempts.put(attempt)
