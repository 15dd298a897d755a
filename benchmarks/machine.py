"""What every measurement needs: a Redis of its own, child processes that say when they are ready, their CPU time."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TICK = os.sysconf("SC_CLK_TCK")
REDIS_OPTIONS = ("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")
"""The same for everybody: no snapshots, no append-only file."""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads, its children not counted."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb(pid: int) -> float:
    """The most resident memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith("VmHWM"))


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and theirs, as far as they live."""
    own = [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]
    return own + [further for child in own for further in descendants(child)]


def disk_mb(folder: Path) -> float:
    """What the files in a folder hold."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def describe() -> str:
    """The machine and its Redis, in one line."""
    server = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
    version = next(part[2:] for part in server.split() if part.startswith("v="))
    return f"{machine()}; redis-server {version} on loopback, AOF and snapshots off"


def machine() -> str:
    """The machine, in one line."""
    cpu = next((line.partition(":")[2].strip() for line in _cpu_info() if line.startswith("model name")), "")
    load = " ".join(f"{part:.1f}" for part in os.getloadavg())
    return f"{os.cpu_count()} cores ({cpu or platform.machine()}), Python {platform.python_version()}, load {load}"


def _cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def until(what: str, holds: Callable[[], Any], seconds: float = 120.0, pause: float = 0.005) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        threading.Event().wait(pause)


class Child:
    """A Python process running a module of ours; it says what it has to say in lines of JSON."""

    def __init__(
        self, module: str, *arguments: object, env: dict[str, str] | None = None, python: str = sys.executable
    ) -> None:
        command = [python, "-m", module, *map(str, arguments)]
        self._process = subprocess.Popen(
            command, env={**os.environ, **(env or {})}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid

    def hear(self, seconds: float = 60.0) -> Any:
        """The next line that it says; other output is passed over. One that says nothing for so long is ended."""
        assert self._process.stdout is not None
        watch = threading.Timer(seconds, self._process.kill)
        watch.start()
        try:
            for line in self._process.stdout:
                if line.startswith("{"):
                    return json.loads(line)
        finally:
            watch.cancel()
        raise RuntimeError(f"{self._process.args} ended with code {self._process.wait()}")

    def say(self, text: str = "") -> None:
        """A line for it to read."""
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Let it go: end of its input, then SIGTERM, then SIGKILL."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                self._process.send_signal(number)
            try:
                self._process.wait(10)
                break
            except subprocess.TimeoutExpired:
                continue
        assert self._process.stdout is not None
        self._process.stdout.close()

    def stop(self) -> Any:
        """SIGTERM, and what it says last."""
        self._process.send_signal(signal.SIGTERM)
        return self.hear()


def say(**what: Any) -> None:
    """A child's line to its parent."""
    print(json.dumps(what), flush=True)


class Place:
    """A folder and a Redis of one measurement."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        binary = shutil.which("redis-server")
        if binary is None:
            raise SystemExit("redis-server is not installed")
        self._server = subprocess.Popen(
            [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), *REDIS_OPTIONS, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        self.pid = self._server.pid
        import redis  # the peers' own environment has none

        self.redis: Any = redis.Redis.from_url(self.url)
        self._errors = redis.exceptions.RedisError
        until("redis-server", self._answers, 10)
        self._children: list[Child] = []
        self.env = {
            "BESOM_REDIS_URL": self.url, "BESOM_HOME": str(folder / "home"), "BESOM_DIR": str(folder),
            "BESOM_SILENT": "1",
        }  # fmt: skip

    def child(self, module: str, *arguments: object, python: str = sys.executable) -> Child:
        """Start one; it ends with the place."""
        child = Child(module, *arguments, env=self.env, python=python)
        self._children.append(child)
        return child

    def close(self) -> None:
        """End everything."""
        for child in reversed(self._children):  # agents before their controller
            child.end()
        self.redis.close()
        self._server.terminate()
        self._server.wait(30)

    def _answers(self) -> bool:
        try:
            return bool(self.redis.ping())
        except self._errors:
            return False


@contextmanager
def place(*options: str) -> Iterator[Place]:
    """A folder and a Redis, gone afterwards."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends with this process
    with tempfile.TemporaryDirectory(prefix="besom-bench-", ignore_cleanup_errors=True) as folder:
        here = Place(Path(folder), *options)
        try:
            yield here
        finally:
            here.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def table(rows: list[list[str]]) -> str:
    """Rows as aligned text; the first is the head, the first column is text."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) if not column else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]  # fmt: skip
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
