"""Whole runs for the reader of `.wandb` files, recorded by wandb itself: one with everything, one that was killed.

A copy of this file trains one, in the working directory, where wandb is installed: `python train.py KIND`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

KINDS = ("everything", "killed", "failed")

_ENVIRONMENT = {
    "WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_HOST": "lab", "WANDB_USERNAME": "me",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}  # fmt: skip
_NEEDED = ("output.log", "wandb-metadata.json", "diff.patch", "media")


def record_samples(target: Path, place: Path) -> dict[str, Path]:
    """Train each kind in a folder of its own, and copy what it left to `target`; kind to its `.wandb` file there."""
    found = {}
    shutil.rmtree(target, ignore_errors=True)
    (place / "venv").symlink_to(sys.prefix)  # the record tells where Python is
    python = place / "venv" / "bin" / "python"
    for kind in KINDS:
        folder = place / kind
        folder.mkdir(parents=True)
        _repository(folder)
        environment = {**os.environ, **_ENVIRONMENT, "WANDB_DATA_DIR": str(folder / "data")}
        command = [str(python), "train.py", kind, "--rate=3", "--api-key=secret"]
        subprocess.run(command, cwd=folder, env=environment, check=False)
        (file,) = folder.glob("wandb/offline-run-*/*.wandb")
        _settle(file)
        copy = target / f"offline-run-20260101_000000-sample-{kind}"
        copy.mkdir(parents=True)
        found[kind] = Path(shutil.copy(file, copy))
        for name in _NEEDED:
            source = file.parent / "files" / name
            if source.is_dir():
                shutil.copytree(source, copy / "files" / name)
            elif source.is_file():
                (copy / "files").mkdir(exist_ok=True)
                shutil.copy(source, copy / "files")
        (copy / "files" / "requirements.txt").write_text("numpy==2.4.6\nwandb==0.31.0\n")
    return found


def _settle(file: Path) -> None:
    """Wait until the file of a killed run grows no more."""
    size = -1
    while size != (size := file.stat().st_size):
        time.sleep(3)


def _repository(folder: Path) -> None:
    (folder / "train.py").write_text("first\n")  # what is trained differs from what was committed
    git = ["git", "-C", str(folder), "-c", "user.name=me", "-c", "user.email=me@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"],
                      ["remote", "add", "origin", "https://example.org/lab/train.git"]):  # fmt: skip
        subprocess.run([*git, *arguments], check=True)
    shutil.copy(__file__, folder / "train.py")


def train(kind: str) -> None:
    """One run."""
    import wandb

    run = wandb.init(
        project="digits", entity="lab", id=f"sample-{kind}", name=f"{kind} sample", group="folds", job_type="train",
        tags=["a", "b"], notes="recorded for a test", config={"lr": 0.1, "layers": [8, 4], "opt": {"name": "sgd"}},
    )  # fmt: skip
    print("training begins")
    for step in range(20):
        run.log({"loss": 1 / (step + 1), "n": {"x": step}, "epoch": step // 5})
    if kind == "killed":
        for _ in range(3):
            run.log({"long text": "x" * 10_000})  # only whole blocks reach the file
        time.sleep(2)
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "failed":
        raise RuntimeError("the disk is full")
    _log_everything(wandb, run)
    run.finish()


def _log_everything(wandb: Any, run: Any) -> None:
    import numpy as np

    run.define_metric("val/*", step_metric="epoch", summary="max")
    run.define_metric("hush", summary="none")
    run.log({"val/acc": 0.5, "epoch": 4, "hush": 1})
    run.log({"val/acc": 0.25, "none": None, "nan": float("nan"), "inf": float("inf"), "text": "é", "big": 2**60})
    run.log({"large": np.arange(2000), "list": list(range(3)), "flag": True})
    picture = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    mask = {"truth": {"mask_data": picture[:, :, 0] % 3, "class_labels": {0: "sky", 1: "cat"}}}
    run.log(
        {
            "img": wandb.Image(picture, caption="one", masks=mask),
            "imgs": [wandb.Image(picture), wandb.Image(picture + 1)],
            "table": wandb.Table(columns=["n", "word"], data=[[1, "x"], [2, "y"]]),
            "page": wandb.Html("<b>hi</b>", inject=False),
            "hist": wandb.Histogram([1, 2, 3]),
            "long text": "x" * 33_000,  # goes over a block's end
        }
    )
    run.summary["best"] = 0.125
    run.summary["gone"] = 1
    del run.summary["gone"]
    run.config.update({"late": [1, 2]})
    run.config.update({"lr": 0.2}, allow_val_change=True)
    Path("model.txt").write_text("weights")
    artifact = wandb.Artifact("model", "model", metadata={"k": 1})
    artifact.add_file("model.txt")
    artifact.add_reference("https://example.org/data.csv", checksum=False)
    run.log_artifact(artifact, aliases=["best"])
    print("step 1\rstep 2\rdone", flush=True)
    print("careful", file=sys.stderr)


if __name__ == "__main__":
    train(sys.argv[1])
