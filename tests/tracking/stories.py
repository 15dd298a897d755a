"""Events as the tests tell them, and a store's content to compare."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import msgpack
from sqlalchemy import select

from besom.messages import (
    Batch,
    BatchBody,
    Event,
    RunEnded,
    RunStarted,
    SweepCreated,
    SweepSpec,
    TrialClaimed,
    TrialEnded,
)
from besom.tracking.recording.outcomes import Outcome
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.points import encode
from besom.tracking.store.schema import metadata
from besom.tracking.store.store import Store


def spec(sweep: str = "s", goal: str = "minimize", metric: str | None = "loss", use: str = "best") -> SweepSpec:
    found = {"name": metric, "goal": goal} if metric else None
    return SweepSpec(
        id=sweep,
        entity="e",
        project="p",
        name="n",
        created=1.0,
        config={"metric": found and found | {"use": use}},
        metric=found,
    )


def created(sweep: str = "s", **what: Any) -> SweepCreated:
    return SweepCreated(spec=spec(sweep, **what).model_dump_json())


def claimed(number: int = 0, attempt: int = 1, sweep: str = "s", params: str = '{"lr": 1.0}') -> TrialClaimed:
    return TrialClaimed(
        sweep=sweep, number=number, attempt=attempt, token=f"t{number}.{attempt}", agent="a", params=params
    )


def ended(number: int = 0, attempt: int = 1, state: str = "finished", sweep: str = "s", **writers: int) -> TrialEnded:
    return TrialEnded(
        sweep=sweep, number=number, attempt=attempt, token=f"t{number}.{attempt}", state=state,
        writers=json.dumps(writers),
    )  # fmt: skip


def started(run: str, attempt: int = 1, sweep: str = "", number: int = 0, at_ms: int = 0, **info: Any) -> RunStarted:
    body = msgpack.packb({"project": "p", "entity": "e", "name": run, **info})
    return RunStarted(run=run, attempt=attempt, sweep=sweep, number=number, body=body, at_ms=at_ms)


def finished(run: str, exit_code: int = 0, at_ms: int = 0, **writers: int) -> RunEnded:
    return RunEnded(run=run, exit_code=exit_code, writers=json.dumps(writers), at_ms=at_ms)


def column(steps: Sequence[int], values: Sequence[Any]) -> tuple[str, bytes, Any]:
    kind, blob = encode(values)
    return kind, struct.pack(f"<{len(steps)}q", *steps), list(values) if kind == "j" else blob


def batch(
    run: str = "s-0", seq: int = 1, steps: Sequence[int] = (), attempt: int = 1, writer: str = "w",
    summary: dict[str, Any] | None = None, config: dict[str, Any] | None = None,
    console: list[tuple[str, float, str]] | None = None, **values: Sequence[Any],
) -> Batch:  # fmt: skip
    history = {key: column(steps, some) for key, some in values.items()}
    body = BatchBody(history=history, summary=summary or {}, config=config or {}, console=console or [])
    return Batch(run=run, attempt=attempt, writer=writer, seq=seq, body=body.pack())


def play(store: Store, recorder: Recorder, events: Iterable[Event], first: int = 1, now: float = 0.0) -> list[Outcome]:
    """Apply events in one transaction, numbered from `first`."""
    with store.begin() as conn:
        return recorder.apply(conn, [(f"{first + i}-0", event) for i, event in enumerate(events)], now)


def content(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, but where the journal was read to."""
    with store.read() as conn:
        rows = {
            name: sorted(map(tuple, conn.execute(select(table))), key=repr) for name, table in metadata.tables.items()
        }
    rows["meta"] = [row for row in rows["meta"] if row[0] not in ("last_id", "store_id", "epoch")]
    return rows
