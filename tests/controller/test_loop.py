"""The controller's loop: what it plans, what it records, and what no crash, error or second controller can change."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import sqlalchemy

from besom.controller.sweep_plan import Question, SweepPlan
from besom.errors import Fenced, Unreachable
from besom.messages import RunBeat, TrialsReopened
from besom.strategies import EndedTrial, Params, RandomSearch
from besom.tracking.recording.recorder import GRACE_SECONDS, Recorder
from besom.tracking.store.store import Store
from tests.controller.world import Crash, Effects, World, grid_of
from tests.tracking.stories import content

EFFECTS = 20
"""At least what a controller does for a grid of three points, as `test_effects_are_counted` checks."""


class Turns(threading.Event):
    """A stop event that lets an agent work before each turn of `run`, sets itself at the end, and never waits."""

    def __init__(self, world: World, sweep: str, rounds: int = 100) -> None:
        super().__init__()
        self._world, self._sweep, self._rounds = world, sweep, rounds

    def is_set(self) -> bool:
        self._world.work(self._sweep)
        self._rounds -= 1
        return self._rounds < 0 or self._world.state(self._sweep) == "finished"

    def wait(self, timeout: float | None = None) -> bool:
        return False


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[EndedTrial]:
    """Every result that goes to a strategy, in order."""
    kept: list[EndedTrial] = []
    learn = SweepPlan.learn

    def listening(plan: SweepPlan, ended: EndedTrial) -> None:
        kept.append(ended)
        learn(plan, ended)

    monkeypatch.setattr(SweepPlan, "learn", listening)
    return kept


# ---- what it plans and records


def test_config_becomes_queued_trials(world: World) -> None:
    """One step after `sweep()` the first trials stand in the store and in Redis, with the same params."""
    sweep = world.sweep()
    world.controller().step(block_ms=0)
    rows = world.rows(sweep)
    assert [(row["number"], row["state"]) for row in rows] == [(1, "queued"), (2, "queued")]
    assert [claim.params for claim in world.claim(sweep, 9)] == [row["params"] for row in rows] == [{"x": 1}, {"x": 2}]


def test_sweep_runs_to_its_end(world: World) -> None:
    """Each grid point is issued, run and recorded once, and the sweep is finished in store and Redis."""
    controller, sweep = world.controller(), world.sweep()
    world.drive(controller, sweep)
    world.check(sweep)
    assert world.journal.recorded_id() <= world.journal.end()
    assert controller.plans == {}


def test_times_come_from_the_clock_passed_in(world: World) -> None:
    """A trial is issued at the controller's own time."""
    world.now = 5000.0
    sweep = world.sweep()
    world.controller().step(block_ms=0)
    assert {row["issued"] for row in world.rows(sweep)} == {5000.0}


def test_result_waits_until_the_run_is_closed(world: World, told: list[EndedTrial]) -> None:
    """An end that names two batches reaches the strategy once, when the second is recorded, with the best value."""
    controller, sweep = world.controller(), world.sweep()
    controller.step(block_ms=0)
    [claim] = world.claim(sweep)
    world.log(claim, 1, loss=0.5)
    world.end(claim, batches=2)
    controller.step(block_ms=0)
    assert told == []
    assert world.rows(sweep)[0]["state"] == "running"
    world.log(claim, 2, loss=0.25)
    controller.step(block_ms=0)
    assert [(trial.number, trial.state, trial.value) for trial in told] == [(1, "finished", 0.25)]
    world.drive(controller, sweep)
    assert sorted(trial.number for trial in told).count(1) == 1


def test_missing_batch_is_waited_for_a_minute(world: World, told: list[EndedTrial]) -> None:
    """A run whose last batch never comes closes when the grace is over on the clock passed in, not before."""
    controller, sweep = world.controller(), world.sweep()
    controller.step(block_ms=0)
    [claim] = world.claim(sweep)
    world.log(claim, 1)
    world.end(claim, batches=2)
    controller.step(block_ms=0)
    for seconds, numbers in ((GRACE_SECONDS - 1, []), (2.0, [1])):
        world.now += seconds
        world.journal.append(RunBeat(run="other", alive=1))
        controller.step(block_ms=0)
        assert [trial.number for trial in told] == numbers


def test_repeated_end_is_told_once(world: World, told: list[EndedTrial]) -> None:
    """The same entries twice in the journal change nothing the second time."""
    controller, sweep = world.controller(), world.sweep()
    controller.step(block_ms=0)
    world.work(sweep)
    controller.step(block_ms=0)
    before = content(world.store)
    client, journal = world.connection.redis, world.connection.keys.journal()
    for _, fields in client.xrange(journal):
        client.xadd(journal, fields)
    controller.step(block_ms=0)
    assert content(world.store)["trials"] == before["trials"]
    assert content(world.store)["runs"] == before["runs"]
    assert [trial.number for trial in told] == [1]


def test_failed_trial_leaves_the_sweep_going(world: World) -> None:
    """A trial that failed counts as tried: the grid goes on and is not repeated."""
    controller, sweep = world.controller(), world.sweep()
    controller.step(block_ms=0)
    [claim] = world.claim(sweep)
    world.end(claim, state="failed")
    world.drive(controller, sweep)
    assert [row["state"] for row in world.rows(sweep)] == ["failed", "finished", "finished"]
    assert grid_of(world.rows(sweep)) == {1: 1, 2: 1, 3: 1}


def test_paused_sweep_gets_no_trials_until_it_is_resumed(world: World) -> None:
    """While paused nothing is issued though a trial ends; after resume the rest follows."""
    controller, sweep = world.controller(), world.sweep()
    controller.step(block_ms=0)
    [claim] = world.claim(sweep)
    world.ledger.set_state(sweep, "paused")
    world.run_trial(claim)
    controller.step(block_ms=0)
    assert len(world.rows(sweep)) == 2
    assert world.claim(sweep) == []
    world.ledger.set_state(sweep, "running")
    world.drive(controller, sweep)
    world.check(sweep)


def test_paused_sweep_stays_paused_when_trials_are_retried(world: World) -> None:
    """They wait as the others do; it is not given more trials, nor ended by its time_cap, before it is resumed."""
    controller, sweep = world.controller(), world.sweep(time_cap=60)
    controller.step(block_ms=0)
    [claim] = world.claim(sweep)
    assert world.end(claim, state="failed") == "ok"
    world.ledger.set_state(sweep, "paused")
    controller.step(block_ms=0)
    world.journal.append(TrialsReopened(sweep=sweep, states=("failed",)))
    controller.step(block_ms=0)
    world.now += 61
    controller.step(block_ms=0)
    assert (world.state(sweep), world.ledger.state(sweep)) == ("paused", "paused")
    assert [row["state"] for row in world.rows(sweep)] == ["queued", "queued"]


def test_stopped_sweep_ends_with_its_running_trial(world: World) -> None:
    """After stop the queued trial is cancelled, the running one may finish, and then the sweep is finished."""
    controller, sweep = world.controller(), world.sweep()
    controller.step(block_ms=0)
    [claim] = world.claim(sweep)
    world.ledger.set_state(sweep, "stopping")
    controller.step(block_ms=0)
    assert world.state(sweep) == "stopping"
    world.run_trial(claim)
    controller.step(block_ms=0)
    assert world.state(sweep) == "finished"
    assert [row["state"] for row in world.rows(sweep)] == ["finished", "cancelled"]


def test_run_cap_is_exact(world: World) -> None:
    """A random sweep with run_cap 5 issues five trials, whatever is asked for."""
    controller, sweep = world.controller(), world.sweep("random", run_cap=5)
    for _ in range(20):
        controller.step(block_ms=0)
        world.work(sweep, 10)
    assert len(world.rows(sweep)) == 5
    assert world.state(sweep) == "finished"


# ---- entries that cannot be applied


def test_unreadable_entry_is_set_aside(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """An entry of no known kind, or of a newer version, stands in `rejected`, and what follows is applied."""
    controller = world.controller()
    for fields in ({"kind": "riddle", "v": 1}, {"kind": "end", "v": 99}, {"kind": "end", "v": 1, "number": "x"}):
        world.connection.redis.xadd(world.connection.keys.journal(), {"total": 1, **fields})
    sweep = world.sweep()
    world.drive(controller, sweep)
    assert len(world.rejected()) == 3
    assert caplog.text.count("is set aside") == 3
    assert grid_of(world.rows(sweep)) == {1: 1, 2: 1, 3: 1}


def test_entry_whose_code_raises_is_set_aside(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that makes the recorder raise is found, alone set aside, and the loop goes on."""
    apply = Recorder.apply

    def poisoned(self: Recorder, conn: Any, entries: Any, now: float) -> Any:
        if any(getattr(event, "run", "") == "poison" for _, event in entries):
            raise ZeroDivisionError("a fault of ours")
        return apply(self, conn, entries, now)

    monkeypatch.setattr(Recorder, "apply", poisoned)
    controller, sweep = world.controller(), world.sweep()
    world.journal.append(RunBeat(run="poison", alive=1))
    controller.run(Turns(world, sweep))
    assert grid_of(world.rows(sweep)) == {1: 1, 2: 1, 3: 1}
    assert [row["reason"] for row in world.rejected()] == ["ZeroDivisionError: a fault of ours"]


def test_strategy_that_raises_does_not_end_the_other_sweeps(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A sweep whose strategy raises is set aside by name; another one completes."""

    def suggest(self: RandomSearch, count: int) -> list[Params]:
        raise ArithmeticError("no idea")

    monkeypatch.setattr(RandomSearch, "suggest", suggest)
    broken, sound = world.sweep("random"), world.sweep()
    world.drive(world.controller(), sound)
    world.check(sound)
    assert world.rows(broken) == []
    assert f"sweep {broken} is set aside" in caplog.text


# ---- crashes and errors


def test_effects_are_counted(world: World) -> None:
    """The crash tests below reach every effect: a script of Redis or a commit of the store."""
    effects = Effects()
    controller, sweep = world.controller(effects), world.sweep()
    world.drive(controller, sweep)
    assert 10 < effects.count <= EFFECTS


@pytest.mark.parametrize("effect", range(1, EFFECTS + 1))
def test_crash_between_any_two_steps(world: World, effect: int) -> None:
    """A controller that dies after any effect is replaced by a new one, and each grid point is run exactly once."""
    doomed, sweep = world.controller(Effects(effect)), world.sweep()
    with suppress(Crash):
        world.drive(doomed, sweep)
    world.expire_lease()
    successor = world.controller()
    successor.step(block_ms=0)
    world.drive(successor, sweep)
    successor.step(block_ms=0)
    world.check(sweep)


@pytest.mark.parametrize("effect", range(1, EFFECTS + 1))
def test_error_between_any_two_steps(world: World, effect: int) -> None:
    """When Redis goes away after any effect the same controller reads all anew, and each grid point runs once."""
    controller, sweep = world.controller(Effects(effect, Unreachable("away"))), world.sweep()
    controller.run(Turns(world, sweep))
    world.expire_lease()
    world.controller().step(block_ms=0)
    world.check(sweep)


def test_failed_commit_throws_the_memory_away(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A transaction that fails at its end leaves no trial in memory or Redis; the sweep then completes exactly."""
    controller, sweep = world.controller(), world.sweep()
    begin, left = Store.begin, [3]

    @contextmanager
    def failing(self: Store, epoch: int | None = None) -> Iterator[sqlalchemy.Connection]:
        with begin(self, epoch) as conn:
            yield conn
            if left[0] and world.connection.redis.exists(world.connection.keys.ready(sweep)) == 0:
                left[0] -= 1
                raise sqlalchemy.exc.OperationalError("COMMIT", {}, Exception("disk is full"))

    monkeypatch.setattr(Store, "begin", failing)
    controller.run(Turns(world, sweep))
    world.controller().step(block_ms=0)
    world.check(sweep)
    assert left == [0]
    assert caplog.text.count("trying again") == 3


# ---- two controllers


def test_second_controller_stands_by(world: World) -> None:
    """One controller leads; a second does nothing until the first leaves, then takes over and completes the sweep."""
    first, second = world.controller(), world.controller(controller_lease_seconds=0.2)
    sweep = world.sweep()
    assert first.step(block_ms=0)
    assert not second.step(block_ms=0)
    assert (first.leading, second.leading) == (True, False)
    world.work(sweep)
    assert len(world.rows(sweep)) == 2
    first.close()
    world.drive(second, sweep)
    assert second.leading
    world.check(sweep)


def _replaced(world: World) -> tuple[Any, str]:
    """A controller that slept past its lease while another took over, and a sweep with something to record."""
    first, second = world.controller(controller_lease_seconds=60), world.controller(controller_lease_seconds=60)
    sweep = world.sweep()
    first.step(block_ms=0)
    first.step(block_ms=0)  # looks after its lease here, and not again for 12 s
    world.expire_lease()
    second.step(block_ms=0)
    world.work(sweep)
    return first, sweep


def test_controller_that_returns_changes_nothing(world: World) -> None:
    """One that slept past its lease is refused by store and Redis: both are as they were."""
    first, sweep = _replaced(world)
    store, journal = content(world.store), world.journal.end()
    alive, settled = world.ledger.alive(sweep), world.journal.recorded_id()
    with pytest.raises(Fenced):
        first.step(block_ms=0)
    assert content(world.store) == store
    assert (world.journal.end(), world.journal.recorded_id()) == (journal, settled)
    assert world.ledger.alive(sweep) == alive


def test_controller_that_returns_is_refused_by_redis_too(world: World) -> None:
    """Each script that only a controller calls refuses an old epoch."""
    _, sweep = _replaced(world)
    ledger, spec = world.ledger, world.spec(sweep)
    calls = (
        lambda: ledger.issue(1, sweep, [(9, {"x": 9})]),
        lambda: ledger.replan(1, sweep, [(2, {"x": 9})]),
        lambda: ledger.forget(1, sweep, [1, 2]),
        lambda: ledger.drop(1, sweep),
        lambda: ledger.set_state(sweep, "finished", 1),
        lambda: ledger.restore(1, spec, "running", []),
        lambda: world.journal.settle(1, world.journal.read("0-0")[-1], {}),
    )
    for call in calls:
        with pytest.raises(Fenced):
            call()
    assert ledger.state(sweep) == "running"


def test_controller_that_returns_stands_by(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """`run` says that it is fenced, and goes on as a stand-by."""
    first, sweep = _replaced(world)
    turns = iter([False, True])

    class Once(threading.Event):
        def is_set(self) -> bool:
            return next(turns)

    first.run(Once())
    assert not first.leading
    assert "standing by" in caplog.text
    assert world.rows(sweep)[0]["state"] == "queued"


# ---- adaptive sweeps, with answers given by hand


class Oracle:
    """A planner whose answers a test gives."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.given: list[tuple[Question, list[Params] | Exception]] = []

    def asked(self, sweep: str) -> bool:
        return bool(self.questions)

    def ask(self, question: Question) -> None:
        self.questions.append(question)

    def answer(self, points: list[float] | Exception, issued: int | None = None) -> None:
        question = self.questions.pop()
        if issued is not None:
            question = dataclasses.replace(question, issued=issued)
        self.given.append((question, points if isinstance(points, Exception) else [{"x": x} for x in points]))

    def answers(self) -> list[tuple[Question, list[Params] | Exception]]:
        given, self.given = self.given, []
        return given

    def warm_up(self) -> None:
        pass

    forget = close = warm_up

    def keep(self, sweeps: object) -> None:
        pass


@pytest.fixture
def bayes(world: World) -> tuple[Any, Oracle, str]:
    """A controller that has asked its first question, the oracle, and the sweep."""
    controller, oracle = world.controller(), Oracle()
    controller.planner = oracle  # type: ignore[assignment]
    sweep = world.sweep("bayes", [1.0, 2.0, 3.0, 4.0, 5.0], run_cap=5)
    controller.step(block_ms=0)
    return controller, oracle, sweep


def _params(world: World, sweep: str) -> list[float]:
    return [row["params"]["x"] for row in world.rows(sweep)]


def test_answer_is_issued(world: World, bayes: tuple[Any, Oracle, str]) -> None:
    """What the planner answers is queued in store and Redis; until then nothing is."""
    controller, oracle, sweep = bayes
    assert world.rows(sweep) == []
    oracle.answer([2.0])
    controller.step(block_ms=0)
    assert _params(world, sweep) == [2.0]
    assert [claim.params for claim in world.claim(sweep)] == [{"x": 2.0}]


def test_answer_to_a_question_of_another_time_is_void(world: World, bayes: tuple[Any, Oracle, str]) -> None:
    """When trials were issued since the question, its answer is dropped and asked for anew."""
    controller, oracle, sweep = bayes
    oracle.answer([2.0], issued=7)
    controller.step(block_ms=0)
    assert world.rows(sweep) == []
    assert len(oracle.questions) == 1


def test_queued_trials_are_planned_anew(world: World, bayes: tuple[Any, Oracle, str]) -> None:
    """After a result what nobody has claimed gets new params everywhere; a claim that was faster keeps its own."""
    controller, oracle, sweep = bayes
    world.ledger.beat("hand", 30_000, [], {"sweep": sweep, "slots": 3})
    controller.slots.look()
    oracle.answer([1.0])
    controller.step(block_ms=0)
    oracle.answer([2.0, 3.0])
    controller.step(block_ms=0)
    assert _params(world, sweep) == [1.0, 2.0, 3.0]
    world.work(sweep)
    controller.step(block_ms=0)
    assert oracle.questions[-1].replan == ((2,), (3,))
    [fast] = world.claim(sweep)
    oracle.answer([4.0, 5.0, 2.0])
    controller.step(block_ms=0)
    controller.step(block_ms=0)
    assert (fast.number, fast.params) == (2, {"x": 2.0})
    assert _params(world, sweep)[:3] == [1.0, 2.0, 5.0]
    assert [(claim.number, claim.params) for claim in world.claim(sweep)] == [(3, {"x": 5.0})]


def test_strategy_that_fails_in_the_planner(
    world: World, bayes: tuple[Any, Oracle, str], caplog: pytest.LogCaptureFixture
) -> None:
    """An exception as answer sets the sweep aside: it is logged by name and not asked again."""
    controller, oracle, sweep = bayes
    oracle.answer(ValueError("singular"))
    controller.step(block_ms=0)
    controller.step(block_ms=0)
    assert oracle.questions == []
    assert f"sweep {sweep} is set aside" in caplog.text
    assert "ValueError: singular" in caplog.text


def test_short_answer_means_exhausted(world: World, bayes: tuple[Any, Oracle, str]) -> None:
    """When a strategy has no more points the sweep ends with its last trial, below its run_cap."""
    controller, oracle, sweep = bayes
    oracle.answer([2.0])
    controller.step(block_ms=0)
    world.work(sweep)
    controller.step(block_ms=0)
    oracle.answer([])
    controller.step(block_ms=0)
    assert world.state(sweep) == "finished"
    assert _params(world, sweep) == [2.0]
