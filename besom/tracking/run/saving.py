"""Files that a run keeps by their paths: `save`, and the code it was made of.

A file's content is a blob; an event tells its path. "live" files are looked at every few seconds and kept again when
they have changed. What cannot be kept is said once, and training goes on.
"""

from __future__ import annotations

import glob as globbing
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from besom.errors import BesomError
from besom.messages import FileSaved
from besom.tracking.artifacts.artifact import Artifact
from besom.tracking.paths import inside

if TYPE_CHECKING:
    from besom.tracking.run.files import WithFiles

__all__ = ["Policy", "Saver", "is_nothing", "is_python", "log_code", "program_file"]

log = logging.getLogger("besom")

Policy = Literal["live", "now", "end"]

_LOOK_SECONDS: Final = 10.0
_POLICIES: Final = ("live", "now", "end")
_CLOUD: Final = ("s3://", "gs://", "gcs://", "az://", "abfs://", "http://", "https://")
_WHOLE_PATH: Final = 2
"""Parameters of an include or exclude function that also wants the root."""


class Saver:
    """What one run saves by path. A part of `Run`.

    Args:
        run: Whose files they are.
        look_seconds: Between two looks at what may have changed.
    """

    def __init__(self, run: WithFiles, look_seconds: float = _LOOK_SECONDS) -> None:
        self._run = run
        self._look_seconds = look_seconds
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[int, int]] = {}  # path in the run: mtime in ns and size of what was kept
        self._watched: dict[str, Path] = {}
        self._at_end: dict[str, Path] = {}
        self._warned: set[str] = set()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def save(self, pattern: str, base: Path | None, policy: Policy) -> list[str]:
        """Keep what matches now, and later as the policy says; the files' paths in the run's folder."""
        if policy not in _POLICIES:
            raise ValueError(f"policy={policy!r} cannot be; write 'live', 'now' or 'end'")
        if pattern.startswith(_CLOUD):
            log.warning("%s is not on this machine and is not saved", pattern)
            return []
        found = list(_matches(pattern, base))
        for name, path in found:
            if policy == "end":
                self._at_end[name] = path
            else:
                self.keep(name, path)
            if policy == "live":
                self._watch(name, path)
        return [_linked(Path(self._run.dir), name, path) for name, path in found]

    def keep(self, name: str, path: Path) -> None:
        """Keep a file as it is now, unless it is as it was the last time."""
        with self._lock:
            try:
                held = path.stat()
                state = (held.st_mtime_ns, held.st_size)
                if self._kept.get(name) == state:
                    return
                sha256 = self._run.blobs.put(path)
                event = FileSaved(run=self._run.id, name=name, sha256=sha256, size=held.st_size)
                self._run.tell(event, {sha256})
                self._kept[name] = state
            except (OSError, BesomError) as error:
                if name not in self._warned:
                    self._warned.add(name)
                    log.warning("%s is not saved: %s", path, error)

    def end(self) -> None:
        """Keep what was to be kept at the end, and what has changed since it was looked at."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        for name, path in {**self._watched, **self._at_end}.items():
            self.keep(name, path)

    def _watch(self, name: str, path: Path) -> None:
        self._watched[name] = path
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="besom-files", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(self._look_seconds):
            for name, path in list(self._watched.items()):
                if path.exists() and not self._ended.is_set():
                    self.keep(name, path)


def log_code(
    run: WithFiles, root: str | None, name: str | None, include_fn: Callable[..., bool], exclude_fn: Callable[..., bool]
) -> Artifact | None:
    """`Run.log_code`."""
    top = Path(root or ".").resolve()
    wanted, unwanted = _of_path(include_fn, top), _of_path(exclude_fn, top)
    own = Path(run.dir).parent
    artifact = Artifact(name or f"source-{run.project}-{_program_name()}", "code")
    for path in sorted(top.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(top).parts)
        if path.is_file() and not hidden and not path.is_relative_to(own) and wanted(path) and not unwanted(path):
            artifact.add_file(path, path.relative_to(top).as_posix())
    return run.log_artifact(artifact) if artifact.file_count else None


def program_file() -> Path | None:
    """The script that this process runs; None in a notebook, a shell and the like."""
    told = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(told) if told and Path(told).is_file() else None


def _program_name() -> str:
    program = program_file()
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in program.name) if program else "notebook"


def _of_path(decide: Callable[..., bool], top: Path) -> Callable[[Path], bool]:
    """W&B's functions take a path, or a path and the root."""
    try:
        both = len(signature(decide).parameters) >= _WHOLE_PATH
    except (TypeError, ValueError):
        both = False
    return lambda path: bool(decide(str(path), str(top)) if both else decide(str(path)))


def _matches(pattern: str, base: Path | None) -> Iterator[tuple[str, Path]]:
    """Path in the run and file for each match.

    Raises:
        ValueError: matches would lie outside the base.
    """
    whole = os.path.abspath(pattern)
    if base is None:
        # As W&B: a path from the root keeps its last folder only.
        base = Path(pattern).resolve().parent.parent if os.path.isabs(pattern) else Path()
    root = os.path.abspath(base)
    if os.path.commonpath([root, whole]) != root:
        raise ValueError(f"{pattern!r} does not lie in {root!r}; write base_path=, a folder above all of the files")
    for match in sorted(globbing.glob(whole, recursive=True)):
        path = Path(match)
        if path.is_file():
            yield inside(path.relative_to(root).as_posix()), path


def _linked(folder: Path, name: str, path: Path) -> str:
    """Where the run's folder shows the file: by a link, as W&B does it, where that is possible."""
    target = folder / name
    if path.resolve() != target.resolve():
        with suppress(OSError):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_symlink():
                target.unlink()
            target.symlink_to(path.resolve())
    return str(target)


def is_python(path: str) -> bool:
    """Python's files."""
    return path.endswith(".py")


def is_nothing(path: str) -> bool:
    """No file."""
    return False
