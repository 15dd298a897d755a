"""What a stopping rule decides is kept, and who it promotes waits again as what it was."""

from __future__ import annotations

from typing import Any

from besom.messages import Event
from besom.tracking.recording.outcomes import TrialClosed, TrialReopened
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store import reader
from besom.tracking.store.store import Store
from tests.tracking.stories import batch, claimed, content, created, ended, play


def at(event: Event, at_ms: int) -> Event:
    return event.model_copy(update={"at_ms": at_ms})


def row(store: Store, *columns: str) -> tuple[Any, ...]:
    with store.read() as conn:
        found = reader.trial(conn, "s", 1)
    assert found is not None
    return tuple(found[column] for column in columns)


STOPPED = [
    at(created(), 100),
    at(claimed(1), 200),
    at(batch("s-1", steps=[0, 1], loss=[3.0, 2.0]), 300),
    at(ended(1, state="stopped", w=1), 400),
]


def promoted(store: Store, recorder: Recorder) -> list[Any]:
    """Stopped at its second value, closed, and promoted from there."""
    play(store, recorder, STOPPED[:3])
    with store.begin() as conn:
        recorder.judge(conn, "s", {1: 2}, {})
    play(store, recorder, STOPPED[3:], first=4)
    assert row(store, "state", "value", "passed", "halted") == ("stopped", 2.0, 0, 2)
    with store.begin() as conn:
        return list(recorder.promote(conn, "s", {1: 2, 7: 2}))


def test_a_promoted_trial_waits_again(store: Store, recorder: Recorder) -> None:
    """With its params, its attempts and what it has behind it; the journal read again changes nothing of that."""
    assert promoted(store, recorder) == [TrialReopened("s", 1, 1, {"lr": 1.0}, promoted=True)]
    assert row(store, "state", "value", "passed", "halted", "attempt", "ended") == ("queued", None, 2, 2, 1, None)
    before = content(store)
    assert play(store, Recorder(), STOPPED) == []
    assert content(store) == before
    with store.begin() as conn:
        assert recorder.promote(conn, "s", {1: 2}) == [], "it waits already"
    again = [at(claimed(1, attempt=2), 401), batch("s-1", writer="v", attempt=2, steps=[2], loss=[1.0])]
    play(store, recorder, [*again, at(ended(1, attempt=2, v=1), 500)], first=10)
    assert row(store, "state", "value", "attempt", "failures", "losses") == ("finished", 1.0, 2, 0, 0)


def test_a_promoted_trial_that_is_cancelled_is_what_it_was(store: Store, recorder: Recorder) -> None:
    """Before its next attempt has begun it is stopped again, with its value; after that it is cancelled."""
    promoted(store, recorder)
    [told] = play(store, recorder, [at(ended(1, state="cancelled"), 500)], first=10)
    assert isinstance(told, TrialClosed)
    assert (told.state, told.value) == ("stopped", 2.0)
    with store.begin() as conn:
        recorder.promote(conn, "s", {1: 2})
    play(store, recorder, [at(claimed(1, attempt=2), 600), at(ended(1, attempt=2, state="cancelled"), 700)], first=20)
    assert row(store, "state", "attempt") == ("cancelled", 2)
