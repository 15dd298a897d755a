"""Tell handwritten digits apart with boosted trees: a script as it was written for W&B. Nothing in it knows besom.

besom exec -- python examples/unchanged/train.py             # one run
besom exec -- besom run examples/unchanged/sweep.yaml        # a sweep, all in one
"""

from __future__ import annotations

import argparse

import wandb
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning_rate", type=float, default=0.1)
    parser.add_argument("--max_leaf_nodes", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=10)
    return parser.parse_args()


def main() -> None:
    run = wandb.init(project="unchanged", config=arguments())
    features, digits = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(features, digits, random_state=0)
    model = HistGradientBoostingClassifier(
        learning_rate=wandb.config.learning_rate,
        max_leaf_nodes=wandb.config.max_leaf_nodes,
        max_iter=1,
        warm_start=True,
        early_stopping=False,
        random_state=0,
    )
    wandb.define_metric("accuracy", summary="max")
    for rounds in range(1, wandb.config.rounds + 1):
        model.set_params(max_iter=rounds).fit(train_x, train_y)
        wandb.log({"rounds": rounds, "accuracy": model.score(test_x, test_y)})
    wandb.sklearn.plot_confusion_matrix(test_y, model.predict(test_x), labels=range(10))
    wandb.sklearn.plot_roc(test_y, model.predict_proba(test_x), labels=range(10))
    wrong = model.predict(test_x) != test_y
    wandb.log({"mistakes": [wandb.Image(image.reshape(8, 8) / 16) for image in test_x[wrong][:8]]})
    run.finish()


if __name__ == "__main__":
    main()
