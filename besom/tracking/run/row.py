"""What is logged, on its way into the row that is open: names and plain values, and media apart from them.

What has no room is left out, and said once for each name.  Knows nothing of steps or writers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from besom.errors import BesomError, TooLarge, UsageError
from besom.tracking.media.media import Keeper, Media
from besom.tracking.media.recognise import as_media
from besom.tracking.values import KEY_LIMIT, KEYS_LIMIT, logged, utf8

__all__ = ["Names", "join"]

log = logging.getLogger("besom")


class Names:
    """The names that one run has logged.

    Args:
        run: Its id.
    """

    __slots__ = ("_kept", "_run", "_warned")

    def __init__(self, run: str) -> None:
        self._run = run
        self._kept: dict[str, str] = {}  # as logged, and as kept
        self._warned: set[str] = set()

    def checked(self, data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Media]]:
        """Plain values, and media.

        Raises:
            TypeError: `data` is no mapping, a key no string, or a value cannot be kept.
        """
        if type(data) is not dict and not isinstance(data, Mapping):
            raise TypeError(f"besom.log takes a dict of names and values, not {type(data).__name__}")
        row: dict[str, Any] = {}
        media: dict[str, Media] = {}
        for key, value in data.items():
            name = self._kept.get(key)
            if name is None and (name := self._new(key)) is None:
                continue
            kind = type(value)
            if kind is float or kind is int:
                row[name] = value
            elif (shown := as_media(value)) is not None:
                media[name] = shown
            else:
                try:
                    row[name] = logged(value, key)
                except TooLarge as error:
                    self._warn(key, f"{error}; it is left out")
        return row, media

    def kept(self, media: Mapping[str, Media], run: Keeper, step: int) -> dict[str, Any]:
        """What stands in the row for media, their files kept; what cannot be kept is left out."""
        told = {}
        for key, shown in media.items():
            try:
                told[key] = shown.to_logged(run, key, step)
            except (OSError, BesomError) as error:
                self._warn(key, f"{key} at step {step} cannot be kept, and is left out: {error}")
        return told

    def of(self, key: str) -> str | None:
        """What a name is kept as; None when there is no room for it."""
        return self._kept.get(key) or self._new(key)

    def _new(self, key: Any) -> str | None:
        if not isinstance(key, str):
            raise TypeError(f"names in besom.log are strings, not {key!r}")
        if len(key) > KEY_LIMIT:
            raise UsageError(f"the name {key[:40]!r}… has {len(key)} characters; at most {KEY_LIMIT}")
        if len(self._kept) >= KEYS_LIMIT:
            told = f"run {self._run} has {KEYS_LIMIT} names already; {key!r} and all other new names are left out"
            self._warn("", told)
            return None
        return self._kept.setdefault(key, utf8(key))

    def _warn(self, about: str, message: str) -> None:
        if about not in self._warned and len(self._warned) <= KEYS_LIMIT:
            self._warned.add(about)
            log.warning("%s", message)


def join(open_row: dict[str, Any], row: Mapping[str, Any]) -> None:
    """Add to a row that is open: of a nested dict, name by name; media are whole."""
    for key, value in row.items():
        held = open_row.get(key)
        if isinstance(held, dict) and isinstance(value, dict) and not ("_type" in held or "_type" in value):
            join(held, value)
        else:
            open_row[key] = value
