"""No Redis configured and nothing started by hand: the service starts, is shared, is revived, and goes."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from besom.broker.service import Service
from besom.settings import Settings, read_settings
from besom.tracking.reading.api import Api
from tests.e2e.processes import Process, Processes, processes_of, wait_until

pytestmark = pytest.mark.redis

SCRIPT = """
import os, sys, threading
import besom

def train():
    with besom.init() as run:
        threading.Event().wait(float(os.environ.get("SECONDS", "0")))
        run.log({"loss": run.config.x})

sweep = besom.sweep({"method": "grid", "parameters": {"x": {"values": list(range(int(sys.argv[1])))}}})
print("sweep", sweep, flush=True)
besom.agent(sweep, function=train)
api = besom.Api()
print("read", sorted(run.config["x"] for run in api.sweep(sweep).runs if run.state == "finished"), flush=True)
"""

PROGRAM = """
import os, threading
from pathlib import Path
import besom

with besom.init() as run:
    with open(os.environ["STARTS"], "a") as file:
        file.write(f"{os.getppid()} {os.getpid()}\\n")
    while Path(os.environ["STARTS"]).with_name("hold").exists():
        threading.Event().wait(0.01)
    run.log({"loss": run.config.x})
"""

SWEEP = """
method: grid
metric: {name: loss, goal: minimize}
parameters: {x: {values: [3, 1, 2, 0]}}
program: train.py
"""


class Home:
    """A BESOM_HOME, a working folder, and processes that have them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.starts = folder / "starts"
        self.hold = folder / "hold"
        (folder / "script.py").write_text(SCRIPT)
        (folder / "train.py").write_text(PROGRAM)
        (folder / "sweep.yaml").write_text(SWEEP)
        environment = {"BESOM_HOME": str(self.home), "BESOM_LEASE_SECONDS": "1.5", "STARTS": str(self.starts)}
        self.processes = Processes(folder, {**environment, "BESOM_CONTROLLER_LEASE_SECONDS": "1"})

    @property
    def settings(self) -> Settings:
        return read_settings(home=self.home)

    @property
    def service(self) -> Service:
        return Service(self.settings)

    @property
    def pid(self) -> int:
        """The service's process id."""
        info = self.service.find()
        assert info is not None, "no service runs"
        return info.pid

    def script(self, trials: int, **environment: str) -> Process:
        """A plain script: a sweep, an agent, what Api reads."""
        return self.processes.python("script.py", str(trials), cwd=self.folder, environment=environment)

    def besom(self, *arguments: str) -> Process:
        """A command."""
        return self.processes.besom(*arguments, cwd=self.folder)

    def left(self) -> list[int]:
        """Processes that were started for this home, by whomever."""
        return processes_of(self.home)

    def started(self) -> list[tuple[int, int]]:
        """(agent, child) of each trial that began."""
        if not self.starts.exists():
            return []
        pairs = (line.split() for line in self.starts.read_text().splitlines())
        return [(int(agent), int(child)) for agent, child in pairs]

    def states(self) -> dict[str, int]:
        """Trials by state in the only sweep of the store, read as a later script would."""
        api = Api(settings=self.settings)
        try:
            [sweep] = api.sweeps()
            return sweep.counts
        finally:
            api.close()


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that nothing outlives."""
    with tempfile.TemporaryDirectory(prefix="besom-") as folder:
        home = Home(Path(folder))
        with home.processes:
            yield home
        for pid in home.left():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not home.left(), "the end of all processes of this home")


def test_scripts_share_one_service_until_besom_down(home: Home) -> None:
    """Two scripts that start at once use one service; `besom down` ends it, no process is left, the store stays."""
    scripts = [home.script(12), home.script(12)]
    assert [script.ends() for script in scripts] == [0, 0], "\n".join(script.err for script in scripts)
    assert all(f"read {list(range(12))}" in script.out for script in scripts)
    info = json.loads((home.home / "service.json").read_text())
    assert len(home.left()) == 2, "a service and its Redis"
    assert info["pid"] in home.left()
    down = home.besom("down")
    assert (down.ends(), down.out) == (0, "service ended\n")
    assert home.left() == []
    api = Api(settings=home.settings)
    assert [sweep.counts for sweep in api.sweeps()] == [{"finished": 12}, {"finished": 12}]
    api.close()


def test_service_killed_in_the_middle_of_a_sweep(home: Home) -> None:
    """kill -9 of the service: the script brings it back, and the sweep completes exactly."""
    script = home.script(30, SECONDS="0.05")
    wait_until(lambda: "sweep" in script.out, f"a sweep; the script said {script.err}")
    pid = wait_until(lambda: home.service.find() and home.pid, "a service")
    wait_until(lambda: home.states().get("finished", 0) >= 5, "five trials")
    os.kill(pid, signal.SIGKILL)
    assert script.ends() == 0, script.err
    assert f"read {list(range(30))}" in script.out
    assert home.pid != pid
    assert home.states() == {"finished": 30}
    home.service.stop()
    assert home.left() == []


def test_run_starts_a_dead_agent_again(home: Home) -> None:
    """`besom run` completes a grid with exit code 0 though one agent is killed, and ends what it started."""
    home.hold.touch()
    run = home.besom("run", "sweep.yaml", "--agents", "2")
    wait_until(lambda: len(home.started()) >= 2, f"two trials; it said {run.err}")
    os.kill(home.started()[0][0], signal.SIGKILL)
    wait_until(lambda: len(home.started()) >= 3, f"the trial of the killed agent, again; it said {run.err}")
    home.hold.unlink()
    assert run.ends() == 0, run.err
    assert "4 finished" in run.out
    assert "besom best" in run.out
    assert home.left() == []
    assert home.states() == {"finished": 4}
    assert len({agent for agent, _ in home.started()}) == 3


def test_interrupted_run_leaves_nothing(home: Home) -> None:
    """Ctrl-C on `besom run` while trials run: exit code 130, no process is left, the store can be read."""
    home.hold.touch()
    run = home.besom("run", "sweep.yaml", "--agents", "2")
    wait_until(lambda: len(home.started()) >= 2, f"two trials; it said {run.err}")
    assert len(home.left()) >= 7, "the command, a service, its Redis, two agents and two trials"
    run.signal(signal.SIGINT)
    assert run.ends() == 130
    assert home.left() == []
    assert "interrupted; the sweep is kept" in run.out
    assert set(home.states()) == {"queued"}
