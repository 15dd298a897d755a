"""`besom run`: the service, a sweep, agents that are started again when they die, progress, the best trials."""

from __future__ import annotations

import operator
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

import besom
from besom import launcher
from besom.broker.service import Service, connect
from besom.cli.progress import Progress, show_best
from besom.controller.create import create_sweep
from besom.controller.service import stop_on_signals
from besom.controller.sweep_config import load
from besom.disk import private_folder
from besom.errors import BesomError, ConfigError, UsageError
from besom.messages import SweepSpec
from besom.settings import Settings
from besom.tracking.reading.api import Api

__all__ = ["demo_file", "run_sweep"]

_LOOK_SECONDS: Final = 0.25
_DEATHS_LIMIT: Final = 5
"""An agent that dies so often in a row, without a trial ending in between, is not started again."""
_GAVE_UP: Final = 1
"""Exit code of an agent whose trials fail; another one would fare no better."""
_END_SECONDS: Final = 5.0
"""How long agents may take to end, over the kill delay."""


def demo_file() -> str:
    """Path of the demo's sweep file: in an installed package, or in a clone."""
    package = Path(besom.__file__).parent
    for folder in (package / "examples" / "digits", package.parent / "examples" / "digits"):
        if (folder / "sweep.yaml").is_file():
            return str(folder / "sweep.yaml")
    raise UsageError(f"the demo's files are missing beside {package}; install besom again")


def run_sweep(file: str, settings: Settings, *, agents: int, options: Sequence[str] = ()) -> int:
    """Run a sweep file here; the exit code.

    Args:
        file: The sweep file.
        settings: Where, and how.
        agents: How many agent processes.
        options: Passed on to each `besom agent`.

    Raises:
        ConfigError: the file, or what it says, cannot be; nothing is started.
        BesomError: whatever else stands in the way.
    """
    config = load(file)
    if not (config.program or config.command):
        raise ConfigError(f"{file}: program: missing; write the script that trains, such as program: train.py")
    folder = _working_folder(file, config.program)
    service = Service(settings)
    started_here = settings.redis_url is None and service.find() is None
    stop = threading.Event()
    try:
        connection = connect(settings, patience=30)
        with stop_on_signals(stop):
            spec = create_sweep(connection, config, settings)
            print(f"sweep {spec.path}: {config.method} on {agents} agent{'s' if agents > 1 else ''}", flush=True)
            crew = _Crew(spec, settings, agents, folder, options)
            try:
                done = _watch(spec, settings, crew, stop, cap=config.run_cap)
            finally:
                crew.end()
        _last_words(spec, settings, done=done)
        connection.close()
    finally:
        if started_here:
            service.stop()
    return 0 if done else 130


def _working_folder(file: str, program: str | None) -> Path:
    """Where agents run: here when the program is here, else beside the sweep file."""
    beside = Path(file).resolve().parent
    if program and not Path(program).is_file() and (beside / program).is_file():
        return beside
    if program and not Path(program).is_file():
        raise ConfigError(f"{file}: program: {program!r} is no file here, nor in {beside}; write its path from here")
    return Path.cwd()


def _watch(spec: SweepSpec, settings: Settings, crew: _Crew, stop: threading.Event, *, cap: int | None) -> bool:
    """Show progress until the sweep is over; whether it is, and was not interrupted."""
    api = Api(settings=settings)
    try:
        sweep = api.sweep(spec.id)
        with Progress(spec, cap) as progress:
            while not stop.is_set():
                counts = sweep.counts
                progress.show(counts, next(iter(sweep.best_points(1)), None))
                if sweep.state in ("finished", "cancelled"):
                    return True
                crew.look_after(sum(counts.get(state, 0) for state in ("finished", "failed", "stopped", "crashed")))
                stop.wait(_LOOK_SECONDS)
    finally:
        api.close()
    return False


class _Crew:
    """Agent processes, bound to this one."""

    def __init__(
        self, spec: SweepSpec, settings: Settings, count: int, folder: Path, options: Sequence[str] = ()
    ) -> None:
        self._spec = spec
        self._options = tuple(options)
        self._settings = settings
        self._folder = folder
        self._logs = private_folder((settings.dir / "besom-runs" / f"sweep-{spec.id}").absolute())
        self._deaths = [0] * count
        self._ended = 0
        self._agents = [self._start(number) for number in range(count)]

    def look_after(self, ended: int) -> None:
        """Start agents again that died; `ended` is how many trials are over.

        Raises:
            BesomError: none of them stays alive.
        """
        if ended > self._ended:
            self._ended, self._deaths = ended, [0] * len(self._deaths)
        for number, agent in enumerate(self._agents):
            if agent.poll() in (None, 0, _GAVE_UP) or self._deaths[number] >= _DEATHS_LIMIT:
                continue
            self._deaths[number] += 1
            self._agents[number] = self._start(number)
        gave_up = [agent.poll() == _GAVE_UP for agent in self._agents]
        dead = [deaths >= _DEATHS_LIMIT for deaths in self._deaths]
        if all(map(operator.or_, gave_up, dead)):
            what = "the trials fail" if any(gave_up) else "the agents die at once"
            number = gave_up.index(True) if any(gave_up) else 0
            raise BesomError(f"{what}: {self._said(number)} (see {self._log(number)}); the sweep is kept")

    def end(self) -> None:
        """SIGTERM, so that trials are handed back; SIGKILL to what is left after a while."""
        for agent in self._agents:
            if agent.poll() is None:
                agent.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self._settings.kill_delay_seconds + _END_SECONDS
        for agent in self._agents:
            try:
                agent.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                agent.kill()
                agent.wait()

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        log: IO[bytes]
        with self._log(number).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-S", "-E", launcher.__file__, "bound", str(int(signal.SIGTERM)), str(os.getpid()),
                 sys.executable, "-m", "besom", "agent", self._spec.path, "--allow-command", *self._options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self._folder,
                env={**os.environ, "BESOM_HOME": str(self._settings.home.absolute()),
                     "BESOM_DIR": str(self._settings.dir.absolute())},
            )  # fmt: skip

    def _said(self, number: int) -> str:
        """The last that an agent said, but for its goodbye."""
        lines = self._log(number).read_text(errors="replace").strip().splitlines()
        lines = [line for line in lines if not line.startswith("agent ")]
        return lines[-1] if lines else "they said nothing"

    def _log(self, number: int) -> Path:
        return self._logs / f"agent-{number}.log"


def _last_words(spec: SweepSpec, settings: Settings, *, done: bool) -> None:
    api = Api(settings=settings)
    try:
        show_best(api.sweep(spec.id), done=done)
    finally:
        api.close()
    me = _me()
    if done:
        print(f"next:  {me} best {spec.id}")
        return
    print(f"interrupted; the sweep is kept. Go on with:  {me} controller &  {me} agent {spec.path}")


def _me() -> str:
    """How this command is called from where the user is."""
    found = shutil.which("besom")
    here = Path(sys.argv[0])
    if found is not None or not here.name.startswith("besom"):
        return "besom"
    try:
        return shlex.quote(str(here.absolute().relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(here))
