"""Our callbacks in keras' own training loop, by our names and by W&B's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import besom
from besom.integration.keras import EvalCallback, MetricsLogger, ModelCheckpoint
from besom.tracking.reading.api_run import ApiRun

pytestmark = pytest.mark.integrations

X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def model(rate: Any = 0.1) -> keras.Model:
    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    made.compile(keras.optimizers.SGD(rate), loss="mse", metrics=["mae"])
    return made


def fit(made: keras.Model, *callbacks: Any, epochs: int = 3) -> dict[str, list[float]]:
    done = made.fit(X, Y, validation_data=(X, Y), batch_size=4, epochs=epochs, verbose=0, callbacks=list(callbacks))
    history: dict[str, list[float]] = done.history
    return history


def test_epochs(recorded: Callable[[str], ApiRun]) -> None:
    """keras' own history of losses and metrics, and the rate of a schedule as it falls."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=3, decay_rate=0.5)
    besom.init(project="keras-epochs")
    history = fit(model(schedule), MetricsLogger())
    besom.finish()
    rows = recorded("keras-epochs").history(pandas=False)
    assert [row["epoch/epoch"] for row in rows] == [0, 1, 2]
    for name, values in history.items():
        assert [row[f"epoch/{name}"] for row in rows] == values
    assert [row["epoch/learning_rate"] for row in rows] == pytest.approx([0.05, 0.025, 0.0125])


def test_batches_by_wandbs_name(recorded: Callable[[str], ApiRun]) -> None:
    """`WandbMetricsLogger(log_freq=2)` logs the first and every second batch of an epoch over the batches."""
    from wandb.integration.keras import WandbMetricsLogger

    besom.init(project="keras-batches")
    fit(model(), WandbMetricsLogger(log_freq=2), epochs=2)
    besom.finish()
    run = recorded("keras-batches")
    rows = run.history(pandas=False)
    assert [row["batch/batch_step"] for row in rows] == [0, 2, 4, 6]
    assert [row["batch/learning_rate"] for row in rows] == pytest.approx([0.1] * 4)
    assert all(row["batch/loss"] > 0 for row in rows)


def test_checkpoints(recorded: Callable[[str], ApiRun], tmp_path: Path) -> None:
    """What keras saves is a version each, and the last one loads with the weights that the model has."""
    besom.init(project="keras-models", id="models")
    made = model()
    fit(made, ModelCheckpoint(tmp_path / "at-{epoch}.keras"))
    besom.finish()
    recorded("keras-models")
    api = besom.Api()
    for epoch in range(3):
        assert list(api.artifact(f"keras-models/run_models_model:epoch_{epoch}").entries) == [f"at-{epoch + 1}.keras"]
    path = api.artifact("keras-models/run_models_model:latest").file(tmp_path / "down")
    for held, wanted in zip(keras.models.load_model(path).get_weights(), made.get_weights(), strict=True):
        np.testing.assert_array_equal(held, wanted)


def test_only_better_weights(recorded: Callable[[str], ApiRun], tmp_path: Path) -> None:
    """keras' own rules decide what is saved: with a loss that only rises, the first epoch and no other."""
    besom.init(project="keras-best", id="best")
    fit(model(rate=5.0), ModelCheckpoint(tmp_path / "best.weights.h5", save_best_only=True, save_weights_only=True))
    besom.finish()
    recorded("keras-best")
    best = besom.Api().artifact("keras-best/run_best_model:latest")
    assert (best.version, best.aliases) == ("v0", ["epoch_0", "latest"])


def test_tables_of_predictions(recorded: Callable[[str], ApiRun]) -> None:
    """The truth is kept once, predictions once an epoch, each row as the model predicted it then."""
    from wandb.integration.keras import WandbEvalCallback

    class Table(WandbEvalCallback):
        def add_ground_truth(self, logs: Any = None) -> None:
            for place in range(2):
                self.data_table.add_data(place, besom.Image(np.full((2, 2), place, np.uint8)), float(Y[place, 0]))

        def add_model_predictions(self, epoch: int, logs: Any = None) -> None:
            predicted = self.model.predict(X[:2], verbose=0)
            for place in self.data_table_ref.get_index():
                number, image, truth = self.data_table_ref.data[place]
                self.pred_table.add_data(epoch, number, image, truth, float(predicted[place, 0]))

    assert issubclass(Table, EvalCallback)
    besom.init(project="keras-tables", id="tables")
    made = model()
    fit(made, Table(["idx", "image", "label"], ["epoch", "idx", "image", "label", "pred"]), epochs=2)
    besom.finish()
    recorded("keras-tables")
    api = besom.Api()
    truth = api.artifact("keras-tables/val:v0", type="dataset")
    last = api.artifact("keras-tables/run_tables_pred:v1", type="evaluation")
    images = {path for path in truth.entries if path.endswith(".png")}
    assert len(images) == 2
    assert images <= set(last.entries)
    rows = last.get("eval_data").data
    assert [row[:2] for row in rows] == [[1, 0], [1, 1]]
    assert [row[4] for row in rows] == pytest.approx(made.predict(X[:2], verbose=0)[:, 0].tolist())
