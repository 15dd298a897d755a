"""`run.summary`: one value for each name, the last logged unless set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from besom.tracking.metrics import NO_SUMMARY
from besom.tracking.run.named_values import NamedValues
from besom.tracking.values import plain

__all__ = ["Summary"]


class NestedSummary(dict[str, Any]):
    """A dict in a summary, to be read and set by item and by attribute at any depth.

    Args:
        values: What it holds.
        told: Called when it has changed; when that raises, nothing has.
    """

    __slots__ = ("_told",)
    _told: Callable[[], None]

    def __init__(self, values: Mapping[str, Any], told: Callable[[], None]) -> None:
        object.__setattr__(self, "_told", told)
        super().__init__((key, self._nested(value)) for key, value in values.items())

    def __setitem__(self, key: str, value: Any) -> None:
        self._become({**self, key: self._nested(plain(value, key))})

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self._become({name: value for name, value in self.items() if name != key})

    def __getattr__(self, key: str) -> Any:
        if key not in self:
            raise AttributeError(f"summary has no {key!r} here; it has {', '.join(sorted(self)) or 'nothing'}")
        return self[key]

    __setattr__ = __setitem__
    __delattr__ = __delitem__

    def __reduce__(self) -> Any:
        return dict, (dict(self),)  # a copy is a dict, and changes no summary

    # What else changes a dict, by way of __setitem__ and __delitem__.
    clear = MutableMapping.clear
    pop = MutableMapping.pop
    popitem = MutableMapping.popitem
    setdefault = MutableMapping.setdefault
    update = MutableMapping.update

    def _nested(self, value: Any) -> Any:
        return NestedSummary(value, self._told) if isinstance(value, dict) else value

    def _become(self, after: dict[str, Any]) -> None:
        before = dict(self)
        dict.clear(self)
        dict.update(self, after)
        try:
            self._told()
        except BaseException:
            dict.clear(self)
            dict.update(self, before)
            raise


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

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or `default`."""
        return self[key] if key in self._items else default

    def __getitem__(self, key: str) -> Any:
        held = self._items[key]
        if type(held) is dict:  # as it was logged: it belongs to the row, so what may be changed is a copy
            held = self._items[key] = NestedSummary(held, lambda: self._nested_changed(key, held))
        return held

    def __getattr__(self, key: str) -> Any:
        super().__getattr__(key)  # raises when there is none
        return self[key]

    def _nested_changed(self, key: str, nested: NestedSummary) -> None:
        self._changed({key: plain(nested, key)})
        self._items[key] = nested

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
