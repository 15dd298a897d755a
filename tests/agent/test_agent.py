"""Several agents and a controller in one process on fakeredis: every trial once, never more than asked for."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest

import besom
from besom.agent import agent as module
from besom.agent import sources
from besom.agent.agent import Agent
from besom.broker.connection import Connection
from besom.broker.ledger import Ledger
from besom.broker.turns import TurnWorker
from besom.controller.create import create_sweep
from besom.controller.loop import Controller
from besom.controller.sweep_config import parse
from besom.errors import NotFound, UsageError
from besom.messages import SweepSpec
from besom.settings import read_settings
from besom.tracking.run.trial import current_trial
from besom.tracking.store import reader
from besom.tracking.store.store import Store
from tests.waiting import until


class Crew:
    """A controller in a thread of its own, and agents in others."""

    def __init__(self, folder: Path) -> None:
        self._server = fakeredis.FakeServer()
        self.store = Store.open(f"sqlite:///{folder}/store.db")
        self.connection = self.connect()
        self.ledger = Ledger(self.connection)
        self.said: list[str] = []
        self._stop = threading.Event()
        self._controller: threading.Thread | None = None
        self._agents: list[threading.Thread] = []
        self.ran: list[int] = []

    def connect(self) -> Connection:
        return Connection("redis://fake", client=fakeredis.FakeRedis(server=self._server))

    def start_controller(self) -> None:
        controller = Controller(self.connect(), self.store, read_settings())
        self._controller = threading.Thread(target=controller.run, args=(self._stop,), name="controller")
        self._controller.start()

    def close(self) -> None:
        for thread in self._agents:
            thread.join(20)
        left = [thread.name for thread in self._agents if thread.is_alive()]
        self._stop.set()
        if self._controller is not None:
            self._controller.join(20)
        self.store.close()
        assert left == [], "agents that do not end"

    def sweep(self, method: str = "grid", values: Any = None, **keys: Any) -> SweepSpec:
        parameters = {"x": {"values": list(values)} if values is not None else {"min": 0.0, "max": 1.0}}
        config = {"method": method, "parameters": parameters, **keys}
        return create_sweep(self.connection, parse(config), read_settings())

    def agent(self, spec: SweepSpec, function: Callable[[], Any], count: int | None = None) -> Agent:
        """Start one."""
        made = Agent(self.connect(), spec, read_settings(), function=function, count=count, say=self.said.append)
        self._agents.append(threading.Thread(target=lambda: self.ran.append(made.run()), name=made.id))
        self._agents[-1].start()
        return made

    def join(self) -> None:
        """Wait until every agent has ended."""
        for thread in self._agents:
            thread.join(60)
            assert not thread.is_alive(), f"{thread.name} does not end; it said {self.said}"
        assert len(self.ran) == len(self._agents), "an agent raised"

    def rows(self, spec: SweepSpec) -> list[dict[str, Any]]:
        with self.store.read() as conn:
            return [dict(row) for row in reader.trials(conn, spec.id)]

    def states(self, spec: SweepSpec) -> Counter[str]:
        return Counter(row["state"] for row in self.rows(spec))

    def state(self, spec: SweepSpec) -> str | None:
        with self.store.read() as conn:
            found = reader.sweep(conn, spec.id)
        return found["state"] if found else None


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    made = Crew(tmp_path)
    made.start_controller()
    yield made
    made.close()


LOSS = {"name": "loss", "goal": "minimize"}


def params() -> dict[str, Any]:
    """Of the trial that this thread runs."""
    trial = current_trial()
    assert trial is not None
    return trial.claim.params


class Seen:
    """A train function that keeps the x of each call, and waits at the first ones until all agents are there."""

    def __init__(self, agents: int = 1) -> None:
        self.x: list[Any] = []
        self._barrier = threading.Barrier(agents)
        self._here = threading.local()

    def __call__(self) -> None:
        if not hasattr(self._here, "ran"):
            self._here.ran = True
            self._barrier.wait(30)
        self.x.append(params()["x"])


def log_x() -> None:
    # Agents of one process share "the run that was made last"; each needs one of its own.
    with besom.init(reinit="create_new") as run:
        run.log({"loss": params()["x"]})


# ---- many agents


def test_four_agents_cover_a_grid_of_500_once(crew: Crew) -> None:
    """Four agents at once run each of 500 grid points exactly once, and the store has each once, finished."""
    spec, seen = crew.sweep(values=range(500)), Seen(4)
    for _ in range(4):
        crew.agent(spec, seen)
    crew.join()
    assert Counter(seen.x) == Counter(range(500))
    rows = crew.rows(spec)
    assert Counter(row["params"]["x"] for row in rows) == Counter(range(500))
    assert {row["state"] for row in rows} == {"finished"}
    assert sum(crew.ran) == 500
    until(lambda: crew.state(spec) == "finished", "the end of the sweep")


def test_eight_agents_stop_at_run_cap(crew: Crew) -> None:
    """run_cap 100 with eight agents gives exactly 100 trials, all at different points."""
    spec, seen = crew.sweep("random", run_cap=100), Seen(8)
    for _ in range(8):
        crew.agent(spec, seen)
    crew.join()
    assert len(seen.x) == len(set(seen.x)) == 100
    assert crew.states(spec) == {"finished": 100}


def test_metrics_of_many_agents(crew: Crew) -> None:
    """Three agents that log at once: each trial's value is what its own function logged."""
    spec = crew.sweep(values=range(30), metric=LOSS)
    for _ in range(3):
        crew.agent(spec, log_x)
    crew.join()
    assert crew.states(spec) == {"finished": 30}
    assert all(row["value"] == row["params"]["x"] for row in crew.rows(spec))


# ---- when an agent ends


def test_count_is_exact(crew: Crew) -> None:
    """count=3 runs exactly three trials of a millisecond; the others stay for another agent."""
    spec, seen = crew.sweep(values=range(50)), Seen()
    crew.agent(spec, seen, count=3)
    crew.join()
    assert (len(seen.x), crew.ran) == (3, [3])
    crew.agent(spec, seen)
    crew.join()
    assert Counter(seen.x) == Counter(range(50))


def test_it_returns_when_its_trials_are_recorded(crew: Crew) -> None:
    """What an agent ran stands in the store, with its value, at the moment `run` returns."""
    spec = crew.sweep(values=[1.0, 2.0, 3.0], metric=LOSS)
    agent = Agent(crew.connect(), spec, read_settings(), function=log_x, count=2, say=crew.said.append)
    assert agent.run() == 2
    assert [(row["state"], row["value"]) for row in crew.rows(spec)][:2] == [("finished", 1.0), ("finished", 2.0)]


def test_sweep_that_is_over(crew: Crew) -> None:
    """An agent of a finished sweep returns at once, having run nothing."""
    spec = crew.sweep(values=[1])
    crew.agent(spec, Seen())
    crew.join()
    until(lambda: crew.ledger.state(spec.id) == "finished", "the end of the sweep")
    agent = Agent(crew.connect(), spec, read_settings(), function=lambda: pytest.fail("it ran"))
    assert agent.run() == 0


def test_agent_is_there_while_it_works(crew: Crew) -> None:
    """The ledger knows an agent from its start to its end."""
    spec, hold = crew.sweep(values=[1]), threading.Event()
    agent = crew.agent(spec, lambda: hold.wait(20))
    until(lambda: agent.id in crew.ledger.agents(), "the agent in the ledger")
    hold.set()
    crew.join()
    assert crew.ledger.agents() == {}


# ---- what goes wrong


def test_function_that_raises(crew: Crew) -> None:
    """A trial that raises has failed with the error's last line; the sweep goes on with the others."""

    def function() -> None:
        if params()["x"] == 2:
            raise ValueError("x must not be 2")
        log_x()

    spec = crew.sweep(values=[1, 2, 3])
    crew.agent(spec, function)
    crew.join()
    assert [row["state"] for row in crew.rows(spec)] == ["finished", "failed", "finished"]
    assert crew.rows(spec)[1]["error"].endswith("ValueError: x must not be 2")
    assert crew.ran == [3]


def test_keyboard_interrupt_in_a_function(crew: Crew) -> None:
    """It reaches the caller; the trial is handed back, and another agent runs it as its second attempt."""
    spec = crew.sweep(values=[1, 2])

    def function() -> None:
        raise KeyboardInterrupt

    agent = Agent(crew.connect(), spec, read_settings(), function=function, say=crew.said.append)
    with pytest.raises(KeyboardInterrupt):
        agent.run()
    assert any("handed back" in line for line in crew.said)
    seen = Seen()
    crew.agent(spec, seen)
    crew.join()
    assert sorted(seen.x) == [1, 2]
    assert sorted(row["attempt"] for row in crew.rows(spec)) == [1, 2]


def test_trial_that_hands_itself_back(crew: Crew) -> None:
    """TrialPreempted puts the trial back without a loss, and it is taken again."""
    tries: list[int] = []

    def function() -> None:
        tries.append(params()["x"])
        if len(tries) == 1:
            raise besom.TrialPreempted

    spec = crew.sweep(values=[7])
    crew.agent(spec, function)
    crew.join()
    assert tries == [7, 7]
    [row] = crew.rows(spec)
    assert (row["state"], row["attempt"], row["losses"]) == ("finished", 2, 0)


def test_no_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that finds no controller says once how to start one, and works as soon as one is there."""
    take = TurnWorker.take
    monkeypatch.setattr(sources, "NO_CONTROLLER_SECONDS", 0.1)
    monkeypatch.setattr(TurnWorker, "take", lambda self, seconds: take(self, 0.1))
    crew = Crew(tmp_path)
    spec, seen = crew.sweep(values=[1, 2]), Seen()
    crew.agent(spec, seen)
    until(lambda: crew.said, "a word")
    assert crew.said == ["no controller at redis://fake; start one with: besom controller"]
    crew.start_controller()
    crew.join()
    assert sorted(seen.x) == [1, 2]
    assert len(crew.said) == 1
    crew.close()


def test_metric_that_is_never_logged(crew: Crew) -> None:
    """In a sweep with a metric a trial that returns without having logged it has failed."""
    spec = crew.sweep(values=[1], metric=LOSS)
    crew.agent(spec, Seen())
    crew.join()
    assert crew.states(spec) == {"failed": 1}


# ---- steering


def test_pause_and_resume(crew: Crew) -> None:
    """While paused the running trial goes on and no other starts; after resume the rest is run."""
    started, hold = threading.Semaphore(0), threading.Event()
    ran: list[int] = []

    def function() -> None:
        ran.append(params()["x"])
        started.release()
        hold.wait(20)

    spec = crew.sweep(values=[1, 2, 3])
    crew.agent(spec, function)
    assert started.acquire(timeout=20)
    crew.ledger.set_state(spec.id, "paused")
    hold.set()
    until(lambda: crew.states(spec)["finished"] == 1, "the end of the running trial")
    until(lambda: crew.state(spec) == "paused", "the pause in the store")
    assert ran == [1]
    crew.ledger.set_state(spec.id, "running")
    crew.join()
    assert ran == [1, 2, 3]
    assert crew.states(spec) == {"finished": 3}


def test_stop(crew: Crew) -> None:
    """After stop the running trial may finish; agents end, the queued trials are cancelled, the sweep is finished."""
    started, hold = threading.Event(), threading.Event()

    def function() -> None:
        started.set()
        hold.wait(20)
        log_x()

    spec = crew.sweep(values=range(100))
    crew.agent(spec, function)
    assert started.wait(20)
    crew.ledger.set_state(spec.id, "stopping")
    hold.set()
    crew.join()
    until(lambda: crew.state(spec) == "finished", "the end of the sweep")
    states = crew.states(spec)
    assert states["finished"] == 1
    assert set(states) <= {"finished", "cancelled"}


def test_cancel(crew: Crew) -> None:
    """After cancel the running function meets TrialCancelled at its log, and its agent ends."""
    started, met = threading.Event(), threading.Event()

    def function() -> None:
        with besom.init(reinit="create_new") as run:
            try:
                for _ in range(2000):
                    run.log({"loss": 1.0})
                    started.set()
                    threading.Event().wait(0.01)
            except besom.TrialCancelled:
                met.set()
                raise

    spec = crew.sweep(values=range(10))
    crew.agent(spec, function)
    assert started.wait(20)
    crew.ledger.set_state(spec.id, "cancelled")
    crew.join()
    assert met.is_set()
    until(lambda: set(crew.states(spec)) == {"cancelled"}, "all trials cancelled")
    assert crew.ledger.state(spec.id) == "cancelled"


# ---- besom.agent


@pytest.fixture
def here(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> Crew:
    """With `besom.agent` on this Redis."""
    monkeypatch.setattr(module, "shared_connection", lambda settings: crew.connect())
    return crew


@pytest.mark.parametrize("shape", ["{id}", "{project}/{id}", "{entity}/{project}/{id}"])
def test_public_function(here: Crew, shape: str) -> None:
    """`besom.agent` takes each form of an id, runs the sweep, and returns None when it is recorded."""
    spec, seen = here.sweep(values=[1, 2]), Seen()
    text = shape.format(id=spec.id, project=spec.project, entity=spec.entity)
    assert besom.agent(text, function=seen) is None
    assert sorted(seen.x) == [1, 2]
    assert here.states(spec) == {"finished": 2}


def test_project_and_entity_as_arguments(here: Crew) -> None:
    """They stand for what the id does not say, and must be those of the sweep."""
    spec, seen = here.sweep(values=[1]), Seen()
    with pytest.raises(NotFound, match="other"):
        besom.agent(spec.id, function=seen, project="other")
    besom.agent(spec.id, function=seen, project=spec.project, entity=spec.entity)
    assert seen.x == [1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"count": 0}, "count=0"),
        ({"count": -1}, "count=-1"),
        ({"count": 2.0}, "count=2.0"),
        ({"count": True}, "count=True"),
        ({"count": "3"}, "count='3'"),
        ({"function": 5}, "function=5 cannot be called"),
        ({"sweep_id": ""}, "'' is not a sweep id"),
        ({"sweep_id": "a/b/c/d"}, "'a/b/c/d' is not a sweep id"),
        ({"sweep_id": "has space"}, "'has space' is not a sweep id"),
        ({"sweep_id": None}, "None is not a sweep id"),
    ],
)
def test_arguments_that_cannot_be(here: Crew, arguments: dict[str, Any], told: str) -> None:
    """Each is refused before anything runs, with the argument as it was written."""
    with pytest.raises(UsageError) as refused:
        besom.agent(**{"sweep_id": "abc", "function": lambda: None} | arguments)
    assert told in str(refused.value)


def test_unknown_sweep(here: Crew) -> None:
    """An id that no sweep has is named, with where it was looked for."""
    with pytest.raises(NotFound) as refused:
        besom.agent("nosuchid", function=lambda: None)
    assert "'nosuchid'" in str(refused.value)
    assert "redis://fake" in str(refused.value)


def test_sweep_without_program(here: Crew) -> None:
    """Without a function and a program there is nothing to run, and the message says what to add."""
    with pytest.raises(UsageError, match=r"program: train\.py"):
        besom.agent(here.sweep(values=[1]).id)
