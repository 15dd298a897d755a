"""`besom.agent()` and `Agent`: take trials, run them, report, until nothing is left.

Trials come in turns: within one, trials are claimed from the ledger. What differs between a function
(`function_loop.py`: in the caller's thread, several short ones at once) and a command (`slots.py`: child processes side
by side) is in the loops; here is what they share.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from besom.agent.beat import WHY, Beat
from besom.agent.command_line import check_allowed
from besom.agent.command_trial import CommandTrials
from besom.agent.function_loop import FunctionLoop
from besom.agent.function_trial import FunctionTrials
from besom.agent.gpus import Gpus
from besom.agent.held import Held
from besom.agent.limits import Limits, Tally, read_limits
from besom.agent.project import ProjectSweeps
from besom.agent.signals import IdleAgentInterrupted, Signals
from besom.agent.slots import Slots
from besom.agent.sources import NO_CONTROLLER_SECONDS, OneSweep, Patient, Source, is_planned, no_controller
from besom.broker.connection import Connection
from besom.broker.find import find_sweep, read_address
from besom.broker.journal import Journal, entry_order
from besom.broker.ledger import Ledger, Verdict
from besom.errors import TrialCancelled, TrialPreempted, TrialStopped, UsageError
from besom.messages import Claim, SweepSpec
from besom.settings import Settings, read_settings
from besom.tracking.writing.connections import shared_connection

__all__ = ["Agent", "agent"]

log = logging.getLogger("besom")


class Loop(Protocol):
    """A way to run trials: calls of a function, or child processes."""

    def run(self) -> None:
        """Until nothing is left."""

    def interrupt(self, claim: Claim, why: type[TrialStopped | TrialPreempted | TrialCancelled]) -> None:
        """End one trial from outside."""

    def signalled(self) -> None:
        """A signal may have come; from the watch thread."""


def agent(
    sweep_id: str,
    function: Callable[[], Any] | None = None,
    count: int | None = None,
    project: str | None = None,
    entity: str | None = None,
    *,
    max_failures: int | None = None,
    max_consecutive_failed_runs: int | None = None,
    idle_timeout: float | str | None = None,
    max_runtime: float | str | None = None,
) -> None:
    """Run trials of a sweep here until none is left or `count` have run; returns when they are recorded.

    When the first 5 trials all fail, or 3 within the first minute with no success, it says so and returns.

    Args:
        sweep_id: `id`, `project/id` or `entity/project/id`.
        function: Called without arguments for each trial; `besom.init()` in it finds the params. Without it the
            sweep's `program` or `command` is executed.
        count: How many trials to run at most.
        project: Of the sweep, when the id does not say.
        entity: Of the sweep, when the id does not say.
        max_failures: End after so many failed trials.
        max_consecutive_failed_runs: End after so many failed trials in a row.
        idle_timeout: End when there was no work for so long: seconds, or such as "10m".
        max_runtime: Take no trial that would not end in time, and hand back what still runs shortly before: seconds,
            "2h", or as SLURM writes it, "1-00:00:00".

    Raises:
        UsageError: an argument that cannot be.
        NotFound: there is no such sweep.
        Unreachable: Redis refuses the password, or the service cannot start.
    """
    if function is not None and not callable(function):
        raise UsageError(f"function={function!r} cannot be called; pass the function itself, without ()")
    settings = read_settings()
    limits = read_limits(
        settings,
        count=count, max_failures=max_failures, max_consecutive_failed_runs=max_consecutive_failed_runs,
        idle_timeout=idle_timeout, max_runtime=max_runtime,
    )  # fmt: skip
    read_address(sweep_id)  # before anything is opened
    connection = shared_connection(settings)
    spec = find_sweep(Ledger(connection), sweep_id, project=project, entity=entity)
    Agent(connection, spec, settings, function=function, limits=limits).run()


class Agent:
    """One agent of one sweep, or of all sweeps of a project.

    Args:
        connection: Redis.
        spec: The sweep; None with `project`.
        settings: Times, directories, what signals mean.
        function: The train function, or None for the sweep's command.
        count: How many trials at most; when `limits` is not given.
        limits: When to end.
        gpus: Trials at once and their devices, for commands.
        project: (entity, project) whose sweeps it serves; entity '' is any.
        allow_command: Run any command that the sweep names.
        forward_signals: Pass signals on to the trials.
        echo: Show what commands print, besides keeping it.
        say: Prints a line for the user.
    """

    def __init__(
        self,
        connection: Connection,
        spec: SweepSpec | None,
        settings: Settings,
        *,
        function: Callable[[], Any] | None = None,
        count: int | None = None,
        limits: Limits | None = None,
        gpus: Gpus | None = None,
        project: tuple[str, str] | None = None,
        allow_command: bool = False,
        forward_signals: bool = False,
        echo: bool = True,
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    ) -> None:
        self.connection = connection
        self.id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.tally = Tally(limits or read_limits(settings, count=count), settings.kill_delay_seconds)
        """What it did, and why it ends."""
        self._settings = settings
        self._spec = spec
        self._say = say
        self._allow_command = allow_command
        self._echo = echo
        self._gpus = gpus or Gpus()
        if spec is not None and function is None:
            self._check_allowed(spec)
        self._signals = Signals(settings, say, self._forward if forward_signals else None)
        info = {"slots": self._gpus.slots, "gpus": list(self._gpus.names)}
        if project is not None:
            info["project"] = "/".join(project)
        sweep = spec.id if spec is not None else ""
        self._beat = Beat(
            Ledger(connection),
            self.id,
            sweep,
            settings,
            self._signals,
            self._told,
            self._signalled,
            info,
        )
        self._held = Held(connection, self.id, self._beat, self.tally, self._signals, say, self._is_watched)
        self._source = Patient(self._make_source(project), connection, say)
        self._loop = self._make_loop(function)

    @property
    def ran(self) -> int:
        """Trials that ended here."""
        return self.tally.ran

    def run(self) -> int:
        """Take turns until the sweep is over, a limit is reached, or a signal ends it; how many trials ran."""
        with self._signals:
            try:
                with self._beat:
                    self._loop.run()
                    if self.tally.reason:
                        self._say(self.tally.reason)
                    self._wait_until_recorded()
            except IdleAgentInterrupted:
                log.debug("interrupted while idle")
            finally:
                self._source.close()
        self._signals.deliver_again()
        return self.ran

    # ---- parts

    def _is_watched(self, sweep: str) -> bool:
        return self._source.spec_of(sweep).may_stop_early

    def _check_allowed(self, spec: SweepSpec) -> None:
        check_allowed(spec, self._settings, allow_command=self._allow_command)

    def _make_source(self, project: tuple[str, str] | None) -> Source:
        if self._spec is not None:
            return OneSweep(self.connection, self._spec)
        if project is None:
            raise UsageError("an agent needs a sweep or a project")
        return ProjectSweeps(self.connection, *project, self._check_allowed, self._say)

    def _make_loop(self, function: Callable[[], Any] | None) -> Loop:
        if function is not None and self._spec is not None:
            trials = FunctionTrials(function, self.connection, self._spec, self._settings, self._signals)
            return FunctionLoop(
                trials, self._spec, self._source, self._held, self.tally, self._beat, self._signals,
                self._settings.kill_delay_seconds,
            )  # fmt: skip
        return Slots(self._source, self._command_trials, self._held, self.tally, self._beat, self._signals, self._gpus)

    def _command_trials(self, spec: SweepSpec) -> CommandTrials:
        prefixed = self._gpus.slots > 1
        return CommandTrials(self.connection, spec, self._settings, echo=self._echo, prefixed=prefixed)

    # ---- what comes from outside

    def _told(self, claim: Claim, verdict: Verdict) -> None:
        self._loop.interrupt(claim, WHY[verdict])

    def _signalled(self) -> None:
        self._loop.signalled()

    def _forward(self, number: int) -> None:
        if isinstance(self._loop, Slots):
            self._loop.forward(number)

    def _wait_until_recorded(self) -> None:
        """What this agent reported is in the store, unless no controller is there to put it."""
        if not self._held.last_entry:
            return
        journal, pause = Journal(self.connection), threading.Event()
        wanted = entry_order(self._held.last_entry)
        alive_at = time.monotonic()
        while entry_order(journal.recorded_id()) < wanted:
            if is_planned(self.connection):
                alive_at = time.monotonic()
            elif time.monotonic() - alive_at > NO_CONTROLLER_SECONDS:
                self._say(no_controller(self.connection))
                return
            if self._signals.ending.is_set():
                return
            pause.wait(0.02)
