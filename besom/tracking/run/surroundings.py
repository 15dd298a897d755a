"""What surrounds a run: machine, code and packages it was made with, its console, how busy the machine is.

`describe` gives what `init()` tells of them, `observe` starts what watches the run, and `Run.finish` ends that.
Environment variables are never part of it, and secrets among the arguments are masked.
Knows nothing of the store.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from besom.tracking.run.settings import RunSettings
from besom.tracking.watching.console import Console
from besom.tracking.watching.system import SystemMonitor
from besom.tracking.writing.flusher import flusher

if TYPE_CHECKING:
    from besom.tracking.run.run import Run

__all__ = ["describe", "in_notebook", "masked", "observe"]

DIFF_LIMIT: Final = 1_000_000
"""Bytes of `git diff` that are kept of a run; a longer one is left out."""
TRIAL_DIFF_LIMIT: Final = 100_000
"""The same of a trial, since a sweep has thousands."""

_GIT_SECONDS: Final = 3.0
_MASK: Final = "***"
_SECRET: Final = re.compile(r"token|secret|passw|key|credential", re.IGNORECASE)
_URL_PASSWORD: Final = re.compile(r"(\w[\w+.-]*://[^\s/:@]*):[^\s/@]+@")
_DISTRIBUTION: Final = re.compile(r"(.+?)-(\d[^-]*)(?:-py[\d.]+)?\.(?:dist|egg)-info$")
_GPU_FOLDER: Final = Path("/proc/driver/nvidia/gpus")


def observe(run: Run) -> None:
    """Start what watches this run; it stops when the run is finished."""
    if str(run.settings.console).lower() != "off" and not _is_command_trial(run):
        _keep_console(run)
    if not run.settings.disable_stats:
        _watch_system(run)


def describe(settings: RunSettings, *, of_trial: bool) -> dict[str, Any]:
    """What `RunStarted` tells: `metadata`, and long `texts` (packages, diff) compressed with zlib.

    Args:
        settings: May leave out git, or the diff.
        of_trial: Whether it is a sweep's; then only a short diff is kept.
    """
    minute = int(time.monotonic() // 60)
    repository = {} if settings.disable_git else _git(Path.cwd(), minute)
    told = {**_machine(), "program": sys.argv[0] if sys.argv else "", "args": masked(sys.argv[1:])}
    texts = {"packages": _packages()}
    if repository:
        told["git"] = repository
        if repository["dirty"] and not settings.disable_code:
            diff = _diff(Path.cwd(), minute)
            if diff and len(diff) <= (TRIAL_DIFF_LIMIT if of_trial else DIFF_LIMIT):
                texts["diff"] = zlib.compress(diff)
    return {"metadata": told, "texts": texts}


def in_notebook() -> bool:
    """Whether this is an IPython kernel."""
    shell = sys.modules.get("IPython")
    if shell is None:
        return False
    instance = shell.get_ipython()
    return instance is not None and type(instance).__name__ == "ZMQInteractiveShell"


def masked(arguments: Sequence[str]) -> list[str]:
    """Command line arguments without the values of those named like secrets, and without passwords in URLs."""
    shown: list[str] = []
    hide_next = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        is_secret = _SECRET.search(name) is not None and "://" not in name
        if hide_next and not argument.startswith("-"):
            shown.append(_MASK)
        elif equals and is_secret:
            shown.append(f"{name}={_MASK}")
        else:
            shown.append(_URL_PASSWORD.sub(rf"\1:{_MASK}@", argument))
        hide_next = argument.startswith("-") and is_secret and not equals
    return shown


def _keep_console(run: Run) -> None:
    writer = run._writer

    def keep(stream: str, seconds: float, line: str) -> None:
        if writer.add_line(stream, seconds, line):
            flusher().wake()

    console = Console(keep)
    console.start()
    run.observers.append(console.stop)


def _watch_system(run: Run) -> None:
    writer = run._writer

    def keep(seconds: int, row: dict[str, float]) -> None:
        if writer.add(seconds, row):
            flusher().wake()

    monitor = SystemMonitor(keep)
    monitor.start()
    run.observers.append(monitor.stop)


def _is_command_trial(run: Run) -> bool:
    """Whether an agent reads what this process prints."""
    return run.trial is not None and run.trial.connection is None


@cache
def _machine() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "os": platform.platform(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "cpu_count": os.cpu_count(),
        "gpus": _gpus(),
    }


def _gpus() -> list[str]:
    """Names of the GPUs; the driver's own files first, since nvidia-smi takes up to a second."""
    names = []
    for path in sorted(_GPU_FOLDER.glob("*/information")):
        with contextlib.suppress(OSError):
            names += re.findall(r"^Model:\s*(.+?)\s*$", path.read_text(encoding="utf-8"), re.MULTILINE)
    if names or shutil.which("nvidia-smi") is None:
        return names
    asked = _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"])
    return [line.strip() for line in (asked or b"").decode("utf-8", "replace").splitlines() if line.strip()]


@cache
def _packages() -> bytes:
    """Installed packages, by the names of their folders: to parse each one's metadata takes ten times as long."""
    found: dict[str, str] = {}
    for folder in sys.path:
        with contextlib.suppress(OSError):
            for entry in os.listdir(folder or "."):
                if named := _DISTRIBUTION.match(entry):
                    found.setdefault(named[1].replace("_", "-"), named[2])
    return zlib.compress("\n".join(sorted(f"{name}=={version}" for name, version in found.items())).encode())


@lru_cache(maxsize=4)
def _git(folder: Path, minute: int) -> dict[str, Any]:
    """Commit, branch, remote and whether tracked files were changed; empty outside a repository.

    Asked once a minute at most: an agent starts many trials, and a notebook lives long.
    """
    commit = _git_says(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    return {
        "commit": commit,
        "branch": _git_says(folder, "rev-parse", "--abbrev-ref", "HEAD"),
        "remote": _without_credentials(_git_says(folder, "remote", "get-url", "origin")),
        "dirty": bool(_git_says(folder, "status", "--porcelain", "--untracked-files=no")),
    }


@lru_cache(maxsize=4)
def _diff(folder: Path, minute: int) -> bytes:
    return _output(["git", "-C", str(folder), "diff", "--no-color", "--no-ext-diff", "HEAD"]) or b""


def _git_says(folder: Path, *arguments: str) -> str:
    return (_output(["git", "-C", str(folder), *arguments]) or b"").decode("utf-8", "replace").strip()


def _output(command: list[str]) -> bytes | None:
    """What a command prints; None when it is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, check=True, stdin=subprocess.DEVNULL, timeout=_GIT_SECONDS,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _without_credentials(remote: str) -> str:
    """The address without user and password; `git@host:path` has none."""
    if "://" not in remote:
        return remote
    parts = urlsplit(remote)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
