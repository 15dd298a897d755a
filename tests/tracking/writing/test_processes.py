"""Processes that log: several on one run, and those that end in every way there is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.messages import RunEnded
from tests.redis_server import RedisServer
from tests.tracking.desk import Desk, batches, events

pytestmark = pytest.mark.redis

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(redis_server: RedisServer, tmp_path: Path) -> Iterator[Start]:
    """Start a script, from a file since children that are spawned import it."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        (tmp_path / "script.py").write_text(script)
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "script.py", *map(str, arguments)], cwd=tmp_path, text=True,
            env={**os.environ, "BESOM_REDIS_URL": redis_server.url, **variables},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def run_row(desk: Desk) -> tuple[Any, ...]:
    """State, exit code and error of the only run."""
    desk.record()
    with desk.store.read() as conn:
        (row,) = conn.exec_driver_sql("SELECT state, exit_code, error FROM runs").all()
    return tuple(row)


# ---- several processes

RANKS = """
import multiprocessing, sys
import besom

def rank(number, ready):
    run = besom.init(config={"ranks": 3})
    ready.wait(60)
    for step in range(50):
        run.log({f"rank/{number}": step}, step=step)
    if number == 0:
        exec(sys.argv[2])

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    ready = context.Barrier(3)
    ranks = [context.Process(target=rank, args=(number, ready)) for number in range(3)]
    for one in ranks:
        one.start()
    for one in ranks:
        one.join()
"""


@pytest.mark.parametrize(
    ("method", "ending", "state", "exit_code", "error"),
    [
        ("spawn", "", "finished", 0, ""),
        ("spawn", "raise ValueError('broken')", "failed", 1, "ValueError: broken"),
        ("forkserver", "", "finished", 0, ""),
        ("forkserver", "sys.exit(3)", "failed", 3, "SystemExit: 3"),
        ("fork", "raise ValueError('broken')", "failed", 1, "ValueError: broken"),
    ],
)
def test_ranks_of_one_run(
    method: str,
    ending: str,
    state: str,
    exit_code: int,
    error: str,
    start: Start,
    redis_connection: Connection,
    redis_desk: Desk,
) -> None:
    """Each calls `init()` and gets the run of BESOM_RUN_ID: all rows arrive, and one rank's failure is the run's."""
    process = start(RANKS, method, ending, BESOM_RUN_ID="ddp")
    process.communicate(timeout=90)
    rows = redis_desk.rows("ddp")
    assert [row["_step"] for row in rows] == list(range(50))
    assert all(row[f"rank/{number}"] == row["_step"] for row in rows for number in range(3))
    told = run_row(redis_desk)
    assert (told[0], told[1], told[2].splitlines()[-1:]) == (state, exit_code, [error] if error else [])
    ends = events(redis_connection, RunEnded)
    assert len({writer for end in ends for writer in end.writers}) == 3
    assert len({writer for writer, _ in batches(redis_connection, "ddp")}) == 3


THREADS = """
import threading, besom
run = besom.init(id="r")

def work(number):
    for value in range(2000):
        run.log({f"t{number}": value})

threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads(start: Start, redis_desk: Desk) -> None:
    """Threads that log as fast as they can lose no row, and no two rows have one step."""
    process = start(THREADS)
    assert process.communicate(timeout=60)[1] == ""
    rows = redis_desk.rows("r")
    assert [row["_step"] for row in rows] == list(range(8000))
    for number in range(4):
        assert [row[f"t{number}"] for row in rows if f"t{number}" in row] == list(range(2000))


# ---- ends that nobody can tell of

GONE = """
import os, signal, threading, besom
run = besom.init(id="r")
for step in range(1000):
    run.log({"a": step})
status = run.status()
while status.sync_items_pending or not status.sync_items_total or run._writer.due() is not None:
    threading.Event().wait(0.01)
    status = run.status()
"""


@pytest.mark.parametrize("ending", ["os._exit(1)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_gone_without_a_word(ending: str, start: Start, redis_connection: Connection, redis_desk: Desk) -> None:
    """What Redis has taken is recorded, and after five minutes of silence the run is crashed."""
    start(GONE + ending).communicate(timeout=60)
    assert [row["a"] for row in redis_desk.rows("r")] == list(range(1000))
    assert run_row(redis_desk)[0] == "running"
    redis_connection.redis.zadd(redis_connection.keys.runs(), {"r": 0})  # as if the time were over
    assert redis_connection.script("run_reap", 0) == 1
    assert run_row(redis_desk)[0] == "crashed"


def test_interrupted(start: Start, redis_desk: Desk) -> None:
    """Ctrl-C that nobody catches fails the run, and what was logged is there."""
    script = "import signal, besom\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script += "run = besom.init(id='r')\nrun.log({'a': 1})\nprint('logged', flush=True)\ninput()\n"
    process = start(script)
    assert process.stdout is not None
    assert process.stdout.readline() == "logged\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert redis_desk.rows("r") == [{"_step": 0, "a": 1}]
    state, exit_code, error = run_row(redis_desk)
    assert (state, exit_code, error.splitlines()[-1]) == ("failed", 1, "KeyboardInterrupt")


# ---- Redis away

FAST = """
import json, os, resource, signal, sys, time, besom
server, rows, disk = map(int, sys.argv[1:])
run = besom.init(id="r")
run.log({"loss": -1.0, "accuracy": 0.5, "lr": 0.5})
run._writer.flush()
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak begins anew

def mb(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1000 for line in file if line.startswith(name))

before = mb("VmRSS")
os.kill(server, signal.SIGSTOP)
if disk:
    resource.setrlimit(resource.RLIMIT_FSIZE, (disk, disk))
for step in range(rows):
    run.log({"loss": float(step), "accuracy": step / 2, "lr": step / 4})
os.kill(server, signal.SIGCONT)
run.finish()
print(json.dumps(mb("VmHWM") - before))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux' /proc")
@pytest.mark.parametrize("disk", [0, 500_000], ids=["spool", "full disk"])
def test_redis_stands_still(disk: int, start: Start, redis_desk: Desk) -> None:
    """Rows that come fast take no more memory than allowed and hold nothing up; each trouble is said once.

    With a disk all rows arrive when Redis is back. When that is full as well, the newest are lost, and said to be;
    what arrives is in order.
    """
    rows = 120_000
    server = redis_desk.connection.redis.info("server")["process_id"]
    allowed = 8 if disk else 16
    process = start(FAST, server, rows, disk, BESOM_MEMORY_MB=str(allowed), BESOM_DISABLE_STATS="true")
    out, told = process.communicate(timeout=110)
    assert process.returncode == 0, told
    assert json.loads(out) < allowed + 2, "MB, with what Python itself takes"
    messages = told.splitlines()
    assert len(messages) == len(set(messages))
    assert any("cannot be written" in line for line in messages) == bool(disk)
    losses = [row["loss"] for row in redis_desk.rows("r")]
    if disk:
        assert any("is lost" in line for line in messages)
        assert losses == sorted(losses)
        assert 1000 < len(losses) < rows
    else:
        assert losses == [-1.0, *map(float, range(rows))]
