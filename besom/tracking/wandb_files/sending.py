"""One `.wandb` file on its way to the journal: batches, files, artifacts, alerts, and the run's end.

Knows nothing of which files there are, nor of what was sent before but how far the store is.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from besom.broker.journal import Journal
from besom.errors import BesomError, Unreachable
from besom.messages import Batch, BatchBody, Event, FileSaved, RunAlerted, RunBeat, RunEnded
from besom.tracking.artifacts.artifact import Artifact
from besom.tracking.artifacts.logged import log_artifact
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.paths import inside
from besom.tracking.run.alert import LOG_LEVELS
from besom.tracking.wandb_files.facts import RunFacts
from besom.tracking.wandb_files.log import LogFile
from besom.tracking.wandb_files.media import FilesOfRun
from besom.tracking.wandb_files.records import Entry, read_entries
from besom.tracking.wandb_files.translate import Translation

__all__ = ["Imported", "Sending"]

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


class Sending:
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
        self._tellers: Final = {"artifact": self._artifact, "files": self._saved, "alert": self._alert}

    def send(self, file: LogFile, advanced: Callable[[str, int, int], None]) -> None:
        """Everything that is not in yet."""
        facts, translation = self._facts, self._translation
        self._journal.append(facts.started_event(), patience=10)
        place = 0
        for entry in read_entries(file):
            place = entry.place
            translation.read(entry)
            if 2 * place <= self._recorded:
                translation.take()
            elif entry.kind in self._tellers:
                self._tellers[entry.kind](entry)
            if translation.is_full and (body := translation.take()):
                self._batch(body, 2 * place)
                advanced(self.id, place, facts.records)
        last = 2 * facts.records + 1
        self._settle()
        self._batch(translation.end(_console(facts.path)) or BatchBody(), last)
        self._end(last)

    def told(self, file: LogFile) -> Imported:
        """What became of it."""
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

    def _alert(self, entry: Entry) -> None:
        told = entry.fields
        level = told.get("level", "")
        self.tell(
            RunAlerted(
                run=self.id, id=f"{self._facts.writer}.{entry.place}", title=told.get("title", ""),
                text=told.get("text", ""), level=level if level in LOG_LEVELS else "INFO",
            )
        )  # fmt: skip

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
