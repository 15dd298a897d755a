"""Agents and runs in the cells of a notebook, in a real kernel: how they end, and that the notebook works on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import nbformat
import pytest
from nbclient import NotebookClient

from tests.e2e.checker import check, lines, started
from tests.e2e.processes import HERE, House, wait_until
from tests.faults.houses import a_house, hearing_interrupts
from tests.redis_server import RedisServer

# What Jupyter's packages warn about is not ours.
pytestmark = [pytest.mark.redis, pytest.mark.soak, pytest.mark.filterwarnings("ignore")]

GRID = {"x": [0, 1, 2]}

_BEFORE = """
import signal, besom, train
def handlers():
    fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(fd)
    return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), fd
before = handlers()
"""


@contextmanager
def _kernel(house: House) -> Iterator[NotebookClient]:
    notebook = nbformat.v4.new_notebook()
    client = NotebookClient(notebook, timeout=60, allow_errors=True, resources={"metadata": {"path": str(HERE)}})
    with client.setup_kernel(env=house.processes.environment):
        yield client


def _cell(client: NotebookClient, code: str) -> str:
    """Run it as the next cell; what it printed, or the name of its error."""
    client.nb.cells.append(nbformat.v4.new_code_cell(code))
    done = client.execute_cell(client.nb.cells[-1], len(client.nb.cells) - 1)
    return "".join(output.get("text", output.get("ename", "")) for output in done.outputs)


def _said(client: NotebookClient) -> str:
    return "".join(output.get("text", "") for output in client.nb.cells[-1].outputs)


def _interrupt(house: House, sweep: str, client: NotebookClient, times: int) -> None:
    started(house, sweep)
    asyncio.run(client.km.interrupt_kernel())
    wait_until(lambda: "once more to hand it back" in _said(client), "a word on what the interrupt does")
    if times == 2:
        asyncio.run(client.km.interrupt_kernel())
    else:
        house.hold.unlink()


@pytest.mark.parametrize("times", [1, 2])
def test_kernel_is_interrupted(redis_server: RedisServer, tmp_path: Path, times: int) -> None:
    """Once: the trial ends and counts. Twice: it is handed back. The next cells work, handlers are the kernel's own."""
    with hearing_interrupts(), a_house(tmp_path, redis_server) as house, _kernel(house) as client:
        house.controller()
        house.hold.touch()
        sweep = house.sweep({"x": {"values": GRID["x"]}})
        assert _cell(client, _BEFORE) == ""
        user = Thread(target=_interrupt, args=(house, sweep, client, times))
        user.start()
        said = _cell(client, f"besom.agent({sweep!r}, train.train)")
        user.join()
        first = started(house, sweep)[0]
        house.hold.unlink(missing_ok=True)
        assert len(lines(house, sweep, "end")) == (1 if times == 1 else 0), said
        assert "KeyboardInterrupt" in said
        assert _cell(client, "print(handlers() == before, 1 + 1)") == "True 2\n"
        _cell(client, f"besom.agent({sweep!r}, train.train)")
        house.finishes(sweep)
        rows = check(house, sweep, grid=GRID)
        assert (rows[first.number]["attempt"], rows[first.number]["losses"]) == (times, 0)


def _is(house: House, run: str, state: str) -> None:
    def reached() -> bool:
        with closing(house.api()) as api:
            return any(found.id == run and found.state == state for found in api.runs("cells"))

    wait_until(reached, f"run {run} to be {state}")


def test_runs_of_cells(redis_server: RedisServer, tmp_path: Path) -> None:
    """A cell that fails leaves its run open, a second `init` finishes it; the kernel's end finishes the last one."""
    with a_house(tmp_path, redis_server) as house:
        house.controller()
        with _kernel(house) as client:
            _cell(client, "import besom\nrun = besom.init(project='cells', id='first', config={'lr': 1})")
            assert "ZeroDivisionError" in _cell(client, "besom.log({'a': 1 / 0})")
            assert _cell(client, "besom.config.lr = 2; besom.log({'a': 1}); print(run.state)") == "running\n"
            assert _cell(client, "besom.init(project='cells', id='second'); print(run.state)") == "finished\n"
            _cell(client, "besom.log({'a': 2})")
            _is(house, "first", "finished")
            _is(house, "second", "running")
        _is(house, "second", "finished")
        with closing(house.api()) as api:
            rows = {run.id: [row["a"] for row in run.scan_history(keys=["a"])] for run in api.runs("cells")}
        assert rows == {"first": [1], "second": [2]}


def test_kernel_is_killed(redis_server: RedisServer, tmp_path: Path) -> None:
    """What was logged is there; once its beat has run out, the run is crashed."""
    with a_house(tmp_path, redis_server) as house:
        house.controller()
        with _kernel(house) as client:
            _cell(client, "import besom\nbesom.init(project='cells', id='lost').log({'a': 1})")
            with closing(house.api()) as api:
                wait_until(lambda: api.runs("cells") and api.run("cells/lost").summary.get("a") == 1, "the row")
            asyncio.run(client.km.shutdown_kernel(now=True))
        _is(house, "lost", "running")
        house.connection.redis.zadd(house.connection.keys.runs(), {"lost": 0})  # as if five minutes were over
        _is(house, "lost", "crashed")
