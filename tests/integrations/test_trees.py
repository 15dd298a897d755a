"""Our callbacks in xgboost's and lightgbm's own training, by our names and by W&B's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

import besom
from besom.errors import UsageError
from besom.integration import lightgbm as for_lightgbm
from besom.integration import xgboost as for_xgboost
from besom.tracking.reading.api_run import ApiRun

pytestmark = pytest.mark.integrations

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(200, 4))
Y = (X[:, 0] + 0.3 * RANDOM.normal(size=200) > 0).astype(int)
LIGHT = {"objective": "binary", "metric": ["auc", "binary_logloss"], "verbose": -1, "num_threads": 1, "seed": 1}
DEEP = {"objective": "binary:logistic", "eval_metric": ["logloss", "auc"], "nthread": 1, "seed": 1}


def matrices() -> tuple[xgboost.DMatrix, xgboost.DMatrix]:
    names = ["a", "b", "c", "d"]
    return (
        xgboost.DMatrix(X[:150], Y[:150], feature_names=names), xgboost.DMatrix(X[150:], Y[150:], feature_names=names)
    )  # fmt: skip


def datasets() -> tuple[lightgbm.Dataset, lightgbm.Dataset]:
    train = lightgbm.Dataset(X[:150], Y[:150])
    return train, lightgbm.Dataset(X[150:], Y[150:], reference=train)


def test_xgboost(recorded: Callable[[str], ApiRun], tmp_path: Path) -> None:
    """Each round's metrics as xgboost tells them, the best in the summary, importances, and the model itself."""
    from wandb.integration.xgboost import WandbCallback

    run = besom.init(project="xgb", id="xgb")
    train, test = matrices()
    told: dict[str, Any] = {}
    booster = xgboost.train(
        DEEP, train, 8, evals=[(train, "train"), (test, "test")], evals_result=told, verbose_eval=False,
        early_stopping_rounds=3, callbacks=[WandbCallback(log_model=True)],
    )  # fmt: skip
    run.finish()
    kept = recorded("xgb")
    rows = kept.history(keys=["epoch", "train-logloss", "test-auc"], pandas=False)
    assert [row["epoch"] for row in rows] == list(range(len(told["test"]["auc"])))
    assert [row["train-logloss"] for row in rows] == told["train"]["logloss"]
    assert kept.summary["test-auc"] == {"max": max(told["test"]["auc"])}
    assert kept.summary["test-logloss"] == {"min": min(told["test"]["logloss"])}
    assert kept.summary["best_iteration"] == booster.best_iteration
    assert kept.config["learner"]["objective"]["name"] == "binary:logistic"
    assert kept.summary["Feature Importance"]["_type"] == "custom-chart"
    path = besom.Api().artifact("xgb/xgb_model.json:latest").file(tmp_path / "down")
    again = xgboost.Booster(model_file=path)
    np.testing.assert_array_equal(again.predict(test), booster.predict(test))


def test_xgboost_cv(recorded: Callable[[str], ApiRun]) -> None:
    """Mean and deviation over the folds, as `xgboost.cv` gives them."""
    run = besom.init(project="xgb-cv")
    train, _ = matrices()
    frame = xgboost.cv(DEEP, train, 3, nfold=3, callbacks=[for_xgboost.Callback(define_metric=False)], seed=0)
    run.finish()
    rows = recorded("xgb-cv").history(pandas=False)
    assert [row["test-auc"] for row in rows] == pytest.approx(frame["test-auc-mean"].tolist())
    assert [row["test-auc-std"] for row in rows] == pytest.approx(frame["test-auc-std"].tolist())


def test_two_boosters_in_a_run(recorded: Callable[[str], ApiRun]) -> None:
    """The second one's configuration replaces the first one's, and its rounds come after."""
    run = besom.init(project="xgb-two")
    train, test = matrices()
    for depth in (2, 3):
        callback = for_xgboost.Callback(log_feature_importance=False)
        xgboost.train(
            {**DEEP, "max_depth": depth}, train, 2, evals=[(test, "test")], verbose_eval=False, callbacks=[callback]
        )
    run.finish()
    kept = recorded("xgb-two")
    assert kept.config["learner"]["gradient_booster"]["tree_train_param"]["max_depth"] == "3"
    assert [row["epoch"] for row in kept.history(keys=["epoch"], pandas=False)] == [0, 1, 0, 1]


def test_lightgbm(recorded: Callable[[str], ApiRun], tmp_path: Path) -> None:
    """Each round's metrics as lightgbm records them, params as config, and what `log_summary` adds."""
    from wandb.integration.lightgbm import log_summary, wandb_callback

    run = besom.init(project="lgbm", id="lgbm")
    train, test = datasets()
    told: dict[str, Any] = {}
    booster = lightgbm.train(
        LIGHT, train, 6, valid_sets=[test], valid_names=["test"],
        callbacks=[wandb_callback(), lightgbm.record_evaluation(told), lightgbm.early_stopping(3, verbose=False)],
    )  # fmt: skip
    log_summary(booster, save_model_checkpoint=True)
    run.finish()
    kept = recorded("lgbm")
    rows = kept.history(keys=["iteration", "test_auc"], pandas=False)
    assert [row["test_auc"] for row in rows] == told["test"]["auc"]
    assert kept.summary["test_binary_logloss"] == {"min": min(told["test"]["binary_logloss"])}
    assert kept.config["objective"] == "binary"
    assert kept.summary["best_iteration"] == booster.best_iteration
    assert kept.summary["best_score"]["test"]["auc"] == booster.best_score["test"]["auc"]
    assert kept.summary["Feature Importance"]["fields"] == {"label": "Feature", "value": "Importance"}
    path = besom.Api().artifact("lgbm/model_lgbm:best").file(tmp_path / "down")
    again = lightgbm.Booster(model_file=path)
    np.testing.assert_allclose(again.predict(X), booster.predict(X, num_iteration=booster.best_iteration))


def test_lightgbm_cv(recorded: Callable[[str], ApiRun]) -> None:
    """Mean and deviation over the folds, as `lightgbm.cv` gives them."""
    run = besom.init(project="lgbm-cv")
    told = lightgbm.cv(LIGHT, datasets()[0], 3, nfold=3, callbacks=[for_lightgbm.callback()], seed=0)
    run.finish()
    rows = recorded("lgbm-cv").history(pandas=False)
    for metric in ("auc", "binary_logloss"):
        assert [row[f"valid_{metric}-mean"] for row in rows] == told[f"valid {metric}-mean"]
        assert [row[f"valid_{metric}-stdv"] for row in rows] == told[f"valid {metric}-stdv"]


def test_a_lightgbm_model_that_is_no_booster(service: None) -> None:
    """The error says how to get at the booster."""
    besom.init(project="lgbm-error")
    with pytest.raises(UsageError, match=r"takes a lightgbm\.Booster, not LGBMClassifier; write model\.booster_"):
        for_lightgbm.log_summary(lightgbm.LGBMClassifier())
