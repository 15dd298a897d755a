"""mode="disabled": a run that records nothing, so that a script can be tried without leaving a trace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from besom.messages import Event
from besom.tracking.run.config import RunConfig
from besom.tracking.run.run import Run, RunIdentity
from besom.tracking.writing.spool import WriterName
from besom.tracking.writing.writer import Writer

__all__ = ["DisabledRun"]


class _NoWriter(Writer):
    """Takes everything and keeps nothing."""

    def __init__(self, run: str) -> None:
        super().__init__(None, WriterName(run, 1, "none"), Path(), 0)

    def in_child(self) -> Writer:
        return self

    def add(self, step: int, row: dict[str, Any]) -> bool:
        return False

    def set_summary(self, values: Mapping[str, Any]) -> bool:
        return False

    def set_config(self, values: Mapping[str, Any]) -> bool:
        return False

    def add_line(self, stream: str, seconds: float, line: str) -> bool:
        return False

    def tell(self, event: Event) -> None:
        pass

    def close(self, patience: float) -> int:
        return 0


class DisabledRun(Run):
    """Config and summary work, its step stays 0, and nothing is an error after its end."""

    __slots__ = ()

    def __init__(self, identity: RunIdentity, config: RunConfig, directory: Path) -> None:
        super().__init__(
            identity, config, _NoWriter(identity.id), trial=None, directory=directory,
            on_finish=lambda *_: None, patience=0,
        )  # fmt: skip
        self.mode = "disabled"

    def log(self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        """Bring the summary up to date."""
        row, _ = self._names.checked(data)
        self.summary.logged(row)

    def save(self, *_: Any, **__: Any) -> bool:
        """Nothing is kept."""
        return False

    def log_code(self, *_: Any, **__: Any) -> None:
        """Nothing is recorded."""

    def watch(self, *_: Any, **__: Any) -> None:
        """Nothing is watched, and training costs nothing more."""

    def _must_run(self, call: str) -> None:
        """It always does."""

    def _summary_set(self, values: dict[str, Any]) -> None:
        """Nobody is told."""
