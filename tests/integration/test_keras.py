"""Callbacks for keras, driven as keras' training loop drives them; keras itself is in tests/integrations."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import besom
from besom.errors import UsageError
from besom.integration.keras import EvalCallback, MetricsLogger
from tests.tracking.desk import Desk


class Rate:
    """A learning rate that lies in a tensor."""

    shape = ()

    def numpy(self) -> Any:
        return np.float32(0.5)


def model(rate: Any) -> Any:
    return SimpleNamespace(optimizer=SimpleNamespace(learning_rate=rate))


def drive(callback: Any, rate: Any, epochs: int = 2, batches: int = 3) -> None:
    callback.set_params({"epochs": epochs})
    callback.set_model(model(rate))
    callback.on_train_begin({})
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        for batch in range(batches):
            callback.on_train_batch_begin(batch)
            callback.on_train_batch_end(batch, {"loss": float(batch)})
        callback.on_epoch_end(epoch, {"loss": float(epoch), "val_loss": 2.0})
    callback.on_train_end()


@pytest.mark.parametrize(
    ("rate", "logged"),
    [(0.5, [0.5, 0.5]), (Rate(), [0.5, 0.5]), (lambda step: 1 / step, [1 / 3, 1 / 6])],
    ids=["number", "tensor", "schedule"],
)
def test_epochs(rate: Any, logged: list[float], run: besom.Run, desk: Desk) -> None:
    """Each epoch is a row with keras' logs and the learning rate, whatever that is."""
    drive(MetricsLogger(), rate)
    run.finish()
    rows = desk.rows(run.id)
    assert [row.pop("epoch/learning_rate") for row in rows] == logged
    assert rows == [
        {"_step": step, "epoch/epoch": step, "epoch/loss": float(step), "epoch/val_loss": 2.0} for step in range(2)
    ]


def test_no_rate(run: besom.Run, desk: Desk) -> None:
    """A model without an optimizer, or with a rate that is no number, is logged without one."""
    drive(MetricsLogger(), "odd", epochs=1)
    callback = MetricsLogger()
    callback.set_model(object())
    callback.on_epoch_end(1)
    run.finish()
    assert [set(row) for row in desk.rows(run.id)] == [
        {"_step", "epoch/epoch", "epoch/loss", "epoch/val_loss"}, {"_step", "epoch/epoch"},
    ]  # fmt: skip


def test_batches(run: besom.Run, desk: Desk) -> None:
    """With a number the first batch of an epoch is logged and every second after it, and no epoch."""
    drive(MetricsLogger(2), 0.5)
    run.finish()
    rows = desk.rows(run.id)
    assert [(row["batch/batch_step"], row["batch/loss"]) for row in rows] == [(0, 0.0), (2, 2.0), (4, 0.0), (6, 2.0)]
    assert not any("epoch/epoch" in row for row in rows)


@pytest.mark.parametrize("log_freq", ["epochs", 0, 1.5])
def test_a_frequency_that_cannot_be(run: besom.Run, log_freq: Any) -> None:
    """The error names it and what to write."""
    with pytest.raises(UsageError, match=f"log_freq={log_freq!r} cannot be; write 'epoch', 'batch' or a number"):
        MetricsLogger(log_freq)


def test_without_a_run() -> None:
    """The error names the callback."""
    with pytest.raises(UsageError, match=r"before MetricsLogger\(\)"):
        MetricsLogger()


def test_tables(run: besom.Run) -> None:
    """The truth as it was recorded can be read while predictions are made; hooks that it does not have do nothing."""
    seen: list[Any] = []

    class Tables(EvalCallback):
        def add_ground_truth(self, logs: Any = None) -> None:
            self.data_table.add_data(0, "cat")

        def add_model_predictions(self, epoch: int, logs: Any = None) -> None:
            seen.append((epoch, self.data_table_ref.data, self.data_table_ref.get_index()))
            self.pred_table.add_data(epoch, 0.5)

    drive(Tables(["idx", "label"], ["epoch", "pred"]), 0.5)
    assert seen == [(0, [[0, "cat"]], [0]), (1, [[0, "cat"]], [0])]
    with pytest.raises(AttributeError, match="'Tables' object has no attribute 'of_what'"):
        _ = Tables(["a"], ["b"]).of_what
    with pytest.raises(TypeError, match="abstract"):
        EvalCallback(["a"], ["b"])  # type: ignore[abstract]


def test_keras_is_not_needed() -> None:
    """None of this imports keras."""
    assert "keras" not in sys.modules
