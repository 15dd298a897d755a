"""Times as W&B writes them."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["moment_of"]


def moment_of(seconds: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC, as W&B writes it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
