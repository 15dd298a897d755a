"""An artifact on its way into the journal: what `Run.log_artifact` does. The store numbers its version on arrival."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final, Protocol

from besom.errors import BesomError, FinishedRun, UsageError
from besom.messages import ArtifactLogged, Event
from besom.tracking.artifacts.artifact import Artifact
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.values import plain, utf8

__all__ = ["Recording", "log_artifact"]

log = logging.getLogger("besom")

_ALIAS: Final = re.compile(r"[^/:\s\x00-\x1f]{1,128}")
_VERSION: Final = re.compile(r"v\d+")
_METADATA_LIMIT: Final = 1_000_000
"""Characters of an artifact's metadata as JSON."""


class Recording(Protocol):
    """What an artifact is logged to: a run."""

    @property
    def state(self) -> str:
        """ "running" while it is open."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def entity(self) -> str:
        """User or team."""

    @property
    def project(self) -> str:
        """Its project."""

    @property
    def blobs(self) -> Blobs:
        """Where its files go."""

    def tell(self, event: Event, needs: Collection[str] = ()) -> None:
        """Record an event, after the blobs it needs."""


def log_artifact(
    run: Recording,
    artifact_or_path: Artifact | str | os.PathLike[str],
    name: str | None = None,
    type: str | None = None,
    aliases: Sequence[str] | None = None,
) -> Artifact:
    """`Run.log_artifact`; what cannot be kept is logged as an error, since training goes on."""
    if run.state != "running":
        raise FinishedRun(run.id, "log_artifact()")
    names = _checked_aliases(aliases)
    given = artifact_or_path
    artifact = given if isinstance(given, Artifact) else _of_path(Path(given), name, type, run)
    metadata = plain(artifact.metadata, "metadata")
    if len(json.dumps(metadata)) > _METADATA_LIMIT:
        raise UsageError(f"artifact {artifact.name}: metadata above {_METADATA_LIMIT} characters; add it as a file")
    try:
        needs = artifact.seal(run.blobs, run.entity, run.project)
    except (OSError, BesomError) as error:
        log.error("artifact %s is not recorded: %s", artifact.name, error)
        return artifact
    event = ArtifactLogged(
        run=run.id, entity=run.entity, project=run.project, name=artifact.base_name, type=artifact.type,
        description=utf8(artifact.description), metadata=metadata, digest=artifact.digest,
        size=artifact.size, files=artifact.file_count, aliases=names,
    )  # fmt: skip
    run.tell(event, needs)
    return artifact


def _of_path(path: Path, name: str | None, type: str | None, run: Recording) -> Artifact:
    if not path.exists():
        raise ValueError(f"{path} is neither a file nor a folder")
    artifact = Artifact(name or f"run-{run.id}-{re.sub(r'[^A-Za-z0-9_.-]', '_', path.name)}", type or "unspecified")
    if path.is_dir():
        artifact.add_dir(path)
    else:
        artifact.add_file(path)
    return artifact


def _checked_aliases(aliases: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(aliases, str):
        aliases = [aliases]
    for alias in aliases or ():
        if not isinstance(alias, str) or not _ALIAS.fullmatch(alias) or _VERSION.fullmatch(alias):
            raise UsageError(f"alias {alias!r} cannot be; write a word without / and :, and not v0, v1 …")
    return tuple(aliases or ())
