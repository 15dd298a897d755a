"""From what a user writes to a sweep or trial: `id`, `project/id` or `entity/project/id`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from besom.broker.ledger import Ledger
from besom.errors import NotFound, UsageError
from besom.messages import SweepSpec

__all__ = ["Address", "find_sweep", "read_address"]

_ID = re.compile(r"[^/\s:;,#?'\"\x00-\x1f]{1,128}")
_NAME = re.compile(r"[^/#?%:\x00-\x1f]{1,128}")  # what a sweep config allows as project and entity


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed id; empty parts were not given."""

    id: str
    project: str = ""
    entity: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.entity, self.project, self.id) if part)

    def fits(self, entity: str, project: str) -> bool:
        """Whether what was given agrees."""
        return self.entity in ("", entity) and self.project in ("", project)


def read_address(text: object, what: str = "sweep") -> Address:
    """The parts of an id.

    Raises:
        UsageError: it is no id.
    """
    shape = f"a {what} id; write id, project/id or entity/project/id"
    if not isinstance(text, str):
        raise UsageError(f"{text!r} is not {shape}")
    parts = text.strip().split("/")
    if len(parts) > 3 or not _ID.fullmatch(parts[-1]) or not all(_NAME.fullmatch(part) for part in parts[:-1]):
        raise UsageError(f"{text!r} is not {shape}")
    return Address(parts[-1], parts[-2] if len(parts) > 1 else "", parts[-3] if len(parts) > 2 else "")


def find_sweep(ledger: Ledger, text: object, *, project: str | None = None, entity: str | None = None) -> SweepSpec:
    """The sweep that a user means.

    Raises:
        UsageError: it is no id.
        NotFound: there is none.
    """
    address = read_address(text)
    address = Address(address.id, address.project or project or "", address.entity or entity or "")
    spec = ledger.spec(address.id)
    if spec is None or not address.fits(spec.entity, spec.project):
        raise NotFound("sweep", str(address), ledger.connection.shown)
    return spec
