"""The controller's loop: journal in, store, suggestions out.

One turn: read what happened → apply it to the store and to each sweep's plan → ask what is due → write issued trials,
events and the last journal id in ONE transaction → issue them in the ledger, top up turns → tell writers what is
recorded, trim the journal. A crash between any two steps repeats work, and repeating is harmless: whatever the store
says is done again at the next start.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from besom.broker.connection import Connection
from besom.broker.journal import Entry, Journal
from besom.broker.lead import Lead
from besom.broker.ledger import Ledger, Retry
from besom.broker.parcels import Parcels
from besom.broker.turns import Turns
from besom.controller.owed import Owed
from besom.controller.planner import Planner
from besom.controller.restart import check_journal, load_edited, load_past, load_plans, pay_again, rebuild_ledger
from besom.controller.slots import Slots
from besom.controller.sweep_plan import Question, SweepPlan
from besom.controller.watch import Watches, read_scores
from besom.errors import BesomError, Fenced
from besom.failpoint import failpoint
from besom.messages import Batch, Event, Unreadable, read_events, run_id_of
from besom.settings import Settings
from besom.strategies import Params
from besom.strategies.stopping import Verdict
from besom.tracking.blobs.receiver import Receiver
from besom.tracking.blobs.ways import RESERVE_BYTES, kept_at, published
from besom.tracking.recording.outcomes import (
    Outcome,
    RunClosed,
    SweepAppeared,
    SweepChanged,
    SweepGone,
    SweepMoved,
    TrialBack,
    TrialClosed,
    TrialReopened,
    TrialTaken,
)
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.reader import last_id
from besom.tracking.store.store import Store, get_meta, set_meta

__all__ = ["Controller"]

log = logging.getLogger("besom")

BLOCK_MS: Final = 50
"""The loop never waits longer."""
_READ_COUNT: Final = 500
_BREATH_SECONDS: Final = 0.003
_FEW: Final = 16
"""After few entries the loop takes a breath: whoever wrote them gets the processor back first, and what others write at
the same time is taken together."""
_ANSWER_SECONDS: Final = 0.01
"""While a question is open the loop waits so long for its answer, and not for the journal: Redis ends a wait at its
next tick, and those are 100 ms apart."""
_AGENTS_SECONDS: Final = 0.2
"""Between two looks at who is there."""


class Controller:
    """One controller: works while it holds the namespace's lease, stands by otherwise.

    Args:
        connection: Redis.
        store: Where everything rests.
        settings: Lengths of leases, the journal's limit.
        info: What to publish of this controller: `http`, `store`.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        connection: Connection,
        store: Store,
        settings: Settings,
        info: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.connection = connection
        self.store = store
        self.settings = settings
        self.ledger = Ledger(connection)
        self.journal = Journal(connection)
        self.planner = Planner()
        self.recorder = Recorder()
        self.plans: dict[str, SweepPlan] = {}
        self.watches = Watches()
        self.slots = Slots(self.ledger, Turns(connection))
        place = kept_at(settings, reserve=RESERVE_BYTES)
        self._parcels = Parcels(_reading(connection))
        self.receiver = Receiver(self._parcels, place, store.id)
        told = {"host": socket.gethostname(), "pid": os.getpid(), "store": store.url, "store_id": store.id}
        self._lead = Lead(connection, settings.controller_lease_seconds, {**told, **published(place), **(info or {})})
        self._reader = Journal(_reading(connection))
        self._clock = clock
        self._last = "0-0"
        self._epoch = 0
        self._careful = 0
        """Entries still to be applied one by one, after one of them has raised."""
        self._next: dict[str, float] = {}

    # ---- the loop

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; what fails is logged and tried again, the rest goes on."""
        ended = threading.Event()
        arguments = (ended, lambda: self._epoch)
        receiving = threading.Thread(target=self.receiver.run, args=arguments, name="besom-receiver", daemon=True)
        receiving.start()
        while not stop.is_set():
            try:
                self.step()
            except Fenced as error:
                log.warning("%s; standing by", error)
                self._epoch = 0
            except (BesomError, RedisError) as error:
                # What is in memory is thrown away and read anew, what is owed to Redis is found in the store.
                log.error("%s; trying again", error)
                self._epoch = 0
                stop.wait(0.5)
            except Exception:  # a fault of ours in one entry must not stop the rest: find it and set it aside
                log.exception("a turn of the loop failed; going on entry by entry")
                self._epoch = 0
                self._careful = _READ_COUNT
                stop.wait(0.5)
        ended.set()
        receiving.join(5)
        self.close()

    def close(self) -> None:
        """Give up the lease and end the planner."""
        self.planner.close()
        self._reader.connection.redis.close()
        self._parcels.connection.redis.close()
        if self._lead.epoch:
            try:
                self._lead.leave()
            except BesomError as error:
                log.debug("the lease runs out by itself: %s", error)

    def step(self, block_ms: int = BLOCK_MS) -> bool:
        """One turn of the loop; False when another controller works."""
        if not self._leading():
            threading.Event().wait(min(0.2, self.settings.controller_lease_seconds / 5))
            return False
        entries = self._read(block_ms)
        if entries:
            failpoint("controller.after-read")
        self._look_after_agents()
        owed = Owed(entries)
        answers = self.planner.answers()
        if entries or answers or self._something_due() or self._every("due", 1.0):
            with self.store.begin(self._epoch) as conn:
                self._apply(conn, entries, owed)
                failpoint("controller.after-apply")
                self._plan(conn, answers, owed)
                failpoint("controller.before-commit")
            failpoint("controller.after-commit")
            owed.pay(self._epoch, self.ledger, self.journal, self.recorder.take_recorded())
            for sweep in {*owed.wake, *owed.finished}:
                self.slots.wake(sweep, over=sweep in owed.finished)
        self.slots.give_turns(sweep for sweep, plan in self.plans.items() if plan.waiting and plan.gives)
        failpoint("controller.after-turns")
        return True

    def _read(self, block_ms: int) -> list[Entry]:
        count = 1 if self._careful else _READ_COUNT
        asking = block_ms > 0 and self.planner.busy
        entries = self._reader.read(self._last, count=count, block_ms=0 if asking else block_ms)
        if asking and not entries:
            self.planner.wait(_ANSWER_SECONDS)
        if 0 < len(entries) < _FEW and block_ms and not self._careful:
            threading.Event().wait(_BREATH_SECONDS)
            entries += self._reader.read(entries[-1].id, count=_READ_COUNT)
        return entries

    @property
    def leading(self) -> bool:
        """Whether this controller holds the lease."""
        return self._epoch > 0

    # ---- the lease

    def _leading(self) -> bool:
        if self._epoch and not self._every("lead", self.settings.controller_lease_seconds / 5):
            return True
        if not self._lead.hold(self._epoch or self._stored_epoch()):
            if self._epoch:
                log.warning("another controller has taken over; standing by")
            self._epoch = 0
            return False
        if self._lead.epoch != self._epoch:
            self._take_over(self._lead.epoch)
        return True

    def _stored_epoch(self) -> int:
        with self.store.read() as conn:
            return int(get_meta(conn, "epoch", "0"))

    def _take_over(self, epoch: int) -> None:
        failpoint("controller.after-lease")
        client, keys = self.connection.redis, self.connection.keys
        lease_ms = int(self.settings.lease_seconds * 1000)
        timing = {
            "lease_ms": lease_ms,
            "journal_limit": self.settings.journal_limit_mb * 1_000_000,
        }
        self.connection.call(lambda: client.hset(keys.timing(), mapping=timing))
        self.planner.forget()
        self.recorder.forget()
        with self.store.begin(epoch) as conn:
            lost = check_journal(conn, self.journal, self.store, forgotten=self._lead.forgotten)
            self._last = last_id(conn)
            self.plans = load_plans(conn, between=self._keep_lease)
            self.watches.begin(self.plans)
            if lost:
                log.warning("Redis at %s lost what it held; writing it back from the store", self.connection.shown)
                rebuild_ledger(conn, self.ledger, epoch, lease_ms)
        self._lead.forgotten = False
        self._epoch = epoch
        failpoint("controller.after-rebuild")
        pay_again(self.store, self.ledger, epoch, self.plans)
        failpoint("controller.after-pay-again")
        if any(plan.adaptive for plan in self.plans.values()):
            self.planner.warm_up()

    def _keep_lease(self) -> None:
        if self._every("lead", self.settings.controller_lease_seconds / 5):
            self._lead.hold()

    # ---- inside the transaction

    def _apply(self, conn: Any, entries: list[Entry], owed: Owed) -> None:
        events: list[tuple[str, Event]] = []
        for entry in entries:
            try:
                told = read_events(entry.fields)
            except Unreadable as error:
                log.error("journal entry %s is set aside: %s", entry.id, error)
                self.recorder.reject(conn, entry.id, str(error), entry.fields)
                continue
            for event in told:
                events.append((entry.id, event))
                if isinstance(event, Batch):
                    owed.writers[event.writer] = event.run
        changed: set[str] = set()
        for outcome in self._recorded(conn, events):
            if isinstance(outcome, SweepAppeared):
                self._appeared(conn, outcome)
                continue
            if isinstance(outcome, SweepChanged):
                changed.add(outcome.sweep)
            if isinstance(outcome, TrialReopened):
                self.watches.forget(outcome.sweep)
                if outcome.sweep not in self.plans:
                    self.plans.update(load_plans(conn, outcome.sweep))
            self._happened(outcome, owed)
        for sweep in sorted(changed):  # last, since the store already has all that happened beside the edit
            self.plans.pop(sweep, None)
            self.plans.update(load_edited(conn, sweep))
        for _, event in events:
            if isinstance(event, Batch):
                self.watches.logged(event.run, self.plans)
        if entries:
            self._last = entries[-1].id

    def _recorded(self, conn: Any, events: list[tuple[str, Event]]) -> list[Outcome]:
        now = self._clock()
        if not self._careful:
            return self.recorder.apply(conn, events, now) + self.recorder.due(conn, now)
        self._careful -= 1
        return [outcome for entry, event in events for outcome in self._carefully(conn, entry, event, now)]

    def _carefully(self, conn: Any, entry: str, event: Event, now: float) -> list[Outcome]:
        """Apply one event by itself; one that raises is set aside."""
        try:
            with conn.begin_nested():
                return self.recorder.apply(conn, [(entry, event)], now)
        except (BesomError, DBAPIError):
            raise  # not the entry's fault
        except Exception as error:
            log.exception("journal entry %s is set aside", entry)
            self.recorder.forget()
            self.recorder.reject(conn, entry, f"{type(error).__name__}: {error}", event.model_dump(mode="json"))
            set_meta(conn, "last_id", entry)
            return []

    def _happened(self, outcome: Outcome, owed: Owed) -> None:
        if isinstance(outcome, SweepGone):
            self.plans.pop(outcome.sweep, None)
            owed.removed.append(outcome.sweep)
            return
        if isinstance(outcome, RunClosed):
            owed.closed_runs.append(outcome.run)
        if isinstance(outcome, TrialClosed):
            owed.closed_runs.append(run_id_of(outcome.sweep, outcome.number))
            owed.forget[outcome.sweep].append(outcome.number)
        plan = self.plans.get(getattr(outcome, "sweep", ""))
        if plan is None:
            return
        if isinstance(outcome, TrialClosed):
            plan.closed(outcome)
            self.watches.closed(outcome, self.plans)
        elif isinstance(outcome, TrialTaken):
            plan.taken(outcome.number, outcome.params)
            plan.began = plan.began or self._clock()
        elif isinstance(outcome, TrialBack):
            plan.back(outcome.number)
        elif isinstance(outcome, TrialReopened):
            plan.reopened(outcome.number, outcome.params)
            again = Retry(outcome.number, outcome.attempt, outcome.losses, outcome.failures, outcome.params)
            (owed.promote if outcome.promoted else owed.retry)[outcome.sweep].append(again)
        elif isinstance(outcome, SweepMoved):
            plan.state = outcome.state
            if outcome.state in ("stopping", "cancelled"):
                owed.wake.append(outcome.sweep)

    def _appeared(self, conn: Any, outcome: SweepAppeared) -> None:
        if outcome.spec.id in self.plans:
            return
        try:
            plan = self.plans[outcome.spec.id] = SweepPlan.of(outcome.spec, "pending", load_past(conn, outcome.spec))
        except BesomError as error:
            log.error("sweep %s is set aside: %s", outcome.spec.id, error)
            return
        if plan.adaptive:
            self.planner.warm_up()

    def _something_due(self) -> bool:
        now = self._clock()
        return bool(self.watches.due()) or any(
            plan.over or plan.stop_reason(now) or (not self.planner.asked(sweep) and plan.due(self.slots.of(sweep)))
            for sweep, plan in self.plans.items()
        )

    def _plan(self, conn: Any, answers: list[tuple[Question, list[Params] | Exception]], owed: Owed) -> None:
        now = self._clock()
        for sweep, verdict in self.watches.look(conn, self.plans, now).items():
            self._carry_out(conn, sweep, verdict, owed)
        self._stop_early(conn, owed, now)
        for question, points in answers:
            plan = self.plans.get(question.sweep)
            if plan is None or plan.issued != question.issued or plan.course.edits != question.course.edits:
                continue
            if isinstance(points, Exception):
                self._set_aside(plan, points)
                continue
            self._use_answer(plan, question, points, owed)
        for sweep, plan in self.plans.items():
            if plan.adaptive:
                asked = None if self.planner.asked(sweep) else self._question(conn, plan)
                if asked is not None:
                    self.planner.ask(asked)
                continue
            try:
                points = plan.suggest(self.slots.of(sweep))
            except Exception as error:  # a strategy's fault must not end the other sweeps
                self._set_aside(plan, error)
                continue
            self._issue(plan, points, owed)
        for sweep, issued in owed.issue.items():
            self.recorder.issue(conn, sweep, issued, now)
        for sweep, replanned in owed.replan.items():
            self.recorder.replan(conn, sweep, replanned)
        for sweep, plan in list(self.plans.items()):
            if plan.over and plan.promotes:
                self._carry_out(conn, sweep, self.watches.look_at(conn, plan, now), owed)
            if plan.over:
                self.recorder.set_sweep_state(conn, sweep, "finished", now)
                owed.finished.append(sweep)
            if plan.over or (not plan.active and not plan.trials):
                del self.plans[sweep]
        self.planner.keep(self.plans.keys())

    def _carry_out(self, conn: Any, sweep: str, verdict: Verdict, owed: Owed) -> None:
        """What a stopping rule has decided is kept, and told to agents after the commit."""
        self.recorder.judge(conn, sweep, verdict.stops, verdict.passes)
        if verdict.stops:
            owed.stops[sweep] = tuple(verdict.stops)
        for outcome in self.recorder.promote(conn, sweep, verdict.promotions):
            self._happened(outcome, owed)

    def _stop_early(self, conn: Any, owed: Owed, now: float) -> None:
        """Sweeps whose target is reached or whose time is over take no more trials; those that run may end."""
        for sweep, plan in self.plans.items():
            if reason := plan.stop_reason(now):
                log.info("sweep %s stops: %s", sweep, reason)
                plan.state = "stopping"
                self.recorder.set_sweep_state(conn, sweep, "stopping", now)
                owed.stopping.append(sweep)
                owed.wake.append(sweep)

    def _question(self, conn: Any, plan: SweepPlan) -> Question | None:
        metric, live = plan.config.metric, {}
        if metric is not None and metric.impute_while_running != "false" and plan.course.repeats == 1:
            running = plan.trials.keys() - plan.waiting
            live = {number: score.curve for number, score in read_scores(conn, plan, running).items()}
        return plan.question(self.slots.of(plan.spec.id), live)

    def _use_answer(self, plan: SweepPlan, question: Question, points: list[Params], owed: Owed) -> None:
        for numbers, params in zip(question.replan, points, strict=False):
            for number in numbers:
                if number in plan.unclaimed and plan.trials[number] != params:
                    plan.replan(number, params)
                    owed.replan[plan.spec.id].append((number, params))
        fresh = points[len(question.replan) :]
        plan.answered()
        plan.exhausted = plan.exhausted or (len(fresh) < question.count and not plan.unclaimed)
        self._issue(plan, plan.trials_of([*question.given, *fresh], question.due), owed)

    def _issue(self, plan: SweepPlan, points: list[Params], owed: Owed) -> None:
        for params in points:
            number = plan.issued + 1
            plan.issue(number, params)
            owed.issue[plan.spec.id].append((number, params))

    def _set_aside(self, plan: SweepPlan, error: Exception) -> None:
        plan.problem = f"{type(error).__name__}: {error}"
        log.error("sweep %s is set aside, no new trial is planned: %s", plan.spec.id, plan.problem)

    # ---- agents

    def _look_after_agents(self) -> None:
        if self._every("reap", self.settings.reap_seconds):
            self.ledger.reap()
            self.connection.script("run_reap", self._epoch)
        if self._every("agents", _AGENTS_SECONDS):
            self.slots.look()

    def _every(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._next.get(what, 0.0):
            return False
        self._next[what] = now + seconds
        return True


def _reading(connection: Connection) -> Connection:
    """The same Redis, for blocking reads, on a client of its own."""
    return Connection(connection.url, connection.namespace, client=connection.blocking(), patience=connection.patience)
