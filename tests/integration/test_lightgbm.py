"""The callback for lightgbm, called as lightgbm calls it; lightgbm itself is in tests/integrations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import besom
from besom.errors import UsageError
from besom.integration.lightgbm import callback, log_summary
from tests.tracking.desk import Desk


def rounds(*results: list[tuple[Any, ...]], call: Any) -> None:
    for iteration, result in enumerate(results):
        call(
            SimpleNamespace(params={"eta": 0.1}, iteration=iteration, begin_iteration=0, evaluation_result_list=result)
        )


def test_rounds(run: besom.Run, desk: Desk) -> None:
    """Each round is a row; the parameters are config; the summary is the best where that is known."""
    rounds([("test", "auc", 0.9, True)], [("test", "auc", 0.7, True)], call=callback())
    assert run.config["eta"] == 0.1
    assert run.summary["test_auc"] == {"max": 0.9}
    run.finish()
    assert desk.rows(run.id) == [
        {"_step": 0, "iteration": 0, "test_auc": 0.9}, {"_step": 1, "iteration": 1, "test_auc": 0.7},
    ]  # fmt: skip


@pytest.mark.parametrize("start", [("cv_agg", "valid l2"), ("valid", "l2")], ids=["older", "newer"])
def test_folds(start: tuple[str, str], run: besom.Run, desk: Desk) -> None:
    """Mean and deviation of cross-validation, in the forms that lightgbm's releases give."""
    rounds([(*start, 0.4, False, 0.1)], call=callback(log_params=False, define_metric=False))
    assert "eta" not in run.config
    run.finish()
    assert desk.rows(run.id) == [{"_step": 0, "iteration": 0, "valid_l2-mean": 0.4, "valid_l2-stdv": 0.1}]


def test_nothing_to_evaluate(run: besom.Run, desk: Desk) -> None:
    """Without validation data a round is counted."""
    rounds([], call=callback())
    run.finish()
    assert desk.rows(run.id) == [{"_step": 0, "iteration": 0}]


def test_a_model_of_another_kind(run: besom.Run) -> None:
    """The error names what it got."""
    with pytest.raises(UsageError, match=r"takes a lightgbm\.Booster, not object"):
        log_summary(object())
