"""The journal: order, once, limits, answers, and what is trimmed."""

from __future__ import annotations

import pytest

from besom.broker.connection import Connection
from besom.broker.journal import KEEP_BYTES, Appended, Entry, Journal, entry_order
from besom.broker.lead import Lead
from besom.broker.ledger import Ledger
from besom.errors import Fenced
from besom.messages import Batch, Claim, RunEnded, RunStarted, SweepStateSet, read_events
from tests.broker.clock import Clock
from tests.broker.content import content, events, spec


@pytest.fixture
def journal(fake: Connection, clock: Clock) -> Journal:
    return Journal(fake)


def _batch(seq: int, body: bytes = b"x", writer: str = "w", run: str = "r") -> Batch:
    return Batch(run=run, attempt=1, writer=writer, seq=seq, body=body)


def _send(journal: Journal, seq: int, first: bool = False, limit: int = 0, claim: Claim | None = None) -> Appended:
    return journal.append_batch(_batch(seq), first=first, limit=limit, claim=claim)


def _wanted(journal: Journal, claim: Claim) -> str:
    return journal.wanted(claim, "r", "w")[0]


def _claimed(fake: Connection) -> Claim:
    """A trial in the hands of an agent."""
    ledger = Ledger(fake)
    ledger.create(spec())
    ledger.issue(0, "s", [(0, {})])
    return ledger.claim("s", "agent", 1, "n")[1][0]


def test_entries_come_out_as_they_went_in(journal: Journal) -> None:
    """Every event is read back whole, in order, under the id that `append` gave."""
    sent = [
        RunStarted(run="r", body=b"\x80\xff"),
        SweepStateSet(sweep="s", state="paused"),
        RunEnded(run="r", error="é"),
    ]
    ids = [journal.append(event) for event in sent]
    read = journal.read("0-0")
    assert [entry.id for entry in read] == ids
    assert [event.model_copy(update={"at_ms": 0}) for entry in read for event in read_events(entry.fields)] == sent
    assert sorted(ids, key=entry_order) == ids


def test_an_entry_carries_redis_time(journal: Journal, clock: Clock) -> None:
    """`at_ms` is Redis' clock, not the writer's."""
    journal.append(RunEnded(run="r"))
    assert read_events(journal.read("0-0")[0].fields)[0].at_ms == round(clock() * 1000)


def test_reading_goes_on_after_an_id(journal: Journal) -> None:
    """A reader takes at most so many, and after its last id what follows."""
    ids = [journal.append(RunEnded(run=f"r{i}")) for i in range(5)]
    assert [entry.id for entry in journal.read("0-0", count=2)] == ids[:2]
    assert [entry.id for entry in journal.read(ids[1])] == ids[2:]
    assert journal.read(ids[-1]) == []
    assert journal.end() == ids[-1]


def test_an_empty_journal_ends_at_zero(journal: Journal) -> None:
    """Before the first entry there is an end, a recorded id, and nothing unread."""
    assert (journal.end(), journal.recorded_id(), journal.unread_bytes()) == ("0-0", "0-0", 0)


def test_totals_count_every_byte(journal: Journal) -> None:
    """`total` grows by at least the body of each entry, and the last one is what is unread."""
    for body in (b"x" * 10, b"x" * 5000, b"x"):
        journal.append(RunStarted(run="r", body=body))
    totals = [entry.total for entry in journal.read("0-0")]
    assert totals[0] >= 10
    assert 5000 <= totals[1] - totals[0] < 5500
    assert 1 <= totals[2] - totals[1] < 500
    assert journal.unread_bytes() == totals[-1]


def test_ids_sort_by_number() -> None:
    """Entry 10 of a millisecond comes after entry 9, and 1000 ms after 999."""
    assert sorted(["1000-0", "999-10", "999-9"], key=entry_order) == ["999-9", "999-10", "1000-0"]


def test_a_batch_enters_once(journal: Journal, fake: Connection) -> None:
    """A repeat is answered `ok` and changes nothing."""
    assert _send(journal, 1, first=True).status == "ok"
    before = content(fake)
    assert _send(journal, 1, first=True) == Appended("ok", "", 0, "")
    assert content(fake) == before
    assert [batch.seq for batch in events(fake, Batch)] == [1]


def test_batches_enter_in_order(journal: Journal, fake: Connection) -> None:
    """A batch that comes before an earlier one is refused as a gap, and taken when the gap is closed."""
    _send(journal, 1, first=True)
    assert _send(journal, 3).status == "gap"
    assert [_send(journal, seq).status for seq in (2, 3)] == ["ok", "ok"]
    assert [batch.seq for batch in events(fake, Batch)] == [1, 2, 3]


def test_a_redis_that_lost_its_tail_asks_for_it(journal: Journal, fake: Connection) -> None:
    """With the writer's past gone, only what is said to be the first kept may start in the middle."""
    _send(journal, 1, first=True)
    fake.redis.flushall()
    assert _send(journal, 5).status == "gap"
    assert _send(journal, 4, first=True).status == "ok"
    assert _send(journal, 5).status == "ok"


def test_writers_count_for_themselves(journal: Journal, fake: Connection) -> None:
    """Two writers of one run, and one writer's name in two runs, do not meet."""
    for batch in (_batch(1), _batch(1, writer="v"), _batch(1, run="q")):
        assert journal.append_batch(batch, first=True, limit=0).id
    assert len(events(fake, Batch)) == 3


def test_a_full_journal_refuses_batches(journal: Journal) -> None:
    """Above the limit a batch is answered `full` and not kept; an event is always taken."""
    journal.append(RunStarted(run="r", body=b"x" * 1000))
    answer = _send(journal, 1, first=True, limit=1000)
    assert (answer.status, answer.id) == ("full", "")
    assert journal.append(RunEnded(run="r"))
    assert _send(journal, 1, first=True, limit=10_000).status == "ok"


def test_a_repeat_is_ok_even_when_full(journal: Journal) -> None:
    """What is in the journal need not be kept by its writer, full or not."""
    _send(journal, 1, first=True)
    journal.append(RunStarted(run="r", body=b"x" * 1000))
    assert _send(journal, 1, limit=10).status == "ok"


def test_what_is_recorded_makes_room(journal: Journal) -> None:
    """Fullness counts what the store has not seen."""
    journal.append(RunStarted(run="r", body=b"x" * 1000))
    assert _send(journal, 1, first=True, limit=1000).status == "full"
    journal.settle(0, journal.read("0-0")[-1], {})
    assert journal.unread_bytes() == 0
    assert _send(journal, 1, first=True, limit=1000).status == "ok"


@pytest.mark.parametrize(
    ("state", "control"),
    [("running", ""), ("paused", "pause"), ("stopping", ""), ("cancelled", "cancel")],
)
def test_the_answer_tells_the_sweeps_state(journal: Journal, fake: Connection, state: str, control: str) -> None:
    """A writer learns of pause and cancel by its next batch; a stop lets running trials end."""
    claim = _claimed(fake)
    Ledger(fake).set_state("s", state)
    assert _send(journal, 1, first=True, claim=claim).control == control
    assert _send(journal, 1, claim=claim).control == control  # of a repeat as well
    assert _wanted(journal, claim) == control  # and without a batch


def test_a_stopping_rule_is_told_of(journal: Journal, fake: Connection) -> None:
    """A mark on the trial stops it, and no other."""
    claim = _claimed(fake)
    fake.redis.sadd(fake.keys.stops("s"), 0)
    assert _send(journal, 1, first=True, claim=claim).control == _wanted(journal, claim) == "stop"
    assert _send(journal, 2).control == ""


def test_a_fenced_attempt_is_told_so(journal: Journal, fake: Connection) -> None:
    """Its batches are still taken, as the history of that attempt, and answered `stale`."""
    claim = _claimed(fake)
    Ledger(fake).release(claim, "preempted")
    again = Ledger(fake).claim("s", "other", 1, "m")[1][0]
    answer = _send(journal, 1, first=True, claim=claim)
    assert (answer.status, answer.control, _wanted(journal, claim)) == ("ok", "stale", "stale")
    assert _send(journal, 2, claim=again).control == _wanted(journal, again) == ""


def test_a_run_outside_sweeps_hears_nothing(journal: Journal) -> None:
    """With no claim there is no control."""
    assert _send(journal, 1, first=True).control == ""


def test_the_writer_learns_what_is_recorded(journal: Journal) -> None:
    """After `settle` the next answer names the highest batch in the store, for that writer only."""
    for seq in (1, 2, 3):
        _send(journal, seq, first=True)
    journal.settle(0, journal.read("0-0")[-1], {("r", "w"): 2})
    assert _send(journal, 4).recorded == 2
    assert journal.append_batch(_batch(1, writer="v"), first=True, limit=0).recorded == 0


def test_settle_says_how_far_the_store_is(journal: Journal) -> None:
    """Recorded id and unread bytes follow the last entry committed."""
    for i in range(3):
        journal.append(RunEnded(run=f"r{i}"))
    entries = journal.read("0-0")
    journal.settle(0, entries[1], {})
    assert journal.recorded_id() == entries[1].id
    assert journal.unread_bytes() == entries[2].total - entries[1].total


def test_settle_with_nothing_new_writes_nothing(journal: Journal, fake: Connection) -> None:
    """Before the first commit there is nothing to say."""
    before = content(fake)
    journal.settle(0, None, {})
    assert content(fake) == before


def test_settle_twice_is_as_once(journal: Journal, fake: Connection) -> None:
    """A repeat of the same settlement changes nothing."""
    _send(journal, 1, first=True)
    last = journal.read("0-0")[-1]
    journal.settle(0, last, {("r", "w"): 1})
    before = content(fake)
    journal.settle(0, last, {("r", "w"): 1})
    assert content(fake) == before


def test_a_closed_runs_writers_are_gone(journal: Journal, fake: Connection) -> None:
    """Redis keeps nothing of a run that is over."""
    _send(journal, 1, first=True)
    journal.settle(0, journal.read("0-0")[-1], {("r", "w"): 1}, closed=["r"])
    assert _send(journal, 2).status == "gap"


def test_the_journal_is_trimmed_a_minute_behind(journal: Journal, clock: Clock) -> None:
    """What the store has had for longer than a minute goes; the last minute and the unread stay."""
    ids = []
    for _ in range(5):
        ids.append(journal.append(RunEnded(run="r")))
        journal.settle(0, journal.read(ids[-2] if len(ids) > 1 else "0-0")[-1], {})
        clock.move(40)
    unread = journal.append(RunEnded(run="r"))
    left = [entry.id for entry in journal.read("0-0")]
    assert ids[0] not in left
    assert left[-3:] == [ids[3], ids[4], unread]


def test_what_was_never_read_is_never_trimmed(journal: Journal, clock: Clock) -> None:
    """However old, an entry that is not in the store stays."""
    first = journal.append(RunEnded(run="r"))
    journal.settle(0, journal.read("0-0")[-1], {})
    clock.move(1000)
    old = [journal.append(RunEnded(run=f"r{i}")) for i in range(3)]
    clock.move(1000)
    journal.settle(0, None, {})
    assert [entry.id for entry in journal.read("0-0")] == [first, *old]


def test_much_in_a_minute_is_trimmed_sooner(journal: Journal) -> None:
    """Above so many bytes of recorded entries the oldest go, however young."""
    ids = [journal.append(RunEnded(run=f"r{i}")) for i in range(3)]
    for i, id in enumerate(ids):
        journal.settle(0, Entry(id, 1 + i * (KEEP_BYTES + 1), {}), {})
    left = [entry.id for entry in journal.read("0-0")]
    assert ids[0] not in left
    assert left[-1] == ids[-1]


def test_totals_go_on_after_a_trim(journal: Journal, clock: Clock) -> None:
    """What was trimmed still counts in `total`, so that unread stays a difference of two numbers."""
    for _ in range(3):
        journal.append(RunEnded(run="r"))
        journal.settle(0, journal.read("0-0")[-1], {}, keep_ms=0)
        clock.move(1)
    last = journal.read("0-0")[-1]
    journal.append(RunEnded(run="r"))
    assert journal.read(last.id)[0].total == last.total + journal.unread_bytes()


def test_an_old_epoch_settles_nothing(journal: Journal, fake: Connection) -> None:
    """A controller whose time is over moves no mark and trims nothing."""
    lead = Lead(fake, 5, {})
    lead.hold(known=3)
    journal.append(RunEnded(run="r"))
    before = content(fake)
    with pytest.raises(Fenced):
        journal.settle(3, journal.read("0-0")[-1], {("r", "w"): 1})
    assert content(fake) == before
    journal.settle(lead.epoch, journal.read("0-0")[-1], {})
    assert journal.recorded_id() == journal.end()


def test_the_journals_id_stays_and_is_lost_with_it(journal: Journal, fake: Connection) -> None:
    """All who ask get one id; a Redis that was emptied makes another."""
    first = journal.identity()
    assert Journal(fake).identity() == first
    fake.redis.flushall()
    assert journal.identity() != first


def test_silent_runs_are_told_of_once(fake: Connection, clock: Clock) -> None:
    """A run outside sweeps that stops beating is told of once, and once more when it comes back."""

    def beats() -> list[tuple[str, int]]:
        return [(event.run, event.alive) for event in events(fake) if event.kind == "beat"]

    fake.script("run_beat", 1000, "start", "r")
    fake.script("run_beat", 1000, "start", "over")
    fake.script("run_beat", 0, "end", "over")
    clock.move(0.9)
    fake.script("run_beat", 1000, "beat", "r")
    clock.move(0.9)
    assert fake.script("run_reap", 0) == 0
    clock.move(0.2)
    assert (fake.script("run_reap", 0), fake.script("run_reap", 0)) == (1, 0)
    assert beats() == [("r", 0)]
    for _ in range(2):
        fake.script("run_beat", 1000, "beat", "r")
    assert beats() == [("r", 0), ("r", 1)]


def test_an_old_epoch_reaps_no_run(fake: Connection, clock: Clock) -> None:
    """A controller whose time is over declares no run silent."""
    Lead(fake, 5, {}).hold()
    with pytest.raises(Fenced):
        fake.script("run_reap", 0)
