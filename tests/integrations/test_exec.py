"""`besom exec -- python train.py`: unchanged programs with real libraries, and the processes that they start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import besom
from besom.tracking.reading.api_run import ApiRun

pytestmark = [pytest.mark.integrations, pytest.mark.timeout(300)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "unchanged"

TRAINER = """
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

model = BertForSequenceClassification(BertConfig(
    vocab_size=40, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8))
rows = [{"input_ids": torch.arange(6), "labels": place % 2} for place in range(8)]
arguments = TrainingArguments("out", report_to="all", max_steps=2, logging_steps=1, use_cpu=True, save_strategy="no",
                              dataloader_num_workers=2)
Trainer(model=model, args=arguments, train_dataset=rows).train()
"""

RANKS = """
import torch
from accelerate import Accelerator

accelerator = Accelerator(cpu=True, log_with="wandb")
accelerator.init_trackers("ranks", config={"lr": 0.1})
model = accelerator.prepare(torch.nn.Linear(2, 1))
for step in range(3):
    loss = model(torch.full((4, 2), float(accelerator.process_index))).mean()
    accelerator.backward(loss)
    seen = accelerator.gather(torch.tensor([accelerator.process_index]))
    accelerator.log({"ranks": seen.sum().item() + accelerator.num_processes}, step=step)
accelerator.end_training()
"""

LIGHTNING = """
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger

class Line(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def training_step(self, batch, index):
        loss = self.layer(batch).square().mean()
        self.log("loss", loss)
        return loss
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

if __name__ == "__main__":
    logger = WandbLogger(project="spawned", id="spawned")
    logger.log_hyperparams({"lr": 0.1})
    trainer = Trainer(max_epochs=1, logger=logger, accelerator="cpu", devices=2, strategy="ddp_spawn",
                      log_every_n_steps=1, enable_progress_bar=False, enable_checkpointing=False)
    trainer.fit(Line(), torch.utils.data.DataLoader(torch.ones(8, 2), batch_size=2))
"""


def execute(*command: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # of `python`, as a sweep runs it
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PATH": path}
    done = subprocess.run(
        [sys.executable, "-m", "besom", "exec", "--", *command],
        env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def train(program: str, *options: str) -> None:
    Path("train.py").write_text(program)
    execute(sys.executable, *options, "train.py")


def test_the_trainer_finds_wandb_by_itself(recorded: Callable[[str], ApiRun], monkeypatch: pytest.MonkeyPatch) -> None:
    """`report_to="all"` reports to besom, in the project that BESOM_PROJECT says; worker processes do no harm."""
    monkeypatch.setenv("BESOM_PROJECT", "exec-hf")
    train(TRAINER)
    run = recorded("exec-hf")
    assert run.state == "finished"
    assert [
        row["train/global_step"] for row in run.history(keys=["train/loss", "train/global_step"], pandas=False)
    ] == [1, 2]
    assert run.metadata["program"].endswith("train.py")


def test_processes_of_torchrun(recorded: Callable[[str], ApiRun]) -> None:
    """Two processes train together, the main one logs, and there is one run."""
    train(RANKS, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    run = recorded("ranks")
    assert (run.state, run.config) == ("finished", {"lr": 0.1})
    assert [row["ranks"] for row in run.history(pandas=False)] == [3, 3, 3]


def test_processes_that_lightning_spawns(recorded: Callable[[str], ApiRun]) -> None:
    """The process of rank 0 goes on with its parent's run by its id, as the logger asks."""
    train(LIGHTNING)
    run = recorded("spawned")
    assert run.config == {"lr": 0.1}
    assert run.state == "finished"
    assert [row["trainer/global_step"] for row in run.history(keys=["loss", "trainer/global_step"], pandas=False)] == [
        0,
        1,
    ]


def test_a_sweep_of_an_unchanged_script(service: None, tmp_path: Path) -> None:
    """The agent's programs find the stand-in as well: the example's trials log what they would to W&B."""
    shutil.copytree(EXAMPLE, tmp_path / "example")
    execute(sys.executable, "-m", "besom", "run", str(tmp_path / "example" / "sweep.yaml"), "--project", "unchanged")
    (sweep,) = besom.Api().sweeps("unchanged")
    runs = list(sweep.runs)
    assert [run.state for run in runs] == ["finished"] * 4
    best = sweep.best_run()
    assert best is not None
    for run in runs:
        assert set(run.config) == {"learning_rate", "max_leaf_nodes", "rounds"}
        assert len(run.history(keys=["accuracy"], pandas=False)) == 5
        assert run.summary["confusion_matrix"]["_type"] == run.summary["roc"]["_type"] == "custom-chart"
        assert run.summary["mistakes"]["count"] <= 8
        assert run.summary["accuracy"]["max"] <= best.summary["accuracy"]["max"]
