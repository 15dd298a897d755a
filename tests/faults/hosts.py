"""Hosts on one machine: network namespaces on a switch of their own, whose links can be cut, made slow and lossy.

Nothing of it touches the machine's own network: the switch stands in a namespace too. Needs root and iproute2.
A link is a pair of veth devices. Where the kernel can make it slow and lossy (netem) it does; elsewhere such a link
is two TAP devices, and a thread of ours carries the frames between them.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

__all__ = ["Lan"]

_TUNSETIFF = 0x400454CA
_TAP_WITHOUT_HEADER = 0x1002


class Lan:
    """A context: `count` hosts, numbered from 1, with the addresses 10.231.0.1 and so on.

    Args:
        count: How many.
        poor: Seconds of delay, its jitter, and the share of frames that is lost, on every link and in both directions.
        seed: Of what is lost.
    """

    def __init__(self, count: int, poor: tuple[float, float, float] | None = None, seed: int = 0) -> None:
        self._count = count
        self._poor = poor
        self._seed = seed
        self._name = f"besom{os.getpid()}"
        self._cables: list[_Cable] = []
        self._spaces = [self._space(host) for host in range(count + 1)]

    def __enter__(self) -> Lan:
        if shutil.which("ip") is None:
            pytest.skip("network namespaces need iproute2; install it with: apt install iproute2")
        try:
            self._build()
        except subprocess.CalledProcessError as error:
            self.__exit__()
            pytest.skip(f"network namespaces cannot be made here: {' '.join(error.cmd)}: {error.stderr.strip()}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for cable in self._cables:
            cable.close()
        for space in self._spaces:
            if Path("/run/netns", space).exists():
                subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)

    @staticmethod
    def address(host: int) -> str:
        """Of a host."""
        return f"10.231.0.{host}"

    def on(self, host: int) -> list[str]:
        """What a command starts with, to run on this host."""
        return ["ip", "netns", "exec", self._space(host)]

    def named(self, host: int) -> list[str]:
        """As `on`, where the machine is called host1, host2 …, as machines are."""
        return [*self.on(host), "unshare", "--uts", "sh", "-c", 'hostname "host$0" && exec "$@"', str(host)]

    def cut(self, host: int) -> None:
        """Cut its link."""
        self._inside(0, "ip", "link", "set", f"port{host}", "down")

    def heal(self, host: int) -> None:
        """Mend its link."""
        self._inside(0, "ip", "link", "set", f"port{host}", "up")

    # ---- building

    def _space(self, host: int) -> str:
        return f"{self._name}-{host}"  # 0 is the switch

    def _inside(self, host: int, *command: str) -> None:
        _run([*self.on(host), *command])

    def _build(self) -> None:
        for space in self._spaces:
            _run(["ip", "netns", "add", space])
        self._inside(0, "ip", "link", "add", "switch", "type", "bridge")
        self._inside(0, "ip", "link", "set", "switch", "up")
        by_hand = self._poor is not None and not self._has_netem()
        for host in range(1, self._count + 1):
            if by_hand:
                self._lay_cable(host)
            else:
                self._inside(
                    0, "ip", "link", "add", f"port{host}", "type", "veth", "peer", "eth0", "netns", self._space(host)
                )
            self._inside(0, "ip", "link", "set", f"port{host}", "master", "switch", "up")
            self._inside(host, "ip", "address", "add", f"{self.address(host)}/24", "dev", "eth0")
            self._inside(host, "ip", "link", "set", "eth0", "up")
            self._inside(host, "ip", "link", "set", "lo", "up")
            if self._poor is not None and not by_hand:
                self._spoil(0, f"port{host}")
                self._spoil(host, "eth0")

    def _has_netem(self) -> bool:
        try:
            self._spoil(0, "lo")
        except (subprocess.CalledProcessError, FileNotFoundError):
            return False
        return True

    def _spoil(self, host: int, device: str) -> None:
        assert self._poor is not None
        delay, jitter, loss = self._poor
        self._inside(
            host, "tc", "qdisc", "add", "dev", device, "root", "netem",
            "delay", f"{delay * 1000:.0f}ms", f"{jitter * 1000:.0f}ms", "loss", f"{loss * 100}%",
        )  # fmt: skip

    def _lay_cable(self, host: int) -> None:
        assert self._poor is not None
        names = [f"bsm{os.getpid() % 10**6}-{host}{end}" for end in "ab"]
        try:
            cable = _Cable(names, *self._poor, self._seed + host)
        except OSError as error:
            pytest.skip(f"this kernel has no netem, and TAP devices cannot be made here: {error}")
        self._cables.append(cable)
        for name, where, final in zip(names, (0, host), (f"port{host}", "eth0"), strict=True):
            _run(["ip", "link", "set", name, "netns", self._space(where), "name", final])


class _Cable:
    """Two TAP devices and a thread that carries frames between them, late and not all of them.

    Args:
        names: Of the devices.
        delay: Seconds that a frame takes.
        jitter: Seconds that it may take more or less.
        loss: Share of frames that is lost.
        seed: Of what is lost.
    """

    def __init__(self, names: Sequence[str], delay: float, jitter: float, loss: float, seed: int) -> None:
        self._ends: list[int] = []
        self._delay, self._jitter, self._loss = delay, jitter, loss
        self._random = random.Random(seed)
        self._wake, self._waker = os.pipe()
        self._thread: threading.Thread | None = None
        try:
            self._ends = [_tap(name) for name in names]
        except OSError:
            self.close()
            raise
        self._thread = threading.Thread(target=self._carry, name="cable")
        self._thread.start()

    def close(self) -> None:
        """The devices go with their descriptors."""
        if self._thread is not None:
            os.write(self._waker, b"\0")
            self._thread.join(10)
        for descriptor in (*self._ends, self._wake, self._waker):
            os.close(descriptor)

    def _carry(self) -> None:
        other = dict(zip(self._ends, reversed(self._ends), strict=True))
        under_way: list[tuple[float, int, int, bytes]] = []
        last = dict.fromkeys(self._ends, 0.0)
        count = 0
        while True:
            pause = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
            readable, _, _ = select.select([*self._ends, self._wake], [], [], pause)
            if self._wake in readable:
                return
            now = time.monotonic()
            for end in readable:
                frame, count = os.read(end, 65536), count + 1
                if self._random.random() >= self._loss:
                    last[end] = max(last[end], now + self._delay + self._random.uniform(-self._jitter, self._jitter))
                    heapq.heappush(under_way, (last[end], count, other[end], frame))
            while under_way and under_way[0][0] <= now:
                _, _, end, frame = heapq.heappop(under_way)
                _write(end, frame)


def _write(end: int, frame: bytes) -> None:
    try:
        os.write(end, frame)
    except OSError:
        return  # the device is down: the frame is lost


def _tap(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP_WITHOUT_HEADER))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
