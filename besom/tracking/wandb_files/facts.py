"""Who the run in a `.wandb` file is: names, starting config, surroundings, start and exit.

Reads: the file's records of that kind, and the small files beside it.  Gives: `RunFacts`.  Sends nothing.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgpack

from besom.messages import RunStarted
from besom.tracking.run.surroundings import DIFF_LIMIT, masked
from besom.tracking.wandb_files.log import LogFile
from besom.tracking.wandb_files.records import Entry, apply_changes, read_entries, seconds_of

__all__ = ["RunFacts", "read_facts"]

_NAMES: Final = ("id", "entity", "project", "group", "job_type", "name", "notes", "sweep", "host")


@dataclass(slots=True)
class RunFacts:
    """What is known of a run before its rows are read."""

    path: Path
    """Of the `.wandb` file."""
    id: str = ""
    entity: str = ""
    project: str = ""
    group: str = ""
    job_type: str = ""
    name: str = ""
    notes: str = ""
    sweep: str = ""
    host: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    """As `init()` was given it."""
    started: float = 0.0
    """Seconds since the epoch."""
    runtime: int | None = None
    """Whole seconds, told at the exit."""
    exit_code: int | None = None
    """None: it did not end in this file."""
    wandb: str = ""
    """Version of the package that wrote it."""
    environment: dict[str, Any] = field(default_factory=dict)
    records: int = 0
    """In the file, of every kind."""

    @property
    def writer(self) -> str:
        """By what the recorder knows this file, wherever it lies and however often it is read."""
        return hashlib.sha256(f"wandb {self.id} {self.started!r}".encode()).hexdigest()[:16]

    def started_event(self) -> RunStarted:
        """The run's start, as `init()` would tell it."""
        told = {
            "project": self.project, "entity": self.entity, "name": self.name, "group": self.group or self.sweep,
            "job_type": self.job_type, "tags": self.tags, "notes": self.notes, "config": self.config,
            "program": Path(self.environment.get("program", "")).name, "host": self.host,
            "metadata": self._metadata(), "texts": _texts(self.path.parent / "files"),
        }  # fmt: skip
        return RunStarted(run=self.id, body=bytes(msgpack.packb(told)), at_ms=int(self.started * 1000))

    def _metadata(self) -> dict[str, Any]:
        """Under the names of `surroundings.describe`."""
        known = self.environment
        told: dict[str, Any] = {"host": self.host, "args": masked(known.get("args", []))}
        told |= {name: known[name] for name in ("os", "executable", "cpu_count", "program") if known.get(name)}
        told["python"] = str(known.get("python", "")).removeprefix("CPython ")
        told["gpus"] = [one.get("name", "") for one in known.get("gpus", [])]
        if git := known.get("git"):
            dirty = (self.path.parent / "files" / "diff.patch").is_file()
            told["git"] = {
                "commit": git.get("commit", ""),
                "branch": "",
                "remote": git.get("remote", ""),
                "dirty": dirty,
            }
        told["wandb"] = {"version": self.wandb, **({"sweep": self.sweep} if self.sweep else {})}
        return told


def read_facts(file: LogFile) -> RunFacts:
    """The facts in a file; `id` is empty when it tells of no run.

    Raises:
        OSError: it cannot be read.
    """
    facts = RunFacts(file.path)
    for entry in read_entries(file, ("run", "environment", "exit")):
        _TELLS[entry.kind](facts, entry)
    facts.records = file.count
    if not facts.environment:
        facts.environment = _from_json(file.path.parent / "files" / "wandb-metadata.json")
    facts.host = facts.host or str(facts.environment.get("host", ""))
    facts.config.pop("_wandb", None)
    return facts


def _run(facts: RunFacts, entry: Entry) -> None:
    told = entry.fields
    for name in _NAMES:
        if told.get(name):
            setattr(facts, name, told[name])
    facts.tags = told.get("tags", facts.tags)
    facts.started = facts.started or seconds_of(told.get("start_time")) or 0.0
    facts.wandb = told.get("telemetry", {}).get("cli", facts.wandb)
    if "git" in told:
        facts.environment.setdefault("git", told["git"])
    apply_changes(facts.config, told.get("config", {}))


def _environment(facts: RunFacts, entry: Entry) -> None:
    facts.environment |= entry.fields


def _exit(facts: RunFacts, entry: Entry) -> None:
    facts.exit_code, facts.runtime = entry.fields.get("exit_code", 0), entry.fields.get("runtime")


_TELLS: Final = {"run": _run, "environment": _environment, "exit": _exit}


def _from_json(path: Path) -> dict[str, Any]:
    """What older versions wrote beside the file instead."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(held, Mapping):
        return {}
    told = {name: held[name] for name in ("os", "python", "args", "program", "host", "executable") if name in held}
    told["cpu_count"] = held.get("cpu_count")
    told["gpus"] = [{"name": held["gpu"]}] * int(held.get("gpu_count") or 1) if held.get("gpu") else []
    if isinstance(git := held.get("git"), Mapping):
        told["git"] = {"commit": git.get("commit", ""), "remote": git.get("remote", "")}
    return told


def _texts(files: Path) -> dict[str, bytes]:
    """Package list and diff, compressed with zlib."""
    found = {}
    for name, file in (("packages", "requirements.txt"), ("diff", "diff.patch")):
        try:
            content = (files / file).read_bytes()
        except OSError:
            continue
        if len(content) <= DIFF_LIMIT:
            found[name] = zlib.compress(content)
    return found
