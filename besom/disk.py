"""Files on this machine: who and where we are, private files, and file systems that lie about locks."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from besom.errors import ConfigError, Unreachable

__all__ = ["boot_id", "host_id", "is_on_network", "private_folder", "refuse_network_disk", "write_private"]

_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "beegfs", "gpfs", "afs", "ceph", "glusterfs", "9p"}
    | {f"fuse.{kind}" for kind in ("sshfs", "ceph", "ceph-fuse", "glusterfs", "gcsfuse", "s3fs", "rclone")}
)


def host_id() -> str:
    """A name for this machine that its containers do not share with others."""
    return socket.gethostname()


def boot_id() -> str:
    """Changes when the machine starts; empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def private_folder(path: Path) -> Path:
    """The folder; one that is made is closed to other users, one that is there keeps its mode.

    Raises:
        Unreachable: it cannot be made; names it and the reason.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Unreachable(f"the folder {path} cannot be made: {error.strerror}; set BESOM_HOME to another") from None
    return path


def write_private(path: Path, content: Mapping[str, Any] | str) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    text = content if isinstance(content, str) else json.dumps(content)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def is_on_network(path: Path) -> bool:
    """Whether it lies, or would lie, on a network file system."""
    return _file_system(path) in _NETWORK


def refuse_network_disk(path: Path, what: str) -> None:
    """Locks and fsync cannot be trusted over a network.

    Raises:
        ConfigError: `path` lies on a network file system; tells the way out.
    """
    kind = _file_system(path)
    if kind in _NETWORK:
        raise ConfigError(
            f"{path} lies on a network file system ({kind}), where {what} would be damaged; "
            "set BESOM_HOME to a folder on a local disk, or BESOM_REDIS_URL to a Redis server"
        )


def _file_system(path: Path) -> str:
    place = path.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    place = place.resolve()
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best = ("", "")
    for line in mounts:
        _, point, kind = line.split()[:3]
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), point)  # a space is written \040
        if place.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]
