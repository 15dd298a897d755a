"""Agents as people run them, on a real Redis with real processes: slots, GPUs, limits, projects, preemption."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from besom.agent.present import present_agents
from besom.broker.ledger import Ledger
from besom.controller.create import create_sweep
from besom.controller.sweep_config import parse
from tests.e2e.processes import House, Process, alive, wait_until

pytestmark = pytest.mark.redis

EXAMPLE = Path(__file__).parents[2] / "examples" / "checkpoint"

PROGRAM = """
import json, os, sys, threading
from pathlib import Path
import besom

folder = Path(os.environ["SEEN"])
with besom.init() as run:
    seen = {"gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "agent": os.getppid(), "pid": os.getpid()}
    seen["x"] = run.config.x
    (folder / f"{run.id}.new").write_text(json.dumps(seen))
    os.rename(folder / f"{run.id}.new", folder / f"{run.id}.json")
    while (folder / "hold").exists():
        threading.Event().wait(0.01)
    if run.config.x < 0:
        sys.exit("x is negative")
    run.log({"loss": run.config.x})
"""


class Place:
    """A folder with a program that writes down what it sees, and holds while there is a file `hold`."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.folder = folder
        self.hold = folder / "hold"
        folder.mkdir(exist_ok=True)
        (folder / "train.py").write_text(PROGRAM)

    def agent(self, *arguments: str, **environment: str) -> Process:
        """`besom agent ...`."""
        seen = {"SEEN": str(self.folder), **environment}
        return self.house.processes.besom("agent", *arguments, cwd=self.folder, environment=seen)

    def sweep(self, values: list[int], **keys: Any) -> str:
        """A grid over x."""
        config = {"method": "grid", "parameters": {"x": {"values": values}}, "program": "train.py", **keys}
        return create_sweep(self.house.connection, parse(config), self.house.settings).id

    def seen(self, count: int = 0) -> list[dict[str, Any]]:
        """What trials wrote, once there are so many."""
        return wait_until(lambda: (found := self._read()) and len(found) >= count and found, f"{count} trials")

    def _read(self) -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in sorted(self.folder.glob("*.json"))]

    def states(self, sweep: str) -> dict[str, int]:
        """Trials by state, as in the store."""
        api = self.house.api()
        try:
            return api.sweep(sweep).counts
        finally:
            api.close()


@pytest.fixture
def place(shared_house: House, tmp_path: Path) -> Place:
    return Place(shared_house, tmp_path / "place")


def test_slots_and_gpus(place: Place) -> None:
    """Four slots on two shared GPUs run four trials at once, two on each; the agent says what it has and does."""
    place.hold.touch()
    sweep = place.sweep(list(range(6)))
    agent = place.agent(sweep, "--slots", "4", "--gpus", "0,1", "--gpus-per-trial", "0.5")
    first = place.seen(4)
    assert sorted(seen["gpus"] for seen in first) == ["0", "0", "1", "1"]
    assert {seen["agent"] for seen in first} == {agent.pid}

    def listed() -> dict[str, Any] | None:
        rows = [row for row in present_agents(place.house.connection) if row["pid"] == agent.pid]
        return rows[0] if rows and len(rows[0]["running"]) == 4 else None

    row = wait_until(listed, "the agent with its four trials in `besom agents`")
    assert (row["slots"], row["gpus"], row["sweep"]) == (4, ["0", "1"], sweep)
    assert sorted(row["running"]) == [f"{sweep}-{number}" for number in range(1, 5)]
    printed = place.house.processes.besom("agents")
    assert printed.ends() == 0
    [line] = [line for line in printed.out.splitlines() if line.startswith(row["id"])]
    assert {row["serves"], "4", "0,1", f"{sweep}-4"} <= set(line.split())
    place.hold.unlink()
    assert agent.ends() == 0, agent.err
    assert place.states(sweep) == {"finished": 6}


def test_killed_agent_leaves_no_child(place: Place) -> None:
    """kill -9 of an agent with three slots ends its three children; another agent completes the sweep."""
    place.hold.touch()
    sweep = place.sweep([1, 2, 3])
    agent = place.agent(sweep, "--slots", "3")
    children = [seen["pid"] for seen in place.seen(3)]
    agent.kill()
    wait_until(lambda: not any(map(alive, children)), "the end of the children")
    place.hold.unlink()
    assert place.agent(sweep, "--slots", "3").ends() == 0
    assert place.states(sweep) == {"finished": 3}


def test_sigterm_hands_all_slots_back(place: Place) -> None:
    """SIGTERM with two trials running hands both back at once, as attempts that count for nothing."""
    place.hold.touch()
    sweep = place.sweep([1, 2])
    agent = place.agent(sweep, "--slots", "2")
    children = [seen["pid"] for seen in place.seen(2)]
    agent.signal(signal.SIGTERM)
    assert agent.ends(10) == -signal.SIGTERM
    assert not any(map(alive, children))
    assert agent.err.count("is handed back") == 2
    assert Ledger(place.house.connection).ready_counts([sweep]) == [2]
    place.hold.unlink()
    assert place.agent(sweep, "--slots", "2").ends() == 0
    assert place.states(sweep) == {"finished": 2}


def test_agent_of_failing_trials_gives_up(place: Place) -> None:
    """Three failures at once end the agent with exit code 1, the last error and how to turn it off; the rest waits."""
    sweep = place.sweep([-1, -2, -3, -4, -5, -6])
    agent = place.agent(sweep)
    assert agent.ends() == 1
    assert "3 trials failed within the first 60 s" in agent.err
    assert "BESOM_AGENT_DISABLE_FLAPPING" in agent.err
    assert "x is negative" in agent.err
    again = place.agent(sweep, BESOM_AGENT_DISABLE_FLAPPING="true", BESOM_AGENT_MAX_INITIAL_FAILURES="0")
    assert again.ends() == 0, again.err
    assert place.states(sweep) == {"failed": 6}


def test_run_of_failing_trials_gives_up(place: Place) -> None:
    """`besom run` passes --slots on, does not start agents again whose trials fail, and ends with the trials' error."""
    place.hold.touch()
    (place.folder / "sweep.yaml").write_text(
        "{method: grid, program: train.py, parameters: {x: {values: [-1, -2, -3, -4, -5, -6, -7, -8, -9]}}}"
    )
    run = place.house.processes.besom(
        "run", "sweep.yaml", "--slots", "3", cwd=place.folder, environment={"SEEN": str(place.folder)}
    )
    seen = place.seen(3)
    assert len({one["agent"] for one in seen}) == 1, "with slots one agent is enough"
    place.hold.unlink()
    assert run.ends() == 2
    assert "the trials fail: " in run.err
    assert "x is negative" in run.err
    assert len(place.seen()) < 9


def test_max_runtime_hands_back_in_time(place: Place) -> None:
    """An agent with --max-runtime ends before that, exit code 0, with its trial handed back."""
    place.hold.touch()
    sweep = place.sweep([1, 2])
    agent = place.agent(sweep, "--max-runtime", "4s", "--kill-delay", "0.2")
    assert agent.ends(8) == 0, agent.err
    assert "--max-runtime" in agent.err
    assert "is handed back" in agent.err
    assert Ledger(place.house.connection).ready_counts([sweep]) == [2]
    Ledger(place.house.connection).set_state(sweep, "cancelled")


def test_forwarded_signal(place: Place) -> None:
    """With -f a SIGUSR1 reaches the trial, and the agent goes on."""
    (place.folder / "train.py").write_text(
        "import os, signal, threading, besom\n"
        "from pathlib import Path\n"
        "folder, got = Path(os.environ['SEEN']), threading.Event()\n"
        "signal.signal(signal.SIGUSR1, lambda *_: got.set())\n"
        "with besom.init() as run:\n"
        "    (folder / 'one.json').write_text('{}')\n"
        "    while not got.is_set(): threading.Event().wait(0.01)\n"
    )
    sweep = place.sweep([1])
    agent = place.agent(sweep, "-f")
    place.seen(1)
    agent.signal(signal.SIGUSR1)
    assert agent.ends() == 0, agent.err
    assert place.states(sweep) == {"finished": 1}


def test_agent_of_a_project(place: Place) -> None:
    """One agent with two slots serves both sweeps of its project, and one that comes later; not those of another."""
    place.hold.touch()
    others = place.sweep([9], project="other")
    sweeps = [place.sweep([1, 2, 3], project="mine"), place.sweep([4, 5, 6], project="mine")]
    agent = place.agent("--project", "mine", "--slots", "2")
    running = {seen["x"] // 4 for seen in place.seen(2)}
    assert running == {0, 1}, "one trial of each sweep"
    later = place.sweep([7], project="mine")
    place.hold.unlink()
    for sweep in (*sweeps, later):
        place.house.finishes(sweep)
    agent.signal(signal.SIGINT)
    assert agent.ends() == 130
    assert [place.states(sweep) for sweep in (*sweeps, later)] == [{"finished": 3}, {"finished": 3}, {"finished": 1}]
    assert place.states(others) == {"queued": 1}
    place.house.set_state(others, "cancelled")


WITHOUT_BESOM = """
import json, os, sys, threading
from pathlib import Path

folder, x = Path(os.environ["SEEN"]), int(sys.argv[1].partition("=")[2])
(folder / f"{x}.new").write_text(json.dumps({"x": x, "pid": os.getpid()}))
os.rename(folder / f"{x}.new", folder / f"{x}.json")
while x == 2 or (folder / "hold").exists():
    threading.Event().wait(0.01)
"""


def test_outage_does_not_stall_other_slots(house: House, tmp_path: Path) -> None:
    """While Redis is away a trial ends and waits to be reported; the other slot's is ended by SIGTERM all the same, and
    when Redis is back both are as they should be."""
    house.controller()
    place = Place(house, tmp_path / "place")
    (place.folder / "train.py").write_text(WITHOUT_BESOM)
    place.hold.touch()
    sweep = place.sweep([1, 2])
    agent = place.agent(sweep, "--slots", "2", "--kill-delay", "0.2")
    children = {seen["x"]: seen["pid"] for seen in place.seen(2)}
    house.redis.kill()
    place.hold.unlink()
    wait_until(lambda: not alive(children[1]), "the end of the first child", 10)
    assert alive(children[2])
    agent.signal(signal.SIGTERM)
    wait_until(lambda: not alive(children[2]), "the end of the second child", 5)
    house.redis.start()
    assert agent.ends(30) == -signal.SIGTERM
    wait_until(lambda: place.states(sweep) == {"finished": 1, "queued": 1}, "one result, and one trial that waits")


def test_checkpoint_survives_preemption(shared_house: House) -> None:
    """SIGTERM to the agent in the middle of training: the second attempt goes on after the last saved epoch, and the
    history has every epoch once, in order."""
    house = shared_house
    config = {
        "method": "random", "run_cap": 1, "seed": 1, "project": "digits", "program": "train.py",
        "metric": {"name": "valid_loss", "goal": "minimize"},
        "parameters": {"hidden": {"value": 32}, "learning_rate": {"value": 0.001}, "epochs": {"value": 80}},
    }  # fmt: skip
    sweep = create_sweep(house.connection, parse(config), house.settings).id
    checkpoint = house.settings.dir / "besom-runs" / f"sweep-{sweep}" / "trial-1" / "checkpoint.joblib"
    first = house.processes.besom("agent", sweep, cwd=EXAMPLE)
    wait_until(checkpoint.exists, "a checkpoint", 60)
    first.signal(signal.SIGTERM)
    assert first.ends() == -signal.SIGTERM
    second = house.processes.besom("agent", sweep, cwd=EXAMPLE)
    assert second.ends(60) == 0, second.err
    begins = int(second.out.split("attempt 2 begins with epoch ")[1].split()[0])
    assert 0 < begins < 80
    api = house.api()
    try:
        [run] = api.sweep(sweep).runs
        points = list(run.scan_history())
    finally:
        api.close()
    assert [point["_step"] for point in points] == list(range(80))
    assert [point["attempt"] for point in points] == [1] * begins + [2] * (80 - begins)
