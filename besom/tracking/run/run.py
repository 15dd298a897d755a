"""A run as the user writes it: `log`, `config`, `summary`, `finish`.

Knows its writer and, inside a sweep, its trial; knows nothing of the store.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from besom.broker.connection import Connection
from besom.errors import (
    BesomError,
    FinishedRun,
    TrialCancelled,
    TrialInterrupted,
    TrialPreempted,
    TrialStopped,
    UsageError,
)
from besom.messages import Event
from besom.tracking.blobs.outbox import Outbox
from besom.tracking.metrics import METRICS_KEY, Metric, Metrics
from besom.tracking.run.alert import LOG_LEVELS, AlertLevel, Alerts
from besom.tracking.run.config import RunConfig
from besom.tracking.run.files import WithFiles
from besom.tracking.run.identity import Mode, RunIdentity
from besom.tracking.run.resuming import Earlier
from besom.tracking.run.row import Names, join
from besom.tracking.run.settings import RunSettings
from besom.tracking.run.summary import Summary
from besom.tracking.run.tracebacks import traceback_of
from besom.tracking.run.trial import Trial
from besom.tracking.watching.watch import Watch, Watched
from besom.tracking.writing.flusher import flusher
from besom.tracking.writing.writer import SyncStatus, Writer

__all__ = ["Mode", "Run", "RunIdentity"]

log = logging.getLogger("besom")

_STEP_LIMIT = 2**62
"""Steps are kept in 64 bits."""
_INTERRUPTS: dict[str, type[TrialInterrupted]] = {
    "cancel": TrialCancelled,
    "stop": TrialStopped,
    "stale": TrialPreempted,
}


class Run(WithFiles):
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
        "__weakref__", "_alerts", "_lock", "_metrics", "_names", "_on_finish", "_patience", "_row", "_watch",
        "_writer", "config", "observers", "settings", "start_time", "starting_step", "step", "summary",
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
        self._names = Names(identity.id)
        self._alerts = Alerts(identity.id)
        self._blobs = self._saver = None
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
        row, media = self._names.checked(data)
        if step is not None:
            step = _whole(step)
        if media and (step is None or step >= self.step):
            row.update(self._names.kept(media, self, self.step if step is None else step))
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

    # ---- telling

    def tell(self, event: Event, needs: Collection[str] = ()) -> None:
        """Record an event, after the blobs it needs; what Redis does not take now is tried again at the end."""
        place = self.blobs.place if needs else None
        if isinstance(place, Outbox):  # what can be seen can be downloaded
            place.tell(event, needs)
        else:
            self._writer.tell(event)

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
                    if (name := self._names.of(key)) is not None:
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
            self.finish(1, error="" if isinstance(error, TrialInterrupted) else traceback_of(error))

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

    def _settle_blobs(self) -> None:
        try:
            left = self.blobs.settle(self._patience)
        except BesomError as error:
            log.warning("run %s: %s", self.id, error)
            return
        if left:
            log.warning("run %s: %d files have not arrived yet; a later run here sends them", self.id, left)

    def _label(self, *_: Any, **__: Any) -> None:
        """W&B's statistics of which library logs; libraries call it, and it means nothing here."""

    def _close_row(self, *, force: bool) -> None:
        if not self._row and not force:
            return
        row, self._row = self._row, {}
        defined = self._metrics.take(row) if self._metrics else None
        self.summary.logged(row)
        row["_timestamp"] = time.time()
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
                join(self._row, row)
            else:
                self._row = row
            if commit if commit is not None else step is None:
                self._close_row(force=True)

    def _meet_interrupts(self) -> None:
        """After a row is kept, so that whoever is told to end has lost nothing."""
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
    if whole > _STEP_LIMIT:
        raise UsageError(f"step={step} is too large; at most {_STEP_LIMIT}")
    return whole
