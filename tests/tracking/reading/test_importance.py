"""What matters, told from trials."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from besom.errors import UsageError
from besom.tracking.reading.importance import Importance, importance_of

RNG = np.random.default_rng(3)


def told(params: list[dict[str, object]], values: list[float], parameters: object = None, **more: int) -> Importance:
    return importance_of(params, values, {"parameters": parameters or {}}, metric="loss", **more)


def test_what_matters_comes_first() -> None:
    """The strong, the weak and the idle parameter are told apart, with the right signs, by importance and variance."""
    params = [{"strong": a, "weak": b, "idle": c} for a, b, c in RNG.random((200, 3)).tolist()]
    found = told(params, [float(-4 * one["strong"] + one["weak"]) for one in params])
    strong, weak, idle = found.parameters
    assert [one.name for one in found.parameters] == ["strong", "weak", "idle"]
    assert sum(one.importance for one in found.parameters) == pytest.approx(1)
    assert (strong.variance, weak.variance) == pytest.approx((16 / 17, 1 / 17), abs=0.05)
    assert idle.importance < 0.01
    assert strong.correlation is not None
    assert strong.correlation < -0.9
    assert weak.correlation is not None
    assert weak.correlation > 0.1
    assert found.fit > 0.9
    assert found.notice == ""


def test_correlations_are_pearson_and_spearman() -> None:
    """Both agree with scipy, on the raw scale as W&B's."""
    x, y = np.exp(RNG.normal(size=30)), RNG.normal(size=30)
    [one] = told([{"x": v} for v in x.tolist()], y.tolist(), {"x": {"distribution": "log_normal"}}).parameters
    assert one.correlation == pytest.approx(stats.pearsonr(x, y)[0])
    assert one.rank_correlation == pytest.approx(stats.spearmanr(x, y)[0])


def test_a_categorical_parameter_has_a_correlation_for_each_value() -> None:
    """It is one parameter with one importance; each of its values is correlated by whether a trial has it."""
    names = ["adam", "sgd", "rms"] * 20
    values = [{"adam": 0.0, "sgd": 1.0, "rms": 0.5}[name] for name in names]
    [one] = told([{"opt": name} for name in names], values).parameters
    assert (one.correlation, one.importance) == (None, 1.0)
    assert one.variance == pytest.approx(1)
    expected = {kind: stats.pearsonr([name == kind for name in names], values)[0] for kind in ("adam", "sgd", "rms")}
    assert one.correlations == pytest.approx(expected)


def test_a_conditional_parameter_counts_only_where_it_is() -> None:
    """That it is absent is the work of the parameter it depends on; its correlation is over the trials that have it."""
    params: list[dict[str, object]] = []
    values = []
    for index, x in enumerate(RNG.random(240).tolist()):
        params.append({"opt": "sgd", "momentum": x} if index % 2 else {"opt": "adam"})
        values.append(x if index % 2 else 5.0)
    opt, momentum = told(params, values).parameters
    assert (opt.name, opt.trials, momentum.name, momentum.trials) == ("opt", 240, "momentum", 120)
    assert momentum.correlation == pytest.approx(1)
    # Over the space adam is at 5 and sgd between 0 and 1: 4.5²/4 of the variance is opt's, and 1/48 momentum's alone.
    assert opt.variance > 0.95
    assert momentum.variance < 0.02


def test_a_log_scale_is_even_in_the_logarithm() -> None:
    """A metric linear in log lr has half of its variance with each of two such parameters, however many powers."""
    lr, other = (10 ** (-6 * RNG.random((2, 400)))).tolist()
    laws = {name: {"distribution": "log_uniform_values", "min": 1e-6, "max": 1} for name in ("lr", "other")}
    values = [math.log(a) + math.log(b) for a, b in zip(lr, other, strict=True)]
    found = told([{"lr": a, "other": b} for a, b in zip(lr, other, strict=True)], values, laws)
    assert [one.variance for one in found.parameters] == pytest.approx([0.5, 0.5], abs=0.08)


def test_pairs() -> None:
    """A product of two centred parameters is the strongest pair; asked for one, one is given."""
    points = RNG.random((400, 3)) - 0.5
    found = told(
        [dict(zip("abc", row, strict=True)) for row in points.tolist()], (points[:, 0] * points[:, 1]).tolist(), pairs=1
    )
    [pair] = found.pairs
    assert pair.names == ("a", "b")
    assert pair.variance > 0.4


@pytest.mark.parametrize("values", [[1.0] * 8, [1e300, -1e300] * 4, [1e-300, 3e-300] * 4, [10.0**p for p in range(8)]])
def test_any_values(values: list[float]) -> None:
    """Equal, huge, tiny and wide ones give finite figures, and JSON has them all."""
    found = told([{"x": float(index), "c": "ab"[index % 2]} for index in range(8)], values, pairs=1)
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert len(document["parameters"]) == 2
    assert all(0 <= one.importance <= 1 and 0 <= one.variance <= 1.000001 for one in found.parameters)


def test_equal_values_tell_nothing() -> None:
    """All shares are 0, no correlation is defined, and the notice says why."""
    found = told([{"x": float(index)} for index in range(8)], [2.0] * 8)
    assert [(one.importance, one.variance, one.correlation) for one in found.parameters] == [(0, 0, None)]
    assert found.notice.startswith("all trials have the same value")


def test_constants_only() -> None:
    """Without a parameter that varies there is nothing to rank."""
    found = told([{"x": 1}] * 5, [1.0, 2.0, 3.0, 4.0, 5.0], pairs=2)
    assert (found.parameters, found.pairs, found.constants) == ((), (), ("x",))
    assert "none can matter" in found.notice


def test_few_trials() -> None:
    """Three are refused with both numbers; four give an answer that is called rough."""
    params: list[dict[str, object]] = [{"x": float(index)} for index in range(4)]
    with pytest.raises(UsageError, match=r"3 ended trials have a value of 'loss', and importance needs 4"):
        told(params[:3], [1.0, 2.0, 3.0])
    assert "rough" in told(params, [1.0, 2.0, 3.0, 5.0]).notice


def test_noise_is_called_noise() -> None:
    """Where the forest explains nothing, the notice says so."""
    found = told([{"x": x} for x in RNG.random(60).tolist()], RNG.normal(size=60).tolist())
    assert found.fit < 0.1
    assert "explains little" in found.notice


def test_the_same_trials_give_the_same_answer() -> None:
    """Nothing is random from call to call."""
    params = [{"a": a, "b": b} for a, b in RNG.random((40, 2)).tolist()]
    values = [one["a"] for one in params]
    assert told(params, values, pairs=1) == told(params, values, pairs=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("pairs", [-1, True, 1.5])
def test_a_number_of_pairs_that_cannot_be(pairs: int) -> None:
    """It is refused with what to write."""
    with pytest.raises(UsageError, match="pairs="):
        told([{"x": float(index)} for index in range(4)], [1.0, 2.0, 3.0, 4.0], pairs=pairs)
