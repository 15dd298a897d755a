"""`run.summary`: one value for each name, the last logged unless set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from besom.tracking.values import plain

__all__ = ["Summary"]


class Summary:
    """A run's summary.

    Args:
        changed: Called with what was set explicitly.
    """

    _values: dict[str, Any]
    _changed: Callable[[dict[str, Any]], None]

    def __init__(self, changed: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        object.__setattr__(self, "_values", {})
        object.__setattr__(self, "_changed", changed)

    def update(self, values: Mapping[str, Any]) -> None:
        """Set values; each stands until its name is logged again."""
        held = {key: plain(value, key) for key, value in values.items()}
        self._changed(held)  # raises when the run is over
        self._values.update(held)

    def logged(self, row: Mapping[str, Any]) -> None:
        """A row was logged: its values are the last."""
        self._values.update(row)

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or `default`."""
        return self._values.get(key, default)

    def keys(self) -> Any:
        """The names."""
        return self._values.keys()

    def items(self) -> Any:
        """Names and values."""
        return self._values.items()

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __getattr__(self, key: str) -> Any:
        try:
            return self._values[key]
        except KeyError:
            raise AttributeError(f"summary has no {key!r}") from None

    def __setattr__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __repr__(self) -> str:
        return repr(self._values)
