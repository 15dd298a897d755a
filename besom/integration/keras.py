"""Callbacks for `model.fit(callbacks=[...])` of keras, with any of its backends.

keras itself is imported when a `ModelCheckpoint` is made, and by nothing else here.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from besom.errors import UsageError
from besom.integration.boosting import log_model
from besom.tracking.artifacts.artifact import Artifact
from besom.tracking.media.table import Table
from besom.tracking.run.active import needed_run

__all__ = ["Callback", "EvalCallback", "MetricsLogger", "ModelCheckpoint"]

Logs = Mapping[str, Any] | None


class Callback:
    """What keras asks of a callback, each hook doing nothing."""

    async_safe = False
    """keras calls it in the training thread, with values that are ready."""

    def __init__(self) -> None:
        self.model: Any = None
        self.params: Any = None

    def set_model(self, model: Any) -> None:
        """The model that is trained."""
        self.model = model

    def set_params(self, params: Any) -> None:
        """How it is trained: epochs, steps."""
        self.params = params

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):  # on_train_begin, on_test_batch_end, ...: whatever hooks this keras has
            return _nothing
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class MetricsLogger(Callback):
    """Logs losses, metrics and the learning rate: `epoch/...` over `epoch/epoch`, or `batch/...` over the batches.

    Args:
        log_freq: "epoch", "batch", or after how many batches.
        initial_global_step: Batches that were trained before, for a schedule of the learning rate.

    Raises:
        UsageError: there is no active run, or another `log_freq`.
    """

    def __init__(self, log_freq: Literal["epoch", "batch"] | int = "epoch", initial_global_step: int = 0) -> None:
        super().__init__()
        every = {"epoch": 0, "batch": 1}.get(log_freq) if isinstance(log_freq, str) else log_freq
        if not isinstance(every, int) or (every < 1 and log_freq != "epoch"):
            raise UsageError(f"log_freq={log_freq!r} cannot be; write 'epoch', 'batch' or a number of batches")
        self._run = needed_run("MetricsLogger()")
        self._every: int = every
        self._batches = initial_global_step
        self._logged_batches = 0
        place = "batch/batch_step" if every else "epoch/epoch"
        self._run.define_metric(place)
        self._run.define_metric(f"{place.partition('/')[0]}/*", step_metric=place)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Log an epoch."""
        if not self._every:
            self._log("epoch", {"epoch": epoch}, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Log a batch, if it is its turn."""
        self._batches += 1
        if self._every and batch % self._every == 0:
            self._log("batch", {"batch_step": self._logged_batches}, logs)
            self._logged_batches += self._every

    def _log(self, prefix: str, place: dict[str, int], logs: Logs) -> None:
        row = {**(logs or {}), **place}
        if (rate := _learning_rate(self.model, self._batches)) is not None:
            row["learning_rate"] = rate
        self._run.log({f"{prefix}/{name}": value for name, value in row.items()})


class ModelCheckpoint(Callback):
    """keras' own `ModelCheckpoint`; what it saves becomes a version of the artifact `run_<run>_model`.

    The arguments are keras': `filepath`, `monitor`, `save_best_only`, `save_weights_only`, `mode`, `save_freq` ... The
    aliases of a version are `epoch_<n>`, with `save_freq` in batches `epoch_<n>_batch_<m>`.

    Raises:
        UsageError: there is no active run.
        ImportError: keras is not installed.
    """

    def __init__(self, filepath: str | os.PathLike[str], *arguments: Any, **named: Any) -> None:
        from keras.callbacks import ModelCheckpoint as Saver

        super().__init__()
        self._run = needed_run("ModelCheckpoint()")
        self._saver = Saver(os.fspath(filepath), *arguments, **named)
        self._saved: list[Path] = []
        self._epoch = 0

    def set_model(self, model: Any) -> None:
        """keras' callback gets it through a door that notes where it is saved."""
        super().set_model(model)
        self._saver.set_model(_Door(model, self._saved))

    def set_params(self, params: Any) -> None:
        """As ever."""
        super().set_params(params)
        self._saver.set_params(params)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """As ever."""
        self._epoch = epoch
        self._saver.on_epoch_begin(epoch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Save, if it is time, and record it."""
        self._saver.on_train_batch_end(batch, logs)
        self._record(f"epoch_{self._epoch}_batch_{batch}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save, if it is time, and record it."""
        self._saver.on_epoch_end(epoch, logs)
        self._record(f"epoch_{epoch}")

    def _record(self, alias: str) -> None:
        for path in self._saved:
            log_model(self._run, path, f"run_{self._run.id}_model", aliases=[alias])
        self._saved.clear()


class EvalCallback(Callback, ABC):
    """Base for callbacks that keep a table of the truth once, and one of the model's predictions after each epoch.

    A subclass fills `self.data_table` and `self.pred_table` with `add_data`. While it fills the second,
    `self.data_table_ref` is the first as it was recorded: files of cells taken from there are kept once.

    Args:
        data_table_columns: Columns of the truth.
        pred_table_columns: Columns of the predictions.

    Raises:
        UsageError: there is no active run.
    """

    def __init__(self, data_table_columns: Sequence[str], pred_table_columns: Sequence[str]) -> None:
        super().__init__()
        self._run = needed_run("EvalCallback()")
        self.data_table_columns, self.pred_table_columns = list(data_table_columns), list(pred_table_columns)
        self.data_table = self.pred_table = self.data_table_ref = Table(columns=[])

    @abstractmethod
    def add_ground_truth(self, logs: Logs = None) -> None:
        """Fill `self.data_table`; called when training begins."""

    @abstractmethod
    def add_model_predictions(self, epoch: int, logs: Logs = None) -> None:
        """Fill `self.pred_table`; called when an epoch ends."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Record the truth."""
        self.init_data_table(self.data_table_columns)
        self.add_ground_truth(logs)
        self.log_data_table()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Record an epoch's predictions."""
        self.init_pred_table(self.pred_table_columns)
        self.add_model_predictions(epoch, logs)
        self.log_pred_table()

    def init_data_table(self, column_names: Sequence[str]) -> None:
        """An empty table of the truth."""
        self.data_table = Table(columns=list(column_names), allow_mixed_types=True)

    def init_pred_table(self, column_names: Sequence[str]) -> None:
        """An empty table of predictions."""
        self.pred_table = Table(columns=list(column_names), allow_mixed_types=True)

    def log_data_table(self, name: str = "val", type: str = "dataset", table_name: str = "val_data") -> None:
        """Record the truth as the artifact `name`, and set `data_table_ref`."""
        artifact = Artifact(name, type)
        artifact.add(self.data_table, table_name)
        self._run.log_artifact(artifact)
        self.data_table_ref = artifact.get(table_name)

    def log_pred_table(
        self, type: str = "evaluation", table_name: str = "eval_data", aliases: Sequence[str] | None = None
    ) -> None:
        """Record predictions as a version of the artifact `run_<run>_pred`."""
        artifact = Artifact(f"run_{self._run.id}_pred", type)
        artifact.add(self.pred_table, table_name)
        self._run.log_artifact(artifact, aliases=aliases)


class _Door:
    """A model that notes the paths that it was saved to."""

    def __init__(self, model: Any, saved: list[Path]) -> None:
        self._model, self._saved = model, saved

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def save(self, filepath: Any, *arguments: Any, **named: Any) -> None:
        self._model.save(filepath, *arguments, **named)
        self._saved.append(Path(filepath))

    def save_weights(self, filepath: Any, *arguments: Any, **named: Any) -> None:
        self._model.save_weights(filepath, *arguments, **named)
        self._saved.append(Path(filepath))


def _nothing(*_: Any, **__: Any) -> None:
    pass


_nothing._is_default = True  # type: ignore[attr-defined]  # how keras marks hooks that need not be waited for


def _learning_rate(model: Any, batches: int) -> float | None:
    """The optimizer's rate now; None where it cannot be told."""
    rate: Any = getattr(getattr(model, "optimizer", None), "learning_rate", None)
    if callable(rate) and not hasattr(rate, "shape"):  # a schedule, as older kerases hold it
        rate = rate(batches)
    if hasattr(rate, "numpy"):
        rate = rate.numpy()
    try:
        return None if rate is None else float(rate)
    except (TypeError, ValueError):
        return None
