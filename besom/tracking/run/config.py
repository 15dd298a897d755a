"""`run.config`: what a run was started with, by attribute and by item."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from besom.errors import ConfigError
from besom.tracking.run.given_config import as_mapping
from besom.tracking.run.named_values import NamedValues
from besom.tracking.values import plain

__all__ = ["RunConfig", "merge"]

log = logging.getLogger("besom")


class RunConfig(NamedValues):
    """A run's config. Values of the sweep are locked: changing one is ignored with a warning.

    Args:
        values: What it starts with.
        locked: Names that the sweep has set.
        changed: Called with what changed.
        changeable: Values may be changed without saying so each time.
    """

    what = "config"

    _locked: frozenset[str]
    _changeable: bool

    def __init__(
        self,
        values: Mapping[str, Any],
        locked: frozenset[str] = frozenset(),
        changed: Callable[[dict[str, Any]], None] = lambda _: None,
        *,
        changeable: bool = False,
    ) -> None:
        super().__init__({key.strip("-"): plain(value, key, objects=True) for key, value in values.items()}, changed)
        object.__setattr__(self, "_locked", locked)
        object.__setattr__(self, "_changeable", changeable)

    def update(self, values: Any, allow_val_change: bool | None = None) -> None:
        """Set several values, from a mapping, an argparse.Namespace, absl flags or a YAML file.

        Raises:
            ConfigError: a key has another value already and `allow_val_change` is not True, here or in `init()`.
            UsageError: the values have another form.
        """
        given = as_mapping(values)
        may_change = self._changeable if allow_val_change is None else allow_val_change
        new: dict[str, Any] = {}
        for name, value in given.items():
            key, held = name.strip("-"), plain(value, name, objects=True)
            if key in self._locked:
                if self._items.get(key) != held:
                    log.warning("config.%s is set by the sweep; %r is ignored", key, held)
                continue
            if key in self._items and self._items[key] != held and not may_change:
                raise ConfigError(
                    f"config.{key} is {self._items[key]!r} already, not {held!r}; "
                    "to change it: config.update({...}, allow_val_change=True)"
                )
            new[key] = held
        if new:
            self._changed(new)  # raises when the run is over
            self._items.update(new)

    def setdefaults(self, values: Mapping[str, Any]) -> None:
        """Set those that are not set."""
        self.update({key: value for key, value in values.items() if key not in self._items})


def merge(user: Mapping[str, Any], sweep: Mapping[str, Any]) -> dict[str, Any]:
    """The user's config with the sweep's values on top; nested maps merge."""
    merged = dict(user)
    for key, value in sweep.items():
        held = merged.get(key)
        merged[key] = merge(held, value) if isinstance(value, Mapping) and isinstance(held, Mapping) else value
    return merged
