"""Scripts as W&B's users write them, but for `import besom as wandb`: real processes, and nothing configured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import besom
from besom.broker.service import Service
from besom.settings import read_settings
from besom.tracking.reading.api_run import ApiRun

pytestmark = pytest.mark.redis

Play = Callable[..., str]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """One service for all scripts, started by the first."""
    with tempfile.TemporaryDirectory(prefix="besom-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
        Service(read_settings(home=Path(folder))).stop()


@pytest.fixture
def play(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run a script or a command in the test's folder; what it printed. The test's own `Api` reads the same store."""
    monkeypatch.setenv("BESOM_HOME", str(home))
    monkeypatch.delenv("BESOM_DIR", raising=False)

    def play(script: str, *arguments: str, exit_code: int = 0, **environment: str) -> str:
        (tmp_path / "train.py").write_text(f"import besom as wandb\n{script}")
        command = [sys.executable, *(arguments or ("train.py",))]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return play


def only_run(project: str) -> ApiRun:
    (run,) = besom.Api().runs(project)
    return run


def column(run: ApiRun, key: str) -> list[Any]:
    return [row[key] for row in run.scan_history(keys=[key])]


def test_training_loop(play: Play) -> None:
    """The loop of the PyTorch examples: argparse as config, rows in two logs, a summary of its own, a saved file."""
    play("""
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args([])
wandb.login()
wandb.init(project="mnist", job_type="train", tags=["baseline"], anonymous="allow", save_code=True)
wandb.config.update(args)
wandb.config.epochs = 3
best = 1.0
for epoch in range(wandb.config["epochs"]):
    for batch in range(4):
        wandb.log({"train": {"loss": wandb.config.lr / (epoch + 1)}, "epoch": epoch}, commit=False)
        wandb.log({"batch": batch})
    best = min(best, 1 / (epoch + 2))
    wandb.log({"val/loss": 1 / (epoch + 2), "epoch": epoch})
wandb.run.summary["best"] = {"loss": best}
wandb.run.summary["best"]["epoch"] = 2
wandb.run.name = "renamed"
with open("model.h5", "w") as file:
    file.write("weights")
wandb.save("model.h5")
assert wandb.run.step == 15
""")
    run = only_run("mnist")
    assert (run.state, run.name, run.config) == ("finished", "renamed", {"batch_size": 64, "lr": 0.1, "epochs": 3})
    assert column(run, "val/loss") == [1 / 2, 1 / 3, 1 / 4]
    assert len(column(run, "batch")) == 12
    assert run.summary["best"] == {"loss": 0.25, "epoch": 2}
    assert {file.name for file in run.files()} >= {"model.h5", "code/train.py"}


def test_callback_of_a_framework(play: Play) -> None:
    """A callback in keras' manner, which takes `wandb.run` and logs by epoch, inside `with wandb.init(...)`."""
    play("""
class Callback:
    def on_train_begin(self):
        if wandb.run is None:
            raise wandb.Error("call wandb.init() first")
        wandb.define_metric("epoch")
        wandb.define_metric("epoch/*", step_metric="epoch/epoch")
    def on_epoch_end(self, epoch, logs):
        wandb.log({f"epoch/{name}": value for name, value in logs.items()} | {"epoch/epoch": epoch})

with wandb.init(project="keras", config={"layers": [{"units": 8}, {"units": 1}], "optimizer": "adam"}) as run:
    callback = Callback()
    callback.on_train_begin()
    for epoch in range(3):
        callback.on_epoch_end(epoch, {"loss": 1.0 - epoch / 10, "accuracy": epoch / 10})
assert wandb.run is None
""")
    run = only_run("keras")
    assert run.config["layers"][0] == {"units": 8}
    assert column(run, "epoch/accuracy") == [0.0, 0.1, 0.2]


def test_tables_and_charts(play: Play) -> None:
    """A table with pictures, a confusion matrix, a curve, pictures with masks and boxes."""
    play("""
import numpy as np
random = np.random.default_rng(0)
run = wandb.init(project="tables")
table = wandb.Table(columns=["id", "image", "guess", "truth"])
for number in range(3):
    table.add_data(number, wandb.Image(random.random((8, 8, 3)), caption=str(number)), number, 1)
classes = ["cat", "dog"]
run.log({
    "predictions": table,
    "conf_mat": wandb.plot.confusion_matrix(probs=None, y_true=[0, 1, 1], preds=[0, 1, 0], class_names=classes),
    "roc": wandb.plot.roc_curve([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], labels=classes),
    "line": wandb.plot.line(wandb.Table(data=[[1, 2], [2, 4]], columns=["x", "y"]), "x", "y", title="line"),
    "examples": [wandb.Image(random.random((8, 8))) for _ in range(2)],
    "seg": wandb.Image(np.zeros((8, 8, 3), dtype=np.uint8), masks={
        "predictions": {"mask_data": np.ones((8, 8), dtype=int), "class_labels": {1: "road"}}}, boxes={
        "predictions": {"box_data": [{"position": {"minX": 0.1, "maxX": 0.2, "minY": 0.3, "maxY": 0.4},
                                      "class_id": 1, "box_caption": "car", "scores": {"acc": 0.9}}],
                        "class_labels": {1: "car"}}}),
    "weights": wandb.Histogram(random.normal(size=100)),
})
wandb.finish()
""")
    (row,) = only_run("tables").scan_history()
    assert (row["predictions"]["_type"], row["predictions"]["nrows"]) == ("table-file", 3)
    assert row["examples"]["count"] == 2
    assert sum(row["weights"]["values"]) == 100
    assert {"conf_mat", "roc", "line", "seg"} <= row.keys()


def test_artifacts_between_jobs(play: Play) -> None:
    """One script logs a data set, another uses it and logs a model, a third fetches that by its alias."""
    play("""
with wandb.init(project="pipeline", job_type="load-data") as run:
    data = wandb.Artifact("data", type="dataset", description="numbers", metadata={"sizes": [3]})
    with data.new_file("train.csv") as file:
        file.write("1,2,3")
    data.add(wandb.Table(columns=["a"], data=[[1]]), "preview")
    run.log_artifact(data)
""")
    play("""
import os
with wandb.init(project="pipeline", job_type="train") as run:
    folder = run.use_artifact("data:latest", type="dataset").download()
    text = open(os.path.join(folder, "train.csv")).read()
    open("model.txt", "w").write(text.upper() + "!")
    model = wandb.Artifact("model", type="model", metadata=dict(run.config))
    model.add_file("model.txt")
    wandb.run.log_artifact(model, aliases=["best"])
    model.wait()
""")
    said = play("""
run = wandb.init(project="pipeline", job_type="evaluate")
model = run.use_artifact("model:best")
print("got", model.version, open(model.get_path("model.txt").download()).read())
wandb.finish()
""")
    assert "got v0 1,2,3!" in said
    (trained,) = besom.Api().runs("pipeline", filters={"job_type": "train"})
    assert [(artifact.name, artifact.aliases) for artifact in trained.logged_artifacts()] == [
        ("model:v0", ["best", "latest"])
    ]


def test_sweep_with_a_function(play: Play) -> None:
    """`sweep`, `agent` with a function and a count; the best run by the API."""
    said = play("""
def train():
    with wandb.init(config={"epochs": 2}) as run:
        for epoch in range(run.config.epochs):
            loss = (wandb.config.lr - 0.3) ** 2 + wandb.config["optimizer"]["momentum"]
            wandb.log({"val_loss": loss, "epoch": epoch})

sweep_config = {
    "name": "demo", "method": "random", "metric": {"name": "val_loss", "goal": "minimize"},
    "early_terminate": {"type": "hyperband", "min_iter": 3},
    "parameters": {"lr": {"min": 0.0, "max": 1.0}, "optimizer": {"parameters": {"momentum": {"values": [0, 1]}}}},
}
sweep_id = wandb.sweep(sweep_config, project="sweeps-demo")
wandb.agent(sweep_id, function=train, count=4)
best = wandb.Api().sweep(f"sweeps-demo/{sweep_id}").best_run()
print("best", best.summary["val_loss"], best.config["epochs"])
""")
    runs = besom.Api().runs("sweeps-demo")
    assert [run.state for run in runs] == ["finished"] * 4
    assert f"best {min(run.summary['val_loss'] for run in runs)} 2" in said


def test_resume(play: Play) -> None:
    """A run that died goes on after its last step, with its config and a checkpoint that it saved."""
    first = """
run = wandb.init(project="resuming", id="kept", resume="allow", config={"lr": 0.5})
start = run.summary.get("epoch", -1) + 1 if run.resumed else 0
for epoch in range(start, 4):
    run.log({"epoch": epoch})
    if epoch == 1 and not run.resumed:
        raise RuntimeError("out of memory")
"""
    play(first, exit_code=1)
    assert only_run("resuming").state == "failed"
    play(first.replace('config={"lr": 0.5}', "config=None"))
    run = only_run("resuming")
    assert (run.state, run.config["lr"]) == ("finished", 0.5)
    assert [(row["_step"], row["epoch"]) for row in run.scan_history(keys=["epoch"])] == [(n, n) for n in range(4)]


def test_metrics_and_alerts(play: Play) -> None:
    """`define_metric` makes the summary the best value; alerts are kept with the run."""
    play("""
from datetime import timedelta
wandb.init(project="alerts")
wandb.define_metric("custom_step")
wandb.define_metric("acc", step_metric="custom_step", summary="max,last")
for step, acc in enumerate([0.2, 0.9, 0.5]):
    wandb.log({"acc": acc, "custom_step": step ** 2})
    if acc < 0.3:
        wandb.alert(title="Low accuracy", text=f"{acc} is low", level=wandb.AlertLevel.WARN,
                    wait_duration=timedelta(minutes=5))
""")
    run = only_run("alerts")
    assert run.summary["acc"] == {"max": 0.9, "last": 0.5}
    assert [(alert["title"], alert["level"]) for alert in run.alerts] == [("Low accuracy", "WARN")]


def test_code(play: Play) -> None:
    """`log_code` keeps the sources as an artifact, which a later script uses."""
    play("""
run = wandb.init(project="code")
run.log_code(".", include_fn=lambda path: path.endswith(".py"))
""")
    said = play("""
api = wandb.Api()
run, = api.runs("code")
for artifact in run.logged_artifacts():
    print(artifact.type, sorted(artifact.manifest.entries))
""")
    assert "code ['train.py']" in said


def test_offline_and_sync(play: Play) -> None:
    """Recorded with WANDB_MODE=offline and sent by `besom sync`: then it is a run like others."""
    play(
        """
import numpy as np
with wandb.init(project="offline", name="on a train", config={"lr": 1}) as run:
    for step in range(3):
        run.log({"loss": 1 / (step + 1), "image": wandb.Image(np.zeros((4, 4)))})
""",
        WANDB_MODE="offline",
    )
    play("", "-m", "besom", "sync", "besom-runs")
    run = only_run("offline")
    assert (run.name, run.state, run.config) == ("on a train", "finished", {"lr": 1})
    assert column(run, "loss") == [1.0, 1 / 2, 1 / 3]


def test_several_runs_in_one_script(play: Play) -> None:
    """Cross-validation in a loop with `reinit`, grouped; a fold that fails is failed and the others are not."""
    play("""
for fold in range(3):
    try:
        with wandb.init(project="folds", group="cv", name=f"fold-{fold}", reinit=True) as run:
            wandb.log({"loss": 1 / (fold + 1)})
            if fold == 1:
                raise ValueError("no data")
    except ValueError:
        pass
""")
    runs = besom.Api().runs("folds", filters={"group": "cv"}, order="+created_at")
    assert [(run.name, run.state) for run in runs] == [
        ("fold-0", "finished"), ("fold-1", "failed"), ("fold-2", "finished"),
    ]  # fmt: skip
