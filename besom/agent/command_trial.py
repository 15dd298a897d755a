"""A trial that is a child process: its own process group, dead with its agent, its output kept line by line.

Gives: `CommandTrials`, which starts a child for a claim and turns its end into an `Ending`, and `Child`, one of them.
Who waits for several children at once is `slots.py`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

from besom import launcher
from besom.agent.command_line import command_line
from besom.agent.function_trial import trial_directory
from besom.broker.connection import Connection, to_json
from besom.broker.journal import Journal
from besom.broker.ledger import Ending
from besom.disk import private_folder
from besom.errors import TrialCancelled, TrialPreempted, TrialStopped, Unreachable
from besom.messages import Claim, SweepSpec
from besom.settings import Settings
from besom.tracking.blobs.ways import blobs_of
from besom.tracking.run.tracebacks import ERROR_LINES
from besom.tracking.run.trial import TRIAL_FILE, Trial, goes_back, was_told_to_end
from besom.tracking.writing.flusher import flusher
from besom.tracking.writing.spool import WriterName, send_leftovers
from besom.tracking.writing.writer import Writer

__all__ = ["Child", "CommandTrials", "Why"]

Why = type[TrialStopped | TrialPreempted | TrialCancelled]

_LINE_LIMIT: Final = 16_000
"""Characters of one line that are kept."""
_DRAIN_SECONDS: Final = 1.0
"""After the child's end, for output that a grandchild still holds."""
_LOOK_SECONDS: Final = 0.5
"""Between two looks at a child, where the kernel does not tell of its end."""
_KILLING_SECONDS: Final = 0.1
"""The same while it is being ended."""
_ENDING_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})


class CommandTrials:
    """Runs trials by executing the sweep's command.

    Args:
        connection: Redis.
        spec: The sweep.
        settings: Kill delay, directories.
        echo: Whether the children's output is shown as well as kept.
        prefixed: Whether each line that is shown begins with its trial.
    """

    def __init__(
        self,
        connection: Connection,
        spec: SweepSpec,
        settings: Settings,
        *,
        echo: bool = True,
        prefixed: bool = False,
    ) -> None:
        self._connection = connection
        self._spec = spec
        self._settings = settings
        self._echo = echo
        self._prefixed = prefixed

    def start(self, claim: Claim, gpus: Sequence[str] = ()) -> Child:
        """Execute the command. From the thread that lives as long as the agent: children die with it.

        Args:
            claim: The trial.
            gpus: Devices that it may use; none means those of the agent.

        Raises:
            ConfigError: the sweep's command cannot be.
            Unreachable: the trial's folder cannot be made.
            OSError: no process can be started, or the disk is full.
        """
        directory = private_folder(trial_directory(self._settings, claim.sweep, claim.number))
        process = self._execute(claim, directory, gpus)
        name = WriterName(claim.run_id, claim.attempt, Writer.new_id(), claim)
        limit = self._settings.journal_limit_mb * 1_000_000
        writer = Writer(Journal(self._connection), name, directory, limit)
        flusher().add(writer)
        timeout = self._spec.timeout
        prefix = f"{claim.run_id} | " if self._prefixed else ""
        delay = self._settings.kill_delay_seconds
        return Child(claim, process, writer, delay, timeout, echo=self._echo, prefix=prefix, gpus=gpus)

    def settle(self, child: Child, patience: float = float("inf")) -> Ending | None:
        """Send what is left of a child that is over, and say how it ended; None when it is to be handed back."""
        writer, claim = child.writer, child.claim
        flusher().remove(writer)
        batches = writer.close(patience)
        try:
            directory = trial_directory(self._settings, claim.sweep, claim.number)
            send_leftovers(directory, Journal(self._connection), patience=patience, run=claim.run_id)
            blobs_of(self._settings).send_leftovers()
        except Unreachable:
            pass  # the files stay, and the trial's next attempt sends them
        ending = child.ending({writer.name.writer: batches} if batches else {})
        if ending is None or ending.state != "failed":
            return ending
        if told := was_told_to_end(directory, claim):  # it heard of it from Redis, and was faster than this agent
            details = {key: value for key, value in ending.details.items() if key != "error"}
            return Ending(claim, "cancelled" if told is TrialCancelled else "stopped", details)
        return None if goes_back(directory, claim) else ending

    def _execute(self, claim: Claim, directory: Path, gpus: Sequence[str]) -> subprocess.Popen[bytes]:
        (directory / TRIAL_FILE).write_text(Trial(self._spec, claim, directory).to_json(), encoding="utf-8")
        params_file = directory / "params.json"
        params_file.write_text(json.dumps(claim.params), encoding="utf-8")
        wandb_file = directory / "sweep-params.yaml"  # JSON is YAML
        wandb_file.write_text(to_json({key: {"value": value} for key, value in claim.params.items()}), encoding="utf-8")
        line = command_line(self._spec, claim.params, params_file)
        environment = _environment(self._spec, claim, directory / TRIAL_FILE, wandb_file)
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        # The kernel's parent-death signal follows the thread that forks.
        return subprocess.Popen(
            [sys.executable, "-S", "-E", launcher.__file__, "bound", str(int(signal.SIGKILL)), str(os.getpid()), *line],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            env=environment,
        )  # fmt: skip


class Child:
    """One attempt that runs as a process group.

    Args:
        claim: What it runs.
        process: Its leader.
        writer: Where its output goes.
        kill_delay: Seconds between SIGTERM and SIGKILL.
        timeout: Seconds after which it is stopped, or None.
        echo: Whether its output is shown.
        prefix: What each line that is shown begins with.
        gpus: The devices that it may use.
    """

    def __init__(
        self,
        claim: Claim,
        process: subprocess.Popen[bytes],
        writer: Writer,
        kill_delay: float,
        timeout: float | None,
        *,
        echo: bool,
        prefix: str = "",
        gpus: Sequence[str] = (),
    ) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.claim = claim
        self.process = process
        self.writer = writer
        self.gpus = gpus
        self.started = time.monotonic()
        self._timeout = timeout
        self._why: Why | None = None
        self._reason = ""
        self._told_to_end = False  # by a signal that was passed on
        self._stderr: deque[str] = deque(maxlen=ERROR_LINES)
        self._lines = {
            process.stdout.fileno(): _Lines("stdout", sys.stdout if echo else None, prefix),
            process.stderr.fileno(): _Lines("stderr", sys.stderr if echo else None, prefix),
        }
        self._files = {process.stdout.fileno(): process.stdout, process.stderr.fileno(): process.stderr}
        self._end_fd = _end_of(process.pid)
        self._killer = _Killer(process, kill_delay)
        self._lock = threading.Lock()

    @property
    def fds(self) -> tuple[int, ...]:
        """What to wait for: its output, and its end where the kernel tells it."""
        return (*self._lines, self._end_fd) if self._end_fd >= 0 else tuple(self._lines)

    def read(self, fd: int) -> None:
        """Keep what one of `fds` holds."""
        lines = self._lines.get(fd)
        if lines is None:
            if fd == self._end_fd:
                os.close(fd)
                self._end_fd = -1
            return
        data = os.read(fd, 65536)
        for stream, line in lines.feed(data):
            if stream == "stderr":
                self._stderr.append(line)
            if self.writer.add_line(stream, time.time(), line[:_LINE_LIMIT]):
                flusher().wake()
        if not data:
            self._close(fd)

    def end(self, why: Why, reason: str = "") -> None:
        """Have it ended, for the first reason given; from any thread."""
        with self._lock:
            if self._why is None:
                self._why, self._reason = why, reason

    def forward(self, number: int) -> None:
        """Pass a signal on to its group; when it ends by that, it is handed back."""
        if self.process.poll() is None:
            self._told_to_end = self._told_to_end or number in _ENDING_SIGNALS
            self._killer.pass_on(number)

    def kill(self) -> None:
        """End its group at once, with no way back."""
        self._killer.kill()

    def pause(self) -> float:
        """Seconds after which `is_over` should be asked again, even when nothing is to be read."""
        if self._why is not None or self.process.returncode is not None:
            return _KILLING_SECONDS
        known = float("inf") if self._timeout is None else self.started + self._timeout - time.monotonic()
        return max(0.0, min(known, _LOOK_SECONDS if self._end_fd < 0 else 10.0))

    def is_over(self) -> bool:
        """Whether it has ended, output and all; ends it when it is to end."""
        if self._timeout is not None and time.monotonic() - self.started > self._timeout:
            self.end(TrialStopped, f"timeout: ran longer than {self._timeout:g} s")
        if self._why is not None:
            self._killer.press()
        if self._killer.watch(open_streams=bool(self._lines)):
            return False
        for fd in list(self._lines):
            self._close(fd)
        if self._end_fd >= 0:
            os.close(self._end_fd)
            self._end_fd = -1
        return True

    def ending(self, writers: dict[str, int]) -> Ending | None:
        """How it ended; None when it is to be handed back."""
        code = self.process.returncode
        details: dict[str, Any] = {"exit_code": code, "writers": writers}
        if self._why is TrialPreempted or (self._why is None and self._told_to_end and code):
            return None
        if self._why is not None:
            if self._reason:
                details["error"] = self._reason
            return Ending(self.claim, "cancelled" if self._why is TrialCancelled else "stopped", details)
        if code:
            details["error"] = "\n".join(self._stderr) or _how_it_ended(code)
            return Ending(self.claim, "failed", details)
        return Ending(self.claim, "finished", details)

    def _close(self, fd: int) -> None:
        self._files.pop(fd).close()
        del self._lines[fd]


def _end_of(pid: int) -> int:
    """A descriptor that becomes readable when the child ends; -1 where there is none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def _how_it_ended(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"


class _Lines:
    """Splits a stream into lines, and shows them."""

    def __init__(self, name: str, shown: IO[str] | None, prefix: str = "") -> None:
        self._name = name
        self._shown = shown
        self._prefix = prefix
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[str, str]]:
        """The lines that are whole now; all that is left when `data` is empty."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            whole, self._rest = [self._rest], b""
        if len(self._rest) > 4 * _LINE_LIMIT:
            whole, self._rest = [*whole, self._rest], b""
        lines = [line.decode("utf-8", "replace").rstrip("\r") for line in whole]
        if self._shown is not None:
            for line in lines:
                print(self._prefix + line, file=self._shown, flush=True)
        return [(self._name, line) for line in lines]


class _Killer:
    """Ends a child's process group: SIGTERM, then SIGKILL after a delay; tells when all is over."""

    def __init__(self, child: subprocess.Popen[bytes], delay: float) -> None:
        self._child = child
        self._delay = delay
        self._started = 0.0
        self._ended = 0.0
        self._has_term = False

    def press(self) -> None:
        """Begin, or go on."""
        if not self._started:
            self._started = time.monotonic()
            if not self._has_term:  # a second one often means: at once
                self._send(signal.SIGTERM)
        elif time.monotonic() - self._started > self._delay:
            self._send(signal.SIGKILL)

    def kill(self) -> None:
        """At once."""
        self._send(signal.SIGKILL)

    def pass_on(self, number: int) -> None:
        """Send the group another signal."""
        self._has_term = self._has_term or number == signal.SIGTERM
        self._send(number)

    def watch(self, *, open_streams: bool) -> bool:
        """Whether to go on reading."""
        if self._child.poll() is None:
            return True
        self._ended = self._ended or time.monotonic()
        if self._started:
            self._send(signal.SIGKILL)  # what the child left behind in its group
        return open_streams and time.monotonic() - self._ended < _DRAIN_SECONDS

    def _send(self, number: int) -> None:
        try:
            os.killpg(self._child.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # it is gone


def _environment(spec: SweepSpec, claim: Claim, trial_file: Path, wandb_file: Path) -> dict[str, str]:
    ours = {
        "SWEEP_ID": claim.sweep,
        "RUN_ID": claim.run_id,
        "PROJECT": spec.project,
        "ENTITY": spec.entity,
        "SWEEP_PARAM_PATH": str(wandb_file),
    }
    return {
        **os.environ,
        "PYTHONUNBUFFERED": os.environ.get("PYTHONUNBUFFERED", "1"),
        "BESOM_TRIAL": str(trial_file),
        "BESOM_TRIAL_DIR": str(trial_file.parent),
        **{f"BESOM_{name}": value for name, value in ours.items()},
        **{f"WANDB_{name}": value for name, value in ours.items()},
    }
