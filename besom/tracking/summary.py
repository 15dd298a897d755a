"""`run.summary`: one value for each name, the last logged unless set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from besom.tracking.metrics import NO_SUMMARY
from besom.tracking.named_values import NamedValues
from besom.tracking.values import plain

__all__ = ["Summary"]


class Summary(NamedValues):
    """A run's summary.

    Args:
        changed: Called with what was set explicitly.
        values: What it starts with, when its run goes on.
    """

    what = "summary"

    def __init__(
        self, changed: Callable[[dict[str, Any]], None] = lambda _: None, values: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(values or {}, changed)

    def update(self, values: Mapping[str, Any]) -> None:
        """Set values; each stands until its name is logged again."""
        held = {key: plain(value, key) for key, value in values.items()}
        self._changed(held)  # raises when the run is over
        self._items.update(held)

    def logged(self, row: Mapping[str, Any]) -> None:
        """A row was logged: its values are the last, but for None."""
        if None in row.values():
            row = {key: value for key, value in row.items() if value is not None}
        self._items.update(row)

    def __delitem__(self, key: str) -> None:
        if key not in self._items:
            raise KeyError(key)
        self._changed({key: NO_SUMMARY})
        del self._items[key]

    def defined(self, values: Mapping[str, Any]) -> None:
        """What `define_metric` makes of a row."""
        for key, value in values.items():
            if value == NO_SUMMARY:
                self._items.pop(key, None)
            else:
                self._items[key] = value
