"""Bringing what the wandb package recorded into the store: `.wandb` files, run folders, whole `wandb` folders.

It goes the way of every run, through the journal. A file is known by its run and start; its batches are numbered by the
records they end with, so that the store can say how far a file is in, and reading it again goes on from there.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from besom.broker.journal import Journal
from besom.errors import BesomError, NotFound, Unreachable
from besom.messages import Batch, BatchBody, Event, FileSaved, RunBeat, RunEnded
from besom.settings import Settings
from besom.tracking.artifacts import Artifact, log_artifact
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.paths import inside
from besom.tracking.wandb_files.facts import RunFacts, read_facts
from besom.tracking.wandb_files.log import LogFile, NotALog
from besom.tracking.wandb_files.media import FilesOfRun
from besom.tracking.wandb_files.records import Entry, read_entries
from besom.tracking.wandb_files.translate import Translation

__all__ = ["Imported", "Importer", "find_files"]

log = logging.getLogger("besom")

_SUFFIX: Final = ".wandb"
_ALIVE_SECONDS: Final = 300
"""A file without an end that was written to in this time belongs to a run that still runs."""
_FULL_SECONDS: Final = 60.0
_FILES_SECONDS: Final = 600.0
_OF_WANDB: Final = ("run_table", "job", "wandb-run-table", "code")
"""Types of artifacts that wandb makes by itself; tables are in the rows already."""

_WANDBS_OWN: Final = 1
"""`FileType.WANDB`."""
_BESIDE: Final = (
    "output.log", "requirements.txt", "diff.patch", "wandb-metadata.json", "wandb-summary.json", "config.yaml",
)  # fmt: skip
"""What older versions list without saying that it is their own."""

Outcome = Literal["imported", "imported before", "running", "taken", "damaged"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file."""

    path: Path
    run: str
    outcome: Outcome
    """"taken": a run of this id is there, from another project; "damaged": nothing can be read."""
    rows: int = 0
    """Of history, in the whole file."""
    files: int = 0
    """Of media."""
    problems: list[str] = field(default_factory=list)
    """What is left out, in words."""


def find_files(root: Path) -> list[Path]:
    """The `.wandb` files at a path: itself, or in it and below; `latest-run`, a link to one of them, is passed over.

    Raises:
        NotFound: there is none.
    """
    if root.is_file():
        return [root]
    found = sorted(path for path in root.rglob(f"*{_SUFFIX}") if path.is_file() and "latest-run" not in path.parts)
    if not found:
        raise NotFound(f"{_SUFFIX} file", str(root), "this machine")
    return found


class Importer:
    """Brings files in, one after another.

    Args:
        journal: Where runs go.
        blobs: Where their files go.
        ask: `Api.ask`: what is in the store already.
        settings: Entity for runs that name none, and the journal's limit.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        journal: Journal,
        blobs: Blobs,
        ask: Callable[..., Any],
        settings: Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal, self._blobs, self._ask = journal, blobs, ask
        self._settings, self._clock = settings, clock

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
            if facts.id:
                opened.append((file, self._placed(facts)))
            else:
                yield Imported(path, "", "damaged", problems=[*file.damage, "no run is told of in it"])
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
        if row is not None and (row["entity"], row["project"]) != (facts.entity, facts.project):
            there = f"{row['entity']}/{row['project']}"
            return Imported(file.path, facts.id, "taken", problems=[f"{there} has a run of this id already"])
        if recorded > 2 * facts.records:
            return Imported(file.path, facts.id, "imported before")
        sending = _Sending(self._journal, self._blobs, facts, recorded, self._settings.journal_limit_mb * 1_000_000)
        sending.send(file)
        return sending.told(file)


class _Sending:
    """One file on its way.

    A batch that ends with record n has the number 2n, the last of a file with n records 2n + 1: if the file has grown
    when it is read again, what follows has greater numbers.
    """

    def __init__(self, journal: Journal, blobs: Blobs, facts: RunFacts, recorded: int, limit: int) -> None:
        self.state, self.id, self.entity, self.project = "running", facts.id, facts.entity, facts.project
        self.blobs = blobs
        self._journal, self._facts, self._recorded, self._limit = journal, facts, recorded, limit
        self._files = FilesOfRun(facts.path.parent / "files", blobs)
        self._translation = Translation(self._files, facts.config)
        self._problems: list[str] = []

    def send(self, file: LogFile) -> None:
        facts, translation = self._facts, self._translation
        self._journal.append(facts.started_event(), patience=10)
        place = 0
        for entry in read_entries(file):
            place = entry.place
            translation.read(entry)
            if 2 * place <= self._recorded:
                translation.take()
            elif entry.kind == "artifact":
                self._artifact(entry)
            elif entry.kind == "files":
                self._saved(entry)
            if translation.is_full and (body := translation.take()):
                self._batch(body, 2 * place)
        last = 2 * facts.records + 1
        self._settle()
        self._batch(translation.end(_console(facts.path)) or BatchBody(), last)
        self._end(last)

    def told(self, file: LogFile) -> Imported:
        problems = [*file.damage, *self._problems]
        if missing := len(self._files.missing):
            problems.append(f"{missing} media files are not there")
        if left := len(self._translation.left_out):
            problems.append(f"{left} names have values too large for a row")
        return Imported(file.path, self.id, "imported", self._translation.rows, self._files.kept, problems)

    def tell(self, event: Event, needs: Collection[str] = ()) -> None:
        """Append what an artifact or a saved file tells of itself, once its blobs can be read by all."""
        if needs:
            self._settle()
        self._journal.append(event.model_copy(update={"at_ms": self._now_ms()}), patience=10)

    # ---- inside

    def _settle(self) -> None:
        if left := self.blobs.settle(_FILES_SECONDS):
            raise Unreachable(f"{left} files of run {self.id} have not arrived at {self.blobs.where}; call again")

    def _now_ms(self) -> int:
        return int(max(self._translation.latest, self._facts.started) * 1000)

    def _batch(self, body: BatchBody, seq: int) -> None:
        batch = Batch(
            run=self.id, attempt=1, writer=self._facts.writer, seq=seq, body=body.pack(), at_ms=self._now_ms()
        )
        deadline = time.monotonic() + _FULL_SECONDS
        while self._journal.append_batch(batch, first=True, limit=self._limit, patience=10).status == "full":
            if time.monotonic() > deadline:
                raise Unreachable("the journal is full, no controller is reading it; start one with: besom controller")
            threading.Event().wait(0.2)

    def _end(self, last: int) -> None:
        facts, at_ms = self._facts, self._now_ms()
        if facts.exit_code is None:
            self._journal.append(RunBeat(run=self.id, alive=0, at_ms=at_ms), patience=10)
            return
        at_ms = max(at_ms, int((facts.started + (facts.runtime or 0)) * 1000))
        ended = RunEnded(run=self.id, exit_code=facts.exit_code, writers={facts.writer: last}, at_ms=at_ms)
        self._journal.append(ended, patience=10)

    def _saved(self, entry: Entry) -> None:
        """Files of `wandb.save`; what is wandb's own, and media, are taken elsewhere."""
        for told in entry.fields.get("files", ()):
            name = told.get("path", "")
            if told.get("type") == _WANDBS_OWN or name.startswith("media/") or name in _BESIDE:
                continue
            try:
                path = self._facts.path.parent / "files" / inside(name)
                sha256 = self.blobs.put(path)  # a link to where the file was, on the machine that saved it
                self.tell(FileSaved(run=self.id, name=inside(name), sha256=sha256, size=path.stat().st_size), {sha256})
            except (OSError, ValueError, BesomError) as error:
                self._problems.append(f"file {name}: {error}")

    def _artifact(self, entry: Entry) -> None:
        told = entry.fields
        if told.get("type") in _OF_WANDB:
            return
        name = told.get("name", "")
        try:
            artifact = Artifact(name, told.get("type", ""), told.get("description", ""), _metadata(told))
            artifact.blobs = self.blobs
            for content in told.get("manifest", {}).get("contents", ()):
                _add(artifact, content)
        except (OSError, ValueError, BesomError) as error:
            self._problems.append(f"artifact {name}: {error}")
            return
        aliases = [alias for alias in told.get("aliases", ()) if alias != "latest" and not re.fullmatch(r"v\d+", alias)]
        log_artifact(self, artifact, aliases=aliases)


def _add(artifact: Artifact, content: dict[str, Any]) -> None:
    """Add a file of an artifact, which wandb staged on the machine that logged it, or a reference."""
    path, staged = content.get("path", ""), content.get("local_path", "")
    if ref := content.get("ref"):
        artifact.add_reference(ref, name=path)
    elif staged and _has_digest(Path(staged), content.get("digest", "")):
        artifact.add_file(staged, name=path)
    else:
        raise FileNotFoundError(f"its file {path} is not on this machine; wandb had it at {staged or 'a server'}")


def _has_digest(path: Path, digest: str) -> bool:
    """Whether the file is there and the one that was logged: wandb's digest is its MD5 in base64."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, _md5).digest()).decode() == digest


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _metadata(told: dict[str, Any]) -> dict[str, Any]:
    held = json.loads(told.get("metadata") or "{}")
    return held if isinstance(held, dict) else {}


def _console(path: Path) -> str:
    try:
        return (path.parent / "files" / "output.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
