"""Artifacts in the store: numbers of versions, aliases, and events that come again."""

from __future__ import annotations

from typing import Any

import pytest

from besom.messages import ArtifactLogged, Event, encode, read_events
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.artifact_rows import find, versions
from besom.tracking.store.store import Store
from tests.tracking.stories import play


def logged(content: str, *aliases: str, name: str = "model", **other: Any) -> ArtifactLogged:
    told = {"run": "r", "entity": "e", "project": "p", "type": "model", "size": 3, "files": 1, "metadata": {"n": 1}}
    return ArtifactLogged(**{**told, "name": name, "digest": content, "aliases": aliases, **other})  # type: ignore[arg-type]


def held(store: Store, name: str = "model") -> dict[str, tuple[str, list[str]]]:
    """Version to digest and aliases."""
    with store.read() as conn:
        return {f"v{row['version']}": (row["digest"], row["aliases"]) for row in versions(conn, name)}


def test_versions_count_from_0(store: Store, recorder: Recorder) -> None:
    """Each new content is the next version of its name; "latest" is the newest, other aliases move when told."""
    play(store, recorder, [logged("a", "best"), logged("b"), logged("c", "best", "prod"), logged("a", name="other")])
    assert held(store) == {"v0": ("a", []), "v1": ("b", []), "v2": ("c", ["best", "latest", "prod"])}
    assert held(store, "other") == {"v0": ("a", ["latest"])}


def test_same_content_is_the_same_version(store: Store, recorder: Recorder) -> None:
    """Logging what is there gives no version, only its aliases."""
    play(store, recorder, [logged("a"), logged("b"), logged("a", "again")])
    assert held(store) == {"v0": ("a", ["again", "latest"]), "v1": ("b", [])}


def test_a_journal_that_is_read_again_changes_nothing(store: Store, recorder: Recorder) -> None:
    """The same events from the start, or only the first of them, leave versions and aliases as they are."""
    story: list[Event] = [logged("a", "best"), logged("b", "best"), logged("a", "old")]
    play(store, recorder, story)
    before = held(store)
    play(store, Recorder(), story)
    assert held(store) == before
    play(store, Recorder(), story[:1])
    assert held(store) == before


@pytest.mark.parametrize(
    ("which", "digest"),
    [
        ({}, "b"),
        ({"alias": "latest"}, "b"),
        ({"alias": "v0"}, "a"),
        ({"alias": "best"}, "a"),
        ({"alias": "v7"}, None),
        ({"alias": "nope"}, None),
        ({"project": "p", "entity": "e"}, "b"),
        ({"project": "q"}, None),
        ({"entity": "x"}, None),
        ({"digest": "a"}, "a"),
        ({"digest": "z"}, None),
    ],
)
def test_finding_one(which: dict[str, str], digest: str | None, store: Store, recorder: Recorder) -> None:
    """By version, alias, place or content."""
    play(store, recorder, [logged("a", "best"), logged("b")])
    with store.read() as conn:
        row = find(conn, "model", **which)
    assert (row["digest"] if row else None) == digest


def test_what_is_kept_of_one(store: Store, recorder: Recorder) -> None:
    """Type, description, metadata, counts, and the run that logged it first."""
    play(store, recorder, [logged("a", description="d\0e", at_ms=5000), logged("a", run="later")])
    with store.read() as conn:
        row = find(conn, "model")
    assert row == {
        "entity": "e", "project": "p", "name": "model", "version": 0, "type": "model", "description": "de",
        "metadata": {"n": 1}, "digest": "a", "size": 3, "files": 1, "run": "r", "created": 5.0, "aliases": ["latest"],
    }  # fmt: skip


def test_the_event_crosses_redis() -> None:
    """What is written into the journal is read back."""
    event = logged("a", "best", "prod", description="d")
    fields = {name.encode(): str(value).encode() for name, value in encode(event).items()}
    assert read_events(fields) == [event]
