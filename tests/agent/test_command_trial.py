"""Trials that are child processes: what is kept of them, how they end, and what ends with them."""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from besom.agent.command_trial import Child, CommandTrials
from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.broker.ledger import Ending
from besom.errors import TrialCancelled, TrialPreempted, TrialStopped
from besom.messages import Batch, Claim, read_events
from besom.settings import read_settings
from tests.agent.conftest import Lend
from tests.e2e.processes import alive
from tests.waiting import until

KILL_DELAY = 0.2


class Room:
    """Makes command trials and reads what they left."""

    def __init__(self, fake: Connection, lend: Lend) -> None:
        self._fake, self._lend = fake, lend
        self.claim: Claim | None = None
        self.child: Child | None = None

    def run(
        self, *command: str, params: dict[str, Any] | None = None, echo: bool = False, **spec: Any
    ) -> Ending | None:
        """Execute a command as a trial."""
        made, self.claim = self._lend(params, command=command, **spec)
        settings = read_settings(kill_delay_seconds=KILL_DELAY)
        trials = CommandTrials(self._fake, made, settings, echo=echo)
        self.child = child = trials.start(self.claim)
        while not child.is_over():
            with selectors.DefaultSelector() as selector:
                for fd in child.fds:
                    selector.register(fd, selectors.EVENT_READ)
                readable = [key.fd for key, _ in selector.select(min(child.pause(), 0.1))]
            for fd in readable:
                child.read(fd)
        return trials.settle(child)

    def python(self, code: str, *arguments: str, **more: Any) -> Ending | None:
        """Execute Python code as a trial."""
        return self.run(sys.executable, "-S", "-E", "-c", code, *arguments, **more)

    def console(self) -> list[tuple[str, str]]:
        """(stream, line) as it stands in the journal."""
        events = [event for entry in Journal(self._fake).read("0-0") for event in read_events(entry.fields)]
        batches = [event.columns() for event in events if isinstance(event, Batch)]
        return [(stream, line) for batch in batches for stream, _, line in batch.console]

    def once(self, condition: Callable[[], Any], action: Callable[[], Any]) -> threading.Thread:
        """Do something from another thread when the child is so far."""

        def work() -> None:
            until(lambda: self.child is not None and condition(), "the child")
            action()

        thread = threading.Thread(target=work)
        thread.start()
        return thread


@pytest.fixture
def room(fake: Connection, lend: Lend) -> Room:
    return Room(fake, lend)


def _state(ending: Ending | None) -> tuple[str, int]:
    assert ending is not None
    return ending.state, ending.details["exit_code"]


# ---- output


def test_lines_are_kept_in_order(room: Room) -> None:
    """Three hundred numbered lines of each stream come out in their order, with their stream."""
    code = "import sys\nfor n in range(300): print('out', n, flush=True); print('err', n, file=sys.stderr)"
    assert _state(room.python(code)) == ("finished", 0)
    for stream in ("out", "err"):
        lines = [line for found, line in room.console() if found == f"std{stream}"]
        assert lines == [f"{stream} {number}" for number in range(300)]


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"no newline", ["no newline"]),
        (b"a\n\n\nb\n", ["a", "", "", "b"]),
        (b"", []),
        (b"\n", [""]),
        ("größe ✓\n".encode(), ["größe ✓"]),
        (b"bad \xff\xfe byte\n", ["bad \ufffd\ufffd byte"]),
        (b"\x1b[31mred\x1b[0m\n", ["\x1b[31mred\x1b[0m"]),
    ],
)
def test_lines_as_they_are_written(room: Room, written: bytes, lines: list[str]) -> None:
    """CRLF ends a line, a last line needs no newline, invalid UTF-8 is replaced, escapes are kept."""
    room.python(f"import sys; sys.stdout.buffer.write({written!r})")
    assert room.console() == [("stdout", line) for line in lines]


def test_very_long_line(room: Room) -> None:
    """A line of a megabyte is cut to pieces of at most 16 000 characters, and what follows is kept."""
    room.python("print('x' * 1_000_000); print('after')")
    lines = [line for _, line in room.console()]
    assert lines[-1] == "after"
    assert {set(line) == {"x"} for line in lines[:-1]} == {True}
    assert max(map(len, lines)) == 16_000


def test_letters_are_not_cut_in_two(room: Room) -> None:
    """A letter of two bytes that is written one byte at a time is one letter."""
    code = "import sys\nfor b in 'ö€\\n'.encode(): sys.stdout.buffer.write(bytes([b])); sys.stdout.flush()"
    room.python(code)
    assert room.console() == [("stdout", "ö€")]


def test_output_is_shown(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    """With echo each stream is passed on to the agent's own."""
    room.python("import sys; print('seen'); print('problem', file=sys.stderr)", echo=True)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("seen\n", "problem\n")


def test_output_is_not_shown(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    """Without echo nothing is."""
    room.python("print('quiet')")
    assert capsys.readouterr().out == ""
    assert room.console() == [("stdout", "quiet")]


# ---- ends


@pytest.mark.parametrize("code", [1, 3, 255])
def test_exit_code(room: Room, code: int) -> None:
    """A code other than 0 is a failed trial with that code and a text that says so."""
    ending = room.python(f"raise SystemExit({code})")
    assert _state(ending) == ("failed", code)
    assert ending is not None
    assert ending.details["error"] == f"exit code {code}"


@pytest.mark.parametrize(("code", "state"), [(1, None), (0, "finished")])
def test_marked_as_preempting(room: Room, code: int, state: str | None) -> None:
    """A child that fails after `mark_preempting()` is handed back; one that ends well has finished."""
    marks = "from besom.tracking.run.trial import current_trial; current_trial().mark_preempting()"
    ending = room.run(sys.executable, "-c", f"{marks}; raise SystemExit({code})")
    assert (ending.state if ending else None) == state


@pytest.mark.parametrize(("interrupt", "state"), [("TrialStopped", "stopped"), ("TrialCancelled", "cancelled")])
def test_a_child_that_met_an_interrupt_has_not_failed(room: Room, interrupt: str, state: str) -> None:
    """A stopping rule's word may reach the child's `log()` before its agent; ended by it, the trial is no failure."""
    code = (
        f"from besom.errors import {interrupt}; from besom.tracking.run.trial import current_trial;"
        f"current_trial().meets({interrupt}); raise {interrupt}('now')"
    )
    ending = room.run(sys.executable, "-c", code)
    assert _state(ending) == (state, 1)


def test_error_is_the_end_of_stderr(room: Room) -> None:
    """A failed trial's error is the last lines of its stderr, the newest last, and none of stdout."""
    code = "import sys\nprint('fine')\nfor n in range(100): print(n, file=sys.stderr)\nraise ValueError('lr is 0')"
    ending = room.python(code)
    assert ending is not None
    lines = ending.details["error"].splitlines()
    assert lines[-1] == "ValueError: lr is 0"
    assert 5 < len(lines) < 100
    assert "fine" not in lines


def test_child_that_a_signal_ended(room: Room) -> None:
    """A child that was killed from elsewhere has failed with minus the signal's number."""
    assert _state(room.python("import os; os.kill(os.getpid(), 9)")) == ("failed", -9)


def test_program_that_does_not_exist(room: Room) -> None:
    """It fails with 127 and the program's name, as in a shell."""
    ending = room.run("no-such-program", "-v")
    assert _state(ending) == ("failed", 127)
    assert ending is not None
    assert "no-such-program: No such file" in ending.details["error"]


def test_writers_are_counted(room: Room) -> None:
    """The ending says how many batches carry the output, so that the run closes when all are recorded."""
    ending = room.python("print('one')")
    assert ending is not None
    assert list(ending.details["writers"].values()) == [1]


# ---- what the child sees


def test_environment(room: Room, tmp_path: Path) -> None:
    """Sweep, run, project and entity are there by besom's and W&B's names, and a params file as W&B writes it."""
    out = tmp_path / "environment.json"
    code = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    room.python(code, str(out), params={"lr": 0.1, "layers": [1, 2]})
    found = json.loads(out.read_text())
    for name, value in {"SWEEP_ID": "s", "RUN_ID": "s-1", "PROJECT": "p", "ENTITY": "e"}.items():
        assert found[f"BESOM_{name}"] == found[f"WANDB_{name}"] == value
    written = json.loads(Path(found["WANDB_SWEEP_PARAM_PATH"]).read_text())
    assert written == {"lr": {"value": 0.1}, "layers": {"value": [1, 2]}}
    assert found["PYTHONUNBUFFERED"] == "1"
    assert found["PATH"] == os.environ["PATH"]
    trial = json.loads(Path(found["BESOM_TRIAL"]).read_text())
    assert trial["claim"]["params"] == {"lr": 0.1, "layers": [1, 2]}
    assert Path(found["BESOM_TRIAL_DIR"]).is_dir()


def test_params_file(room: Room, tmp_path: Path) -> None:
    """`${args_json_file}` names a file that holds the params."""
    code = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
    room.python(code, "${args_json_file}", str(tmp_path / "copy.json"), params={"lr": 0.1, "nest": {"a": None}})
    assert json.loads((tmp_path / "copy.json").read_text()) == {"lr": 0.1, "nest": {"a": None}}


def test_stdin_is_empty(room: Room) -> None:
    """A child that asks for input gets the end of the file, and does not hang."""
    room.python("import sys; print(repr(sys.stdin.read()))")
    assert room.console() == [("stdout", "''")]


def test_working_directory(room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child runs where the agent was started."""
    monkeypatch.chdir(tmp_path)
    room.python("import os; print(os.getcwd())")
    assert room.console() == [("stdout", str(tmp_path))]


def test_signals_are_as_a_program_expects(room: Room) -> None:
    """SIGINT, SIGTERM and SIGPIPE have their default meaning at the start."""
    code = "print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('SigIgn')])"
    room.run("/bin/sh", "-c", f'exec {sys.executable} -S -E -c "{code}"')
    ignored = int(room.console()[0][1], 16)
    assert not ignored & (1 << (signal.SIGINT - 1) | 1 << (signal.SIGTERM - 1))


# ---- ended from outside


WAITS = """
import signal, sys, threading
if sys.argv[2] == "polite":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
elif sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").close()
while True:
    threading.Event().wait(0.02)
"""


@pytest.mark.parametrize("manner", ["polite", "plain", "deaf"])
@pytest.mark.parametrize(
    ("why", "state"), [(TrialStopped, "stopped"), (TrialCancelled, "cancelled"), (TrialPreempted, None)]
)
def test_interrupt(room: Room, tmp_path: Path, manner: str, why: Any, state: str | None) -> None:
    """SIGTERM ends it, SIGKILL one that is deaf; the state is that of the reason, whatever the exit code."""
    mark = tmp_path / "mark"

    def interrupt() -> None:
        assert room.child is not None
        room.child.end(why)

    thread = room.once(mark.exists, interrupt)
    ending = room.python(WAITS, str(mark), manner)
    thread.join(10)
    assert (ending.state if ending else None) == state
    if ending is not None:
        code = {"polite": 0, "plain": -signal.SIGTERM, "deaf": -signal.SIGKILL}[manner]
        assert ending.details["exit_code"] == code


FAMILY = """
import os, subprocess, sys, threading
child = subprocess.Popen([sys.executable, "-S", "-E", "-c", sys.argv[2]])
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
child.wait()
"""
DEAF = "import signal, threading; signal.signal(signal.SIGTERM, signal.SIG_IGN); threading.Event().wait(60)"


def test_grandchild_ends_too(room: Room, tmp_path: Path) -> None:
    """The whole process group ends: a grandchild that is deaf to SIGTERM is not left behind."""
    mark = tmp_path / "mark"

    def interrupt() -> None:
        assert room.child is not None
        room.child.end(TrialStopped)

    thread = room.once(mark.exists, interrupt)
    room.python(FAMILY, str(mark), DEAF)
    thread.join(10)
    child, grandchild = map(int, mark.read_text().split())
    until(lambda: not alive(child) and not alive(grandchild), "the end of both", 5)


def test_pipes_are_closed(room: Room) -> None:
    """After some trials no file descriptor is left open."""
    room.python("print(1)")
    before = len(os.listdir("/proc/self/fd"))
    for sweep in ("a", "b", "c"):
        room.python("print(1)", sweep=sweep)
    assert len(os.listdir("/proc/self/fd")) == before
