"""Real processes around a real Redis: controllers, agents, scripts. What a test starts here ends with it, by pid."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from besom.broker.connection import Connection
from besom.broker.lead import read_leader
from besom.broker.ledger import Ledger
from besom.controller.create import create_sweep
from besom.controller.sweep_config import parse
from besom.messages import SweepState
from besom.settings import Settings, read_settings
from besom.tracking.reading.api import Api
from tests.redis_server import RedisServer

__all__ = ["HERE", "House", "Process", "Processes", "alive", "processes_of", "wait_until"]

HERE = Path(__file__).parent

LEASE_SECONDS = 1.5

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, seconds: float = 30.0) -> T:
    """The first true value of `condition`; `what` tells what did not come in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        threading.Event().wait(0.02)
    return found


def alive(pid: int) -> bool:
    """Whether the process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def processes_of(home: Path) -> list[int]:
    """Processes with this BESOM_HOME, and a Redis server, which writes its title over its environment, in it."""
    wanted, folder_name = f"BESOM_HOME={home}".encode(), f"{home}/".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables, command = (folder / "environ").read_bytes().split(b"\0"), (folder / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended, or is not ours
        if wanted in variables or folder_name in command:
            found.append(int(folder.name))
    return [pid for pid in found if pid != os.getpid() and alive(pid)]


class Process:
    """One process; what it prints goes to two files."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], cwd: Path, output: Path) -> None:
        self._out, self._err = output.with_suffix(".out"), output.with_suffix(".err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.popen = subprocess.Popen(
                arguments, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                start_new_session=True,
            )  # fmt: skip
        self.pid = self.popen.pid

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def err(self) -> str:
        return self._err.read_text(errors="replace")

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.popen.kill()
        self.popen.wait()

    def ends(self, seconds: float = 30.0) -> int:
        """Its exit code, once it has ended by itself."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.popen.args} still runs after {seconds} s; it said {self.out}{self.err}"
            ) from None


class Processes:
    """A context that starts processes with one environment, and ends what is left of them.

    Args:
        folder: Where their output goes.
        environment: Variables on top of this process' own; its BESOM_* are left out.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BESOM_", "WANDB_"))}
        paths = os.pathsep.join(filter(None, (str(HERE.parent.parent), kept.get("PYTHONPATH"))))
        self.environment = {**kept, "PYTHONUNBUFFERED": "1", "PYTHONPATH": paths, **environment}
        self._all: list[Process] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            if process.popen.poll() is None:
                process.kill()

    def start(self, *arguments: str, cwd: Path = HERE, environment: Mapping[str, str] | None = None) -> Process:
        """Start one."""
        output = self.folder / f"process-{len(self._all)}"
        process = Process(list(arguments), {**self.environment, **(environment or {})}, cwd, output)
        self._all.append(process)
        return process

    def python(self, *arguments: str, **more: Any) -> Process:
        """Start this Python."""
        return self.start(sys.executable, *arguments, **more)

    def besom(self, *arguments: str, **more: Any) -> Process:
        """Start the command."""
        return self.python("-m", "besom", *arguments, **more)


class House:
    """A Redis, a store, a history file, and processes that use them.

    Args:
        folder: Of all files.
        redis: A running server.
        lease_seconds: How long a trial stays its agent's.
        store: URL of the store; default a SQLite file in `folder`.
    """

    def __init__(
        self, folder: Path, redis: RedisServer, lease_seconds: float = LEASE_SECONDS, store: str | None = None
    ) -> None:
        self.folder = folder
        self.redis = redis
        self.lease_seconds = lease_seconds
        self.history_file = folder / "history.jsonl"
        self.told_file = folder / "told.jsonl"
        self.hold = folder / "hold"
        store = store or str(folder / "store" / "besom.db")
        environment = {
            "BESOM_REDIS_URL": redis.url,
            "BESOM_STORE": store,
            "BESOM_HOME": str(folder / "home"),
            "BESOM_DIR": str(folder / "work"),
            "BESOM_LEASE_SECONDS": str(lease_seconds),
            "BESOM_CONTROLLER_LEASE_SECONDS": "1",
            "TRAIN_HISTORY": str(self.history_file),
            "TRAIN_HOLD": str(self.hold),
            "TRAIN_TOLD": str(self.told_file),
        }
        self.settings: Settings = read_settings(
            redis_url=redis.url, store=store, home=folder / "home", dir=folder / "work"
        )
        self.connection = Connection(redis.url)
        self.processes = Processes(folder, environment)

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.__exit__()
        self.connection.close()

    def controller(self, *arguments: str, wait: bool = True, **environment: str) -> Process:
        """A controller process, once it has said that it is there."""
        process = self.processes.python("controller.py", *arguments, environment=environment)
        if wait:
            wait_until(lambda: "controller for" in process.out, f"a controller; it said {process.err}")
        return process

    def function_agent(self, sweep: str, *, count: int | None = None, **environment: str) -> Process:
        """An agent that runs `train.train`."""
        arguments = [str(count)] if count is not None else []
        return self.processes.python("train.py", sweep, *arguments, environment=environment)

    def command_agent(self, sweep: str, **environment: str) -> Process:
        """An agent that executes `train.py` for each trial."""
        return self.processes.besom("agent", sweep, environment=environment)

    def agent(self, kind: str, sweep: str, **environment: str) -> Process:
        """An agent of functions ("function") or of commands ("command")."""
        return (self.function_agent if kind == "function" else self.command_agent)(sweep, **environment)

    def keep_agents(
        self, starts: Mapping[str, Callable[[], Process]], seconds: float = 60.0
    ) -> dict[str, list[Process]]:
        """An agent for each sweep, started again when it is dead, until all sweeps are over; all that were needed."""
        agents = {sweep: [start()] for sweep, start in starts.items()}

        def over() -> bool:
            going = {sweep for sweep in starts if self.state(sweep) not in ("finished", "cancelled")}
            for sweep in going:
                if agents[sweep][-1].popen.poll() is not None:
                    agents[sweep].append(starts[sweep]())
            return not going

        wait_until(over, f"the end of {', '.join(starts)}", seconds)
        return agents

    def sweep(self, parameters: Mapping[str, Any], method: str = "grid", **keys: Any) -> str:
        """A new sweep's id."""
        config = {"method": method, "parameters": parameters, "program": "train.py", **keys}
        return create_sweep(self.connection, parse(config), self.settings).id

    def set_state(self, sweep: str, state: SweepState) -> None:
        """Pause, resume, stop or cancel."""
        assert Ledger(self.connection).set_state(sweep, state)[0] == "ok"

    def state(self, sweep: str) -> str | None:
        """The sweep's state in Redis."""
        return Ledger(self.connection).state(sweep)

    def leader(self) -> int | None:
        """Process id of the controller that works."""
        leader = read_leader(self.connection)
        return leader.info["pid"] if leader.alive else None

    def finishes(self, sweep: str, seconds: float = 60.0) -> None:
        """Wait until the sweep is over."""
        wait_until(lambda: self.state(sweep) == "finished", f"the end of sweep {sweep}", seconds)

    def api(self) -> Api:
        """The store, read from here."""
        return Api(settings=self.settings)
