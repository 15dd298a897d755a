"""`init(resume=...)`: going on with a run that was begun before."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.errors import Unreachable, UsageError
from besom.settings import Settings
from besom.tracking.run.init import init
from besom.tracking.run.resuming import Earlier, ResumeFile, find_earlier, resume_rule
from tests.tracking.desk import Desk

EARLIER = Earlier(3, {}, {})


@pytest.fixture
def begun(wired: Connection, desk: Desk) -> Desk:
    """A run "r" of two rows that has ended, in a store that `init()` can read."""
    with init(id="r", name="first", tags=["a"], notes="why", config={"lr": 1, "kept": True}) as run:
        run.log({"loss": 2.0})
        run.log({"loss": 1.0})
    desk.record()
    return desk


@pytest.mark.parametrize(
    ("written", "rule"),
    [(None, ""), (False, ""), (True, "auto"), ("true", "auto"), ("allow", "allow"), ("must", "must")],
)
def test_rules(written: Any, rule: str) -> None:
    """True is "auto"; nothing is no rule."""
    assert resume_rule(written) == rule


@pytest.mark.parametrize("written", ["maybe", 5])
def test_rules_that_cannot_be(written: Any) -> None:
    """They are refused with the value and what may be written."""
    with pytest.raises(UsageError, match="'allow', 'must', 'never', 'auto'"):
        resume_rule(written)


def test_must_and_never(caplog: pytest.LogCaptureFixture) -> None:
    """A run that must be there and is not, or must not be and is, is an error; "allow" takes either."""
    settings = Settings()
    with pytest.raises(UsageError, match="there is no run 'r'"):
        find_earlier(settings, "r", "must", lambda *_: None)
    with pytest.raises(UsageError, match="there is a run 'r' already"):
        find_earlier(settings, "r", "never", lambda *_: EARLIER)
    assert find_earlier(settings, "r", "allow", lambda *_: None) is None
    assert find_earlier(settings, "r", "allow", lambda *_: EARLIER) is EARLIER
    assert caplog.messages == []


def test_nobody_can_tell(caplog: pytest.LogCaptureFixture) -> None:
    """Where the store cannot be read, "must" fails and "allow" warns and begins at 0."""

    def away(*_: Any) -> Earlier:
        raise Unreachable("no store here")

    with pytest.raises(UsageError, match="no store here"):
        find_earlier(Settings(), "r", "must", away)
    with caplog.at_level(logging.WARNING, "besom"):
        assert find_earlier(Settings(), "r", "allow", away) is None
    assert "begin at 0" in caplog.text


def test_a_run_goes_on(begun: Desk) -> None:
    """Steps after the last, config and summary kept and added to, names kept, tags replaced; the row is one run."""
    run = init(id="r", resume="must", config={"lr": 2}, tags=["b"])
    assert (run.step, run.starting_step, run.resumed) == (2, 2, True)
    assert (run.name, run.tags, run.notes) == ("first", ("b",), "why")
    assert run.config.as_dict() == {"lr": 2, "kept": True}
    assert run.summary["loss"] == 1.0
    run.log({"loss": 0.5})
    run.finish()
    assert [(row["_step"], row["loss"]) for row in begun.rows("r")] == [(0, 2.0), (1, 1.0), (2, 0.5)]
    with begun.store.read() as conn:
        assert conn.exec_driver_sql("SELECT state, tags FROM runs").all() == [("finished", '["b"]')]


def test_an_unknown_run_is_made(begun: Desk) -> None:
    """With "allow" an id that nobody has used begins at 0."""
    run = init(id="new", resume="allow")
    assert (run.id, run.step, run.resumed) == ("new", 0, False)


def test_must_needs_an_id(wired: Connection) -> None:
    """Without one there is nothing to look for."""
    with pytest.raises(UsageError, match="needs the id="):
        init(resume="must")


def test_auto_goes_on_after_a_failure(begun: Desk) -> None:
    """The last run of this folder is gone on with until it has finished well."""
    first = init(resume="auto")
    assert not first.resumed
    first.log({"a": 1})
    first.finish(1)
    begun.record()
    second = init(resume=True)
    assert (second.id, second.step, second.resumed) == (first.id, 1, True)
    second.finish()
    assert init(resume=True).id != first.id


def test_the_resume_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It names the run until that ends well; half a file names none, and one that cannot be written is a warning."""
    file = ResumeFile(tmp_path)
    file.write("r")
    file.ended("r", 1)
    file.ended("other", 0)
    assert file.read() == "r"
    file.ended("r", 0)
    assert file.read() is None
    (tmp_path / "resume.json").write_text("[")
    assert file.read() is None
    (tmp_path / "file").write_text("")
    ResumeFile(tmp_path / "file").write("r")
    assert "will not find run r" in caplog.text
