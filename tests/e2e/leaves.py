"""An agent for sweeps with two metrics: trees on scikit-learn's digits, how well they do and how large they are.

python leaves.py SWEEP
"""

from __future__ import annotations

import sys

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

import besom


def fit(leaves: int, share: float) -> tuple[float, int]:
    """Accuracy on other images, and nodes, of a tree with so many leaves that looks at a share of the pixels."""
    x_train, x_valid, y_train, y_valid = train_test_split(*load_digits(return_X_y=True), random_state=0)
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, max_features=share, random_state=0).fit(x_train, y_train)
    return float(tree.score(x_valid, y_valid)), int(tree.tree_.node_count)


def train() -> None:
    """One trial."""
    with besom.init() as run:
        accuracy, nodes = fit(run.config.leaves, run.config.share)
        run.log({"accuracy": accuracy, "nodes": nodes})


if __name__ == "__main__":
    besom.agent(sys.argv[1], function=train)
