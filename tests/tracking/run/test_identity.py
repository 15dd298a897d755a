"""Who a run is: what can be changed, and where it can be looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import besom
from besom.broker.connection import Connection
from besom.broker.lead import Lead
from besom.errors import FinishedRun, Unreachable
from besom.messages import Claim
from besom.tracking.reading.source import QUERIES
from besom.tracking.run.trial import Trial, set_trial
from besom.tracking.store import reader
from tests.tracking.desk import Desk, record
from tests.tracking.stories import created, play, spec


def test_name_tags_and_notes_can_be_set(wired: Connection, desk: Desk) -> None:
    """At any time before the end; the store has the last of each, and what was not set stays."""
    with besom.init(id="r", name="old", tags=["a"], job_type="train") as run:
        run.name = "new"
        run.tags += ("b",)
        run.notes = "seen"
        run.notes = None
    assert (run.name, run.tags, run.notes) == ("new", ("a", "b"), "")
    desk.record()
    with desk.store.read() as conn:
        row = reader.run(conn, "r")
    assert row is not None
    assert (row["name"], row["tags"], row["notes"], row["job_type"]) == ("new", ["a", "b"], "", "train")


@pytest.mark.parametrize(("tags", "kept"), [("one", ("one",)), (None, ()), ([1, "b", "b", "\ud800"], ("1", "b", "?"))])
def test_tags_are_texts(wired: Connection, tags: Any, kept: tuple[str, ...]) -> None:
    """One text is one tag, and None is none."""
    with besom.init() as run:
        run.tags = tags
        assert run.tags == kept


@pytest.mark.parametrize("name", ["name", "tags", "notes"])
def test_a_finished_run_keeps_its_names(wired: Connection, name: str) -> None:
    """Setting them then is an error, and changes nothing."""
    run = besom.init(name="old")
    run.finish()
    with pytest.raises(FinishedRun, match=name):
        setattr(run, name, "new")
    assert run.name == "old"


@pytest.mark.parametrize("name", ["id", "project", "entity", "path", "url", "sweep_id"])
def test_the_rest_is_fixed(wired: Connection, name: str) -> None:
    """What a run is found by does not change."""
    with besom.init() as run, pytest.raises(AttributeError):
        setattr(run, name, "new")


@pytest.mark.parametrize("mode", ["online", "disabled"])
def test_a_slip_of_the_pen_is_no_attribute(wired: Connection, mode: str) -> None:
    """What a run has not cannot be set on it."""
    with besom.init(mode=mode) as run, pytest.raises(AttributeError, match="nmae"):
        run.nmae = "new"  # type: ignore[attr-defined]


def served(connection: Connection) -> None:
    """A controller that serves the read API holds the lease."""
    assert Lead(connection, 5.0, {"http": "http://host:1"}).hold()


def asked(url: str | None) -> tuple[str, dict[str, Any]]:
    """The query that an address asks the read API, and its arguments."""
    assert url is not None
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == "http://host:1"
    return parts.path, {name: json.loads(value) for name, (value,) in parse_qs(parts.query).items()}


def test_links_lead_to_the_read_api(wired: Connection, desk: Desk, tmp_path: Path) -> None:
    """Run, sweep and project can be looked at where a controller serves them."""
    play(desk.store, desk.recorder, [created()])
    wired.redis.hset(wired.keys.trials("s"), "1", record("t"))
    set_trial(Trial(spec(), Claim(sweep="s", number=1, attempt=1, token="t", params={}), tmp_path, wired))
    run = besom.init()
    desk.record()
    served(wired)
    found = {}
    for url in (run.url, run.sweep_url, run.project_url):
        path, arguments = asked(url)
        with desk.store.read() as conn:
            found[path] = QUERIES[path.rpartition("/")[2]](conn, **arguments)
    assert found["/api/run"]["id"] == run.id == "s-1"
    assert found["/api/sweep"]["id"] == "s"
    assert [row["id"] for row in found["/api/runs"]] == ["s-1"]
    assert (run.get_url(), run.get_sweep_url(), run.get_project_url()) == (run.url, run.sweep_url, run.project_url)
    assert run.project_name() == run.project


def test_without_a_read_api_there_are_no_links(wired: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """None, and None as well while Redis is away: a script that prints them goes on."""
    run = besom.init()
    assert (run.url, run.project_url, run.sweep_url) == (None, None, None)
    served(wired)
    assert run.url is not None

    def away(*_: object, **__: object) -> None:
        raise Unreachable("away")

    with monkeypatch.context() as patch:
        patch.setattr(wired, "call", away)
        assert run.url is None


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_runs_that_are_not_in_redis_have_no_links(wired: Connection, mode: str) -> None:
    """They are nowhere to be looked at yet."""
    served(wired)
    with besom.init(mode=mode) as run:
        assert (run.url, run.project_url) == (None, None)
        run.name = "new"
    assert run.name == "new"
    assert run.status().sync_items_pending == 0
