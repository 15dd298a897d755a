"""How busy the machine is while a run is open: CPU, memory, disk, network, this process, GPUs.

Gives: rows for a run's writer every 15 s, under names that begin with `messages.SYSTEM`, by seconds since the epoch
as their step, so that the run's own steps know nothing of them.  Read them with `run.history(stream="system")`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from besom.messages import SYSTEM

__all__ = ["SAMPLE_SECONDS", "Gauges", "SystemMonitor"]

log = logging.getLogger("besom")

SAMPLE_SECONDS: Final = 15.0
_START_SECONDS: Final = 1.0
"""Before psutil is imported: the shortest runs do without."""


class Gauges:
    """Reads the machine; rates are over the time since the last `read`."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._process = psutil.Process()
        self._gpus = _Gpus()
        self._counts: dict[str, int] = {}
        self._read_at = time.monotonic()
        self.read()  # what comes first has nothing to compare with

    def read(self) -> dict[str, float]:
        """Percent of the whole for cpu, memory, disk and gpu; of one core for process/cpu; MB and kB/s elsewhere."""
        psutil, process = self._psutil, self._process
        found = {
            "cpu": psutil.cpu_percent(),
            "memory": psutil.virtual_memory().percent,
            "disk": psutil.disk_usage(os.getcwd()).percent,
            "process/cpu": process.cpu_percent(),
            "process/memory_mb": process.memory_info().rss / 1e6,
        }
        return {**found, **self._rates(), **self._gpus.read()}

    def _rates(self) -> dict[str, float]:
        disk, network = self._psutil.disk_io_counters(), self._psutil.net_io_counters()
        counts: dict[str, int] = {}
        if disk is not None:  # None in some containers
            counts |= {"disk/read_kb_s": disk.read_bytes, "disk/write_kb_s": disk.write_bytes}
        if network is not None:
            counts |= {"network/received_kb_s": network.bytes_recv, "network/sent_kb_s": network.bytes_sent}
        before, self._counts = self._counts, counts
        now = time.monotonic()
        seconds, self._read_at = max(now - self._read_at, 1e-6), now
        return {name: (count - before[name]) / 1000 / seconds for name, count in counts.items() if name in before}


class _Gpus:
    """NVIDIA's GPUs, through nvidia-ml-py when that is installed."""

    def __init__(self) -> None:
        self._handles: list[Any] = []
        try:
            import pynvml

            self._nvml = pynvml
            pynvml.nvmlInit()
            self._handles = [pynvml.nvmlDeviceGetHandleByIndex(place) for place in range(pynvml.nvmlDeviceGetCount())]
        except Exception as error:  # no package, no driver, no device, no permission
            log.debug("no GPU is watched: %s", error)

    def read(self) -> dict[str, float]:
        """Use and memory in percent, temperature in °C, power in W; what a GPU does not tell is left out."""
        found: dict[str, float] = {}
        for place, handle in enumerate(self._handles):
            for name, ask in self._questions().items():
                try:
                    found[f"gpu/{place}/{name}"] = ask(handle)
                except Exception as error:  # each driver leaves out other ones
                    log.debug("GPU %d does not tell its %s: %s", place, name, error)
        return found

    def _questions(self) -> dict[str, Callable[[Any], float]]:
        nvml = self._nvml

        def memory(handle: Any) -> float:
            held = nvml.nvmlDeviceGetMemoryInfo(handle)
            return float(100 * held.used / held.total)

        return {
            "use": lambda handle: float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            "memory": memory,
            "temperature_c": lambda handle: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            "power_w": lambda handle: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        }


class SystemMonitor:
    """Samples on a thread of its own until it is stopped.

    Args:
        keep: Called with the step (seconds since the epoch) and the row.
        gauges: Makes what is read; called on the thread.
        seconds: Between two samples; the first comes after as long.
    """

    def __init__(
        self,
        keep: Callable[[int, dict[str, float]], None],
        gauges: Callable[[], Gauges] = Gauges,
        seconds: float = SAMPLE_SECONDS,
    ) -> None:
        self._keep, self._gauges, self._seconds = keep, gauges, seconds
        self._over = threading.Event()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._work, name="besom-system", daemon=True)

    def start(self) -> None:
        """Sample from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Sample no longer."""
        if self._pid == os.getpid():  # a fork has no such thread
            self._over.set()
            self._thread.join(1.0)

    def _work(self) -> None:
        started = min(_START_SECONDS, self._seconds)
        if self._over.wait(started):
            return
        try:
            gauges = self._gauges()
            pause = self._seconds - started
            while not self._over.wait(pause):
                row = {SYSTEM + name: value for name, value in gauges.read().items()}
                self._keep(int(time.time()), row)
                pause = self._seconds
        except Exception as error:
            log.warning("system metrics are not kept: %s: %s", type(error).__name__, error)
