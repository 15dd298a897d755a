"""Train a small neural network on scikit-learn's digits, epoch by epoch; one log for each epoch.

Run it as it is (`python train.py`), or search its parameters with `besom run sweep.yaml`.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the agents of one machine share its cores

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import besom

DEFAULTS = {"learning_rate": 0.001, "alpha": 0.0001, "hidden": 64, "batch_size": 64, "activation": "relu", "epochs": 12}


def split() -> Any:
    """Images to train on, images to validate on, and the labels of both."""
    images, labels = load_digits(return_X_y=True)
    return train_test_split(images / 16.0, labels, test_size=0.3, random_state=0, stratify=labels)


def epochs(config: Any, images: np.ndarray, labels: np.ndarray) -> Iterator[MLPClassifier]:
    """The model after each epoch."""
    model = MLPClassifier(
        hidden_layer_sizes=(config.hidden,),
        activation=config.activation,
        alpha=config.alpha,
        batch_size=config.batch_size,
        learning_rate_init=config.learning_rate,
        random_state=0,
    )
    order = np.random.default_rng(0)
    for _ in range(config.epochs):
        shuffled = order.permutation(len(images))
        for start in range(0, len(shuffled) - config.batch_size + 1, config.batch_size):  # whole batches only
            batch = shuffled[start : start + config.batch_size]
            model.partial_fit(images[batch], labels[batch], classes=np.arange(10))
        yield model


def train(config: Any) -> Iterator[dict[str, float]]:
    """Losses and accuracy after each epoch."""
    x_train, x_valid, y_train, y_valid = split()
    for model in epochs(config, x_train, y_train):
        yield {
            "train_loss": log_loss(y_train, model.predict_proba(x_train), labels=np.arange(10)),
            "valid_loss": log_loss(y_valid, model.predict_proba(x_valid), labels=np.arange(10)),
            "valid_accuracy": model.score(x_valid, y_valid),
        }


def main() -> None:
    with besom.init(project="digits", config=DEFAULTS) as run:
        for metrics in train(run.config):
            run.log(metrics)


if __name__ == "__main__":
    main()
