"""Bringing what the wandb package recorded into the store: `.wandb` files, run folders, whole `wandb` folders.

It goes the way of every run, through the journal. A file is known by its run and start; its batches are numbered by the
records they end with, so that the store can say how far a file is in, and reading it again goes on from there.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from besom.broker.journal import Journal
from besom.errors import UsageError
from besom.settings import Settings
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.run.identity import RUN_ID
from besom.tracking.wandb_files.facts import RunFacts, read_facts
from besom.tracking.wandb_files.log import LogFile, NotALog
from besom.tracking.wandb_files.sending import Imported, Sending

__all__ = ["Importer", "find_files"]

_SUFFIX: Final = ".wandb"
_ALIVE_SECONDS: Final = 300
"""A file without an end that was written to in this time belongs to a run that still runs."""


def find_files(root: Path) -> list[Path]:
    """The `.wandb` files at a path: itself, or in it and below; `latest-run`, a link to one of them, is passed over.

    Raises:
        UsageError: there is none.
    """
    if root.is_file():
        return [root]
    found = sorted(path for path in root.rglob(f"*{_SUFFIX}") if path.is_file() and "latest-run" not in path.parts)
    if not found:
        raise UsageError(f"no {_SUFFIX} file in {root} or below; write such a file, a run's folder, or a wandb folder")
    return found


class Importer:
    """Brings files in, one after another.

    Args:
        journal: Where runs go.
        blobs: Where their files go.
        ask: `Api.ask`: what is in the store already.
        settings: Entity for runs that name none, and the journal's limit.
        clock: Seconds since the epoch.
        advanced: Called with a run's id, how many records of its file are in, and how many it has.
    """

    def __init__(
        self,
        journal: Journal,
        blobs: Blobs,
        ask: Callable[..., Any],
        settings: Settings,
        clock: Callable[[], float] = time.time,
        advanced: Callable[[str, int, int], None] = lambda *_: None,
    ) -> None:
        self._journal, self._blobs, self._ask = journal, blobs, ask
        self._settings, self._clock, self._advanced = settings, clock, advanced

    def import_all(self, paths: list[Path]) -> Iterator[Imported]:
        """Bring these files in, the oldest run first, so that a resumed run follows its beginning.

        Raises:
            Unreachable: Redis or the store did not answer; calling again goes on.
        """
        opened: list[tuple[LogFile, RunFacts]] = []
        for path in paths:
            try:
                file = LogFile(path)
                facts = read_facts(file)
            except (NotALog, OSError) as error:
                yield Imported(path, "", "damaged", problems=[str(error)])
                continue
            if RUN_ID.fullmatch(facts.id):
                opened.append((file, self._placed(facts)))
            else:
                problem = f"its id {facts.id!r} cannot be a run's here" if facts.id else "no run is told of in it"
                yield Imported(path, "", "damaged", problems=[*file.damage, problem])
        for file, facts in sorted(opened, key=lambda pair: (pair[1].started, str(pair[0].path))):
            yield self._import(file, facts)

    def _placed(self, facts: RunFacts) -> RunFacts:
        """The facts with an entity and a project; offline runs may have neither."""
        entity = facts.entity or self._settings.entity or getpass.getuser()
        return replace(facts, entity=entity, project=facts.project or self._settings.project or "uncategorized")

    def _import(self, file: LogFile, facts: RunFacts) -> Imported:
        if facts.exit_code is None and self._clock() - file.path.stat().st_mtime < _ALIVE_SECONDS:
            return Imported(file.path, facts.id, "running")
        recorded = int(self._ask("recorded", writer=facts.writer))
        row = self._ask("run", run_id=facts.id)
        if row is not None and (row["sweep"] or (row["entity"], row["project"]) != (facts.entity, facts.project)):
            there = f"{row['entity']}/{row['project']}"
            return Imported(file.path, facts.id, "taken", problems=[f"{there} has another run of this id"])
        if recorded > 2 * facts.records:
            return Imported(file.path, facts.id, "imported before")
        sending = Sending(self._journal, self._blobs, facts, recorded, self._settings.journal_limit_mb * 1_000_000)
        sending.send(file, self._advanced)
        return sending.told(file)
