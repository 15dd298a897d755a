"""What it costs to watch a model: `watch(model, log="all", log_freq=100)` on a perceptron of ten million parameters.

    make bench-watch            about 3 minutes; or: python -m benchmarks.watch [--steps N] [--batch N] [--threads N]

Three equal models train in one process, step by step in turn, so that whatever else the machine does meets all alike:
one that nobody watches, one watched by besom, which sends to a redis-server, and one watched by wandb, offline. A step
is forward, backward, optimizer and `log({"loss": ...})`; each is timed. In every 100th histograms are made, and what
that one takes longer than the others is what they cost. CPU is that of all threads of this process; wandb writes its
file in a process of its own, which is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from benchmarks.machine import Place, describe, place, table

FREQUENCY = 100
WIDTHS = (784, 2048, 2048, 2048, 10)
QUIET = {"console": "off", "disable_git": True}


@dataclass
class Arm:
    """One model, and what its steps took."""

    name: str
    model: Any
    optimizer: Any
    log: Callable[[dict[str, float]], Any]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def ordinary(self, times: list[float]) -> float:
        """Milliseconds of a step without histograms, the median; the first ones warm up."""
        return 1e3 * statistics.median(t for step, t in enumerate(times, 1) if step > 10 and step % FREQUENCY)

    def watched(self, times: list[float]) -> float:
        """Milliseconds of a step with histograms, the median."""
        return 1e3 * statistics.median(times[FREQUENCY - 1 :: FREQUENCY])


def perceptron() -> Any:
    from torch import nn

    parts: list[Any] = []
    for inputs, outputs in pairwise(WIDTHS):
        parts += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def arms(here: Place) -> list[Arm]:
    """Nobody's, besom's and wandb's."""
    import torch
    import wandb

    import besom

    os.environ |= here.env
    runs = {
        "besom": besom.init(project="bench", settings={**QUIET, "disable_stats": True}),
        "wandb": wandb.init(
            project="bench", mode="offline", dir=here.folder,
            settings=wandb.Settings(**QUIET, x_disable_stats=True, silent=True),
        ),
    }  # fmt: skip
    made = []
    for name in ("nobody", *runs):
        torch.manual_seed(0)
        model = perceptron()
        run: Any = runs.get(name)
        if run is not None:
            run.watch(model, log="all", log_freq=FREQUENCY)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        made.append(Arm(name, model, optimizer, run.log if run is not None else lambda _: None))
    return made


def step(arm: Arm, batch: Any, labels: Any) -> None:
    from torch.nn.functional import cross_entropy

    cpu, wall = time.process_time(), time.perf_counter()
    arm.optimizer.zero_grad()
    loss = cross_entropy(arm.model(batch), labels)
    loss.backward()
    arm.optimizer.step()
    arm.log({"loss": loss.item()})
    arm.wall.append(time.perf_counter() - wall)
    arm.cpu.append(time.process_time() - cpu)


def report(measured: list[Arm], options: argparse.Namespace) -> str:
    nobody = measured[0]
    bare = nobody.ordinary(nobody.wall)
    rows = [
        ["watched by", "step, ms", "with histograms, ms", "histograms, ms", "their CPU, ms", "of training, %"],
        ["nobody", f"{bare:.1f}", "-", "-", "-", "-"],
    ]
    extras = {}
    for arm in measured[1:]:
        extra = arm.watched(arm.wall) - arm.ordinary(arm.wall)
        cpu = arm.watched(arm.cpu) - arm.ordinary(arm.cpu)
        extras[arm.name] = extra
        rows.append([
                arm.name, f"{arm.ordinary(arm.wall):.1f}", f"{arm.watched(arm.wall):.1f}", f"{extra:.1f}", f"{cpu:.1f}",
                f"{100 * extra / FREQUENCY / bare:.2f}",
            ])  # fmt: skip
    count = sum(parameter.numel() for parameter in nobody.model.parameters())
    return (
        f"{count / 1e6:.1f} million parameters, batches of {options.batch}, {options.steps} steps each, "
        f"histograms at every {FREQUENCY}th\n\n{table(rows)}\n\n"
        f"wandb's histograms take {extras['wandb'] / extras['besom']:.1f} times as long"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=500, help="of each model")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of torch")
    options = parser.parse_args()
    if options.steps < 2 * FREQUENCY:
        sys.exit(f"--steps {options.steps} is too few; write at least {2 * FREQUENCY}")
    import torch
    import wandb

    import besom

    torch.set_num_threads(options.threads)
    with place() as here:
        try:
            measured = arms(here)
            generator = torch.Generator().manual_seed(0)
            for _ in range(options.steps):
                batch = torch.randn(options.batch, WIDTHS[0], generator=generator)
                labels = torch.randint(WIDTHS[-1], (options.batch,), generator=generator)
                for arm in measured:
                    step(arm, batch, labels)
        finally:  # while Redis is there
            besom.finish()
            wandb.finish()
        print(f"{describe()}; torch {torch.__version__}, {options.threads} threads; wandb {wandb.__version__}")
        print(report(measured, options))


if __name__ == "__main__":
    main()
