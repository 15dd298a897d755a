"""Who a run is: its names as W&B has them, which of them may be changed, and where it can be looked at."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import msgpack

from besom.broker.connection import Connection
from besom.broker.lead import http_address
from besom.errors import FinishedRun
from besom.messages import Event, RunEdited
from besom.tracking.links import project_link, run_link, sweep_link
from besom.tracking.run.resuming import Earlier
from besom.tracking.run.trial import Trial
from besom.tracking.values import utf8

__all__ = ["RUN_ID", "Identified", "Mode", "RunIdentity"]

RUN_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
"""What a run's id may be."""
Mode = Literal["online", "offline", "disabled"]


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Who a run is, as of `init()` and what was changed since."""

    id: str
    name: str
    project: str
    entity: str
    group: str = ""
    job_type: str = ""
    tags: tuple[str, ...] = ()
    notes: str = ""


class Identified:
    """The part of a run that says who it is."""

    __slots__ = ("_earlier", "identity", "mode", "state", "trial")

    mode: Mode
    identity: RunIdentity
    trial: Trial | None
    state: Literal["running", "finished", "failed"]
    _earlier: Earlier | None

    @property
    def id(self) -> str:
        """Its id; inside a sweep `<sweep>-<number>`."""
        return self.identity.id

    @property
    def name(self) -> str:
        """Its display name; may be set."""
        return self.identity.name

    @name.setter
    def name(self, name: str) -> None:
        self._edit("name", utf8(str(name)))

    @property
    def project(self) -> str:
        """Its project."""
        return self.identity.project

    @property
    def entity(self) -> str:
        """User or team."""
        return self.identity.entity

    @property
    def group(self) -> str:
        """Its group, or ''."""
        return self.identity.group

    @property
    def job_type(self) -> str:
        """Its kind of job, or ''."""
        return self.identity.job_type

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags; may be set."""
        return self.identity.tags

    @tags.setter
    def tags(self, tags: Iterable[str] | None) -> None:
        given = [tags] if isinstance(tags, str) else tags or ()
        self._edit("tags", tuple(dict.fromkeys(utf8(str(tag)) for tag in given)))

    @property
    def notes(self) -> str:
        """Its notes, or ''; may be set."""
        return self.identity.notes

    @notes.setter
    def notes(self, notes: str | None) -> None:
        self._edit("notes", utf8(str(notes or "")))

    @property
    def path(self) -> str:
        """entity/project/id."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def sweep_id(self) -> str | None:
        """Its sweep, or None."""
        return self.trial.claim.sweep if self.trial else None

    @property
    def attempt(self) -> int:
        """Which execution of its trial this is, from 1."""
        return self.trial.claim.attempt if self.trial else 1

    @property
    def offline(self) -> bool:
        """Whether it is recorded in a folder only."""
        return self.mode == "offline"

    @property
    def disabled(self) -> bool:
        """Whether it is recorded nowhere."""
        return self.mode == "disabled"

    @property
    def resumed(self) -> bool:
        """Whether it was begun before: its trial by another attempt, or it goes on by `init(resume=...)`."""
        return self.attempt > 1 or self._earlier is not None

    # ---- where it can be looked at

    @property
    def url(self) -> str | None:
        """Where the controller's HTTP read API has it; None when no controller serves one."""
        return run_link(http_address(self._connection()), self.id)

    @property
    def project_url(self) -> str | None:
        """Where the controller's HTTP read API has the runs of its project, or None."""
        return project_link(http_address(self._connection()), self.entity, self.project)

    @property
    def sweep_url(self) -> str | None:
        """Where the controller's HTTP read API has its sweep, or None."""
        return sweep_link(http_address(self._connection()), self.sweep_id) if self.sweep_id else None

    def get_url(self) -> str | None:
        """`url`, as older scripts ask for it."""
        return self.url

    def get_project_url(self) -> str | None:
        """`project_url`, as older scripts ask for it."""
        return self.project_url

    def get_sweep_url(self) -> str | None:
        """`sweep_url`, as older scripts ask for it."""
        return self.sweep_url

    def project_name(self) -> str:
        """`project`, as older scripts ask for it."""
        return self.project

    # ---- of the run

    def tell(self, event: Event) -> None:
        """Record an event."""
        raise NotImplementedError

    def _connection(self) -> Connection | None:
        """To the Redis where it is recorded; None when it is not recorded there."""
        raise NotImplementedError

    def _must_run(self, call: str) -> None:
        if self.state != "running":
            raise FinishedRun(self.id, call)

    def _edit(self, what: str, value: Any) -> None:
        self._must_run(what)
        self.identity = replace(self.identity, **{what: value})
        self.tell(RunEdited(run=self.id, body=bytes(msgpack.packb({what: value}))))
