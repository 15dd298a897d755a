"""System metrics: what is read, and that a run's own history knows nothing of it."""

from __future__ import annotations

import os
import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest

from besom.broker.connection import Connection
from besom.messages import SYSTEM
from besom.tracking.run import surroundings
from besom.tracking.run.init import init
from besom.tracking.store import history, reader
from besom.tracking.watching.system import Gauges, SystemMonitor
from tests.tracking.desk import Desk
from tests.tracking.stories import batch, claimed, created, play, started
from tests.waiting import until

PERCENTS = ("cpu", "memory", "disk")


class Constant(Gauges):
    """Gauges that stand still."""

    def __init__(self) -> None:
        """Nothing is read of the machine."""

    def read(self) -> dict[str, float]:
        return {"cpu": 50.0}


def test_gauges() -> None:
    """Percents are percents, and the process' memory is what psutil says."""
    row = Gauges().read()
    assert all(0 <= row[name] <= 100 for name in PERCENTS)
    assert row["process/memory_mb"] == pytest.approx(psutil.Process().memory_info().rss / 1e6, rel=0.2)
    assert all(row[name] >= 0 for name in row if name.endswith("kb_s"))


def test_rates_are_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """5 MB sent within 10 s are 500 kB/s."""
    from besom.tracking.watching import system

    now, sent = 100.0, 0
    monkeypatch.setattr(system.time, "monotonic", lambda: now)
    monkeypatch.setattr(psutil, "net_io_counters", lambda: SimpleNamespace(bytes_recv=7, bytes_sent=sent))
    monkeypatch.setattr(psutil, "disk_io_counters", lambda: None)
    gauges = Gauges()
    now, sent = 110.0, 5_000_000
    row = gauges.read()
    assert row["network/sent_kb_s"] == pytest.approx(500)
    assert row["network/received_kb_s"] == 0
    assert "disk/read_kb_s" not in row


def test_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nvidia-ml-py tells of each GPU; what the driver refuses is left out."""

    def refuse(handle: Any) -> int:
        raise RuntimeError("not supported")

    nvml: Any = ModuleType("pynvml")
    nvml.NVML_TEMPERATURE_GPU = 0
    nvml.nvmlInit = lambda: None
    nvml.nvmlDeviceGetCount = lambda: 1
    nvml.nvmlDeviceGetHandleByIndex = lambda place: place
    nvml.nvmlDeviceGetUtilizationRates = lambda handle: SimpleNamespace(gpu=40)
    nvml.nvmlDeviceGetMemoryInfo = lambda handle: SimpleNamespace(used=1, total=4)
    nvml.nvmlDeviceGetTemperature = lambda handle, kind: 60
    nvml.nvmlDeviceGetPowerUsage = refuse
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    found = {name: value for name, value in Gauges().read().items() if name.startswith("gpu/")}
    assert found == {"gpu/0/use": 40, "gpu/0/memory": 25, "gpu/0/temperature_c": 60}


def test_the_monitor_samples_until_it_is_stopped() -> None:
    """Rows come one after the other, and none after the stop."""
    rows: list[tuple[int, dict[str, float]]] = []
    third = threading.Event()

    def keep(step: int, row: dict[str, float]) -> None:
        rows.append((step, row))
        if len(rows) >= 3:
            third.set()

    monitor = SystemMonitor(keep, Constant, seconds=0.01)
    monitor.start()
    assert third.wait(10)
    monitor.stop()
    assert not monitor._thread.is_alive()
    assert all(row == {SYSTEM + "cpu": 50.0} for _, row in rows)


def test_a_short_run_reads_nothing() -> None:
    """A run that is over before the first sample has not even imported psutil for it."""
    made: list[int] = []
    monitor = SystemMonitor(lambda step, row: None, lambda: (made.append(1), Constant())[1], seconds=15)
    monitor.start()
    monitor.stop()
    assert made == []


def test_a_failing_gauge_ends_only_the_metrics(caplog: pytest.LogCaptureFixture) -> None:
    """What goes wrong is said once, in the log."""

    def broken() -> Gauges:
        raise OSError("no /proc")

    monitor = SystemMonitor(lambda step, row: None, broken, seconds=0.01)
    monitor.start()
    until(lambda: not monitor._thread.is_alive(), "the monitor gives up")
    assert "system metrics are not kept: OSError: no /proc" in caplog.text


def test_a_runs_history_knows_nothing_of_it(wired: Connection, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps, summary, keys and rows are those of the script; the metrics are read by their own name."""
    sampled = threading.Event()

    def quick(keep: Any) -> SystemMonitor:
        return SystemMonitor(lambda step, row: (keep(step, row), sampled.set())[0], Constant, seconds=0.01)

    monkeypatch.setattr(surroundings, "SystemMonitor", quick)
    with init(id="r") as run:
        run.log({"loss": 1.0})
        assert sampled.wait(10)
        run.log({"loss": 0.5})
        assert run.step == 2
    assert desk.rows("r") == [{"_step": 0, "loss": 1.0}, {"_step": 1, "loss": 0.5}]
    with desk.store.read() as conn:
        assert history.keys(conn, "r") == ["_timestamp", "loss"]
        assert set(reader.summary(conn, "r")) == {"_timestamp", "loss"}
        rows = history.read_system(conn, "r")
    assert {row["system/cpu"] for row in rows} == {50.0}
    assert all(row["_timestamp"] > 1e9 for row in rows)


def test_attempts_do_not_hide_it(desk: Desk) -> None:
    """A second attempt hides the first one's rows from its first step on, but not what the machine did."""
    machine = {SYSTEM + "cpu": [1.0]}
    play(desk.store, desk.recorder, [
        created(), claimed(0, 1), started("s-0", sweep="s"),
        batch(steps=[0, 1], loss=[1.0, 2.0], writer="a"), batch(steps=[1000], writer="a", seq=2, **machine),
        claimed(0, 2), started("s-0", 2, sweep="s"),
        batch(steps=[2000], writer="b", attempt=2, **machine),
        batch(steps=[1], loss=[3.0], writer="b", seq=2, attempt=2),
    ])  # fmt: skip
    with desk.store.read() as conn:
        assert [row["loss"] for row in history.read_rows(conn, "s-0")] == [1.0, 3.0]
        assert [row["_timestamp"] for row in history.read_system(conn, "s-0")] == [1000.0, 2000.0]


@pytest.mark.parametrize("name", ["BESOM_DISABLE_STATS", "WANDB_DISABLE_STATS", "WANDB_X_DISABLE_STATS"])
def test_it_can_be_turned_off(name: str, wired: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either variable leaves the machine unwatched."""
    monkeypatch.setenv(name, "true")
    monkeypatch.setenv("BESOM_CONSOLE", "off")
    with init(id="r") as run:
        assert run.observers == []


def test_a_fork_stops_at_once() -> None:
    """In a forked child, which has no such thread, stopping waits for nothing."""
    monitor = SystemMonitor(lambda step, row: None, Constant)
    monitor._pid = os.getpid() + 1
    monitor.stop()
    assert not monitor._over.is_set()
