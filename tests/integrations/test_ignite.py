"""ignite's WandBLogger, unmodified."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from ignite.engine import Engine, Events
from ignite.handlers.wandb_logger import WandBLogger

from besom.tracking.reading.api_run import ApiRun

pytestmark = pytest.mark.integrations


def test_what_its_handlers_log(recorded: Callable[[str], ApiRun]) -> None:
    """Outputs by iteration, the optimizer's rate, and whatever else of wandb is called through the logger."""
    weight = torch.nn.Parameter(torch.tensor(2.0))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    trainer = Engine(lambda _, batch: float(batch))
    logger = WandBLogger(project="ignite", name="one", config={"lr": 0.5})
    logger.config.update({"late": 1})
    logger.attach_output_handler(
        trainer, Events.ITERATION_COMPLETED, tag="training", output_transform=lambda loss: {"loss": loss}
    )
    logger.attach_opt_params_handler(trainer, Events.ITERATION_STARTED, optimizer)
    trainer.run([3.0, 2.0, 1.0], max_epochs=1)
    logger.summary["best"] = 1.0
    logger.close()
    run = recorded("ignite")
    assert (run.name, run.state, run.config) == ("one", "finished", {"lr": 0.5, "late": 1})
    rows = run.history(keys=["training/loss"], pandas=False)
    assert [(row["_step"], row["training/loss"]) for row in rows] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert {row["lr/group_0"] for row in run.history(keys=["lr/group_0"], pandas=False)} == {0.5}
    assert run.summary["best"] == 1.0
