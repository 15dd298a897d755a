"""An artifact as a script fills it and takes from it: a named set of files, which are blobs.

Its manifest's sha256 is its digest. Same content, same digest, same version.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlparse

from besom.errors import BesomError, Unreachable, UsageError
from besom.settings import read_settings
from besom.tracking.artifacts.manifest import ArtifactEntry, read_manifest, write_manifest
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.place import sha256_of
from besom.tracking.blobs.ways import blobs_of
from besom.tracking.media.media import Media, files_in, to_json
from besom.tracking.paths import inside
from besom.tracking.values import plain

if TYPE_CHECKING:
    from besom.tracking.media.table import Table

__all__ = ["NAME", "Artifact", "ArtifactFile"]

log = logging.getLogger("besom")

NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
"""What an artifact may be called."""
_WAIT_SECONDS: Final = 60.0


@dataclass(frozen=True)
class ArtifactFile:
    """One file of a recorded artifact, to be fetched alone."""

    artifact: Artifact
    entry: ArtifactEntry

    @property
    def path(self) -> str:
        """Its path in the artifact."""
        return self.entry.path

    @property
    def size(self) -> int:
        """Bytes."""
        return self.entry.size

    @property
    def ref(self) -> str:
        """The address that it refers to; empty for a file that is kept."""
        return self.entry.ref

    def download(self, root: str | os.PathLike[str] | None = None) -> str:
        """Bring the file here; its path.

        Args:
            root: As of `Artifact.download`.

        Raises:
            Unreachable: it cannot be had from here.
        """
        target = self.artifact._folder(root) / inside(self.path)
        self.artifact._fetch(self.entry, target)
        return str(target)


class Artifact:
    """A set of files under a name.

    Args:
        name: Letters, digits, "_", "-" and "."; at most 128.
        type: What it is, such as "model" or "dataset".
        description: Free text.
        metadata: What else is to be known of it: plain values.

    Raises:
        ValueError: a name that cannot be.
        TypeError: metadata that is no dict of plain values.
    """

    def __init__(
        self, name: str, type: str, description: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ValueError(f"name={name!r} cannot be an artifact's; write letters, digits, '_', '-' or '.'")
        if not isinstance(type, str) or not type:
            raise ValueError(f"type={type!r} cannot be an artifact's; write a word such as 'model' or 'dataset'")
        if metadata is not None and not isinstance(metadata, Mapping):
            raise TypeError(f"metadata is a dict, not {metadata!r:.80}")
        self.type, self.description = type, description or ""
        self.metadata: dict[str, Any] = plain(dict(metadata or {}), "metadata")
        """Plain values; may be changed until it is logged."""
        self.blobs = blobs_of(read_settings())
        """Where its files are."""
        self.aliases: list[str] = []
        self.entity = self.project = ""
        self._name, self._version = name, ""
        self._entries: dict[str, ArtifactEntry] = {}
        self._lost: list[str] = []
        self._digest = ""

    def __repr__(self) -> str:
        return f"<besom artifact {self.type} {self.name}, {len(self._entries)} files>"

    # ---- what it is

    @property
    def name(self) -> str:
        """`name`, and `name:v0` once its version is known."""
        return f"{self._name}:{self._version}" if self._version else self._name

    @property
    def base_name(self) -> str:
        """`name`, of whichever version."""
        return self._name

    @property
    def version(self) -> str:
        """`v0`, `v1` …

        Raises:
            UsageError: it was not logged, or `wait()` not called yet.
        """
        if not self._version:
            raise UsageError(f"artifact {self._name} has no version yet; log it and call its wait()")
        return self._version

    @property
    def qualified_name(self) -> str:
        """entity/project/name:version, as far as it is known."""
        return "/".join(part for part in (self.entity, self.project, self.name) if part)

    @property
    def entries(self) -> dict[str, ArtifactEntry]:
        """Its files by path."""
        return dict(self._entries)

    @property
    def manifest(self) -> Artifact:
        """Where W&B has `entries`: the artifact itself."""
        return self

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(entry.size for entry in self._entries.values())

    @property
    def file_count(self) -> int:
        """How many files it has."""
        return len(self._entries)

    @property
    def digest(self) -> str:
        """sha256 of its manifest."""
        return self._digest or hashlib.sha256(write_manifest(self._entries.values())).hexdigest()

    # ---- filling it

    def add_file(self, local_path: str | os.PathLike[str], name: str | None = None, **_: Any) -> ArtifactEntry | None:
        """Add a file as it is now, under `name` or its own; W&B's other options are taken and change nothing.

        Raises:
            ValueError: it is no file, or there is another one of this name.
            UsageError: the artifact was logged.
        """
        path = Path(local_path)
        if not path.is_file():
            raise ValueError(f"{path} is not a file")
        return self._add(name or path.name, path)

    def add_dir(self, local_path: str | os.PathLike[str], name: str | None = None, **_: Any) -> None:
        """Add every file of a folder and its folders, under the folder `name`; W&B's other options change nothing.

        Raises:
            ValueError: it is no folder, or there is another file of a name.
        """
        root = Path(local_path)
        if not root.is_dir():
            raise ValueError(f"{root} is not a folder")
        for path in sorted(root.rglob("*")):
            if path.is_file():
                inner = path.relative_to(root).as_posix()
                self._add(f"{name.rstrip('/')}/{inner}" if name else inner, path)

    def add_reference(self, uri: str | os.PathLike[str], name: str | None = None, **_: Any) -> list[ArtifactEntry]:
        """Add where a file lies, not its content; the content of a `file://` is hashed, and checked on download.

        Raises:
            ValueError: no URI, no file there, or there is another file of this name.
        """
        text = str(uri)
        parsed = urlparse(text)
        if not parsed.scheme:
            raise ValueError(f"{text!r} is no reference; write a URI such as s3://bucket/key or file:///path")
        name = name or PurePosixPath(unquote(parsed.path)).name
        if parsed.scheme != "file":
            return [self._enter(ArtifactEntry(inside(name), "", 0, text))]
        root = Path(unquote(parsed.path))
        if not root.exists():
            raise ValueError(f"{root} does not exist")
        found = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
        entered = []
        for path in found:
            inner = name if path == root else f"{name}/{path.relative_to(root).as_posix()}"
            entered.append(self._enter(ArtifactEntry(inside(inner), *sha256_of(path), path.absolute().as_uri())))
        return entered

    @contextmanager
    def new_file(self, name: str, mode: str = "x", encoding: str | None = None) -> Iterator[IO[Any]]:
        """A file to write, which is added when the block ends; nothing is added when the block raises.

        Raises:
            ValueError: there is a file of this name.
        """
        if inside(name) in self._entries:
            raise ValueError(f"artifact {self._name} has a file {name!r} already")
        self._must_be_open()
        with tempfile.TemporaryDirectory(prefix="besom-") as folder:
            path = Path(folder) / "file"
            text = {} if "b" in mode else {"encoding": encoding or "utf-8"}
            with path.open(mode.replace("r", "w"), **text) as file:  # type: ignore[call-overload]
                yield file
            self._add(name, path)

    def add(self, obj: Media, name: str) -> ArtifactEntry | None:
        """Add a `Table` as `name.table.json`, other media as its JSON, with the files it stands on.

        Raises:
            TypeError: it is no media.
        """
        from besom.tracking.media.table import ARTIFACT_ROWS_LIMIT, Table

        if not isinstance(obj, Media):
            raise TypeError(f"add() takes a Table or other media, not {type(obj).__name__}")
        if isinstance(obj, Table):
            told = obj.keep(self, "media/table/artifact", name, 0, ARTIFACT_ROWS_LIMIT)
            content, kind = self.blobs.read(told["sha256"]), "table"
        else:
            told = obj.to_logged(self, name, 0)
            content, kind = to_json(told), str(told.get("_type", "media")).removesuffix("-file")
        for path, sha256, size in files_in(json.loads(content)):
            self._enter(ArtifactEntry(path, sha256, size))
        return self._add(f"{name}.{kind}.json", content)

    # ---- taking from it

    def download(self, root: str | os.PathLike[str] | None = None) -> str:
        """Write all files, each checked against its sha256; the folder, by default `artifacts/<name>`.

        A file that is there with the right content is left; a reference that is no `file://` is not fetched.

        Raises:
            Unreachable: a blob is not there or is damaged, or the file of a reference has changed.
        """
        folder = self._folder(root)
        for entry in self._entries.values():
            self._fetch(entry, folder / inside(entry.path))
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def get_entry(self, name: str | os.PathLike[str]) -> ArtifactFile:
        """One file, to be downloaded alone.

        Raises:
            KeyError: there is none of this path.
        """
        entry = self._entries.get(os.fspath(name))
        if entry is None:
            raise KeyError(f"artifact {self.name} has no file {os.fspath(name)!r}")
        return ArtifactFile(self, entry)

    get_path = get_entry
    """As older scripts call it."""

    def file(self, root: str | os.PathLike[str] | None = None) -> str:
        """Download the artifact's only file; its path.

        Raises:
            ValueError: it has no file, or several.
        """
        if len(self._entries) != 1:
            raise ValueError(f"artifact {self.name} has {len(self._entries)} files; use download()")
        (path,) = self._entries
        return str(Path(self.download(root)) / path)

    def get(self, name: str) -> Table:
        """The table that was added under `name`.

        Raises:
            KeyError: there is none.
        """
        from besom.tracking.media.table import Table

        entry = self._entries.get(f"{name.removesuffix('.table.json')}.table.json")
        if entry is None:
            raise KeyError(f"artifact {self.name} has no table {name!r}")
        content = json.loads(self.blobs.read(entry.sha256))
        return Table(content["columns"], content["data"], allow_mixed_types=True)

    def wait(self, timeout: float | None = None) -> Artifact:
        """Wait until the store has it, and its version is known.

        Raises:
            Unreachable: the store cannot be read from here, or has not recorded it within 5 s.
        """
        from besom.tracking.reading.api import Api

        if self._version or not self.project:
            return self
        self.blobs.settle(_WAIT_SECONDS if timeout is None else timeout)
        api = Api()
        try:
            row = api.ask("artifact", name=self._name, project=self.project, entity=self.entity, digest=self.digest)
        finally:
            api.close()
        if row is None:
            raise Unreachable(f"artifact {self._name} is not recorded yet; is a controller running?")
        self._version, self.aliases = f"v{row['version']}", row["aliases"]
        return self

    # ---- kept and read back

    def seal(self, blobs: Blobs, entity: str, project: str) -> set[str]:
        """Bring its files and its manifest to where a run's are; it does not change from then on.

        Returns:
            The sha256 of all that it stands on.

        Raises:
            UsageError: files that were added could not be kept.
            BesomError, OSError: some cannot be brought.
        """
        if self._lost:
            raise UsageError(f"{', '.join(self._lost)} could not be kept")
        entries = self._entries.values()
        for entry in entries:
            if not entry.ref:
                blobs.bring(entry.sha256, self.blobs)
        self.blobs = blobs
        self._digest = blobs.put(write_manifest(entries))
        self.entity, self.project = entity, project
        return {self._digest, *(entry.sha256 for entry in entries)}

    @classmethod
    def recorded(cls, row: Mapping[str, Any], blobs: Blobs) -> Artifact:
        """The version that a row of the store tells of.

        Raises:
            Unreachable: its manifest cannot be had, or is of a later besom.
        """
        artifact = cls(row["name"], row["type"], row["description"], row["metadata"])
        artifact.blobs = blobs
        artifact._entries = read_manifest(blobs.read(row["digest"]), row["name"])
        artifact.entity, artifact.project = row["entity"], row["project"]
        artifact._version, artifact.aliases = f"v{row['version']}", list(row["aliases"])
        artifact._digest = row["digest"]
        return artifact

    # ---- inside

    def _folder(self, root: str | os.PathLike[str] | None) -> Path:
        return Path(root) if root is not None else Path("artifacts") / self.name

    def _add(self, name: str, content: bytes | Path) -> ArtifactEntry | None:
        """Keep a file; None when that fails, which is told by a warning, since training goes on."""
        self._must_be_open()
        path = inside(name)
        try:
            sha256 = self.blobs.put(content)
            size = len(content) if isinstance(content, bytes) else content.stat().st_size
        except (OSError, BesomError) as error:
            log.warning("artifact %s: %s cannot be kept: %s", self._name, name, error)
            self._lost.append(name)
            return None
        return self._enter(ArtifactEntry(path, sha256, size))

    def _enter(self, entry: ArtifactEntry) -> ArtifactEntry:
        self._must_be_open()
        held = self._entries.get(entry.path)
        if held is not None and held != entry:
            raise ValueError(f"artifact {self._name} has another file {entry.path!r} already")
        self._entries[entry.path] = entry
        return entry

    def _must_be_open(self) -> None:
        if self._digest:
            raise UsageError(f"artifact {self.name} was logged and does not change; make another of the same name")

    def _fetch(self, entry: ArtifactEntry, target: Path) -> None:
        if entry.sha256 and target.is_file() and sha256_of(target)[0] == entry.sha256:
            return
        if not entry.ref:
            self.blobs.copy(entry.sha256, target)
            return
        parsed = urlparse(entry.ref)
        if parsed.scheme != "file":
            log.warning("artifact %s: the reference %s is not fetched", self.name, entry.ref)
            return
        path = Path(unquote(parsed.path))
        if not path.is_file() or sha256_of(path)[0] != entry.sha256:
            raise Unreachable(f"artifact {self.name}: {path} is gone or has changed since it was referred to")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
