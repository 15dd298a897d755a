"""`run.config`: what a run was started with, by attribute and by item."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from besom.errors import ConfigError
from besom.tracking.values import plain

__all__ = ["RunConfig", "merge"]

log = logging.getLogger("besom")


class RunConfig:
    """A run's config. Values of the sweep are locked: changing one is ignored with a warning.

    Args:
        values: What it starts with.
        locked: Names that the sweep has set.
        changed: Called with what changed.
    """

    _values: dict[str, Any]
    _locked: frozenset[str]
    _changed: Callable[[dict[str, Any]], None]

    def __init__(
        self,
        values: Mapping[str, Any],
        locked: frozenset[str] = frozenset(),
        changed: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        object.__setattr__(self, "_values", {key.strip("-"): plain(value, key) for key, value in values.items()})
        object.__setattr__(self, "_locked", locked)
        object.__setattr__(self, "_changed", changed)

    def update(self, values: Any, allow_val_change: bool | None = None) -> None:
        """Set several values, from a mapping or an argparse.Namespace.

        Raises:
            ConfigError: a key has another value already and `allow_val_change` is not True.
        """
        given = dict(values) if isinstance(values, Mapping) else dict(vars(values))
        new: dict[str, Any] = {}
        for name, value in given.items():
            key, held = name.strip("-"), plain(value, name)
            if key in self._locked:
                if self._values.get(key) != held:
                    log.warning("config.%s is set by the sweep; %r is ignored", key, held)
                continue
            if key in self._values and self._values[key] != held and not allow_val_change:
                raise ConfigError(
                    f"config.{key} is {self._values[key]!r} already, not {held!r}; "
                    "to change it: config.update({...}, allow_val_change=True)"
                )
            new[key] = held
        if new:
            self._values.update(new)
            self._changed(new)

    def setdefaults(self, values: Mapping[str, Any]) -> None:
        """Set those that are not set."""
        self.update({key: value for key, value in values.items() if key not in self._values})

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or `default`."""
        return self._values.get(key, default)

    def keys(self) -> Any:
        """The names."""
        return self._values.keys()

    def items(self) -> Any:
        """Names and values."""
        return self._values.items()

    def as_dict(self) -> dict[str, Any]:
        """A copy."""
        return dict(self._values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __getattr__(self, key: str) -> Any:
        try:
            return self._values[key]
        except KeyError:
            raise AttributeError(
                f"config has no {key!r}; it has {', '.join(sorted(self._values)) or 'nothing'}"
            ) from None

    def __setattr__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


def merge(user: Mapping[str, Any], sweep: Mapping[str, Any]) -> dict[str, Any]:
    """The user's config with the sweep's values on top; nested maps merge."""
    merged = dict(user)
    for key, value in sweep.items():
        held = merged.get(key)
        merged[key] = merge(held, value) if isinstance(value, Mapping) and isinstance(held, Mapping) else value
    return merged
