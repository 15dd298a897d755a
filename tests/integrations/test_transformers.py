"""transformers' Trainer with `report_to="wandb"`, unmodified."""

from __future__ import annotations

import besom.compat.wandb  # first: accelerate looks for wandb when transformers imports it

# isort: split
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from besom.tracking.reading.api_run import ApiRun

pytestmark = pytest.mark.integrations


def tiny_model() -> BertForSequenceClassification:
    torch.manual_seed(0)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=40, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, num_labels=2
        )
    )


def sentences(count: int) -> list[dict[str, Any]]:
    words = torch.randint(0, 40, (count, 6), generator=torch.Generator().manual_seed(1))
    return [
        {"input_ids": row, "attention_mask": torch.ones(6, dtype=torch.long), "labels": int(row[0] % 2)}
        for row in words
    ]


def train(folder: Path, **named: Any) -> Trainer:
    arguments = TrainingArguments(
        output_dir=str(folder / "out"), report_to="wandb", run_name="tiny", max_steps=6, logging_steps=2,
        per_device_train_batch_size=4, save_steps=3, eval_strategy="steps", eval_steps=3, disable_tqdm=True,
        use_cpu=True, **named,
    )  # fmt: skip
    trainer = Trainer(model=tiny_model(), args=arguments, train_dataset=sentences(24), eval_dataset=sentences(8))
    trainer.train()
    return trainer


def test_what_a_training_logs(
    recorded: Callable[[str], ApiRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments and model configuration, each loss with its global step, and the summary of the training."""
    monkeypatch.setenv("WANDB_PROJECT", "hf")
    trainer = train(tmp_path)
    besom.finish()
    run = recorded("hf")
    assert (run.name, run.state) == ("tiny", "finished")
    assert run.config["max_steps"] == 6
    assert run.config["hidden_size"] == 8
    assert run.config["model/num_parameters"] == trainer.model.num_parameters()
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    rows = run.history(keys=["train/loss", "train/global_step"], pandas=False)
    assert [(row["train/global_step"], row["train/loss"]) for row in rows] == [
        (entry["step"], entry["loss"]) for entry in logged
    ]
    evaluated = run.history(keys=["eval/loss", "train/global_step"], pandas=False)
    assert [row["train/global_step"] for row in evaluated] == [3, 6]
    assert run.summary["train_loss"] == trainer.state.log_history[-1]["train_loss"]
    assert run.summary["train/global_step"] == 6


def test_models_as_artifacts(
    recorded: Callable[[str], ApiRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With WANDB_LOG_MODEL=checkpoint: the architecture, each checkpoint and the trained model, which loads again."""
    monkeypatch.setenv("WANDB_PROJECT", "hf-models")
    monkeypatch.setenv("WANDB_LOG_MODEL", "checkpoint")
    trainer = train(tmp_path)
    besom.finish()
    run = recorded("hf-models")
    api = besom.Api()
    by_alias = {alias: api.artifact(f"hf-models/model-tiny:{alias}") for alias in ("base_model", "final_model")}
    for step in (3, 6):
        checkpoint = api.artifact(f"hf-models/model-tiny:checkpoint_global_step_{step}")
        assert "optimizer.pt" in checkpoint.entries
    assert "model_architecture.txt" in by_alias["base_model"].entries
    assert by_alias["final_model"].metadata["final_model"] is True
    folder = by_alias["final_model"].download(tmp_path / "down")
    loaded = BertForSequenceClassification.from_pretrained(folder)
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert run.state == "finished"


def test_the_search_of_hyperparameters(recorded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`trainer.hyperparameter_search(backend="wandb")` is a besom sweep; each trial trains with its own values."""
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "out"), report_to="wandb", max_steps=2, logging_steps=1, eval_strategy="steps",
        eval_steps=2, save_strategy="no", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    trainer = Trainer(
        model_init=tiny_model, args=arguments, train_dataset=sentences(16), eval_dataset=sentences(8)
    )  # fmt: skip

    def space(_: Any) -> dict[str, Any]:
        return {
            "method": "random",
            "metric": {"name": "objective", "goal": "minimize"},
            "parameters": {"learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3}},
        }

    best = trainer.hyperparameter_search(
        direction="minimize", backend="wandb", hp_space=space, n_trials=2, project="hf-search",
        compute_objective=lambda metrics: metrics["eval_loss"],
    )  # fmt: skip
    runs = list(besom.Api().runs("hf-search"))
    assert [run.state for run in runs] == ["finished", "finished"]
    rates = {run.id: run.config["learning_rate"] for run in runs}
    assert len(set(rates.values())) == 2
    assert rates[best.run_id] == pytest.approx(best.hyperparameters["learning_rate"])
