"""Alerts in the store.

Reads and writes: `alerts`.  Knows nothing of who is told.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from besom.messages import RunAlerted
from besom.tracking.store.rows import Row, save
from besom.tracking.store.schema import alerts

__all__ = ["alerts_of", "record_alert"]


def record_alert(conn: Connection, event: RunAlerted, at: float) -> None:
    """Keep an alert; one that comes again is the same row, as it came first."""
    if conn.scalar(select(alerts.c.id).where(alerts.c.id == event.id)) is None:
        told: dict[str, Any] = {"title": event.title, "text": event.text, "level": event.level}
        cleaned = {name: text.replace("\0", "") for name, text in told.items()}
        save(conn, alerts, [{"id": event.id, "run": event.run, "created": at, **cleaned}])


def alerts_of(conn: Connection, run_id: str) -> list[Row]:
    """The alerts of a run, oldest first: title, text, level, created (seconds since the epoch)."""
    columns = (alerts.c.title, alerts.c.text, alerts.c.level, alerts.c.created)
    query = select(*columns).where(alerts.c.run == run_id).order_by(alerts.c.created, alerts.c.id)
    return [dict(row) for row in conn.execute(query).mappings()]
