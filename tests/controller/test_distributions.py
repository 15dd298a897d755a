"""Every distribution of a sweep config: the law it is drawn from, the type of its values, its form."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from besom.controller import parse
from besom.controller.distributions import KINDS
from besom.controller.sweep_file import read_config
from besom.strategies import make_strategy
from besom.strategies.random_search import draw

DRAWS = 4000


def config(form: dict[str, Any]) -> dict[str, Any]:
    return {"method": "random", "parameters": {"x": form}}


def drawn(form: dict[str, Any]) -> list[Any]:
    """What random search tries, through the whole way from a config."""
    space = parse(config(form)).space()
    return [params["x"] for params in make_strategy("random", space, seed=5).suggest(DRAWS)]


def named(distribution: str, **keys: Any) -> dict[str, Any]:
    return {"distribution": distribution, **keys}


CONTINUOUS = [
    ({"min": -3.0, "max": 5}, stats.uniform(-3, 8)),
    (named("uniform", min=1, max=3), stats.uniform(1, 2)),
    (named("log_uniform_values", min=1e-5, max=10), stats.loguniform(1e-5, 10)),
    (named("inv_log_uniform_values", min=1e-3, max=2), stats.loguniform(1e-3, 2)),
    (named("log_uniform", min=-5, max=1), stats.loguniform(math.exp(-5), math.exp(1))),
    (named("inv_log_uniform", min=-1, max=5), stats.loguniform(math.exp(-5), math.exp(1))),
    (named("normal"), stats.norm(0, 1)),
    (named("normal", mu=3, sigma=0.5), stats.norm(3, 0.5)),
    (named("log_normal", mu=-2, sigma=0.7), stats.lognorm(0.7, scale=math.exp(-2))),
    (named("beta"), stats.uniform(0, 1)),
    (named("beta", a=2, b=5), stats.beta(2, 5)),
]


@pytest.mark.parametrize(
    ("form", "law"),
    CONTINUOUS,
    ids=lambda case: str(case.get("distribution", "uniform")) if isinstance(case, dict) else "",
)
def test_continuous_law(form: dict[str, Any], law: Any) -> None:
    """Draws follow the distribution that scipy calls so, and are floats."""
    values = drawn(form)
    assert {type(value) for value in values} == {float}
    assert stats.kstest(values, law.cdf).pvalue > 0.01


def rounding(law: Any, q: float, low: float, high: float) -> dict[float, float]:
    """The probability of each multiple of q from low to high: what rounds to it; the ends take what is beyond."""
    multiples = [index * q for index in range(round(low / q), round(high / q) + 1)]
    edges = [-math.inf, *(multiple + q / 2 for multiple in multiples[:-1]), math.inf]
    return {
        multiple: law.cdf(after) - law.cdf(before)
        for multiple, before, after in zip(multiples, edges[:-1], edges[1:], strict=True)
    }


LISTED: list[tuple[dict[str, Any], type, dict[Any, float]]] = [
    ({"min": -2, "max": 4}, int, dict.fromkeys(range(-2, 5), 1 / 7)),
    ({"values": ["a", "b", "c"]}, str, dict.fromkeys("abc", 1 / 3)),
    ({"values": ["a", "b", "c"], "probabilities": [0.7, 0.1, 0.2]}, str, {"a": 0.7, "b": 0.1, "c": 0.2}),
    (
        named("categorical_w_probabilities", values=["a", "b", "c"], probabilities=[0.5, 0, 0.5]),
        str,
        {"a": 0.5, "c": 0.5},
    ),
    ({"values": ["a", "b", "a"], "probabilities": [0.1, 0.2, 0.7]}, str, {"a": 0.8, "b": 0.2}),
    (named("q_uniform", min=0, max=8, q=2), int, rounding(stats.uniform(0, 8), 2, 0, 8)),
    (named("q_uniform", min=0, max=4), float, rounding(stats.uniform(0, 4), 1, 0, 4)),
    (named("q_uniform", min=0.0, max=0.7, q=0.1), float, rounding(stats.uniform(0, 0.7), 0.1, 0, 0.7)),
    (named("q_uniform", min=1, max=11, q=5), int, rounding(stats.uniform(1, 10), 5, 5, 10)),
    (named("q_log_uniform_values", min=1, max=8, q=1), int, rounding(stats.loguniform(1, 8), 1, 1, 8)),
    (named("q_log_uniform", min=0, max=2, q=1.0), float, rounding(stats.loguniform(1, math.exp(2)), 1, 1, 7)),
    (named("q_normal", mu=1, sigma=3, q=2), int, rounding(stats.norm(1, 3), 2, -16, 18)),
    (named("q_normal"), float, rounding(stats.norm(0, 1), 1, -6, 6)),
    (named("q_log_normal", mu=1, sigma=0.5, q=1), int, rounding(stats.lognorm(0.5, scale=math.e), 1, 0, 40)),
    (named("q_beta", a=2, b=3, q=0.25), float, rounding(stats.beta(2, 3), 0.25, 0, 1)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "kind", "odds"),
    LISTED,
    ids=lambda case: str(case.get("distribution", "")) if isinstance(case, dict) else "",
)
def test_listed_law(form: dict[str, Any], kind: type, odds: dict[Any, float]) -> None:
    """Each value comes as often as it should, in plain Python of the type that `q` asks for, and no other comes."""
    values = drawn(form)
    assert {type(value) for value in values} == {kind}
    near = {min(odds, key=lambda known: abs(known - value)) if kind is not str else value for value in set(values)}
    assert len(near) == len(set(values))
    counts = [
        sum(value == known or (kind is float and math.isclose(value, known, abs_tol=1e-9)) for value in values)
        for known in odds
    ]
    assert sum(counts) == DRAWS
    expected = [DRAWS * share for share in odds.values()]
    # Rare values are taken together, as the test asks for.
    rare = [index for index, count in enumerate(expected) if count < 8]
    counts = [*(c for i, c in enumerate(counts) if i not in rare), sum(counts[i] for i in rare)]
    expected = [*(c for i, c in enumerate(expected) if i not in rare), sum(expected[i] for i in rare)]
    pairs = [(count, wanted) for count, wanted in zip(counts, expected, strict=True) if wanted > 1e-9]
    assert stats.chisquare([count for count, _ in pairs], [wanted for _, wanted in pairs]).pvalue > 0.01


def test_multiples_stay_within_the_bounds() -> None:
    """What would round to a multiple outside goes to the nearest within: no batch size of 0 because q is 5."""
    values = drawn(named("q_log_uniform_values", min=1, max=12, q=5))
    assert set(values) == {5, 10}


def test_sigma_zero_is_one_value() -> None:
    """A deviation of 0 is allowed, and then there is nothing but mu."""
    assert set(drawn(named("normal", mu=2.5, sigma=0))) == {2.5}
    assert set(drawn(named("q_normal", mu=2.6, sigma=0, q=1))) == {3}


@pytest.mark.parametrize("name", KINDS)
def test_every_form_can_be_as_its_example_says(name: str) -> None:
    """The example of each distribution is a parameter of this distribution, and only deprecated ones warn."""
    form = read_config(f"x: {KINDS[name].example}", "example")["x"]
    assert name in KINDS
    sweep = parse(config({"distribution": name, **form}))
    assert bool(sweep.warnings) == bool(KINDS[name].deprecated)
    if KINDS[name].inferred:
        assert type(parse(config(form)).parameters["x"]) is KINDS[name]


def test_deprecated_forms_warn_at_any_depth() -> None:
    """Bounds that are exponents are searched as they are meant, with a warning that says what to write."""
    inner = {"lr": named("log_uniform", min=-3, max=0)}
    sweep = parse({"method": "random", "parameters": {"opt": {"parameters": inner}}})
    (warning,) = sweep.warnings
    assert warning == (
        "parameters.opt.parameters.lr.distribution: log_uniform is deprecated; "
        "write log_uniform_values, with the values themselves as bounds"
    )


# ---- any config that is accepted

finite = {"allow_nan": False, "allow_infinity": False}
plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(**finite) | st.text("abc", max_size=3)
JSON = st.recursive(
    plain, lambda one: st.lists(one, max_size=2) | st.dictionaries(st.text("ab", max_size=2), one, max_size=2)
)


def bounds(kind: str, low: float, high: float, least: float = 1e-3) -> st.SearchStrategy[dict[str, Any]]:
    def form(start: float, span: float) -> dict[str, Any]:
        return named(kind, min=start, max=start + max(span, least * max(1.0, abs(start))))

    return st.builds(form, st.floats(low, high), st.floats(0, high - low))


def with_q(
    forms: st.SearchStrategy[dict[str, Any]], reach: Callable[[dict[str, Any]], float]
) -> st.SearchStrategy[dict[str, Any]]:
    def form(keys: dict[str, Any], share: float, whole: bool) -> dict[str, Any]:
        q = max(reach(keys) * share, 1e-6)
        return {**keys, "q": max(1, int(q)) if whole and reach(keys) > 1 else q}

    return st.builds(form, forms, st.floats(0.01, 0.9), st.booleans())


def span(keys: dict[str, Any]) -> float:
    return float(keys["max"] - keys["min"])


def exp_span(keys: dict[str, Any]) -> float:
    return math.exp(keys["max"]) - math.exp(keys["min"])


def gauss(kind: str, most: float) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda mu, sigma: named(kind, mu=mu, sigma=sigma), st.floats(-most, most), st.floats(0.01, most))


def shapes(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda a, b: named(kind, a=a, b=b), st.floats(0.5, 20), st.floats(0.5, 20))


weights = st.lists(st.tuples(JSON, st.integers(0, 5)), min_size=1, max_size=5).filter(
    lambda some: any(n for _, n in some)
)
FORMS = st.one_of(
    st.builds(lambda value: {"value": value}, JSON),
    st.builds(lambda values: {"values": values}, st.lists(JSON, min_size=1, max_size=5)),
    weights.map(lambda some: {
        "values": [value for value, _ in some],
        "probabilities": [count / sum(n for _, n in some) for _, count in some],
    }),
    st.builds(lambda low, more: {"min": low, "max": low + more}, st.integers(-999, 999), st.integers(1, 10**6)),
    bounds("uniform", -1e6, 1e6),
    bounds("log_uniform_values", 1e-9, 1e6),
    bounds("inv_log_uniform_values", 1e-9, 1e6),
    bounds("log_uniform", -20, 20),
    bounds("inv_log_uniform", -20, 20),
    with_q(bounds("q_uniform", -1e3, 1e3), span),
    with_q(bounds("q_log_uniform_values", 1e-3, 1e3), span),
    with_q(bounds("q_log_uniform", -3, 6), exp_span),
    gauss("normal", 1e3),
    gauss("log_normal", 8),
    shapes("beta"),
    with_q(gauss("q_normal", 1e3), lambda keys: float(keys["sigma"])),
    with_q(gauss("q_log_normal", 3), lambda keys: math.exp(keys["mu"])),
    with_q(shapes("q_beta"), lambda keys: 1.0),
)  # fmt: skip
NAMES = st.sampled_from(["a", "lr", "x.y", "b-c", "_z"])
GROUPS = st.recursive(
    FORMS,
    lambda inner: st.builds(lambda some: {"parameters": some}, st.dictionaries(NAMES, inner, min_size=1, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.dictionaries(NAMES, GROUPS, min_size=1, max_size=4), st.integers(1, 10**6))
def test_any_config_is_sampled_encoded_and_decoded_without_loss(parameters: dict[str, Any], number: int) -> None:
    """A point of any space survives JSON and the way through the unit cube: itself when listed, close when not."""
    space = parse({"method": "random", "parameters": parameters}).space()
    point = draw(space, 1, number)
    sent = json.loads(json.dumps(point))
    assert space.key(sent) == space.key(point)
    coordinates = space.coordinates(sent)
    assert all(0 <= unit <= 1 for unit in coordinates)
    back = space.params(coordinates)
    for dimension in space.dimensions:
        before, after = at(point, dimension.path), at(back, dimension.path)
        assert type(before) is type(after) or dimension.domain.size == 1
        if isinstance(before, float) and dimension.domain.size is None:
            assert after == pytest.approx(before, rel=1e-6, abs=1e-6)
        else:
            assert after == before
        assert 0 <= dimension.domain.place(before) <= 1


def at(params: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = params
    for name in path:
        value = value[name]
    return value
