"""Values by name, read and set by attribute and by item: what `run.config` and `run.summary` have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["NamedValues"]


class NamedValues:
    """Names and plain values; what setting one means is `update`'s.

    Args:
        values: What it starts with.
        changed: Called with what was set.
    """

    what = "values"
    """What the error messages call it."""

    _items: dict[str, Any]  # W&B's name: transformers reads a trial's params as `vars(config)["_items"]`
    _changed: Callable[[dict[str, Any]], None]

    def __init__(self, values: Mapping[str, Any], changed: Callable[[dict[str, Any]], None]) -> None:
        object.__setattr__(self, "_items", dict(values))
        object.__setattr__(self, "_changed", changed)

    def update(self, values: Mapping[str, Any]) -> None:
        """Set several."""
        raise NotImplementedError

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or `default`."""
        return self._items.get(key, default)

    def keys(self) -> Any:
        """The names."""
        return self._items.keys()

    def items(self) -> Any:
        """Names and values."""
        return self._items.items()

    def as_dict(self) -> dict[str, Any]:
        """A copy."""
        return dict(self._items)

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __getattr__(self, key: str) -> Any:
        try:
            return self._items[key]
        except KeyError:
            known = ", ".join(sorted(self._items)) or "nothing"
            raise AttributeError(f"{self.what} has no {key!r}; it has {known}") from None

    def __setattr__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __repr__(self) -> str:
        return repr(self._items)
