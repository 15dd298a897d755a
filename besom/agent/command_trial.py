"""A trial that is a child process: its own process group, dead with its agent, its output kept line by line."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from besom import launcher
from besom.agent.command_line import command_line
from besom.agent.function_trial import trial_directory
from besom.agent.signals import Signals
from besom.broker.connection import Connection, to_json
from besom.broker.journal import Journal
from besom.broker.ledger import Ending
from besom.disk import private_folder
from besom.errors import TrialCancelled, TrialPreempted, TrialStopped
from besom.messages import Claim, SweepSpec
from besom.settings import Settings
from besom.tracking.flusher import flusher
from besom.tracking.run import ERROR_LINES
from besom.tracking.spool import WriterName, send_leftovers
from besom.tracking.trial import TRIAL_FILE, Trial
from besom.tracking.writer import Writer

__all__ = ["CommandTrials"]

_LINE_LIMIT: Final = 16_000
"""Characters of one line that are kept."""
_DRAIN_SECONDS: Final = 1.0
"""After the child's end, for output that a grandchild still holds."""


class CommandTrials:
    """Runs trials by executing the sweep's command.

    Args:
        connection: Redis.
        spec: The sweep.
        settings: Kill delay, directories.
        signals: The agent's.
        echo: Whether the child's output is shown as well as kept.
    """

    batches = False

    def __init__(
        self, connection: Connection, spec: SweepSpec, settings: Settings, signals: Signals, *, echo: bool = True
    ) -> None:
        self._connection = connection
        self._spec = spec
        self._settings = settings
        self._signals = signals
        self._echo = echo
        self._claim: Claim | None = None
        self._why: type[TrialStopped | TrialPreempted | TrialCancelled] | None = None
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)

    def run(self, claim: Claim) -> Ending | None:
        """Execute the command; None when the trial is to be handed back."""
        self._claim, self._why = claim, None
        directory = private_folder(trial_directory(self._settings, claim.sweep, claim.number))
        writer = self._writer(claim, directory)
        try:
            child = self._start(claim, directory)
            stderr = self._watch(child, writer)
        finally:
            self._claim = None
            flusher().remove(writer)
            batches = writer.close(float("inf"))
        send_leftovers(directory, Journal(self._connection), patience=float("inf"), run=claim.run_id)
        return self._ending(claim, child.returncode, stderr, {writer.name.writer: batches} if batches else {})

    def interrupt(self, claim: Claim, why: type[TrialStopped | TrialPreempted | TrialCancelled]) -> None:
        """SIGTERM to the child's group; after the kill delay SIGKILL."""
        if self._claim is not None and self._claim.token == claim.token:
            self._why = self._why or why
            try:
                os.write(self._waker, b"\0")
            except BlockingIOError:
                return  # it is awake

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._wake)
        os.close(self._waker)

    def _writer(self, claim: Claim, directory: Path) -> Writer:
        name = WriterName(claim.run_id, claim.attempt, Writer.new_id(), claim)
        limit = self._settings.journal_limit_mb * 1_000_000
        writer = Writer(Journal(self._connection), name, directory, limit)
        flusher().add(writer)
        return writer

    def _start(self, claim: Claim, directory: Path) -> subprocess.Popen[bytes]:
        (directory / TRIAL_FILE).write_text(Trial(self._spec, claim, directory).to_json(), encoding="utf-8")
        params_file = directory / "params.json"
        params_file.write_text(json.dumps(claim.params), encoding="utf-8")
        wandb_file = directory / "sweep-params.yaml"  # JSON is YAML
        wandb_file.write_text(to_json({key: {"value": value} for key, value in claim.params.items()}), encoding="utf-8")
        line = command_line(self._spec, claim.params, params_file)
        # The kernel's parent-death signal follows the thread that forks: the agent's own, which waits here.
        return subprocess.Popen(
            [sys.executable, "-S", "-E", launcher.__file__, "bound", str(int(signal.SIGKILL)), str(os.getpid()), *line],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            env=_environment(self._spec, claim, directory / TRIAL_FILE, wandb_file),
        )  # fmt: skip

    def _watch(self, child: subprocess.Popen[bytes], writer: Writer) -> deque[str]:
        """Read the child's output until it has ended; the last lines of its stderr."""
        assert child.stdout is not None
        assert child.stderr is not None
        last: deque[str] = deque(maxlen=ERROR_LINES)
        streams = {
            child.stdout.fileno(): _Lines("stdout", sys.stdout if self._echo else None),
            child.stderr.fileno(): _Lines("stderr", sys.stderr if self._echo else None),
        }
        with selectors.DefaultSelector() as selector:
            for fd in (*streams, self._wake):
                selector.register(fd, selectors.EVENT_READ)
            killer = _Killer(child, self._settings.kill_delay_seconds)
            while self._goes_on(child, killer, streams):
                for key, _ in selector.select(0.1 if killer.started or not streams else 0.5):
                    if key.fd == self._wake:
                        os.read(self._wake, 64)
                        continue
                    data = os.read(key.fd, 65536)
                    self._keep(streams[key.fd].feed(data), writer, last)
                    if not data:
                        selector.unregister(key.fd)
                        del streams[key.fd]
        child.stdout.close()
        child.stderr.close()
        child.wait()
        return last

    def _goes_on(self, child: subprocess.Popen[bytes], killer: _Killer, streams: Mapping[int, _Lines]) -> bool:
        if self._signals.handing_back.is_set():
            self._why = self._why or TrialPreempted
        if self._why is not None:
            killer.press()
        return killer.watch(open_streams=bool(streams))

    def _keep(self, lines: list[tuple[str, str]], writer: Writer, last: deque[str]) -> None:
        for stream, line in lines:
            if stream == "stderr":
                last.append(line)
            if writer.add_line(stream, time.time(), line[:_LINE_LIMIT]):
                flusher().wake()

    def _ending(self, claim: Claim, code: int, stderr: deque[str], writers: dict[str, int]) -> Ending | None:
        details = {"exit_code": str(code), "writers": to_json(writers)}
        if self._why is TrialPreempted:
            return None
        if self._why is not None:
            return Ending(claim, "cancelled" if self._why is TrialCancelled else "stopped", details)
        if code:
            details["error"] = "\n".join(stderr) or f"exit code {code}"
            return Ending(claim, "failed", details)
        return Ending(claim, "finished", details)


class _Lines:
    """Splits a stream into lines, and shows them."""

    def __init__(self, name: str, shown: IO[str] | None) -> None:
        self._name = name
        self._shown = shown
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
                print(line, file=self._shown, flush=True)
        return [(self._name, line) for line in lines]


class _Killer:
    """Ends a child's process group: SIGTERM, then SIGKILL after a delay; tells when all is over."""

    def __init__(self, child: subprocess.Popen[bytes], delay: float) -> None:
        self._child = child
        self._delay = delay
        self.started = 0.0
        self._ended = 0.0

    def press(self) -> None:
        """Begin, or go on."""
        if not self.started:
            self.started = time.monotonic()
            self._send(signal.SIGTERM)
        elif time.monotonic() - self.started > self._delay:
            self._send(signal.SIGKILL)

    def watch(self, *, open_streams: bool) -> bool:
        """Whether to go on reading."""
        if self._child.poll() is None:
            return True
        self._ended = self._ended or time.monotonic()
        if self.started:
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
