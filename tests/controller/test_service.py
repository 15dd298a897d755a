"""The service from inside: one for each home, ends when it is not used or told to, brings its Redis back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.broker.lead import read_leader
from besom.broker.ledger import Ledger
from besom.broker.service import Service, ServiceInfo
from besom.controller.create import create_sweep
from besom.controller.service import serve, stop_on_signals
from besom.controller.sweep_config import parse
from besom.settings import Settings, read_settings
from besom.tracking.store import reader
from besom.tracking.store.store import Store
from tests.e2e.processes import alive
from tests.redis_server import RedisServer
from tests.waiting import until

CONFIG = {"method": "grid", "parameters": {"x": {"values": [1, 2, 3]}}}


@pytest.fixture
def settings(redis_server: RedisServer) -> Settings:
    """A home with a short path; the server itself is not used, only known to be there."""
    return read_settings(home=redis_server.folder / "home", idle_seconds=0.3)


def _serve(settings: Settings, meanwhile: Callable[[ServiceInfo], Any], *, idle: bool = False, **more: Any) -> Any:
    """Be the service here while another thread does something; what that gave."""
    outcome: Future[Any] = Future()

    def work(info: ServiceInfo) -> None:
        try:
            outcome.set_result(meanwhile(info))
        except BaseException as error:
            outcome.set_exception(error)
        finally:
            if not idle:
                os.kill(os.getpid(), signal.SIGTERM)

    threads: list[threading.Thread] = []

    def ready(info: ServiceInfo) -> None:
        threads.append(threading.Thread(target=work, args=(info,)))
        threads[0].start()

    serve(settings, idle=idle, ready=ready, **more)
    threads[0].join(10)
    return outcome.result(10)


def _connection(settings: Settings) -> Connection:
    service = Service(settings)
    info = service.find()
    assert info is not None
    return service.connection(info)


@pytest.mark.redis
def test_it_is_found_and_leaves_nothing(settings: Settings) -> None:
    """While it serves, it is found by its 0600 file; after SIGTERM file and Redis are gone, the store is there."""

    def look(info: ServiceInfo) -> int:
        assert Service(settings).find() == info
        assert (settings.home / "service.json").stat().st_mode & 0o777 == 0o600
        connection = _connection(settings)
        leader = until(lambda: (found := read_leader(connection)).alive and found, "a controller")
        assert leader.info["colour"] == "blue"
        pid = int(connection.redis.info("server")["process_id"])
        connection.close()
        return pid

    pid = _serve(settings, look, info_of=lambda store: {"colour": "blue"})
    assert not alive(pid)
    assert not (settings.home / "service.json").exists()
    assert (settings.home / "besom.db").exists()


@pytest.mark.redis
def test_it_ends_when_nobody_uses_it(settings: Settings) -> None:
    """With `idle` it ends by itself; an agent that beats keeps it alive."""

    def use(info: ServiceInfo) -> None:
        connection = _connection(settings)
        ledger = Ledger(connection)
        ledger.beat("agent", 30_000, [], {"sweep": "s", "slots": 1})
        first = int(connection.redis.hget(connection.keys.service(), "active"))
        until(
            lambda: int(connection.redis.hget(connection.keys.service(), "active")) > first + 600,
            "twice the idle time in use",
        )
        ledger.leave("agent")
        connection.close()

    _serve(settings, use, idle=True)
    assert Service(settings).find() is None


@pytest.mark.redis
def test_redis_that_dies_is_started_again(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """kill -9 of its Redis: the same address answers again, with what it held, and the controller leads."""

    def kill(info: ServiceInfo) -> None:
        connection = _connection(settings)
        spec = create_sweep(connection, parse(CONFIG), settings)
        first = int(connection.redis.info("server")["process_id"])
        os.kill(first, signal.SIGKILL)
        assert connection.call(lambda: int(connection.redis.info("server")["process_id"]), patience=20) != first
        assert Ledger(connection).spec(spec.id) == spec
        until(lambda: read_leader(connection).alive, "a controller")
        connection.close()

    _serve(settings, kill)
    assert "Redis died; starting it again" in caplog.text


@pytest.mark.redis
def test_what_is_in_the_journal_reaches_the_store(settings: Settings) -> None:
    """A sweep created just before `besom down` stands in the store afterwards."""

    def create(info: ServiceInfo) -> str:
        connection = _connection(settings)
        spec = create_sweep(connection, parse(CONFIG), settings)
        connection.redis.hset(connection.keys.service(), "down", info.nonce)
        connection.close()
        return spec.id

    sweep = _serve(settings, create, idle=True)
    store = Store.open(settings.store_url, create=False)
    with store.read() as conn:
        assert reader.sweep(conn, sweep) is not None
    store.close()


@pytest.mark.redis
def test_another_nonce_does_not_end_it(settings: Settings) -> None:
    """`besom down` of an earlier service means nothing to this one."""

    def look(info: ServiceInfo) -> bool:
        connection = _connection(settings)
        connection.redis.hset(connection.keys.service(), "down", "another")
        lease = connection.keys.controller()
        first = until(lambda: int(connection.redis.hget(lease, "until") or 0), "a controller")
        until(lambda: int(connection.redis.hget(lease, "until")) > first, "a controller at work")
        connection.close()
        return Service(settings).find() == info

    assert _serve(settings, look)


@pytest.mark.redis
def test_one_for_each_home(settings: Settings) -> None:
    """A second service for the home is refused, and says what shows and what ends the first."""

    def second(info: ServiceInfo) -> str:
        done = subprocess.run(
            [sys.executable, "-c", _SECOND, str(settings.home)], capture_output=True, text=True, timeout=30, check=False
        )
        return done.stdout + done.stderr

    said = _serve(settings, second)
    assert "a service runs for" in said
    assert "besom down" in said


_SECOND = """
import sys
from besom.controller.service import serve
from besom.settings import read_settings
try:
    serve(read_settings(home=sys.argv[1]), idle=False)
except UsageError as error:
    print(error)
"""


# ---- signals


@pytest.fixture
def handlers() -> Iterator[list[int]]:
    """Handlers of the test's own, which count."""
    seen: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    old = {number: signal.signal(number, lambda number, frame: seen.append(number)) for number in numbers}
    yield seen
    for number, handler in old.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_sets_the_event(handlers: list[int], number: signal.Signals) -> None:
    """Inside, a signal sets the event; afterwards the handlers from before are back."""
    stop = threading.Event()
    with stop_on_signals(stop):
        signal.raise_signal(number)
        assert stop.is_set()
    assert handlers == []
    signal.raise_signal(number)
    assert handlers == [number]


def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    """The second one ends the process with 128 + its number."""
    script = (
        "import signal, threading\n"
        "from besom.controller.service import stop_on_signals\n"
        "with stop_on_signals(threading.Event()):\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=30, check=False)
    assert done.returncode == 128 + signal.SIGTERM
