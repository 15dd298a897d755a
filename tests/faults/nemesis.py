"""A seeded nemesis: three sweeps at once, agents that are started again, and one fault after another.

The same seed strikes the same faults in the same order; when each lands depends on the machine.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from besom.broker.turns import Turn, Turns
from tests.e2e.processes import House, Process, alive

__all__ = ["LANES", "Lane", "Nemesis"]

_SOON = threading.Event()


@dataclass
class Lane:
    """One sweep after another of one kind, and the agents that serve it."""

    name: str
    agent: str
    agents: int
    trials: int
    pause: float
    """Seconds between two of a trial's three points."""
    config: Mapping[str, object]
    sweeps: list[str] = field(default_factory=list)
    serving: list[Process] = field(default_factory=list)


def _lanes(agents: tuple[int, int, int], trials: tuple[int, int, int]) -> list[Lane]:
    values = {"x": {"values": list(range(trials[0]))}}
    drawn = {"x": {"min": 0.0, "max": 1.0}}
    metric = {"name": "loss", "goal": "minimize"}
    return [
        Lane("grid", "function", agents[0], trials[0], 0.05, {"method": "grid", "parameters": values}),
        Lane("random", "command", agents[1], trials[1], 0.1,
             {"method": "random", "parameters": drawn, "run_cap": trials[1], "retries": 1}),
        Lane("bayes", "function", agents[2], trials[2], 0.4,
             {"method": "bayes", "parameters": drawn, "run_cap": trials[2], "metric": metric}),
    ]  # fmt: skip


LANES: dict[str, Callable[[], list[Lane]]] = {
    "short": lambda: _lanes((2, 1, 1), (60, 15, 12)),
    "long": lambda: _lanes((3, 2, 3), (150, 30, 25)),
}


class Nemesis:
    """Runs the lanes and strikes.

    Args:
        house: Where.
        seed: Of the faults.
        lanes: What goes on meanwhile.
        caps: Filled with each sweep and how many trials it may have.
    """

    def __init__(self, house: House, seed: int, lanes: list[Lane], caps: dict[str, int]) -> None:
        self.house, self.lanes, self.caps = house, lanes, caps
        self.struck: list[str] = []
        self._random = random.Random(seed)
        self._controllers: list[Process] = []
        self._all_agents: list[Process] = []
        self._frozen: list[tuple[float, Process]] = []
        self._next_controller = 0.0
        self._faults: dict[Callable[[], str], int] = {
            self._kill_agent: 4, self._kill_group: 2, self._end_agent: 3, self._freeze_agent: 3,
            self._kill_controller: 3, self._second_controller: 2, self._freeze_controller: 1,
            self._restart_redis: 1, self._delete_turns: 2, self._double_turns: 2,
        }  # fmt: skip

    def run(self, seconds: float) -> None:
        """Strike for so long."""
        until = time.monotonic() + seconds
        strike_at = 0.0
        while (now := time.monotonic()) < until:
            self._look_after(fresh=True)
            if now >= strike_at:
                [fault] = self._random.choices(list(self._faults), list(self._faults.values()))
                self.struck.append(f"{seconds - until + now:6.1f} s  {fault()}")
                strike_at = now + self._random.uniform(0.3, 1.5)
            _SOON.wait(0.05)

    def calm_down(self, seconds: float) -> list[str]:
        """Strike no more; the sweeps that are not over when they should be."""
        until = time.monotonic() + seconds
        self._thaw(float("inf"))
        while time.monotonic() < until:
            if not self._look_after(fresh=False):
                break
            _SOON.wait(0.05)
        return self._going()

    def left(self) -> list[int]:
        """Agents that do not end though their sweeps are over."""
        until = time.monotonic() + 10
        while (running := [agent.pid for agent in self._all_agents if alive(agent.pid)]) and time.monotonic() < until:
            _SOON.wait(0.05)
        return running

    # ---- what goes on

    def _going(self) -> list[str]:
        return [sweep for lane in self.lanes for sweep in lane.sweeps[-1:] if self.house.state(sweep) != "finished"]

    def _look_after(self, *, fresh: bool) -> bool:
        """Everything that should run runs; whether a sweep does."""
        now = time.monotonic()
        self._thaw(now)
        self._controllers = [one for one in self._controllers if one.popen.poll() is None]
        if not self._controllers and now >= self._next_controller:
            self._controllers.append(self.house.controller(wait=False))
        going = set(self._going())
        for lane in self.lanes:
            if fresh and (not lane.sweeps or lane.sweeps[-1] not in going):
                self._new_sweep(lane)
                going.add(lane.sweeps[-1])
            lane.serving = [agent for agent in lane.serving if agent.popen.poll() is None]
            if lane.sweeps[-1] in going:
                for _ in range(lane.agents - len(lane.serving)):
                    pace = {"TRAIN_STEPS": "3", "TRAIN_STEP_SECONDS": str(lane.pause)}
                    lane.serving.append(self.house.agent(lane.agent, lane.sweeps[-1], **pace))
                    self._all_agents.append(lane.serving[-1])
        return bool(going)

    def _new_sweep(self, lane: Lane) -> None:
        config = {key: value for key, value in lane.config.items() if key not in ("method", "parameters")}
        sweep = self.house.sweep(lane.config["parameters"], str(lane.config["method"]), **config)  # type: ignore[arg-type]
        self.caps[sweep] = lane.trials
        lane.sweeps.append(sweep)

    def _thaw(self, now: float) -> None:
        for until, process in list(self._frozen):
            if until <= now:
                process.signal(signal.SIGCONT)
                self._frozen.remove((until, process))

    # ---- faults

    def _agent(self) -> Process | None:
        serving = [agent for lane in self.lanes for agent in lane.serving if agent.popen.poll() is None]
        return self._random.choice(serving) if serving else None

    def _kill_agent(self) -> str:
        agent = self._agent()
        if agent is not None:
            agent.kill()
        return f"kill agent {agent and agent.pid}"

    def _kill_group(self) -> str:
        agent = self._agent()
        if agent is not None:
            os.killpg(agent.pid, signal.SIGKILL)
            agent.popen.wait()
        return f"kill the group of agent {agent and agent.pid}"

    def _end_agent(self) -> str:
        agent = self._agent()
        if agent is not None:
            agent.signal(signal.SIGTERM)
        return f"SIGTERM to agent {agent and agent.pid}"

    def _freeze_agent(self) -> str:
        agent, seconds = self._agent(), self._random.uniform(0.3, 4.0)
        if agent is not None:
            self._freeze(agent, seconds)
        return f"freeze agent {agent and agent.pid} for {seconds:.1f} s"

    def _freeze(self, process: Process, seconds: float) -> None:
        process.signal(signal.SIGSTOP)
        self._frozen.append((time.monotonic() + seconds, process))

    def _kill_controller(self) -> str:
        pause = self._random.uniform(0.0, 2.0)
        if not self._controllers:
            return "no controller to kill"
        self._controllers[0].kill()
        self._next_controller = time.monotonic() + pause
        return f"kill controller {self._controllers[0].pid}, the next after {pause:.1f} s"

    def _second_controller(self) -> str:
        if len(self._controllers) < 2:
            self._controllers.append(self.house.controller(wait=False))
        return f"controllers {[one.pid for one in self._controllers]}"

    def _freeze_controller(self) -> str:
        seconds = self._random.uniform(0.5, 3.0)
        if self._controllers:
            self._freeze(self._controllers[0], seconds)
        return f"freeze a controller for {seconds:.1f} s"

    def _restart_redis(self) -> str:
        gap = self._random.choice([0.0, 0.5, 3.0])
        self.house.redis.kill()
        _SOON.wait(gap)
        self.house.redis.start()
        return f"Redis killed, away for {gap:.1f} s"

    def _delete_turns(self) -> str:
        client, turns = self.house.connection.redis, Turns(self.house.connection)
        gone = list(client.scan_iter("rq:job:*", count=1000))
        gone += [turns.queue(lane.sweeps[-1]).key for lane in self.lanes]
        return f"{client.delete(*gone)} keys of RQ deleted"

    def _double_turns(self) -> str:
        lane = self._random.choice(self.lanes)
        Turns(self.house.connection).give(Turn(lane.sweeps[-1], 1000, 2000), 5)
        return f"five turns too many for {lane.name}"
