"""Forked children that log to their parent's run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.messages import RunEnded
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.folder import Folder
from besom.tracking.writing.syncing import sync
from tests.redis_server import RedisServer
from tests.tracking.desk import Desk, batches, events

pytestmark = pytest.mark.redis

START = """
import concurrent.futures, multiprocessing, os, sys, threading
import besom
run = besom.init(id="r", config={"lr": 1})
run.log({"parent": 1}, step=0, commit=True)
run.log({"open": 1}, commit=False)

def work(step=10):
    run.log({"child": step}, step=step, commit=True)
    run.config["seen"] = step

fork = multiprocessing.get_context("fork")
"""

END = """
assert run.state == "running"
run.log({"parent": 2}, step=20, commit=True)
"""

FORK = """
child = os.fork()
if not child:
{body}
assert os.waitpid(child, 0)[1] >> 8 == {code}
"""

Play = Callable[..., str]


@pytest.fixture
def play(redis_server: RedisServer, tmp_path: Path) -> Play:
    """Run a script that forks, against a real Redis."""

    def play(middle: str, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", START + middle + END],
            env={**os.environ, "BESOM_REDIS_URL": redis_server.url, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    return play


PROCESS = "child = fork.Process(target=work)\nchild.start()\nchild.join()\nassert child.exitcode == 0\n"


@pytest.mark.parametrize(
    "middle",
    [
        PROCESS,
        FORK.format(body="    work()\n    sys.exit(3)", code=3),
        FORK.format(body="    with run:\n        work()\n        sys.exit(3)", code=3),
        FORK.format(body="    work()\n    besom.finish(1)\n    os._exit(0)", code=0),
        "with concurrent.futures.ProcessPoolExecutor(1, mp_context=fork) as pool: pool.submit(work).result()\n",
        # os._exit asks nobody: the flusher has sent what is older than a fraction of a second
        FORK.format(
            body="    work()\n    pause = threading.Event()\n"
            "    while not run._writer._backlog.sent or run._writer.due() is not None: pause.wait(0.01)\n"
            "    os._exit(0)",
            code=0,
        ),
        (
            "def inner():\n    child = fork.Process(target=work)\n    child.start()\n    child.join()\n"
            "child = fork.Process(target=inner)\nchild.start()\nchild.join()\n"
        ),
    ],
    ids=["multiprocessing", "fork", "block", "finish", "pool", "_exit", "grandchild"],
)
def test_a_child_logs(middle: str, play: Play, redis_connection: Connection, redis_desk: Desk) -> None:
    """All that it logged arrives, through a writer of its own; its end is not the run's, which keeps its open row."""
    play(middle)
    assert redis_desk.rows("r") == [
        {"_step": 0, "parent": 1}, {"_step": 1, "open": 1}, {"_step": 10, "child": 10}, {"_step": 20, "parent": 2},
    ]  # fmt: skip
    assert len({writer for writer, _ in batches(redis_connection)}) == 2
    (ended,) = events(redis_connection, RunEnded)
    assert (ended.exit_code, len(ended.writers)) == (0, 1)
    with redis_desk.store.read() as conn:
        assert conn.exec_driver_sql("SELECT state, json_extract(config, '$.seen') FROM runs").all() == [
            ("finished", 10)
        ]


def test_children_that_log_nothing(play: Play, redis_connection: Connection) -> None:
    """They start no thread, open no connection and wait for nobody."""
    play(
        "def idle():\n    assert threading.active_count() == 1\n"
        "child = fork.Process(target=idle)\nchild.start()\nchild.join()\nassert child.exitcode == 0\n"
    )
    assert len({writer for writer, _ in batches(redis_connection)}) == 1


def test_a_child_of_an_offline_run(play: Play, redis_connection: Connection, redis_desk: Desk, tmp_path: Path) -> None:
    """It writes a file of its own beside its parent's, and `sync` sends both."""
    play(PROCESS, BESOM_MODE="offline")
    told: list[Any] = list(sync(tmp_path, Journal(redis_connection), Blobs(Folder(tmp_path / "blobs")), patience=0))
    assert [one.outcome for one in told] == ["sent"]
    assert [row["_step"] for row in redis_desk.rows("r")] == [0, 1, 10, 20]
    assert len({writer for writer, _ in batches(redis_connection)}) == 2


def test_a_child_outlives_its_parents_threads(play: Play, redis_connection: Connection, redis_desk: Desk) -> None:
    """A fork in the middle of logging threads finds no lock held."""
    play(
        "stop = threading.Event()\n"
        "def busy():\n    while not stop.is_set(): run.summary['x'] = 1; run._writer.flush()\n"
        "threads = [threading.Thread(target=busy) for _ in range(3)]\n"
        "[thread.start() for thread in threads]\n"
        "for step in range(10, 15):\n"
        "    child = fork.Process(target=work, args=(step,))\n    child.start()\n    child.join(30)\n"
        "    assert child.exitcode == 0\n"
        "stop.set()\n[thread.join() for thread in threads]\n"
    )
    assert [row["child"] for row in redis_desk.rows("r") if "child" in row] == list(range(10, 15))
