"""Artifacts that the store has, found by the path that a user writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from besom.errors import NotFound, UsageError
from besom.tracking.artifacts.artifact import NAME, Artifact

if TYPE_CHECKING:
    from besom.tracking.reading.api import Api

__all__ = ["find_artifact", "use_artifact"]


def use_artifact(entity: str, project: str, artifact_or_name: Artifact | str, type: str | None = None) -> Artifact:
    """`Run.use_artifact`, for a run of this project."""
    from besom.tracking.reading.api import Api

    if isinstance(artifact_or_name, Artifact):
        return artifact_or_name.wait()
    parts = str(artifact_or_name).split("/")
    whole = [entity, project][: max(0, 3 - len(parts))] + parts
    api = Api()
    try:
        return api.artifact("/".join(whole), type)
    finally:
        api.close()


def find_artifact(api: Api, path: str, type: str | None) -> Artifact:
    """`Api.artifact`."""
    *where, last = str(path).split("/")
    name, _, alias = last.partition(":")
    if len(where) > 2 or not NAME.fullmatch(name):
        raise UsageError(f"{path!r} is no artifact; write name:v0, project/name:latest or entity/project/name:alias")
    row = api.ask(
        "artifact",
        name=name,
        alias=alias or "latest",
        project=where[-1] if where else None,
        entity=where[0] if len(where) == 2 else None,
    )
    if row is None:
        raise NotFound("artifact", str(path), api.where)
    if type is not None and row["type"] != type:
        raise UsageError(f"artifact {path} is of type {row['type']!r}, not {type!r}")
    return Artifact.recorded(row, api.blobs)
