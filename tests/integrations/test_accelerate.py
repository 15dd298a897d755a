"""accelerate's trackers with `log_with="wandb"`, unmodified."""

from __future__ import annotations

import besom.compat.wandb  # first: accelerate looks for wandb when it is imported

# isort: split
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from besom.tracking.reading.api_run import ApiRun

pytestmark = pytest.mark.integrations


@pytest.fixture
def accelerator(service: None) -> Iterator[Accelerator]:
    yield Accelerator(cpu=True, log_with="wandb")
    AcceleratorState._reset_state(reset_partial_state=True)


def test_a_training(recorded: Callable[[str], ApiRun], accelerator: Accelerator) -> None:
    """The config comes after init and arrives; arguments for init pass; tensors, images and tables are kept."""
    accelerator.init_trackers(
        "fast",
        config={"lr": 0.1, "layers": [1, 2]},
        init_kwargs={"wandb": {"name": "one", "tags": ["t"], "notes": "n"}},
    )
    weight = torch.nn.Parameter(torch.tensor(3.0))
    model, optimizer = accelerator.prepare(torch.nn.ParameterList([weight]), torch.optim.SGD([weight], lr=0.1))
    for step in range(3):
        loss = model[0] ** 2
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        accelerator.log({"loss": loss, "detached": loss.detach()}, step=step)
    tracker = accelerator.get_tracker("wandb")
    tracker.log_images({"shown": [np.zeros((2, 2, 3), np.uint8)]}, step=3)
    tracker.log_table("rows", columns=["a"], data=[[1]], step=4)
    assert accelerator.get_tracker("wandb", unwrap=True) is besom.run
    accelerator.end_training()
    run = recorded("fast")
    assert (run.name, run.tags, run.notes, run.state) == ("one", ["t"], "n", "finished")
    assert run.config == {"lr": 0.1, "layers": [1, 2]}
    rows = run.history(keys=["loss", "detached"], pandas=False)
    assert [row["_step"] for row in rows] == [0, 1, 2]
    assert [row["loss"] for row in rows] == pytest.approx([(3 * 0.8**step) ** 2 for step in range(3)])
    assert [row["detached"] for row in rows] == [row["loss"] for row in rows]
    assert run.summary["shown"]["count"] == 1
    assert run.summary["rows"]["nrows"] == 1
