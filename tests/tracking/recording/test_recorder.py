from __future__ import annotations

import math
import random
from pathlib import Path

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from besom.errors import StoreError
from besom.messages import (
    AttemptLost,
    AttemptReleased,
    Batch,
    Event,
    RunBeat,
    RunEdited,
    SweepRemoved,
    SweepStateSet,
    TrialRetried,
    TrialsReopened,
)
from besom.tracking.recording.outcomes import (
    RunClosed,
    SweepAppeared,
    SweepGone,
    SweepMoved,
    TrialBack,
    TrialClosed,
    TrialReopened,
    TrialTaken,
)
from besom.tracking.recording.recorder import GRACE_SECONDS, Recorder
from besom.tracking.store import history, reader
from besom.tracking.store.store import Store
from tests.tracking.stories import batch, claimed, content, created, ended, finished, play, spec, started


def lost(number: int = 0, attempt: int = 1, losses: int = 1) -> AttemptLost:
    return AttemptLost(sweep="s", number=number, attempt=attempt, token=f"t{number}.{attempt}", losses=losses)


def released(number: int = 0, attempt: int = 1) -> AttemptReleased:
    return AttemptReleased(sweep="s", number=number, attempt=attempt, token=f"t{number}.{attempt}", reason="signal")


def retried(number: int = 0, attempt: int = 1) -> TrialRetried:
    return TrialRetried(
        sweep="s", number=number, attempt=attempt, token=f"t{number}.{attempt}", failures=attempt,
        details='{"error": "ValueError: x"}',
    )  # fmt: skip


def test_a_failed_attempt_lets_the_trial_wait(store: Store, recorder: Recorder) -> None:
    """Between two tries the trial is queued with its error; the next attempt's end is the trial's."""
    play(store, recorder, [created(), claimed(), batch(steps=[0, 1], loss=[3.0, 2.0]), retried()])
    with store.read() as conn:
        row = reader.trial(conn, "s", 0)
    assert row is not None
    assert (row["state"], row["failures"], row["error"], row["losses"]) == ("queued", 1, "ValueError: x", 0)
    again = [claimed(attempt=2), batch(writer="v", attempt=2, steps=[0], loss=[1.0]), ended(attempt=2, v=1)]
    told = play(store, recorder, again, first=10)
    assert [type(outcome) for outcome in told] == [TrialTaken, TrialClosed]
    with store.read() as conn:
        row = reader.trial(conn, "s", 0)
    assert row is not None
    assert (row["state"], row["value"], row["error"], row["attempt"]) == ("finished", 1.0, "", 2)


def _at(event: Event, at: int) -> Event:
    return event.model_copy(update={"at_ms": at})


def test_reopened_trials_wait_again(store: Store, recorder: Recorder) -> None:
    """Those in the wanted states, once; the finished sweep runs, and the journal read again changes nothing."""
    reopen = TrialsReopened(sweep="s", states=("failed",), at_ms=500)
    first = [_at(created(metric=None), 100), *(_at(claimed(number), 200) for number in range(3))]
    ends = [_at(ended(0, state="failed"), 300), _at(ended(1), 300), _at(ended(2, state="crashed"), 300)]
    over = _at(SweepStateSet(sweep="s", state="finished"), 400)
    story = [*first, *ends, over, reopen]
    told = play(store, recorder, story)
    assert told[-1] == TrialReopened("s", 0, 1, {"lr": 1.0})
    with store.read() as conn:
        states = {row["number"]: row["state"] for row in reader.trials(conn, "s")}
        sweep = reader.sweep(conn, "s")
    assert states == {0: "queued", 1: "finished", 2: "crashed"}
    assert sweep is not None
    assert (sweep["state"], sweep["ended"]) == ("running", None)
    before = content(store)
    assert play(store, Recorder(), story) == []
    assert content(store) == before
    play(store, recorder, [_at(claimed(0, attempt=2), 600), _at(ended(0, attempt=2, state="failed"), 700)], first=20)
    assert play(store, Recorder(), [reopen]) == [], "it ended after that"


def test_a_cancelled_sweep_is_not_reopened(store: Store, recorder: Recorder) -> None:
    """Its trials stay as they are."""
    over = [created(metric=None), claimed(), ended(state="failed"), SweepStateSet(sweep="s", state="cancelled")]
    told = play(store, recorder, [*over, TrialsReopened(sweep="s", states=("failed",), at_ms=10**6)])
    assert [type(outcome) for outcome in told] == [SweepAppeared, TrialTaken, SweepMoved, TrialClosed]


def test_a_trial_from_claim_to_close(store: Store, recorder: Recorder) -> None:
    """Claim, batch and end give taken and closed, and the trial's row keeps value and params of the claim."""
    told = play(store, recorder, [created(), claimed(3), batch("s-3", steps=[0, 1], loss=[2.0, 1.0]), ended(3, w=1)])
    assert told[:2] == [SweepAppeared(spec()), TrialTaken("s", 3, "a", {"lr": 1.0})]
    assert told[2] == TrialClosed("s", 3, "finished", 1.0, (2.0, 1.0), {"lr": 1.0}, 0.004)
    with store.read() as conn:
        row = reader.trial(conn, "s", 3)
    assert row is not None
    assert (row["state"], row["value"], row["params"]) == ("finished", 1.0, {"lr": 1.0})


def test_repeated_batches_are_dropped(store: Store, recorder: Recorder) -> None:
    """A batch that comes twice is counted, not kept; the writer learns how far it is recorded."""
    play(store, recorder, [batch("r", 1, [0], a=[1.0]), batch("r", 1, [0], a=[1.0]), batch("r", 2, [1], a=[2.0])])
    play(store, Recorder(), [batch("r", 2, [1], a=[2.0])], first=9)
    with store.read() as conn:
        assert history.read_rows(conn, "r") == [{"_step": 0, "a": 1.0}, {"_step": 1, "a": 2.0}]
    assert (recorder.repeats, recorder.take_recorded(), recorder.recorded) == (1, {"w": 2}, {})


def test_a_gap_is_kept_and_counted(store: Store, recorder: Recorder) -> None:
    """A missing batch holds nothing up but the count."""
    play(store, recorder, [batch("r", 1, [0], a=[1]), batch("r", 3, [2], a=[3])])
    with store.read() as conn:
        assert [row["_step"] for row in history.read_rows(conn, "r")] == [0, 2]
    assert recorder.gaps == 1


def test_a_trial_waits_for_its_batches(store: Store, recorder: Recorder) -> None:
    """The trial closes when the last announced batch is recorded, also after a restart."""
    assert not closed(play(store, recorder, [created(), claimed(), ended(0, w=2), batch(seq=1, steps=[0], loss=[3.0])]))
    (only,) = closed(play(store, Recorder(), [batch(seq=2, steps=[1], loss=[2.0])], first=10))
    assert only.curve == (3.0, 2.0)


def test_a_trial_waits_no_longer_than_its_grace(store: Store, recorder: Recorder) -> None:
    """After 60 s the trial closes with what is there; late batches are history but do not change its value."""
    play(store, recorder, [created(), claimed(), batch(seq=1, steps=[0], loss=[3.0]), ended(0, w=2)], now=100.0)
    with store.begin() as conn:
        assert not recorder.due(conn, 100.0 + GRACE_SECONDS - 1)
        (only,) = closed(recorder.due(conn, 100.0 + GRACE_SECONDS))
    assert only.value == 3.0
    assert not play(store, recorder, [batch(seq=2, steps=[1], loss=[1.0]), ended(0, w=2)], first=10)
    with store.read() as conn:
        row = reader.trial(conn, "s", 0)
        assert row is not None
        assert row["value"] == 3.0
        assert len(history.read_series(conn, "s-0", "loss")) == 2


@pytest.mark.parametrize(
    ("goal", "use", "value"), [("minimize", "best", -1.0), ("maximize", "best", 4.0), ("minimize", "last", 2.0)]
)
def test_value_by_goal(store: Store, recorder: Recorder, goal: str, use: str, value: float) -> None:
    """The best valid value counts, or the last where the sweep says so; NaN, infinity, bools and text do not."""
    values = [math.nan, 4, True, -math.inf, math.inf, -1.0, "x", None, 2.0]
    told = play(
        store, recorder, [created(goal=goal, use=use), claimed(), batch(steps=range(9), loss=values), ended(0, w=1)]
    )
    assert (closed(told)[0].value, closed(told)[0].curve) == (value, (4.0, -1.0, 2.0))


def test_value_of_a_nested_metric(store: Store, recorder: Recorder) -> None:
    """A dotted metric is a path into logged dicts, unless the very name was logged."""
    nested = batch("s-0", steps=[0, 1], val=[{"loss": 5.0}, {"loss": 3}])
    literal = batch("s-1", steps=[0], writer="x", **{"val": [{"loss": 0.0}], "val.loss": [7.0]})
    told = play(store, recorder, [created(metric="val.loss"), nested, literal, ended(0, w=1), ended(1, x=1)])
    assert [one.value for one in closed(told)] == [3.0, 7.0]


def test_value_from_the_explicit_summary(store: Store, recorder: Recorder) -> None:
    """A number set through run.summary counts, and so does the goal's part of what define_metric keeps."""
    events = [batch("s-0", summary={"loss": 2}), batch("s-1", writer="x", summary={"loss": {"min": 1.5, "max": 9}})]
    told = play(store, recorder, [created(), *events, ended(0, w=1), ended(1, x=1)])
    assert [one.value for one in closed(told)] == [2.0, 1.5]


def test_a_trial_without_its_metric_failed(store: Store, recorder: Recorder) -> None:
    """Finished without a valid value means failed, and the error names the metric."""
    (only,) = closed(play(store, recorder, [created(), claimed(), batch(steps=[0], loss=["nan"]), ended(0, w=1)]))
    with store.read() as conn:
        row = reader.trial(conn, "s", 0)
    assert only.state == "failed"
    assert row is not None
    assert row["error"] == "never logged loss"


def test_a_final_state_never_changes(store: Store, recorder: Recorder) -> None:
    """Neither a second end nor a claim nor a loss moves a closed trial."""
    play(store, recorder, [created(metric=None), claimed(), ended()])
    assert not play(store, recorder, [ended(state="failed"), claimed(attempt=2), lost(), lost(attempt=2)], first=10)


def test_a_lost_trial_goes_back_and_its_attempt_may_return(store: Store, recorder: Recorder) -> None:
    """Lost means queued; the same token's claim takes it back and gives the loss back."""
    assert play(store, recorder, [created(), claimed(), lost()])[-1] == TrialBack("s", 0)
    assert play(store, recorder, [claimed()], first=10) == [TrialTaken("s", 0, "a", {"lr": 1.0})]
    with store.read() as conn:
        row = reader.trial(conn, "s", 0)
    assert row is not None
    assert (row["state"], row["losses"], row["attempt"]) == ("running", 0, 1)


def test_a_claim_corrects_replanned_params(store: Store, recorder: Recorder) -> None:
    """Re-planning changes waiting trials only; the claim says what really runs."""
    play(store, recorder, [created()])
    with store.begin() as conn:
        recorder.issue(conn, "s", [(0, {"lr": 0.1}), (1, {"lr": 0.2})], 5.0)
        recorder.issue(conn, "s", [(1, {"lr": 0.9}), (2, {"lr": 0.3})], 6.0)
        recorder.replan(conn, "s", [(0, {"lr": 0.5}), (1, {"lr": 0.6})])
    play(store, recorder, [claimed(0)], first=10)
    with store.begin() as conn:
        recorder.replan(conn, "s", [(0, {"lr": 7.0})])
    with store.read() as conn:
        assert [row["params"]["lr"] for row in reader.trials(conn, "s")] == [1.0, 0.6, 0.3]
        assert reader.sweeps(conn)[0]["issued"] == 3


def test_late_batches_of_an_older_attempt(store: Store, recorder: Recorder) -> None:
    """They are kept under their attempt and change neither summary nor the newer attempt's steps."""
    play(store, recorder, [created(), claimed(), batch(steps=[0, 1], loss=[5.0, 4.0]), lost(), claimed(attempt=2)])
    newer = batch(seq=1, steps=[1], attempt=2, writer="v", loss=[9.0])
    play(store, recorder, [newer, batch(seq=2, steps=[0, 2], loss=[6.0, 0.0], acc=[1.0, 1.0])], first=10)
    with store.read() as conn:
        assert history.read_series(conn, "s-0", "loss").values.tolist() == [6.0, 9.0]
        assert reader.summary(conn, "s-0") == {"loss": 9.0}


def test_late_batches_of_an_older_attempt_do_not_count(store: Store, recorder: Recorder) -> None:
    """A newer attempt that began anew decides state and value alone, whatever the older one still sends."""
    play(store, recorder, [created(), claimed(), batch(steps=[0], loss=[5.0]), lost(), claimed(attempt=2)])
    late = batch(seq=2, steps=[1, 2], loss=[0.5, 0.1], summary={"loss": 0.0}, config={"old": True})
    newer = batch(steps=[0, 1], attempt=2, writer="v", loss=[9.0, 8.0])
    (only,) = closed(play(store, recorder, [newer, late, ended(attempt=2, v=1)], first=10))
    assert (only.state, only.value, only.curve) == ("finished", 8.0, (9.0, 8.0))
    last_of_all = batch(seq=3, steps=[3], loss=[-1.0], summary={"loss": -2.0})
    assert play(store, recorder, [last_of_all, ended(attempt=1, state="failed", w=3)], first=20) == []
    with store.read() as conn:
        row, run = reader.trial(conn, "s", 0), reader.run(conn, "s-0")
        assert row is not None
        assert run is not None
        assert (row["state"], row["value"], row["attempt"]) == ("finished", 8.0, 2)
        assert "old" not in run["config"]
        assert reader.summary(conn, "s-0") == {"loss": 8.0}


def test_an_older_attempt_does_not_hold_up_the_end(store: Store, recorder: Recorder) -> None:
    """A trial closes with the batches of the attempt that ended it, though an older writer's are missing."""
    play(store, recorder, [created(), claimed(), batch(seq=1, steps=[0], loss=[5.0]), lost(), claimed(attempt=2)])
    (only,) = closed(
        play(store, recorder, [batch(steps=[0], attempt=2, writer="v", loss=[1.0]), ended(attempt=2, v=1)], first=10)
    )
    assert only.value == 1.0


def test_grace_outlives_the_recorder(store: Store, recorder: Recorder) -> None:
    """A controller that starts anew counts the 60 s from the end, not from its own start; a run's end waits as well."""
    play(store, recorder, [created(), claimed(), ended(0, w=1), started("r"), finished("r", wr=1)], now=100.0)
    later = Recorder()
    with store.begin() as conn:
        assert later.due(conn, 100.0 + GRACE_SECONDS - 0.1) == []
        told = later.due(conn, 100.0 + GRACE_SECONDS)
        assert later.due(conn, 1e9) == []
    assert {type(one) for one in told} == {TrialClosed, RunClosed}
    assert content(store)["closings"] == []
    with store.read() as conn:
        row = reader.trial(conn, "s", 0)
        assert row is not None
        assert (row["state"], row["error"]) == ("failed", "never logged loss")


def test_every_writer_is_waited_for(store: Store, recorder: Recorder) -> None:
    """A trial with several writers closes when the last of them is complete."""
    play(store, recorder, [created(), claimed(), ended(0, a=1, b=2)])
    assert not closed(play(store, recorder, [batch(writer="a", steps=[0], loss=[3.0])], first=10))
    assert not closed(play(store, recorder, [batch(writer="b", steps=[1], loss=[2.0])], first=20))
    (only,) = closed(play(store, recorder, [batch(writer="b", seq=2, steps=[2], loss=[1.0])], first=30))
    assert only.curve == (3.0, 2.0, 1.0)


def test_a_slower_rank_does_not_turn_back_the_summary(store: Store, recorder: Recorder) -> None:
    """Of two writers the later step is the last value, in whatever order they arrive."""
    play(store, recorder, [batch("r", steps=[9], writer="fast", loss=[1.0])])
    play(store, recorder, [batch("r", steps=[4], writer="slow", loss=[7.0])], first=10)
    with store.read() as conn:
        assert reader.summary(conn, "r") == {"loss": 1.0}


def test_a_restart_hides_earlier_last_values(store: Store, recorder: Recorder) -> None:
    """What the new attempt's first step hides leaves the summary as well."""
    early = batch(steps=[5], loss=[1.0], only_first=[2.0], summary={"best": 1.0})
    play(store, recorder, [created(), claimed(), early, lost(), claimed(attempt=2)])
    play(store, recorder, [batch(steps=[0], attempt=2, writer="v", loss=[8.0]), ended(attempt=2, w=1, v=1)], first=10)
    with store.read() as conn:
        assert reader.summary(conn, "s-0") == {"loss": 8.0}
        assert reader.best_trials(conn, "s")[0]["value"] == 8.0


def test_explicit_summary_stands_until_logged_again(store: Store, recorder: Recorder) -> None:
    """`run.summary[k] = v` replaces the last value; the next log of the key replaces it."""
    play(store, recorder, [batch("r", 1, [0], a=[1.0], summary={"a": "best"})])
    with store.read() as conn:
        assert reader.summary(conn, "r") == {"a": "best"}
    play(store, recorder, [batch("r", 2, [1], a=[2.0])], first=10)
    with store.read() as conn:
        assert reader.summary(conn, "r") == {"a": 2.0}


def test_a_run_outside_a_sweep(store: Store, recorder: Recorder) -> None:
    """It ends by its exit code, crashes when silent, lives again, and a later init() opens it again."""
    assert play(store, recorder, [started("r", config={"a": 1}), finished("r", 3)]) == [RunClosed("r", "failed")]
    assert play(store, recorder, [started("r", config={"b": 2})], first=10) == []
    assert play(store, recorder, [RunBeat(run="r", alive=0)], first=20) == [RunClosed("r", "crashed")]
    assert play(store, recorder, [RunBeat(run="r", alive=1)], first=30) == []
    with store.read() as conn:
        row = reader.run(conn, "r")
    assert row is not None
    assert (row["state"], row["config"]) == ("running", {"a": 1, "b": 2})
    assert play(store, recorder, [finished("r")], first=40) == [RunClosed("r", "finished")]


def test_a_batch_before_its_run_started(store: Store, recorder: Recorder) -> None:
    """What a batch says of the config is kept on top of what init() says later."""
    events = [batch("r", 1, config={"a": 2}), started("r", config={"a": 1, "b": 1}), batch("r", 2, config={"b": 3})]
    play(store, recorder, events)
    with store.read() as conn:
        row = reader.run(conn, "r")
    assert row is not None
    assert (row["config"], row["project"]) == ({"a": 2, "b": 3}, "p")


def test_a_damaged_batch_is_set_aside(store: Store, recorder: Recorder) -> None:
    """Its reason is kept, its neighbours are recorded."""
    bad = [Batch(run="r", attempt=1, writer="w", seq=1, body=b"\xc1")]
    bad.append(batch("r", 2).model_copy(update={"body": b"\x81\xa7history\x81\xa1a\x93\xa1d\xc4\x01x\xc4\x01x"}))
    play(store, recorder, [*bad, batch("r", 3, [0], a=[1])])
    with store.read() as conn:
        assert len(reader.rejected(conn)) == 2
        assert reader.summary(conn, "r") == {"a": 1}


def test_removal_leaves_nothing(store: Store, recorder: Recorder) -> None:
    """A removed sweep goes with its runs, and what still comes of it is ignored."""
    story: list[Event] = [created(), started("s-0", sweep="s"), claimed(), batch(steps=range(1500), loss=[1.0] * 1500)]
    gone = [SweepRemoved(sweep="s"), batch(seq=2, steps=[1], loss=[1.0]), claimed(1), ended(0), created()]
    assert play(store, recorder, [*story, *gone])[-1] == SweepGone("s")
    left = {name for name, rows in content(store).items() if rows}
    assert left == {"removed"}
    assert recorder.recorded == {"w": 2}


def test_a_removed_run_may_start_again(store: Store, recorder: Recorder) -> None:
    """Its old writers stay ignored until init() of the same id."""
    play(store, recorder, [started("r"), batch("r", 1, [0], a=[1]), SweepRemoved(run="r"), batch("r", 2, [1], a=[2])])
    play(store, recorder, [started("r"), batch("r", 1, [5], a=[9], writer="new")], first=10)
    with store.read() as conn:
        assert history.read_rows(conn, "r") == [{"_step": 5, "a": 9}]


def test_sweep_states(store: Store, recorder: Recorder) -> None:
    """A move is told once, and a sweep that is over stays so."""
    moves = [SweepStateSet(sweep="s", state=state) for state in ("paused", "paused", "finished", "running")]
    told = play(store, recorder, [created(), *moves, SweepStateSet(sweep="?", state="paused")])
    assert told[1:] == [SweepMoved("s", "paused"), SweepMoved("s", "finished")]


def test_console_in_order(store: Store, recorder: Recorder) -> None:
    """Lines come out as they went in, from any line on."""
    lines = [("stdout", float(i), f"line {i}") for i in range(4)]
    play(store, recorder, [batch("r", 1, console=lines[:3]), batch("r", 2, console=lines[3:])])
    with store.read() as conn:
        assert reader.console(conn, "r") == lines
        assert reader.console(conn, "r", after=2) == lines[2:]


def random_event(seed: random.Random, seqs: dict[str, int]) -> Event:
    """Any event of a small world; writers count their batches, and an attempt is claimed before it does anything."""
    number = seed.randrange(2)
    claims = seqs.get(f"claims of {number}", 0)
    if not claims or seed.random() < 0.1:
        seqs[f"claims of {number}"] = claims + 1
        return claimed(number, claims + 1)
    attempt = seed.randint(max(1, claims - 1), claims)
    run = seed.choice([f"s-{number}", "r"])
    kind = seed.randrange(14)
    if kind < 6:
        writer = f"{run}.{attempt if run != 'r' else 1}.{seed.randrange(2)}"
        seqs[writer] = seqs.get(writer, 0) + (seed.random() < 0.9)
        steps = sorted(seed.sample(range(1200), seed.choice([1, 3, 700])))
        return batch(
            run, max(1, seqs[writer]), steps, attempt if run != "r" else 1, writer,
            summary={"best": seed.random()} if seed.random() < 0.3 else {},
            config={"c": seed.random()} if seed.random() < 0.3 else {},
            console=[("stdout", 0.0, "x")] if seed.random() < 0.3 else [],
            loss=[seed.choice([1, 2.5]) for _ in steps],
        )  # fmt: skip
    mine = {w: n for w, n in seqs.items() if w.startswith(f"s-{number}.{attempt}")}
    others = {w: n for w, n in seqs.items() if w.startswith("r.")}
    choices: list[Event] = [
        claimed(number, attempt),
        claimed(number, attempt),
        lost(number, attempt),
        released(number, attempt),
        ended(number, attempt, seed.choice(["finished", "failed"]), **mine),
        started(f"s-{number}", attempt, "s", number, config={"a": attempt}),
        started("r", config={"a": 1}),
        finished("r", seed.randrange(2), **others),
    ]
    return choices[kind - 6]


def cut(entries: list[tuple[str, Event]], seed: random.Random) -> list[list[tuple[str, Event]]]:
    pieces = []
    while entries:
        size = seed.randint(1, 6)
        pieces.append(entries[:size])
        entries = entries[size:]
    return pieces


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_any_journal_may_be_read_again(tmp_path_factory: pytest.TempPathFactory, number: int) -> None:
    """Cut anywhere, rolled back between, by a new recorder, and all of it again from 0: the content is the same."""
    seed, seqs = random.Random(number), {}  # type: random.Random, dict[str, int]
    entries = [("1-0", created()), *((f"{i}-0", random_event(seed, seqs)) for i in range(2, 40))]
    folder: Path = tmp_path_factory.mktemp("stores")
    whole, pieces = (Store.open(f"sqlite:///{folder}/{name}.db") for name in ("whole", "pieces"))
    with whole.begin() as conn:
        Recorder().apply(conn, entries, 0.0)
    recorder = Recorder()
    for piece in cut(entries, seed):
        if seed.random() < 0.3:
            with pytest.raises(StoreError):
                fail_after(pieces, recorder, piece)
            recorder.forget()
        if seed.random() < 0.2:
            recorder = Recorder()
        with pieces.begin() as conn:
            recorder.apply(conn, piece, 0.0)
    assert meaning(pieces) == meaning(whole)
    before = content(whole)
    with whole.begin() as conn:
        Recorder().apply(conn, entries, 0.0)
    assert content(whole) == before
    whole.close()
    pieces.close()


def fail_after(store: Store, recorder: Recorder, entries: list[tuple[str, Event]]) -> None:
    with store.begin() as conn:
        recorder.apply(conn, entries, 0.0)
        conn.execute(text("no sql"))


def meaning(store: Store) -> object:
    """The content, with points as they are read and not as they are cut into rows."""
    rows = content(store)
    with store.read() as conn:
        points = {run: history.read_rows(conn, run) for run in ("s-0", "s-1", "r")}
    layout = ("tail", "chunks", "levels", "overview", "series")
    return {name: some for name, some in rows.items() if name not in layout}, points


def closed(told: list[object]) -> list[TrialClosed]:
    return [one for one in told if isinstance(one, TrialClosed)]


def edited(run: str, **info: object) -> RunEdited:
    return RunEdited(run=run, body=msgpack.packb(info))


def test_edits_read_again_change_nothing(store: Store, recorder: Recorder) -> None:
    """What was edited, and what was logged after it, both stay when the journal is applied from its start."""
    story = [
        started("r", config={"lr": 1, "bad": 2}, tags=["a"]),
        batch("r", 1, [0], a=[1.0]),
        edited("r", name="x", tags=["b"], config={"lr": 2}, dropped=["bad"], summary={"a": 9}),
        batch("r", 2, [1], config={"lr": 3}, a=[2.0]),
        edited("r", notes="n"),
    ]
    play(store, recorder, story)
    before = content(store)
    play(store, Recorder(), story)
    assert content(store) == before
    with store.read() as conn:
        row = reader.run(conn, "r")
        assert row is not None
        assert (row["name"], row["notes"], row["tags"], row["config"]) == ("x", "n", ["b"], {"lr": 3})
        assert reader.summary(conn, "r") == {"a": 2.0}


def test_edits_outlive_a_later_init(store: Store, recorder: Recorder) -> None:
    """Name, tags and notes that were edited stay when the run is begun again, but for what that init() gives."""
    play(store, recorder, [
        started("r", at_ms=1000, name="first", tags=["a"], notes="old"), finished("r", at_ms=2000),
        edited("r", name="edited", tags=["b"], notes="new", group="g"),
        started("r", at_ms=9000, name="", notes="given"),
    ])  # fmt: skip
    with store.read() as conn:
        row = reader.run(conn, "r")
    assert row is not None
    assert (row["name"], row["tags"], row["notes"], row["group_name"]) == ("edited", ["b"], "given", "g")


def test_edits_outlive_the_next_attempt(store: Store, recorder: Recorder) -> None:
    """A trial's name that was edited stays through its next attempt, whose init() made one up."""
    play(store, recorder, [
        created(), claimed(), started("s-0", sweep="s", name="n-0", unsaid=["name"]), edited("s-0", name="mine"),
        claimed(attempt=2), started("s-0", attempt=2, sweep="s", name="n-0", unsaid=["name"], job_type="train"),
    ])  # fmt: skip
    with store.read() as conn:
        row = reader.run(conn, "s-0")
    assert row is not None
    assert (row["name"], row["job_type"]) == ("mine", "train")


def test_none_is_no_last_value(store: Store, recorder: Recorder) -> None:
    """History keeps None; the summary keeps the value before it."""
    play(store, recorder, [
        started("r"), batch("r", steps=[0, 1, 2], a=[1.5, "x", None]), batch("r", 2, steps=[3], a=[None], b=[None]),
    ])  # fmt: skip
    with store.read() as conn:
        assert reader.summary(conn, "r") == {"a": "x"}
        assert history.read_rows(conn, "r", min_step=2) == [{"_step": 2, "a": None}, {"_step": 3, "a": None, "b": None}]


def test_edits_of_a_trial_without_init(store: Store, recorder: Recorder) -> None:
    """Its params stay its config, and its state and value are still the trial's."""
    play(store, recorder, [created(metric=None), claimed(), edited("s-0", notes="odd", summary={"x": 1}), ended(0)])
    with store.read() as conn:
        row = reader.run(conn, "s-0")
        assert row is not None
        assert (row["notes"], row["config"], row["state"]) == ("odd", {"lr": 1.0}, "finished")
        assert reader.summary(conn, "s-0") == {"x": 1}


def test_edits_of_nothing(store: Store, recorder: Recorder) -> None:
    """An edit makes no run, brings back none that was removed, and one that cannot be read is set aside."""
    play(store, recorder, [edited("q", name="x"), started("r"), SweepRemoved(run="r"), edited("r", name="x")])
    play(store, recorder, [started("t"), RunEdited(run="t", body=b"\x01")], first=10)
    with store.read() as conn:
        assert [row["id"] for row in reader.runs(conn)] == ["t"]
        assert [row["id"] for row in reader.rejected(conn)] == ["11-0"]


def test_names_with_nul(store: Store, recorder: Recorder) -> None:
    """A name that a database's text cannot hold is kept with a mark in its place, and holds nothing up."""
    play(store, recorder, [started("r"), batch("r", steps=[0], summary={"s\0": 1}, **{"a\0b": [2.0]})])
    with store.read() as conn:
        assert history.read_rows(conn, "r") == [{"_step": 0, "a\ufffdb": 2.0}]
        assert reader.summary(conn, "r") == {"a\ufffdb": 2.0, "s\ufffd": 1}
