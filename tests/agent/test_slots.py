"""Several command trials at once in one agent, on fakeredis and without a controller."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from besom.agent import agent as module
from besom.agent import command_trial
from besom.agent.agent import Agent
from besom.agent.gpus import Gpus, read_gpus
from besom.agent.limits import read_limits
from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.broker.ledger import Ending, Ledger
from besom.broker.turns import Turn, Turns
from besom.errors import Unreachable
from besom.messages import AttemptReleased, SweepSpec, TrialEnded, read_events
from besom.settings import read_settings
from tests.e2e.processes import alive
from tests.waiting import until

# Marks that it runs, then waits while there is a file `hold` or `hold-<x>`.
CODE = """
import os, sys, threading
folder, x = sys.argv[1], sys.argv[2]
with open(f"{folder}/new-{x}", "w") as file:
    file.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}")
os.rename(f"{folder}/new-{x}", f"{folder}/mark-{x}")
print("trial", x)
while os.path.exists(f"{folder}/hold") or os.path.exists(f"{folder}/hold-{x}"):
    threading.Event().wait(0.01)
if x.startswith("-"):
    sys.exit(f"{x} is negative")
"""


class Bench:
    """Sweeps of one command, and agents in threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = fakeredis.FakeServer()
        self.fake = self.connect()
        self.ledger = Ledger(self.fake)
        self.said: list[str] = []
        self._threads: list[threading.Thread] = []
        self.problems: list[BaseException] = []

    def connect(self) -> Connection:
        return Connection("redis://fake", client=fakeredis.FakeRedis(server=self._server))

    def sweep(self, values: Sequence[int], command: Sequence[str] = (), **spec: Any) -> SweepSpec:
        """A sweep whose trials wait, and a turn."""
        line = tuple(command) or (sys.executable, "-S", "-E", "-c", CODE, str(self.folder), "${x}")
        made = SweepSpec(id="s", entity="e", project="p", name="n", created=1.0, config={}, command=line, **spec)
        self.ledger.create(made)
        self.ledger.issue(0, "s", [(number, {"x": x}) for number, x in enumerate(values, 1)])
        Turns(self.fake).give(Turn("s", 1000, 60_000), 1)
        return made

    def start(self, spec: SweepSpec, gpus: Gpus, **limits: Any) -> Agent:
        """An agent in a thread of its own."""
        settings = read_settings(kill_delay_seconds=0.2)
        agent = Agent(
            self.connect(), spec, settings, limits=read_limits(settings, **limits), gpus=gpus, allow_command=True,
            echo=limits.pop("echo", False), say=self.said.append,
        )  # fmt: skip

        def work() -> None:
            try:
                agent.run()
            except Unreachable as problem:
                self.problems.append(problem)

        self._threads.append(threading.Thread(target=work, name=agent.id))
        self._threads[-1].start()
        return agent

    def join(self) -> None:
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive(), f"{thread.name} does not end; it said {self.said}"

    def marks(self, count: int = 0) -> dict[str, tuple[int, str]]:
        """x of each trial that began: its process and devices, once there are so many."""

        def read() -> dict[str, tuple[int, str]]:
            files = {file.name[5:]: file.read_text().split() for file in self.folder.glob("mark-*")}
            return {x: (int(pid), devices) for x, (pid, devices) in files.items()}

        return (
            until(lambda: (found := read()) and len(found) >= count and found, f"{count} trials") if count else read()
        )

    def ended(self) -> dict[int, TrialEnded]:
        """Each trial's end in the journal."""
        return {event.number: event for event in self._events() if isinstance(event, TrialEnded)}

    def released(self) -> list[int]:
        return sorted(event.number for event in self._events() if isinstance(event, AttemptReleased))

    def _events(self) -> list[Any]:
        return [event for entry in Journal(self.fake).read("0-0") for event in read_events(entry.fields)]

    def hold(self, x: object = "") -> Path:
        """A file that holds all trials, or that of one x."""
        path = self.folder / (f"hold-{x}" if x != "" else "hold")
        path.touch()
        return path


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(module, "NO_CONTROLLER_SECONDS", 0.0)
    made = Bench(tmp_path)
    yield made
    for hold in tmp_path.glob("hold*"):
        hold.unlink()
    made.join()


def test_as_many_at_once_as_slots(bench: Bench) -> None:
    """Three slots run three of five trials at once and no more; each that ends makes room for the next."""
    hold = bench.hold()
    agent = bench.start(bench.sweep(range(5)), Gpus(slots=3), count=5)
    assert len(bench.marks(3)) == 3
    until(lambda: len(bench.ledger.agents()[agent.id]["running"]) == 3, "the agent's word on what runs")
    assert bench.ledger.agents()[agent.id]["slots"] == 3
    hold.unlink()
    bench.join()
    assert agent.ran == 5
    assert {end.state for end in bench.ended().values()} == {"finished"}
    assert len(bench.ended()) == 5


def test_count_is_exact(bench: Bench) -> None:
    """With more slots than `count` no more trials are taken than asked for."""
    agent = bench.start(bench.sweep(range(6)), Gpus(slots=4), count=2)
    bench.join()
    assert (agent.ran, len(bench.marks())) == (2, 2)
    assert bench.ledger.ready_counts(["s"]) == [4]


def test_devices_of_each_trial(bench: Bench) -> None:
    """Each of two trials at once sees one of two GPUs, by its own CUDA_VISIBLE_DEVICES."""
    hold = bench.hold()
    bench.start(bench.sweep(range(4)), read_gpus(None, "5,7", None, {}), count=4)
    assert sorted(devices for _, devices in bench.marks(2).values()) == ["5", "7"]
    hold.unlink()
    bench.join()
    assert {devices for _, devices in bench.marks().values()} == {"5", "7"}


def test_without_gpus_the_environment_is_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that was given no GPUs passes its own CUDA_VISIBLE_DEVICES on."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    bench.start(bench.sweep([1]), Gpus(), count=1)
    bench.join()
    assert bench.marks()["1"][1] == "3"


def test_timeout_of_one_trial(bench: Bench) -> None:
    """A trial over the sweep's timeout is ended and stopped with that as its error; its neighbour is not touched."""
    bench.hold(1)
    bench.start(bench.sweep([1, 2], timeout=1.0), Gpus(slots=2), count=2)
    bench.join()
    assert {number: end.state for number, end in bench.ended().items()} == {1: "stopped", 2: "finished"}
    assert bench.ended()[1].error == "timeout: ran longer than 1 s"
    assert not alive(bench.marks()["1"][0])


def test_report_that_hangs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one trial's report waits for Redis, the other slot goes on with trial after trial."""
    free, real = threading.Event(), Ledger.complete

    def complete(self: Ledger, endings: Sequence[Ending], **more: Any) -> Any:
        if endings[0].claim.number == 1:
            free.wait(20)
        return real(self, endings, **more)

    monkeypatch.setattr(Ledger, "complete", complete)
    bench.start(bench.sweep(range(4)), Gpus(slots=2), count=4)
    until(lambda: sorted(bench.ended()) == [2, 3, 4], "the trials of the other slot")
    free.set()
    bench.join()
    assert sorted(bench.ended()) == [1, 2, 3, 4]


def test_failing_trials_end_the_agent(bench: Bench) -> None:
    """Three failures end it; what else runs is let end, and the last line of stderr is told."""
    agent = bench.start(bench.sweep([-1, -2, -3, -4, -5, -6]), Gpus())
    bench.join()
    assert agent.tally.gave_up
    assert [end.state for end in bench.ended().values()] == ["failed"] * 3
    assert any("-3 is negative" in line for line in bench.said)


def test_command_that_cannot_be(bench: Bench) -> None:
    """A macro that nobody knows fails the trial with its name, and the agent lives to say so."""
    agent = bench.start(bench.sweep([1], ["/bin/echo", "${nonsense}"]), Gpus(), count=1)
    bench.join()
    assert bench.ended()[1].state == "failed"
    assert "'nonsense'" in bench.ended()[1].error
    assert agent.ran == 1


def test_no_process_can_start(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system gives no process the trial is handed back and the agent ends with the reason."""

    def refuse(*_: Any, **__: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    spec = bench.sweep([1, 2])
    monkeypatch.setattr(command_trial.subprocess, "Popen", refuse)
    bench.start(spec, Gpus())
    bench.join()
    assert bench.released() == [1]
    assert "Resource temporarily unavailable" in str(bench.problems[0])


def test_cancelled_sweep(bench: Bench) -> None:
    """Cancel ends all children within a beat, and the agent."""
    bench.fake.redis.hset(bench.fake.keys.timing(), "lease_ms", 300)
    bench.hold()
    bench.start(bench.sweep([1, 2]), Gpus(slots=2))
    children = [pid for pid, _ in bench.marks(2).values()]
    bench.ledger.set_state("s", "cancelled")
    bench.join()
    assert not any(map(alive, children))
    assert {end.state for end in bench.ended().values()} == {"cancelled"}


def test_trials_are_told_apart_when_shown(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    """With several slots each line that is shown begins with its trial; what is kept does not."""
    spec = bench.sweep([4, 5])
    settings = read_settings()
    limits = read_limits(settings, count=2)
    agent = Agent(bench.connect(), spec, settings, limits=limits, gpus=Gpus(slots=2), allow_command=True)
    agent.run()
    assert sorted(capfd.readouterr().out.splitlines()) == ["s-1 | trial 4", "s-2 | trial 5"]
