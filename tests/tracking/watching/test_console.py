"""Console output of runs: what is kept, that it is still shown, and that streams are as before afterwards."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from besom.broker.connection import Connection
from besom.messages import Claim
from besom.tracking.run.init import init
from besom.tracking.run.trial import TRIAL_FILE, Trial, set_trial
from besom.tracking.store import reader
from besom.tracking.watching.console import LINE_LIMIT, Console, Lines
from tests.tracking.desk import Desk, record
from tests.tracking.stories import spec


def kept(desk: Desk, run: str = "r") -> list[tuple[str, str]]:
    desk.record()
    with desk.store.read() as conn:
        return [(stream, line) for stream, _, line in reader.console(conn, run)]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        (["a\nb\n"], ["a", "b"]),
        (["a", "b\n", "\n"], ["ab", ""]),
        (["\x1b[31mred\x1b[0m\n"], ["\x1b[31mred\x1b[0m"]),
        (["dos\r\n", "x\r", "\n"], ["dos", "x"]),
        (["\r 10%", "\r 50%", "\r100%\n"], ["100%"]),
        (["10%\r", "20%\r", "done\n"], ["done"]),
        (["bar", "\r   \r", "text\n"], ["text"]),
        (["no end"], ["no end"]),
        (["9%\r"], ["9%"]),
        (["x" * (LINE_LIMIT - 1), "yz\n"], ["x" * (LINE_LIMIT - 1) + "y"]),
    ],
)
def test_lines(pieces: list[str], lines: list[str]) -> None:
    """Lines are whole however they were written, colours are kept, and a progress bar leaves its last state."""
    folder = Lines()
    found = [line for piece in pieces for line in folder.feed(piece)] + folder.end()
    assert found == lines


def test_an_endless_bar_takes_no_memory() -> None:
    """A bar that never ends its line is held as its last state only."""
    lines = Lines()
    for number in range(10_000):
        lines.feed(f"\rstep {number}")
    assert len(lines._open) < 20
    assert lines.end() == ["step 9999"]


def test_a_run_keeps_what_is_printed(wired: Connection, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Both streams are kept in order and are still shown; what comes before and after is not the run's."""
    print("before")
    with init(id="r"):
        print("one")
        print("two", file=sys.stderr)
        sys.stdout.writelines(["three\n", "four"])
    print("after")
    assert kept(desk) == [("stdout", "one"), ("stderr", "two"), ("stdout", "three"), ("stdout", "four")]
    assert capsys.readouterr() == ("before\none\nthree\nfourafter\n", "two\n")


def test_streams_are_restored(wired: Connection) -> None:
    """The streams are the same objects during the run, and have nothing of ours after it."""
    before = (sys.stdout, sys.stderr)
    run = init(id="r")
    assert (sys.stdout, sys.stderr) == before
    assert "write" in vars(sys.stdout)
    run.finish()
    assert "write" not in vars(sys.stdout)
    assert "write" not in vars(sys.stderr)


def test_a_logger_made_earlier_is_heard(wired: Connection, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """A handler that took the stream before `init()` writes into the run too."""
    logger, handler = logging.getLogger("a-user"), logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    try:
        with init(id="r"):
            logger.warning("careful")
    finally:
        logger.removeHandler(handler)
    assert kept(desk) == [("stderr", "careful")]


def test_two_runs_end_in_any_order(wired: Connection, desk: Desk) -> None:
    """Each open run keeps what is printed while it is open, whichever ends first."""
    first = init(id="r")
    second = init(id="q", reinit="create_new")
    print("both")
    first.finish()
    print("one")
    second.finish()
    assert kept(desk, "r") == [("stdout", "both")]
    assert kept(desk, "q") == [("stdout", "both"), ("stdout", "one")]
    assert "write" not in vars(sys.stdout)


def test_a_patch_made_during_the_run_stays(wired: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever patches the stream after us keeps their patch, and still reaches the stream when the run is over."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    run = init(id="r")
    ours, heard = stream.write, []
    stream.write = lambda text: (heard.append(text), ours(text))[1]  # type: ignore[method-assign]
    run.finish()
    print("later")
    assert "".join(heard) == "later\n"
    assert stream.getvalue() == "later\n"


@pytest.mark.parametrize("name", ["BESOM_CONSOLE", "WANDB_CONSOLE"])
def test_off(name: str, wired: Connection, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either variable turns it off."""
    monkeypatch.setenv(name, "off")
    with init(id="r"):
        print("not kept")
    assert kept(desk) == []


@pytest.mark.parametrize(("by_command", "lines"), [(False, [("stdout", "in a trial")]), (True, [])])
def test_trials(
    by_command: bool, lines: list[object], wired: Connection, desk: Desk, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A function trial's output is kept here; a command trial's is not, since its agent keeps it."""
    claim = Claim(sweep="s", number=1, attempt=1, token="t", params={})
    wired.redis.hset(wired.keys.sweep("s"), "state", "running")
    wired.redis.hset(wired.keys.trials("s"), "1", record("t"))
    trial = Trial(spec(), claim, tmp_path, None if by_command else wired)
    if by_command:
        (tmp_path / TRIAL_FILE).write_text(trial.to_json())
        monkeypatch.setenv("BESOM_TRIAL", str(tmp_path / TRIAL_FILE))
    else:
        set_trial(trial)
    with init():
        print("in a trial")
    assert kept(desk, "s-1") == lines


def test_streams_that_cannot_be_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stream at all, or one that lets nothing be set, is left alone."""

    class Closed:
        __slots__ = ()

        def write(self, text: str) -> int:
            return len(text)

    heard: list[str] = []
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", Closed())
    console = Console(lambda stream, seconds, line: heard.append(line))
    console.start()
    print("x", file=sys.stderr)
    console.stop()
    assert heard == []


def test_a_forked_child_prints_and_goes(capfd: pytest.CaptureFixture[str]) -> None:
    """In a fork prints are shown and not kept, and stopping waits for nothing."""
    heard: list[str] = []
    console = Console(lambda stream, seconds, line: heard.append(line))
    console.start()
    ended = _in_fork(lambda: (print("child", flush=True), console.stop()))
    print("parent")
    console.stop()
    assert ended == 0
    assert heard == ["parent"]
    assert capfd.readouterr().out == "child\nparent\n"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def _in_fork(act: Callable[[], object]) -> int:
    child = os.fork()
    if not child:
        try:
            act()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]
