"""The part of a run that keeps files and brings them back: saved files, code, artifacts, models."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import IO

from besom.disk import private_folder
from besom.messages import Event
from besom.settings import read_settings
from besom.tracking.artifacts.artifact import Artifact
from besom.tracking.artifacts.found import use_artifact
from besom.tracking.artifacts.logged import log_artifact
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.ways import blobs_of
from besom.tracking.run.identity import Identified
from besom.tracking.run.restoring import restore
from besom.tracking.run.saving import Policy, Saver, is_nothing, is_python, log_code

__all__ = ["WithFiles"]


class WithFiles(Identified):
    """The part of a run that keeps files and brings them back."""

    __slots__ = ("_blobs", "_directory", "_saver")

    _blobs: Blobs | None
    _saver: Saver | None
    _directory: Path

    @property
    def dir(self) -> str:
        """The run's own folder, the same for every attempt of a trial; made when it is asked for.

        Raises:
            Unreachable: it cannot be made.
        """
        return str(private_folder(self._directory))

    @property
    def blobs(self) -> Blobs:
        """Where its media and artifacts go."""
        if self._blobs is None:
            self._blobs = blobs_of(read_settings())
        return self._blobs

    @blobs.setter
    def blobs(self, blobs: Blobs) -> None:
        self._blobs = blobs

    @property
    def saver(self) -> Saver:
        """What it saves by path."""
        if self._saver is None:
            self._saver = Saver(self)
        return self._saver

    def log_artifact(
        self,
        artifact_or_path: Artifact | str | os.PathLike[str],
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
    ) -> Artifact:
        """Record a version of an artifact; content that was recorded before is the same version.

        Args:
            artifact_or_path: An `Artifact`, or a file or folder that becomes one.
            name: Of the artifact made of a path; the default is `run-<id>-<file name>`.
            type: Of the artifact made of a path, such as "model" or "dataset".
            aliases: Names of this version besides "latest".

        Raises:
            FinishedRun: after `finish()`.
            UsageError: a name or alias that cannot be.
        """
        return log_artifact(self, artifact_or_path, name, type, aliases)

    def use_artifact(self, artifact_or_name: Artifact | str, type: str | None = None) -> Artifact:
        """The version at `name:v0`, `name:latest`, `project/name:alias`; its own project unless one is said.

        Raises:
            NotFound: there is none.
            UsageError: it is of another type.
            Unreachable: there is neither a store here nor a controller that serves one.
        """
        return use_artifact(self.entity, self.project, artifact_or_name, type)

    def save(
        self,
        glob_str: str | os.PathLike[str] | None = None,
        base_path: str | os.PathLike[str] | None = None,
        policy: Policy = "live",
    ) -> list[str] | bool:
        """Keep files with the run, to be found again by their paths.

        Args:
            glob_str: A path, or several by `*` and `**`. Without it, as scripts of early W&B call it, nothing is done.
            base_path: The folder that names are told from; by default the working directory, and for a path from the
                root the folder above the file's.
            policy: "live" keeps a file again whenever it changes, "now" once, "end" when the run ends.

        Returns:
            Where the run's folder shows them.

        Raises:
            ValueError: a policy that cannot be, or files outside `base_path`.
            FinishedRun: after `finish()`.
        """
        self._must_run("save()")
        if glob_str is None:
            return True
        return self.saver.save(os.fspath(glob_str), Path(base_path) if base_path is not None else None, policy)

    def restore(
        self, name: str, run_path: str | None = None, replace: bool = False, root: str | os.PathLike[str] | None = None
    ) -> IO[str]:
        """A file that this run, or the one at `run_path`, saved: written below `root` and open for reading.

        Args:
            name: Its path in that run.
            run_path: `id`, `project/id` or `entity/project/id`.
            replace: Write over a file that is there; by default that one is opened.
            root: A folder; by default this run's.

        Raises:
            NotFound: that run has no such file.
            Unreachable: it cannot be had from here.
        """
        return restore(name, run_path or self.path, replace, root or self.dir)

    def log_code(
        self,
        root: str | None = ".",
        name: str | None = None,
        include_fn: Callable[..., bool] = is_python,
        exclude_fn: Callable[..., bool] = is_nothing,
    ) -> Artifact | None:
        """Record source files as an artifact of type "code"; None when there are none.

        Args:
            root: The folder they are in; hidden files and besom's own are left out.
            name: Of the artifact; by default it is made of project and program.
            include_fn: Whether a file belongs to it, by its path, or path and root; by default Python files.
            exclude_fn: Whether it does not all the same.
        """
        return log_code(self, root, name, include_fn, exclude_fn)

    def log_model(
        self, path: str | os.PathLike[str], name: str | None = None, aliases: Sequence[str] | None = None
    ) -> Artifact:
        """Record a file or folder as a version of an artifact of the type "model"; see `log_artifact`."""
        return log_artifact(self, path, name, "model", aliases)

    def use_model(self, name: str) -> str:
        """Bring a model here; the path of its file, or of its folder when there are several.

        Raises:
            NotFound: there is none; see `use_artifact`.
            UsageError: it is no model.
        """
        artifact = self.use_artifact(name, "model")
        return artifact.file() if artifact.file_count == 1 else artifact.download()

    def tell(self, event: Event, needs: Collection[str] = ()) -> None:
        """Record an event, after the blobs it needs."""
        raise NotImplementedError
