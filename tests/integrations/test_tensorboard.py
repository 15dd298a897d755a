"""`init(sync_tensorboard=True)` with the writers of torch, tensorboardX and TensorFlow.

TensorFlow is half a gigabyte and not in requirements.txt: its tests run where it is installed, the one of keras with
KERAS_BACKEND=tensorflow.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import besom
from besom.tracking.reading.api_run import ApiRun

pytestmark = pytest.mark.integrations

WRITERS = ["torch.utils.tensorboard", "tensorboardX"]
VALUES = np.random.default_rng(0).normal(size=1000)


def writer_of(library: str, folder: Path) -> Any:
    return importlib.import_module(library).SummaryWriter(str(folder))


def rows_of(run: ApiRun) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if key not in ("_timestamp", "_runtime", "_step")}
        for row in run.scan_history()
    ]


@pytest.mark.parametrize("library", WRITERS)
def test_scalars(library: str, recorded: Callable[[str], ApiRun], tmp_path: Path) -> None:
    """Those of one step are a row; a writer in a folder below has that before its names; the event file is written."""
    project = f"scalars-{library}"
    besom.init(project=project, sync_tensorboard=True)
    with writer_of(library, tmp_path / "logs") as writer:
        for step in (5, 10):
            writer.add_scalar("train/loss", 1 / step, step)
            writer.add_scalar("train/acc", np.float64(0.5), global_step=step)
        writer.add_scalars("both", {"a": 1.0}, 10)
    besom.finish()
    assert list((tmp_path / "logs").glob("*tfevents*"))
    below = "both_a" if library == WRITERS[0] else "both/a"
    assert rows_of(recorded(project)) == [
        {"train/loss": pytest.approx(0.2), "train/acc": 0.5, "global_step": 5},
        {
            "train/loss": pytest.approx(0.1), "train/acc": 0.5, "global_step": 10,
            f"{below}/both": 1.0, f"{below}/global_step": 10,
        },
    ]  # fmt: skip


@pytest.mark.parametrize("library", WRITERS)
def test_histograms_and_images(library: str, recorded: Callable[[str], ApiRun], tmp_path: Path) -> None:
    """A histogram has the counts that were written, over the values' range; an image its size."""
    project = f"media-{library}"
    besom.init(project=project, sync_tensorboard=True)
    with writer_of(library, tmp_path / "logs") as writer:
        for bins in ("tensorflow", "auto"):
            writer.add_histogram(f"weights/{bins}", VALUES, 1, bins=bins)
        writer.add_image("sample", np.zeros((3, 4, 6), dtype=np.uint8), 1)
    besom.finish()
    (row,) = rows_of(recorded(project))
    for bins in ("tensorflow", "auto"):
        held = row[f"weights/{bins}"]
        edges, counts = np.array(held["bins"]), np.array(held["values"])
        assert np.all(np.diff(edges) >= 0)
        assert counts.sum() == len(VALUES)
        assert counts[edges[1:] <= 0].sum() == pytest.approx(np.sum(VALUES <= 0), abs=20)
        assert (edges[0] <= VALUES.min(), abs(edges[-1] - VALUES.max()) < 1) == (True, True)
    assert (row["sample"]["_type"], row["sample"]["width"], row["sample"]["height"]) == ("image-file", 6, 4)


def test_tensorflow(recorded: Callable[[str], ApiRun], tmp_path: Path) -> None:
    """`tf.summary` of two writers, with the step given and by default; nothing where recording is off."""
    tf = pytest.importorskip("tensorflow")
    besom.init(project="tensorflow", sync_tensorboard=True)
    train = tf.summary.create_file_writer(str(tmp_path / "logs/train"))
    validation = tf.summary.create_file_writer(str(tmp_path / "logs/validation"))
    for epoch in range(2):
        with train.as_default():
            tf.summary.scalar("loss", 0.5, step=epoch)
            tf.summary.histogram("weights", VALUES, step=epoch)
            tf.summary.image("sample", np.zeros((1, 4, 6, 3)), step=epoch)
        with validation.as_default(step=epoch), tf.summary.record_if(epoch == 1):
            tf.summary.scalar("loss", 0.25)
    besom.finish()
    rows = rows_of(recorded("tensorflow"))
    assert [(row["train/global_step"], row["train/loss"]) for row in rows] == [(0, 0.5), (1, 0.5)]
    assert [row.get("validation/loss") for row in rows] == [None, 0.25]
    assert sum(rows[0]["train/weights"]["values"]) == len(VALUES)
    assert rows[0]["train/sample"]["filenames"]


def test_inside_a_function_of_tensorflow(
    recorded: Callable[[str], ApiRun], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What TensorFlow writes by itself is not seen, which is said once for each name; it goes on."""
    tf = pytest.importorskip("tensorflow")

    @tf.function  # type: ignore[untyped-decorator]
    def train(loss: Any) -> Any:
        tf.summary.scalar("inside", loss, step=1)
        return loss * 2

    besom.init(project="tf-function", sync_tensorboard=True)
    with tf.summary.create_file_writer(str(tmp_path / "logs")).as_default():
        assert [float(train(tf.constant(1.0))) for _ in range(2)] == [2.0, 2.0]
        tf.summary.scalar("outside", 0.5, step=1)
    besom.finish()
    assert rows_of(recorded("tf-function")) == [{"outside": 0.5, "global_step": 1}]
    assert caplog.text.count("inside is written inside a tf.function") == 1


def test_keras_callback_of_tensorboard(recorded: Callable[[str], ApiRun], tmp_path: Path) -> None:
    """What `keras.callbacks.TensorBoard` writes on TensorFlow arrives, by epoch."""
    pytest.importorskip("tensorflow")
    keras: Any = importlib.import_module("keras")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("its TensorBoard callback writes through torch elsewhere")
    besom.init(project="keras-tensorboard", sync_tensorboard=True)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.fit(
        np.zeros((4, 2)), np.zeros((4, 1)), epochs=2, verbose=0, callbacks=[keras.callbacks.TensorBoard(str(tmp_path))]
    )
    besom.finish()
    found = [row for row in rows_of(recorded("keras-tensorboard")) if "train/epoch_loss" in row]
    assert [row["train/global_step"] for row in found] == [0, 1]
