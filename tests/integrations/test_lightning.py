"""Lightning's WandbLogger, unmodified."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger
from torch.utils.data import DataLoader, TensorDataset

import besom
from besom.tracking.reading.api_run import ApiRun

pytestmark = pytest.mark.integrations


class Line(LightningModule):
    """Fits a line, and logs each kind of thing."""

    def __init__(self, rate: float = 0.1, width: int = 3) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(width, 1)

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        return self.layer(places)

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        loss = torch.nn.functional.mse_loss(self(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("val_loss", torch.nn.functional.mse_loss(self(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.hparams["rate"])


def data() -> DataLoader[Any]:
    places = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(places, places.sum(1, keepdim=True)), batch_size=4)


def fit(logger: WandbLogger, folder: Path, **named: Any) -> Line:
    model = Line()
    trainer = Trainer(
        max_epochs=2, logger=logger, log_every_n_steps=1, accelerator="cpu", enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=str(folder), **named,
    )  # fmt: skip
    trainer.fit(model, data(), data())
    return model


def test_a_fit(recorded: Callable[[str], ApiRun], tmp_path: Path) -> None:
    """Hyperparameters set after init, losses by step and epoch over the trainer's step, and its own summary."""
    logger = WandbLogger(project="pl", name="line", save_dir=str(tmp_path))
    fit(logger, tmp_path, callbacks=[LearningRateMonitor("step")])
    assert isinstance(logger.experiment, besom.Run)
    identity = logger.version
    besom.finish()
    run = recorded("pl")
    assert (run.id, run.name, run.state) == (identity, "line", "finished")
    assert run.config == {"rate": 0.1, "width": 3}
    steps = run.history(keys=["train_loss_step", "trainer/global_step"], pandas=False)
    assert [row["trainer/global_step"] for row in steps] == list(range(8))
    assert [
        row["trainer/global_step"] for row in run.history(keys=["val_loss", "trainer/global_step"], pandas=False)
    ] == [3, 7]
    rates = run.history(keys=["lr-SGD"], pandas=False)
    assert {row["lr-SGD"] for row in rates} == {0.1}
    assert run.summary["epoch"] == 1
    assert run.summary["train_loss_epoch"] == pytest.approx(
        np.mean([row["train_loss_step"] for row in steps if row["trainer/global_step"] > 3])
    )


def test_media_and_tables(recorded: Callable[[str], ApiRun], tmp_path: Path) -> None:
    """log_image, log_table and log_text keep what they are given, with captions."""
    logger = WandbLogger(project="pl-media", save_dir=str(tmp_path))
    logger.log_image("samples", [np.zeros((4, 5, 3), np.uint8), np.ones((4, 5, 3), np.uint8)], caption=["a", "b"])
    logger.log_table("scores", columns=["who", "how"], data=[["x", 1], ["y", 2]])
    logger.log_text("texts", columns=["said"], data=[["hello"]])
    logger.log_hyperparams({"nested": {"depth": 2}})
    logger.log_hyperparams({"late": True})
    besom.finish()
    run = recorded("pl-media")
    images = run.summary["samples"]
    assert (images["_type"], images["count"], images["captions"]) == ("images/separated", 2, ["a", "b"])
    assert (images["width"], images["height"]) == (5, 4)
    tables = {}
    for name in ("scores", "texts"):
        with run.file(run.summary[name]["path"]).download(tmp_path / "down") as file:
            tables[name] = json.load(file)
    assert tables["scores"]["data"] == [["x", 1], ["y", 2]]
    assert tables["texts"]["columns"] == ["said"]
    assert run.config["late"] is True
    assert run.config["nested"] == {"depth": 2}


def test_watched_gradients(recorded: Callable[[str], ApiRun], tmp_path: Path) -> None:
    """`logger.watch` logs a histogram of each parameter's gradient."""
    logger = WandbLogger(project="pl-watch", save_dir=str(tmp_path))
    model = Line()
    logger.watch(model, log="all", log_freq=2)
    trainer = Trainer(
        max_epochs=1, logger=logger, log_every_n_steps=1, accelerator="cpu", enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, default_root_dir=str(tmp_path),
    )  # fmt: skip
    trainer.fit(model, data())
    logger.experiment.unwatch(model)
    besom.finish()
    run = recorded("pl-watch")
    for name in ("gradients/layer.weight", "parameters/layer.bias"):
        assert run.summary[name]["_type"] == "histogram"
        assert len(run.summary[name]["values"]) + 1 == len(run.summary[name]["bins"])
    assert sum(run.summary["gradients/layer.weight"]["values"]) == 3


def test_checkpoints_as_artifacts(recorded: Callable[[str], ApiRun], tmp_path: Path) -> None:
    """With `log_model="all"` each checkpoint is a version, the best has its alias, and it loads again."""
    logger = WandbLogger(project="pl-models", save_dir=str(tmp_path), log_model="all")
    model = fit(logger, tmp_path, callbacks=[ModelCheckpoint(monitor="val_loss", save_top_k=-1)])
    besom.finish()
    run = recorded("pl-models")
    api = besom.Api()
    best = api.artifact(f"pl-models/model-{run.id}:best")
    assert best.version == "v1"
    assert {"v0", "v1"} <= {api.artifact(f"pl-models/model-{run.id}:v{number}").version for number in (0, 1)}
    folder = WandbLogger.download_artifact(
        f"pl-models/model-{run.id}:best", save_dir=str(tmp_path / "down"), use_artifact=False
    )  # fmt: skip
    loaded = Line.load_from_checkpoint(Path(folder) / "model.ckpt")
    assert torch.equal(loaded.layer.weight, model.layer.weight)
    assert best.metadata["score"] == pytest.approx(run.summary["val_loss"])


def test_a_run_goes_on(recorded: Callable[[str], ApiRun], tmp_path: Path) -> None:
    """A logger with the id of an earlier run adds to it, as Lightning asks with resume="allow"."""
    first = WandbLogger(project="pl-resume", id="again", save_dir=str(tmp_path))
    fit(first, tmp_path, enable_checkpointing=False)
    besom.finish()
    second = WandbLogger(project="pl-resume", id="again", save_dir=str(tmp_path))
    second.log_metrics({"later": 1.0}, step=100)
    besom.finish()
    run = recorded("pl-resume")
    assert run.config["rate"] == 0.1
    assert [row["trainer/global_step"] for row in run.history(keys=["later", "trainer/global_step"], pandas=False)] == [
        100
    ]
    assert len(run.history(keys=["train_loss_step"], pandas=False)) == 8
