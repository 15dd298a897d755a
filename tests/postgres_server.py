"""A real PostgreSQL server for tests: own folder, unix socket, as an unprivileged user, ended with the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import psycopg

__all__ = ["PostgresServer", "binaries"]


def binaries() -> Path | None:
    """The folder of the newest server that this machine has."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    there = shutil.which("initdb")
    return Path(there).resolve().parent if there else None


class PostgresServer:
    """One server; every store gets a schema of its own.

    Args:
        folder: Of its data and its socket; the path must be short.
        address: Listen on this IP address too, for everybody in its /24; then stores are named by it.
        prefix: Command that starts it somewhere else, such as in a network namespace.
        durable: Whether a commit reaches the disk, with the memory that a server has by default; tests need neither.
    """

    def __init__(self, folder: Path, address: str = "", prefix: Sequence[str] = (), *, durable: bool = False) -> None:
        self._address = address
        self._prefix = list(prefix)
        self._folder = folder
        self._durable = durable
        self._data = folder / "data"
        # The server refuses to run as root; the package makes this user.
        self._user = pwd.getpwnam("postgres").pw_name if os.getuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._schemas = 0

    def start(self) -> None:
        home = binaries()
        assert home is not None
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._folder.chmod(0o700)
        setup = ["--auth=trust", "--username=besom", "--no-sync", "--encoding=UTF8", "--locale=C"]
        subprocess.run(
            self._as_user([str(home / "initdb"), "-D", str(self._data), *setup]),
            check=True, capture_output=True, cwd="/", timeout=60,
        )  # fmt: skip
        if self._address:
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {self._address}/24 trust\n")
        options = {
            "listen_addresses": self._address, "unix_socket_directories": str(self._folder), "max_connections": "50",
        }  # fmt: skip
        if not self._durable:
            options |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
            options["shared_buffers"] = "16MB"
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [*self._prefix, *self._as_user([str(home / "postgres"), "-D", str(self._data), *flags])],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
        for _ in range(1000):
            try:
                self._connect().close()
                return
            except psycopg.OperationalError:
                threading.Event().wait(0.01)
        raise AssertionError("postgres did not start")

    def new_store(self) -> str:
        """The URL of an empty schema, much cheaper than a database, with the driver left out as users do."""
        self._schemas += 1
        name = f"besom{self._schemas}"
        with self._connect() as conn:
            conn.execute(f"CREATE SCHEMA {name}")
        conn.close()
        return f"postgresql://besom@/postgres?host={self._address or self._folder}&options=-csearch_path%3D{name}"

    def stop(self) -> None:
        """End it at once; nothing of it is wanted any more."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(f"host={self._folder} user=besom dbname=postgres", autocommit=True)

    def _as_user(self, command: Sequence[str]) -> list[str]:
        if self._user is None:
            return list(command)
        # setpriv execs: signals reach the server itself.
        return ["setpriv", f"--reuid={self._user}", f"--regid={self._user}", "--clear-groups", *command]
