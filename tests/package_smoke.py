"""Run with a freshly installed besom and nothing else: the command, a sweep, an agent, reading back."""

import subprocess
import sys
from pathlib import Path

import besom

assert "site-packages" in str(Path(besom.__file__)), f"this is the clone, not the wheel: {besom.__file__}"

sweep = {
    "method": "grid",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {"x": {"values": [1, 2, 3]}, "y": {"values": [10, 20]}},
}


def train() -> None:
    with besom.init() as run:
        run.log({"loss": run.config.x * run.config.y})


sweep_id = besom.sweep(sweep, project="smoke")
besom.agent(sweep_id, train)
found = besom.Api().sweep(sweep_id)
best = found.best_run()
assert len(found.runs) == 6, found.runs
assert best is not None, "no best run"
assert best.summary["loss"] == 10, best.summary
command = str(Path(sys.executable).with_name("besom"))
demo = subprocess.run([command, "demo", "--help"], capture_output=True, text=True, check=True)
assert "Example: besom demo" in demo.stdout
subprocess.run([command, "ls"], check=True)
subprocess.run([command, "down"], check=True)
print("the wheel works by itself")
