"""Going on with a run that was begun before: what `init(resume=...)` means, and what the store knows of the run.

Outside of sweeps only: a trial's next attempt is the agents' business.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from besom.disk import private_folder
from besom.errors import BesomError, UsageError
from besom.settings import Settings

__all__ = ["Earlier", "ResumeFile", "find_earlier", "resume_rule"]

log = logging.getLogger("besom")

_RULES: Final = ("allow", "must", "never", "auto")


@dataclass(frozen=True, slots=True)
class Earlier:
    """A run as the store has it."""

    next_step: int
    row: dict[str, Any]
    summary: dict[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        """What the user's config was."""
        return {name: value for name, value in self.row["config"].items() if not name.startswith("_")}


def resume_rule(written: str | bool | None) -> str:
    """'', 'allow', 'must', 'never' or 'auto', which True is too.

    Raises:
        UsageError: it is none of these.
    """
    if written is None or written is False:
        return ""
    rule = "auto" if written is True or str(written).lower() == "true" else written
    if rule not in _RULES:
        raise UsageError(f"resume={written!r} cannot be; write one of {', '.join(map(repr, _RULES))} or True")
    return str(rule)


def find_earlier(
    settings: Settings, run_id: str, rule: str, look: Callable[[Settings, str], Earlier | None] | None = None
) -> Earlier | None:
    """The run to go on with, None for a new one.

    Args:
        settings: Where to look.
        run_id: Its id.
        rule: As `resume_rule` gives it.
        look: How to look; the default asks the store.

    Raises:
        UsageError: 'must' and there is none, 'never' and there is one, or 'must' and nobody can tell.
    """
    try:
        earlier = (look or _look)(settings, run_id)
    except BesomError as error:
        if rule == "must":
            raise UsageError(f"resume='must': whether there is a run {run_id!r} cannot be told: {error}") from None
        log.warning("run %s is not looked up (%s); its steps begin at 0", run_id, error)
        return None
    if earlier is None and rule == "must":
        raise UsageError(f"resume='must', and there is no run {run_id!r}; write resume='allow' to make it")
    if earlier is not None and rule == "never":
        raise UsageError(f"resume='never', and there is a run {run_id!r} already; leave out id=, or write another")
    return earlier


def _look(settings: Settings, run_id: str) -> Earlier | None:
    from besom.tracking.reading.api import Api  # the database's packages are for those who go on only

    api = Api(settings=settings)
    try:
        row = api.ask("run", run_id=run_id)
        if row is None:
            return None
        summary = api.ask("summaries", run_ids=[run_id]).get(run_id, {})
        stamps = api.ask("curve", run=run_id, key="_timestamp", points=1)  # every row has its time
    finally:
        api.close()
    summary.pop("_timestamp", None)
    return Earlier(int(stamps[-1][0]) + 1 if stamps else 0, row, summary)


class ResumeFile:
    """What resume='auto' goes by: the id of the last run here that has not finished well.

    Args:
        folder: Where this machine's runs have their folders.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "resume.json"

    def read(self) -> str | None:
        """The id, or None."""
        try:
            held = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return held.get("run_id") if isinstance(held, dict) else None

    def write(self, run_id: str) -> None:
        """The run goes on here; where nothing can be written, one warning."""
        try:
            private_folder(self._path.parent)
            self._path.write_text(json.dumps({"run_id": run_id}), encoding="utf-8")
        except (OSError, BesomError) as error:
            log.warning("%s cannot be written (%s); resume='auto' will not find run %s", self._path, error, run_id)

    def ended(self, run_id: str, exit_code: int) -> None:
        """A run that ends well is not gone on with."""
        if not exit_code and self.read() == run_id:
            self._path.unlink(missing_ok=True)
