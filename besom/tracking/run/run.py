"""A run as the user writes it: `log`, `config`, `summary`, `finish`.

Knows its writer and, inside a sweep, its trial; knows nothing of the store.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from besom.broker.connection import Connection
from besom.disk import private_folder
from besom.errors import (
    BesomError,
    FinishedRun,
    TooLarge,
    TrialCancelled,
    TrialInterrupted,
    TrialPreempted,
    TrialStopped,
    UsageError,
)
from besom.messages import Event
from besom.settings import read_settings
from besom.tracking.artifacts.artifact import Artifact, log_artifact, use_artifact
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.outbox import Outbox
from besom.tracking.blobs.ways import blobs_of
from besom.tracking.media.media import Media
from besom.tracking.media.recognise import as_media
from besom.tracking.metrics import Metric, Metrics
from besom.tracking.run.alert import LOG_LEVELS, AlertLevel, Alerts
from besom.tracking.run.config import RunConfig
from besom.tracking.run.identity import Identified, Mode, RunIdentity
from besom.tracking.run.restoring import restore
from besom.tracking.run.resuming import Earlier
from besom.tracking.run.rungs import Rungs
from besom.tracking.run.saving import Policy, Saver, is_nothing, is_python, log_code
from besom.tracking.run.settings import RunSettings
from besom.tracking.run.summary import Summary
from besom.tracking.run.trial import Trial
from besom.tracking.values import KEY_LIMIT, KEYS_LIMIT, logged, utf8
from besom.tracking.watching.watch import Watch, Watched
from besom.tracking.writing.flusher import flusher
from besom.tracking.writing.writer import SyncStatus, Writer

__all__ = ["ERROR_LINES", "METRICS_KEY", "Mode", "Run", "RunIdentity", "last_lines"]

log = logging.getLogger("besom")

STEP_LIMIT = 2**62
"""Steps are kept in 64 bits."""
METRICS_KEY = "_metrics"
"""Where a run's config keeps what was defined of its metrics; names with _ in front are not the user's."""
ERROR_LINES = 30
"""Lines of a traceback that are kept."""

_INTERRUPTS: dict[str, type[TrialInterrupted]] = {
    "cancel": TrialCancelled,
    "stop": TrialStopped,
    "stale": TrialPreempted,
}


class Run(Identified):
    """One recorded run. Made by `besom.init()`, usable as a context manager.

    Args:
        identity: Id, name, project and the rest.
        config: Its starting config.
        writer: Where rows go.
        trial: The trial it records, or None.
        directory: Folder for its files.
        on_finish: Called once with exit code, error text and the writer's batch count.
        patience: Seconds that `finish` waits for Redis, outside a trial.
        earlier: What the store has of it, when it goes on outside a trial.
    """

    # With slots an attribute that there is not is an error when it is set (`run.nmae = ...`), and a log is no slower.
    __slots__ = (
        "__weakref__", "_alerts", "_blobs", "_directory", "_lock", "_metrics", "_names", "_on_finish", "_patience",
        "_row", "_rungs", "_saver", "_warned", "_watch", "_writer", "config", "observers", "settings", "start_time",
        "starting_step", "step", "summary",
    )  # fmt: skip

    def __init__(
        self,
        identity: RunIdentity,
        config: RunConfig,
        writer: Writer,
        *,
        trial: Trial | None,
        directory: Path,
        on_finish: Callable[[Run, int, str, int], None],
        patience: float,
        earlier: Earlier | None = None,
    ) -> None:
        self.mode = "online"
        self.settings = RunSettings()
        """What `init()` was asked for."""
        self.identity = identity
        self.config = config
        self.trial = trial
        self._directory = directory
        self.start_time = time.time()
        self.summary = Summary(self._summary_set, earlier.summary if earlier else None)
        self._writer = writer
        self._on_finish = on_finish
        self._patience = patience
        self._lock = threading.RLock()
        self._row: dict[str, Any] = {}
        self._names: dict[str, str] = {}  # as logged, and as kept
        self._warned: set[str] = set()
        self._rungs = Rungs(trial.spec.judged) if trial and trial.spec.judged else None
        self._alerts = Alerts(identity.id)
        self._blobs: Blobs | None = None
        self._saver: Saver | None = None
        self._watch: Watch | None = None
        self._metrics = Metrics(earlier.summary if earlier else {})
        self._earlier = earlier
        self.step = trial.next_step if trial else earlier.next_step if earlier else 0
        self.starting_step = self.step
        self.state = "running"
        self.observers: list[Callable[[], None]] = []
        """What watches the run (`surroundings.py`); called once when it ends."""

    def __repr__(self) -> str:
        return f"<besom run {self.project}/{self.id} ({self.state})>"

    @property
    def dir(self) -> str:
        """The run's own folder, the same for every attempt of a trial; made when it is asked for.

        Raises:
            Unreachable: it cannot be made.
        """
        return str(private_folder(self._directory))

    # ---- logging

    def log(self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        """Record values at a step. What has no room is left out, with one warning for each name.

        Args:
            data: Names and values: numbers, strings, booleans, None, lists, dicts, scalars and arrays of numpy,
                torch and the like (of more than 32 numbers: kept as a histogram), media and lists of media,
                DataFrames, matplotlib and plotly figures.
            step: The step; the default is the next one. Steps only grow; a smaller one is ignored with a warning.
            commit: Close the row, so that the next `log` opens a new step. True by default without `step`.

        Raises:
            TypeError: `data` is no mapping, a key no string, or a value cannot be kept.
            FinishedRun: after `finish()`.
            TrialInterrupted: the trial was stopped, cancelled or handed back (a BaseException); what was given is kept.
        """
        if self.state != "running":
            raise FinishedRun(self.id, "log()")
        row, media = self._checked(data)
        if step is not None:
            step = _whole(step)
        if media and (step is None or step >= self.step):
            row.update(self._kept(media, self.step if step is None else step))
        self._put(row, step, commit)
        if self.trial is not None:
            self._meet_interrupts()

    def close_row(self) -> None:
        """Close the row that is open, if it holds anything: the next `log` opens a new step."""
        with self._lock:
            if self.state == "running":
                self._close_row(force=False)

    def define_metric(
        self,
        name: str,
        step_metric: str | Metric | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        overwrite: bool | None = None,
    ) -> Metric:
        """Say what a metric's axis is, and what its summary holds.

        Args:
            name: A logged name, or the beginning of some and `*`.
            step_metric: The logged name that is its x axis.
            step_sync: Rows without `step_metric` get its last value; the default with a `step_metric`.
            hidden: Pages leave it out.
            summary: Of min, max, mean, last, first, with commas: the summary is then a dict of these. "none": it has
                no summary.
            overwrite: Replace an earlier definition of this name; by default it is added to.

        Raises:
            UsageError: a name or a summary that cannot be.
            FinishedRun: after `finish()`.
        """
        self._must_run("define_metric()")
        with self._lock:
            metric = self._metrics.define(name, step_metric, step_sync, hidden, summary, overwrite)
            if self._writer.set_config({METRICS_KEY: self._metrics.told()}):
                flusher().wake()
        return metric

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

    # ---- artifacts

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
        return use_artifact(self, artifact_or_name, type)

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

    def tell(self, event: Event, needs: Collection[str] = ()) -> None:
        """Record an event, after the blobs it needs; what Redis does not take now is tried again at the end."""
        place = self.blobs.place if needs else None
        if isinstance(place, Outbox):  # what can be seen can be downloaded
            place.tell(event, needs)
        else:
            self._writer.tell(event)

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
        artifact = use_artifact(self, name, "model")
        return artifact.file() if artifact.file_count == 1 else artifact.download()

    # ---- telling

    def alert(
        self,
        title: str,
        text: str = "",
        level: str | AlertLevel | None = None,
        wait_duration: float | timedelta | None = None,
    ) -> None:
        """Keep a message with the run, for `Api().run(...).alerts` and `besom show`, and write it to the log.

        Args:
            title: What it is about, at most 256 characters.
            text: What there is to say, at most 16 000 characters.
            level: "INFO" (the default), "WARN" or "ERROR".
            wait_duration: Seconds, or a timedelta, within which another alert of this title is left out; default 60.

        Raises:
            ValueError: a level or a wait that cannot be.
            FinishedRun: after `finish()`.
        """
        self._must_run("alert()")
        alert = self._alerts.made(title, text, level, wait_duration)
        if alert is not None:
            self.tell(alert)
            log.log(LOG_LEVELS[alert.level], "run %s: %s: %s", self.id, alert.title, alert.text)

    def mark_preempting(self) -> None:
        """The machine may be taken away at any moment: if the trial fails from now on, it is handed back, not failed.

        Another agent takes it then, before new trials. A run outside a sweep has nobody who would start it again.
        """
        if self.trial is None:
            log.info("run %s is in no sweep, so nobody starts it again when it is preempted", self.id)
        else:
            self.trial.mark_preempting()

    def status(self) -> SyncStatus:
        """How much of what it logged has arrived."""
        return self._writer.status()

    # ---- watching

    def watch(
        self,
        models: Any,
        criterion: Any = None,
        log: Watched = "gradients",
        log_freq: float = 1000,
        idx: int | None = None,
        log_graph: bool = False,
    ) -> None:
        """Record how a torch model's gradients and parameters are spread, while it trains.

        Each tensor becomes a histogram of 64 bins in the row that is open, under `gradients/<name>` and
        `parameters/<name>`; of a second model under `gradients/graph_1<name>`. Copies of the model are not watched.

        Args:
            models: A torch.nn.Module, or a list of them.
            criterion: Taken because W&B takes it; nothing is recorded of it.
            log: "gradients", "parameters", "all" or None.
            log_freq: At every how many-th backward pass gradients are recorded, and forward pass parameters.
            idx: Number of the first of these models; the default counts the models that this run watches, from 0.
            log_graph: Record the model's layers as `summary["graph_<idx>"]`, at its next forward pass.

        Raises:
            ValueError: `log` is none of these.
            TypeError: a model is no torch.nn.Module.
            FinishedRun: after `finish()`.
        """
        self._must_run("watch()")
        self._watching().add(models, log, log_freq, idx, log_graph)

    def unwatch(self, models: Any = None) -> None:
        """Stop watching a model or a list of them; without one, all."""
        self._watching().remove(models)

    def add_to_row(self, values: Mapping[str, Any]) -> None:
        """Add plain values to the row that is open; nothing once the run is over. Raises no trial's interrupt."""
        with self._lock:
            if self.state == "running":
                for key, value in values.items():
                    if (name := self._names.get(key) or self._new_name(key)) is not None:
                        self._row[name] = value

    def _watching(self) -> Watch:
        if self._watch is None:
            self._watch = Watch(self)
        return self._watch

    def interrupted(self) -> type[TrialInterrupted] | None:
        """What the next `log()` would raise, or None."""
        if self.trial is None:
            return None
        return self.trial.interrupt or _INTERRUPTS.get(self._writer.control)

    def should_stop(self) -> bool:
        """Whether the trial is to end; the next `log()` would raise."""
        return self.interrupted() is not None

    def finish(self, exit_code: int | None = None, quiet: bool | None = None, *, error: str = "") -> None:
        """End the run, all it logged sent. Repeating it is harmless.

        Args:
            exit_code: 0 or None is finished, any other failed.
            quiet: Taken because W&B took it; nothing is printed at the end anyway.
            error: What went wrong, for those who look at the run.
        """
        with self._lock:
            if self.state != "running":
                return
            self._close_row(force=False)
            self.state = "failed" if exit_code else "finished"
            if self.trial:
                self.trial.next_step = self.step
        for end in self.observers:
            end()
        if self._watch is not None:
            self._watch.remove()
        if self._saver is not None:
            self._saver.end()
        flusher().remove(self._writer)
        batches = self._writer.close(self.trial.patience if self.trial else self._patience)
        if not self.disabled:
            self._settle_blobs()
        if self.trial:
            self.trial.writers[self._writer.name.writer] = batches
        self._on_finish(self, exit_code or 0, error, batches)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        else:
            text = "" if isinstance(error, TrialInterrupted) else last_lines("".join(traceback.format_exception(error)))
            self.finish(1, error=text)

    # ---- for init

    def config_changed(self, values: dict[str, Any]) -> None:
        """The user has changed the config.

        Raises:
            FinishedRun: after `finish()`.
        """
        if self.state != "running":
            raise FinishedRun(self.id, "config")
        if self._writer.set_config(values):
            flusher().wake()

    def go_on_in_child(self, on_finish: Callable[[Run, int, str, int], None]) -> None:
        """In a forked child: rows go through a writer of its own, and the child's end is not the run's."""
        self._lock = threading.RLock()
        self._row = {}  # an open row is the parent's
        self._writer = self._writer.in_child()
        self._on_finish = on_finish
        if self.trial and self.trial.connection:
            self.trial.connection = self.trial.connection.renewed()
        flusher().expect(self._writer)

    # ---- inside

    def _connection(self) -> Connection | None:
        return self._writer.connection

    def _checked(self, data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Media]]:
        """Plain values, and media; what has no room is left out, and said once for each name."""
        if type(data) is not dict and not isinstance(data, Mapping):
            raise TypeError(f"besom.log takes a dict of names and values, not {type(data).__name__}")
        row: dict[str, Any] = {}
        media: dict[str, Media] = {}
        for key, value in data.items():
            name = self._names.get(key)
            if name is None and (name := self._new_name(key)) is None:
                continue
            kind = type(value)
            if kind is float or kind is int:
                row[name] = value
            elif (shown := as_media(value)) is not None:
                media[name] = shown
            else:
                try:
                    row[name] = logged(value, key)
                except TooLarge as error:
                    self._warn(key, f"{error}; it is left out")
        return row, media

    def _settle_blobs(self) -> None:
        try:
            left = self.blobs.settle(self._patience)
        except BesomError as error:
            log.warning("run %s: %s", self.id, error)
            return
        if left:
            log.warning("run %s: %d files have not arrived yet; a later run here sends them", self.id, left)

    def _kept(self, media: Mapping[str, Media], step: int) -> dict[str, Any]:
        """What stands in the row for media; what cannot be kept is warned about, once for each name."""
        told = {}
        for key, shown in media.items():
            try:
                told[key] = shown.to_logged(self, key, step)
            except (OSError, BesomError) as error:
                self._warn(key, f"{key} at step {step} cannot be kept, and is left out: {error}")
        return told

    def _new_name(self, key: Any) -> str | None:
        """What a name is kept as that was not logged before; None when there is no room for it."""
        if not isinstance(key, str):
            raise TypeError(f"names in besom.log are strings, not {key!r}")
        if len(key) > KEY_LIMIT:
            raise UsageError(f"the name {key[:40]!r}… has {len(key)} characters; at most {KEY_LIMIT}")
        if len(self._names) >= KEYS_LIMIT:
            self._warn(
                "", f"run {self.id} has {KEYS_LIMIT} names already; {key!r} and all other new names are left out"
            )
            return None
        return self._names.setdefault(key, utf8(key))

    def _warn(self, about: str, message: str) -> None:
        if about not in self._warned and len(self._warned) <= KEYS_LIMIT:
            self._warned.add(about)
            log.warning("%s", message)

    def _label(self, *_: Any, **__: Any) -> None:
        """W&B's statistics of which library logs; libraries call it, and it means nothing here."""

    def _close_row(self, *, force: bool) -> None:
        if not self._row and not force:
            return
        row, self._row = self._row, {}
        defined = self._metrics.take(row) if self._metrics else None
        self.summary.logged(row)
        row["_timestamp"] = time.time()
        if self._rungs is not None:
            self._rungs.count(row)
        if self._writer.add(self.step, row):
            flusher().wake()
        if defined:
            self.summary.defined(defined)
            self._writer.set_summary(defined)
        self.step += 1

    def _put(self, row: dict[str, Any], step: int | None, commit: bool | None) -> None:
        """Into the open row, or one that it opens."""
        with self._lock:
            if self.state != "running":  # ended by another thread
                raise FinishedRun(self.id, "log()")
            if step is not None:
                if step < self.step:
                    log.warning("log(step=%d) comes after step %d; steps only grow, so it is ignored", step, self.step)
                    return
                if step > self.step:
                    self._close_row(force=False)
                    self.step = step
            if self._row:
                _join(self._row, row)
            else:
                self._row = row
            if commit if commit is not None else step is None:
                self._close_row(force=True)

    def _meet_interrupts(self) -> None:
        """After a row is kept, so that whoever is told to end has lost nothing."""
        if self._rungs is not None and self._rungs.reached:
            self._rungs.reached = False
            self._writer.await_verdict()
        self._raise_if_interrupted()

    def _summary_set(self, values: dict[str, Any]) -> None:
        if self.state != "running":
            raise FinishedRun(self.id, "summary")
        if self._writer.set_summary(values):
            flusher().wake()

    def _raise_if_interrupted(self) -> None:
        if (interrupt := self.interrupted()) is not None:
            if self.trial is not None:
                self.trial.meets(interrupt)
            raise interrupt(f"trial {self.id}")


def _whole(step: Any) -> int:
    """The step as an int, from one or from numpy's."""
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise TypeError(f"step must be an int, not {step!r}")
    whole = int(step.__index__())
    if whole > STEP_LIMIT:
        raise UsageError(f"step={step} is too large; at most {STEP_LIMIT}")
    return whole


def _join(open_row: dict[str, Any], row: Mapping[str, Any]) -> None:
    """Add to a row that is open: of a nested dict, name by name; media are whole."""
    for key, value in row.items():
        held = open_row.get(key)
        if isinstance(held, dict) and isinstance(value, dict) and not ("_type" in held or "_type" in value):
            _join(held, value)
        else:
            open_row[key] = value


def last_lines(text: str, count: int = ERROR_LINES) -> str:
    """The last lines of a traceback or of stderr."""
    return "\n".join(text.rstrip().splitlines()[-count:])
