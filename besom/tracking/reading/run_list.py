"""Runs that a filter found, loaded page by page when they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from besom.tracking.reading.api_run import ApiRun, Door

__all__ = ["Runs"]

_PAGE_LIMIT = 500
"""Ids in one request, whose address has a limit."""


class Runs(Sequence[ApiRun]):
    """A sequence of runs; which ones and in which order is found out at the first look, and stays.

    Only the page looked at last is kept, however many there are.

    Args:
        door: Where to read.
        find: Gives their ids.
        per_page: How many are loaded at once.
    """

    def __init__(self, door: Door, find: Callable[[], list[str]], per_page: int = 50) -> None:
        self._door = door
        self._find = find
        self._size = min(max(1, per_page), _PAGE_LIMIT)
        self._ids: list[str] | None = None
        self._kept: tuple[int, dict[str, ApiRun]] = (-1, {})

    @property
    def ids(self) -> list[str]:
        """Their ids, without loading them."""
        if self._ids is None:
            self._ids = self._find()
        return self._ids

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, place: int) -> ApiRun: ...
    @overload
    def __getitem__(self, place: slice) -> list[ApiRun]: ...
    def __getitem__(self, place: int | slice) -> Any:
        """One run, or a list of some.

        Raises:
            IndexError: there are fewer, or the run was deleted since.
        """
        if isinstance(place, slice):
            return [self[at] for at in range(len(self))[place]]
        at = range(len(self))[place]
        run = self._page(at // self._size).get(self.ids[at])
        if run is None:
            raise IndexError(f"run {self.ids[at]} was deleted since")
        return run

    def __iter__(self) -> Iterator[ApiRun]:
        """All of them but those that were deleted since."""
        for number in range(-(-len(self) // self._size)):
            yield from self._page(number).values()

    def __repr__(self) -> str:
        return f"<besom runs ({len(self)})>"

    def _page(self, number: int) -> dict[str, ApiRun]:
        if self._kept[0] != number:
            ids = self.ids[number * self._size : (number + 1) * self._size]
            rows = self._door.ask("runs_by_id", run_ids=ids)
            summaries = self._door.ask("summaries", run_ids=ids)
            runs = {row["id"]: ApiRun(self._door, row, summaries.get(row["id"], {})) for row in rows}
            self._kept = (number, runs)
        return self._kept[1]
