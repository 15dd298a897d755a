"""What a controller does when it takes the lease: whose journal is this, which sweeps live, what did Redis lose."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, exists, func, or_, select

from besom.broker.journal import Journal
from besom.broker.ledger import Ledger, Retry
from besom.controller.course import Past
from besom.controller.prior import load_prior
from besom.controller.sweep_plan import SweepPlan
from besom.controller.watch import read_scores, read_vectors
from besom.errors import BesomError, StoreMismatch
from besom.messages import ACTIVE_SWEEP_STATES, SweepSpec, run_id_of
from besom.strategies import EndedTrial, Params
from besom.tracking.recording.reopening import is_promoted
from besom.tracking.store import schema
from besom.tracking.store.rows import pieces_of
from besom.tracking.store.store import Store, get_meta, set_meta

__all__ = ["check_journal", "load_edited", "load_past", "load_plans", "pay_again", "rebuild_ledger"]

log = logging.getLogger("besom")

_OPEN: Final = ("queued", "running")


def check_journal(conn: Connection, journal: Journal, store: Store, *, forgotten: bool = False) -> bool:
    """Whether Redis lost something; the next read then starts at the journal's beginning.

    Args:
        conn: Within a transaction of the controller.
        journal: As it is now.
        store: Whose it should be.
        forgotten: It is known to have lost its tail; what was written and read since hides that.

    Raises:
        StoreMismatch: this namespace belongs to another store.
    """
    client, key = journal.connection.redis, journal.keys.journal_state()
    journal.connection.call(lambda: client.hsetnx(key, "store", store.id))
    owner = journal.connection.call(lambda: client.hget(key, "store")).decode()
    if owner != store.id:
        raise StoreMismatch(
            f"the namespace {journal.connection.namespace!r} at {journal.connection.shown} belongs to store {owner}, "
            f"and {store.url} is store {store.id}; start the controller with its own store, or set BESOM_NAMESPACE"
        )
    identity, known = journal.identity(), get_meta(conn, "journal_id")
    last = get_meta(conn, "last_id", "0-0")
    # Not by comparing ids: they are times, and agents may have written since to a Redis that put an older file back.
    lost = bool(known) and (forgotten or identity != known or (last != "0-0" and not journal.holds(last)))
    if identity != known:
        set_meta(conn, "journal_id", identity)
    if lost:
        set_meta(conn, "last_id", "0-0")
    return lost


def load_plans(
    conn: Connection, sweep: str | None = None, between: Callable[[], object] = lambda: None
) -> dict[str, SweepPlan]:
    """A plan for each sweep that is not over, or for this one, from the store alone.

    Args:
        conn: Of a transaction.
        sweep: The only one that is wanted.
        between: Called every now and then: a second goes by for some ten thousand trials of a strategy that learns.
    """
    plans: dict[str, SweepPlan] = {}
    sweeps, trials = schema.sweeps.c, schema.trials.c
    runs_on = and_(sweeps.state == "cancelled", exists().where(trials.sweep == sweeps.id, trials.state.in_(_OPEN)))
    query = select(schema.sweeps).where(or_(sweeps.state.in_(ACTIVE_SWEEP_STATES), runs_on))
    if sweep is not None:
        query = query.where(sweeps.id == sweep)
    for row in conn.execute(query).mappings().all():
        try:
            spec = SweepSpec.model_validate_json(row["spec"])
            plan = SweepPlan.of(spec, row["state"], load_past(conn, spec))
        except (BesomError, ValueError) as error:
            log.error("sweep %s is set aside: %s", row["id"], error)
            continue
        plan.issued = row["issued"]
        _load_trials(conn, plan, between)
        plans[plan.spec.id] = plan
    return plans


def load_edited(conn: Connection, sweep: str) -> dict[str, SweepPlan]:
    """`load_plans` for a sweep that was edited just now: its target may have moved to what its trials have reached."""
    plans = load_plans(conn, sweep)
    for plan in plans.values():
        plan.reached = plan.has_reached(_best_value(conn, plan))
    return plans


def _best_value(conn: Connection, plan: SweepPlan) -> float | None:
    trials = schema.trials.c
    best = func.max(trials.value) if plan.goal == "maximize" else func.min(trials.value)
    value: float | None = conn.scalar(
        select(best).where(trials.sweep == plan.spec.id, trials.state.in_(("finished", "stopped")))
    )
    return value


def _load_trials(conn: Connection, plan: SweepPlan, between: Callable[[], object]) -> None:
    trials = schema.trials
    mine = select(trials).where(trials.c.sweep == plan.spec.id).order_by(trials.c.number)
    for row in conn.execute(mine.where(trials.c.state.in_(_OPEN))).mappings():
        waiting = row["state"] == "queued"
        plan.issue(row["number"], json.loads(row["params"]), claimed=row["attempt"] > 0 or not waiting, waiting=waiting)
    if plan.config.time_cap is not None:
        plan.began = conn.scalar(select(func.min(trials.c.started)).where(trials.c.sweep == plan.spec.id))
    if plan.learns:
        over = conn.execute(mine.where(trials.c.state.not_in(_OPEN))).mappings().all()
        for rows in pieces_of(over):
            _learn(conn, plan, rows)
            between()
    # What its last point is may be asked for again, see `repeats`.
    last = conn.scalar(select(trials.c.params).where(trials.c.sweep == plan.spec.id, trials.c.number == plan.issued))
    if last is not None:
        plan.remember(plan.issued, json.loads(last))


def _learn(conn: Connection, plan: SweepPlan, rows: Sequence[RowMapping]) -> None:
    numbers = [row["number"] for row in rows]
    logged, vectors = read_scores(conn, plan, numbers), read_vectors(conn, plan, numbers)
    for number, row in zip(numbers, rows, strict=True):
        curve = logged[number].curve if number in logged else ()
        params, values = json.loads(row["params"]), vectors.get(number, ())
        plan.learn(EndedTrial(number, params, row["state"], row["value"], curve, values=values))


def load_past(conn: Connection, spec: SweepSpec) -> Past:
    """What a sweep's search starts from: its prior sweeps and runs, and what was tried before its last edit."""
    trials = schema.trials.c
    tried: list[Params] = []
    if spec.edits and spec.config.get("method") == "grid":
        query = select(trials.params).where(trials.sweep == spec.id, trials.number <= spec.edits[-1].issued)
        tried = [json.loads(params) for params in conn.scalars(query.order_by(trials.number))]
    return Past(tuple(load_prior(conn, spec)), tuple(tried))


def rebuild_ledger(conn: Connection, ledger: Ledger, epoch: int, lease_ms: int) -> None:
    """Write back to Redis what the store knows: sweeps, trials that are over, and those that run.

    A trial that runs gets one lease, in which its agent is heard if it lives. Queued trials are issued again by the
    caller, which does so at every start.
    """
    trials = schema.trials
    for row in conn.execute(select(schema.sweeps)).mappings():
        spec = SweepSpec.model_validate_json(row["spec"])
        held = conn.execute(select(trials).where(trials.c.sweep == spec.id, trials.c.state != "queued")).mappings()
        ended = {
            run for (run,) in conn.execute(select(schema.closings.c.run).where(schema.closings.c.sweep == spec.id))
        }
        restored = [trial for trial in held if run_id_of(spec.id, trial["number"]) not in ended]
        ledger.restore(epoch, spec, row["state"], [_as_lua(trial, lease_ms) for trial in restored])


def pay_again(store: Store, ledger: Ledger, epoch: int, plans: Mapping[str, SweepPlan]) -> None:
    """Do again what a controller before may have left undone between its commit and the end of its turn.

    Queued trials are issued, trials that a rule ends told so, trials that are over forgotten, sweeps that are over
    finished, removed ones dropped.
    """
    for sweep, plan in plans.items():
        if plan.state == "stopping":
            ledger.set_state(sweep, "stopping", epoch)
        alive = ledger.alive(sweep)
        _queue_again(store, ledger, epoch, sweep, alive)
        _stop_again(store, ledger, epoch, sweep)
        ledger.forget(epoch, sweep, sorted(n for n in alive - plan.trials.keys() if n <= plan.issued))
    others = [(sweep, state) for sweep, state in ledger.states().items() if sweep not in plans]
    with store.read() as conn:
        held = {row.id: row.state for row in conn.execute(select(schema.sweeps.c.id, schema.sweeps.c.state))}
        removed = set(conn.scalars(select(schema.removed.c.id)))
    for sweep, state in others:
        if sweep in removed:
            ledger.drop(epoch, sweep)
        elif sweep in held:
            ledger.forget(epoch, sweep, sorted(ledger.alive(sweep)))
            if held[sweep] == "finished" and state in ACTIVE_SWEEP_STATES:
                ledger.set_state(sweep, "finished", epoch)


def _queue_again(store: Store, ledger: Ledger, epoch: int, sweep: str, alive: set[int]) -> None:
    """Trials that wait in the store and that Redis does not have, or has as they ended before they were reopened."""
    trials = schema.trials
    query = select(trials).where(trials.c.sweep == sweep, trials.c.state == "queued").order_by(trials.c.number)
    with store.read() as conn:
        waiting = list(conn.execute(query).mappings())
    new = [row for row in waiting if not row["attempt"] and row["number"] not in alive]
    ledger.issue(epoch, sweep, [(row["number"], json.loads(row["params"])) for row in new])
    again = [row for row in waiting if row["attempt"] and (row["number"] not in alive or not row["token"])]
    ledger.retry(epoch, sweep, [_as_retry(row) for row in again if not is_promoted(row)])
    ledger.retry(epoch, sweep, [_as_retry(row) for row in again if is_promoted(row)], in_front=True)


def _stop_again(store: Store, ledger: Ledger, epoch: int, sweep: str) -> None:
    """Trials that have not ended although their stopping rule has ended them."""
    trials = schema.trials.c
    query = select(trials.number).where(trials.sweep == sweep, trials.state.in_(_OPEN), trials.halted > trials.passed)
    with store.read() as conn:
        told = list(conn.scalars(query))
    ledger.stop(epoch, sweep, told)


def _as_retry(trial: Any) -> Retry:
    return Retry(trial["number"], trial["attempt"], trial["losses"], trial["failures"], json.loads(trial["params"]))


def _as_lua(trial: Any, lease_ms: int) -> tuple[Any, ...]:
    if trial["state"] in _OPEN:
        return (
            "running", trial["number"], trial["params"], trial["attempt"], trial["token"] or "", trial["agent"] or "",
            trial["losses"], trial["failures"], lease_ms,
        )  # fmt: skip
    return ("done", trial["number"], "", 0, "", "", 0, 0, 0)
