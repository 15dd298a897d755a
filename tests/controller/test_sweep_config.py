"""The sweep config: every form that is accepted, and every fault that is named."""

from __future__ import annotations

import datetime
import enum
import json
import math
import subprocess
import sys
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from besom import strategies
from besom.controller import load, parse
from besom.errors import ConfigError


class Colour(enum.Enum):
    RED = "red"


LR = {"lr": {"min": 0.1, "max": 1.0}}


def config(**keys: Any) -> dict[str, Any]:
    return {"method": "random", "parameters": LR, **keys}


def one(form: Any, name: str = "a") -> dict[str, Any]:
    return config(parameters={name: form})


def nested(depth: int) -> dict[str, Any]:
    parameters: dict[str, Any] = {"a": {"value": 1}}
    for _ in range(depth - 1):
        parameters = {"a": {"parameters": parameters}}
    return config(parameters=parameters)


def stop(rule: Any) -> dict[str, Any]:
    return config(metric={"name": "loss"}, early_terminate=rule)


def named(distribution: Any, **keys: Any) -> dict[str, Any]:
    return one({"distribution": distribution, **keys})


# Each: the config, then what its message must hold: the key, the value, the remedy.
MEDIAN = {"type": "median"}
MALFORMED: list[tuple[Any, str, str, str]] = [
    ([1], "config", "[1]", "write keys such as method: random"),
    (None, "config", "None", "write keys such as method: random"),
    ("method: grid", "config", "method: grid", "not a mapping"),
    ({"parameters": LR}, "method", "missing", "grid, random or bayes"),
    ({"metod": "grid", "parameters": LR}, "method", "'grid'", "did you mean method?"),
    (config(method="bays"), "method", "'bays'", "(nearest: bayes)"),
    (config(method="custom"), "method", "'custom'", "write grid, random or bayes"),
    (config(method=None), "method", "null", "grid, random or bayes"),
    (config(method=["grid"]), "method", '["grid"]', "grid, random or bayes"),
    ({"method": "random"}, "parameters", "missing", "at least one parameter"),
    (config(parameters={}), "parameters", "{}", "at least one parameter"),
    (config(parameters=None), "parameters", "null", "write a name and a form for each"),
    (config(parameters=[{"name": "a"}]), "parameters", '[{"name": "a"}]', "write a name and a form for each"),
    (config(retries=-1), "retries", "-1", "a whole number from 0"),
    (config(retries="2"), "retries", "'2'", "a whole number from 0"),
    (config(timeout="soon"), "timeout", "soon", "seconds above 0, or a text such as 90s, 30m, 2h or 1d"),
    (config(timeout=0), "timeout", "0", "seconds above 0"),
    (config(timeout=True), "timeout", "true", "seconds above 0"),
    (config(weight=0), "weight", "0", "a number above 0"),
    (config(weight="2"), "weight", "'2'", "a number above 0"),
    (config(weight=True), "weight", "true", "a number above 0"),
    (config(weight="heavy"), "weight", "heavy", "a number above 0"),
    (config(run_cap="1"), "run_cap", "'1'", "a whole number above 0"),
    (config(run_cap=0), "run_cap", "0", "a whole number above 0"),
    (config(run_cap=-1), "run_cap", "-1", "a whole number above 0"),
    (config(run_cap=5.1), "run_cap", "5.1", "a whole number above 0"),
    (config(run_cap=True), "run_cap", "true", "a whole number above 0"),
    (config(run_cap=1e30), "run_cap", "1e+30", "a whole number above 0"),
    (config(run_cap=2**70), "run_cap", str(2**70), "write a smaller one"),
    (config(seed=-1), "seed", "-1", "a whole number from 0"),
    (config(seed="x"), "seed", "'x'", "a whole number from 0"),
    (config(name=5), "name", "5", "a text, in quotes"),
    (config(description=["x"]), "description", '["x"]', "a text, in quotes"),
    (config(project="team/mine"), "project", "'team/mine'", "without /"),
    (config(entity=""), "entity", "''", "1 to 128 characters"),
    (config(program=""), "program", "''", "the path of a script"),
    (
        config(command="python train.py --n 5"),
        "command",
        "'python train.py --n 5'",
        '["python", "train.py", "--n", "5"]',
    ),
    (config(command=[]), "command", "[]", "a list of non-empty texts"),
    (config(command=["python", 5]), "command[1]", "5", "a list of non-empty texts"),
    (config(command=["python", ""]), "command[1]", "''", "a list of non-empty texts"),
    (config(metric="loss"), "metric", "'loss'", "{name: 'loss', goal: minimize}"),
    (config(metric={}), "metric.name", "missing", "such as name: loss"),
    (config(metric={"name": 3}), "metric.name", "3", "such as name: loss"),
    (config(metric={"name": "l", "goal": "minimise"}), "metric.goal", "'minimise'", "write minimize or maximize"),
    (config(metric={"name": "l", "gaol": "maximize"}), "metric.gaol", "'maximize'", "write goal instead"),
    (config(metric={"name": "l", "target": "low"}), "metric.target", "'low'", "write a number, such as target: 0.05"),
    (config(metric={"name": "l", "target": math.inf}), "metric.target", "Infinity", "no finite number"),
    (config(metric={"name": "l", "impute": "bestt"}), "metric.impute", "'bestt'", "(nearest: best)"),
    (
        config(metric={"name": "l", "impute_while_running": True}),
        "metric.impute_while_running",
        "true",
        "'false', worst",
    ),
    (config(metric={"name": "l", "use": "first"}), "metric.use", "'first'", "best or last"),
    (config(metrics=[]), "metrics", "[]", "a list of at least two"),
    (config(metrics={"name": "a"}), "metrics", '{"name": "a"}', "a list of at least two"),
    (config(metrics=[{"name": "a"}, {"nam": "b"}]), "metrics[1].name", "missing", "such as name: loss"),
    (config(metrics=[{"name": "a"}, {"name": "a"}]), "metrics[1].name", "'a'", "stands here twice; remove one"),
    (config(metrics=[{"name": "a"}, {"name": "b", "target": "x"}]), "metrics[1].target", "'x'", "write a number"),
    (config(metrics=[{"name": "a"}, {"name": "b", "use": "best"}]), "metrics[1].use", "'best'", "in run.summary"),
    (config(metrics=[{"name": "a"}, {"name": "b", "impute": "best"}]), "metrics[1].impute", "'best'", "has failed"),
    (config(metric={"name": "a", "threshold": 1}), "metric.threshold", "1", "is for several metrics"),
    (
        config(metrics=[{"name": "a"}, {"name": "b"}], early_terminate=MEDIAN),
        "early_terminate.metric",
        "missing",
        "one of a, b",
    ),
    (
        config(metrics=[{"name": "a"}, {"name": "b"}], early_terminate={**MEDIAN, "metric": "c"}),
        "early_terminate.metric",
        "'c'",
        "write a or b",
    ),
    (
        config(metric={"name": "a"}, early_terminate={**MEDIAN, "metric": "c"}),
        "early_terminate.metric",
        "'c'",
        "write a",
    ),
    (config(metric={"name": "a"}, metrics=[{"name": "a"}, {"name": "b"}]), "metrics", "metric", "one of the two"),
    (stop("hyperband"), "early_terminate", "'hyperband'", "write {type: hyperband, min_iter: 3}"),
    (stop({"min_iter": 3}), "early_terminate.type", "missing", "one of hyperband, asha, median, none"),
    (stop({"type": "hyperbnd"}), "early_terminate.type", "'hyperbnd'", "write hyperband (all:"),
    (stop({"type": ["asha"]}), "early_terminate.type", '["asha"]', "one of hyperband, asha"),
    (stop({"type": "hyperband"}), "early_terminate", "bands", "write min_iter: 3, or max_iter: 27 with s: 2"),
    (stop({"type": "hyperband", "max_iter": 27}), "early_terminate", "max_iter 27 needs s", "write s: 2"),
    (stop({"type": "hyperband", "max_iter": 2, "s": 1}), "early_terminate", "leaves no band", "write max_iter above"),
    (stop({"type": "hyperband", "min_iter": 0}), "early_terminate.min_iter", "0", "a whole number from 1"),
    (stop({"type": "hyperband", "min_iter": 1.5}), "early_terminate.min_iter", "1.5", "a whole number from 1"),
    (stop({"type": "hyperband", "min_iter": 3, "eta": 1}), "early_terminate.eta", "1", "a number above 1"),
    (stop({"type": "hyperband", "min_iter": 3, "strict": "no"}), "early_terminate.strict", "'no'", "true: the value"),
    (stop({"type": "hyperband", "miniter": 3}), "early_terminate.miniter", "3", "write min_iter instead"),
    (stop({"type": "asha", "min_iter": 9, "max_iter": 3}), "early_terminate", "max_iter 3", "write a longer max_iter"),
    (stop({"type": "asha", "s": 3}), "early_terminate.s", "3", "remove it"),
    (stop({"type": "median", "min_trials": 0}), "early_terminate.min_trials", "0", "a whole number from 1"),
    (config(early_terminate={"type": "asha"}), "metric", "missing", "write {name: loss, goal: minimize}"),
    (config(scheduler={"engine": "ax"}), "scheduler.engine", "'ax'", "remove scheduler, and write method: bayes"),
    (config(repeats=0), "repeats", "0", "a whole number from 1"),
    (config(time_cap="later"), "time_cap", "'later'", "seconds above 0"),
    (config(prior_sweeps="k3x9a2bq"), "prior_sweeps", "'k3x9a2bq'", "a list of sweep ids"),
    (config(prior_runs=[1]), "prior_runs[0]", "1", "a list of run ids"),
    ({**config(), 7: 1}, "'7'", "7", "write it in quotes"),
    (one(0.1, "lr"), "parameters.lr", "0.1", "write {value: 0.1}"),
    (one("adam"), "parameters.a", "'adam'", "write {value: 'adam'}"),
    (one(None), "parameters.a", "null", "write {value: null}"),
    (one([1, 2]), "parameters.a", "[1, 2]", "write {values: [1, 2]}"),
    (one({}), "parameters.a", "{}", "write one of {value: 1}"),
    (one({"lr": {"min": 1, "max": 2}}), "parameters.a", '{"lr"', 'write {parameters: {"lr": {"min": 1, "max": 2}}}'),
    (one({"vales": [1]}), "parameters.a.vales", "[1]", "write values instead of vales"),
    (one({"mu": 0, "sigma": 1}), "parameters.a", '{"mu": 0', "names no distribution; add distribution: normal"),
    (one({"a": 2}), "parameters.a", '{"a": 2}', "add distribution: beta"),
    (one({"values": []}), "parameters.a.values", "[]", "such as values: [1, 2]"),
    (one({"values": "abc"}), "parameters.a.values", "'abc'", "such as values: [1, 2]"),
    (one({"values": [1], "value": 1}), "parameters.a.value", "1", "remove it"),
    (one({"values": [1], "probabilities": ["x"]}), "parameters.a.probabilities[0]", "'x'", "a number from 0"),
    (
        one({"values": [1, 2], "probabilities": [1]}),
        "parameters.a",
        "1 probabilities for 2 values",
        "write one for each",
    ),
    (one({"values": [1, 2], "probabilities": [1.5, -0.5]}), "parameters.a", "[1.5, -0.5]", "write numbers from 0"),
    (one({"values": [1, 2], "probabilities": [0.5, 0.4]}), "parameters.a", "sum to 0.9", "that sum to 1"),
    (
        named("categorical", values=[1], probabilities=[1]),
        "parameters.a.probabilities",
        "[1]",
        "write distribution: categorical_w_probabilities",
    ),
    (one({"min": 0, "max": 5, "probabilities": [1]}), "parameters.a.probabilities", "[1]", "remove it"),
    (
        one({"value": 1, "desc": "x"}),
        "parameters.a.desc",
        "'x'",
        "remove it, the keys here are distribution, when, value",
    ),
    (one({"min": 0, "maxx": 1}), "parameters.a.maxx", "1", "write max instead"),
    (one({"min": 0}), "parameters.a.max", "missing", "such as max: 10"),
    (one({"max": 1.0}), "parameters.a.min", "missing", "such as min: 0.1"),
    (one({"min": True, "max": 3}), "parameters.a.min", "true", "a number, such as min: 0.1"),
    (one({"min": "0.1", "max": 1.0}), "parameters.a.min", "'0.1'", "a number, such as min: 0.1"),
    (one({"min": 2, "max": 1}), "parameters.a", "min 2 is not below max 1", "write a min below max"),
    (one({"min": 1.0, "max": 1.0}), "parameters.a", "min 1.0 is not below", "or value: for a single one"),
    (one({"min": -1.7e308, "max": 1.7e308}), "parameters.a", "1.7e+308", "write bounds within 1e300"),
    (one({"min": 0.0, "max": 1.0, "q": 0.1}), "parameters.a.q", "0.1", "write distribution: q_uniform with it"),
    (one({"min": math.nan, "max": 1.0}), "parameters.a.min", "NaN", "no finite number"),
    (one({"values": [1, {"x": -math.inf}]}), "parameters.a.values[1].x", "-Infinity", "no finite number"),
    (one({"value": 2**64}), "parameters.a.value", str(2**64), "above 64; write a smaller one or a text"),
    (one({"value": "\ud800"}), "parameters.a.value", r"'\ud800'", "not valid text"),
    (one({"value": b"x"}), "parameters.a.value", "b'x'", "write a number, text or list"),
    (one({"value": Colour.RED}), "parameters.a.value", "(Colour)", "write its value, 'red'"),
    (one({"values": {1, 2}}), "parameters.a.values", "(set)", "write a number, text or list"),
    (one({"value": {1: 2}}), "parameters.a.value.'1'", "1", "write it in quotes"),
    (one({"value": 1}, "1st"), "parameters.'1st'", "'1st'", "write a letter or _"),
    (one({"value": 1}, "a/b"), "parameters.'a/b'", "'a/b'", "then letters, digits, _ - and ."),
    (one({"value": 1}, "a\n"), r"parameters.'a\n'", r"'a\n'", "write a letter or _"),
    (named("normal", mean=0, sigma=1), "parameters.a.mean", "0", "write mu instead of mean"),
    (named("normal", mu=0, std=1), "parameters.a.std", "1", "write sigma instead of std"),
    (named("normal", mu=0, sigma=-1), "parameters.a.sigma", "-1", "a number from 0"),
    (named("normal", mu="0"), "parameters.a.mu", "'0'", "the mean, a number"),
    (named("normal", q=2), "parameters.a.q", "2", "write distribution: q_normal"),
    (named("log_normal", mu=0, sigma=200), "parameters.a", "sigma 200", "write smaller ones"),
    (named("log_normal", q=1), "parameters.a.q", "1", "write distribution: q_log_normal"),
    (named("q_normal", q=0), "parameters.a.q", "0", "a number above 0"),
    (named("q_normal", mu=1e30, q=1), "parameters.a", "q 1 is too small", "write a larger q"),
    (named("q_beta", q=-1), "parameters.a.q", "-1", "a number above 0"),
    (named("beta", a=0), "parameters.a.a", "0", "a number from 0.001"),
    (named("beta", alpha=2), "parameters.a.alpha", "2", "unknown key"),
    (named("log_uniform", min=-3, max=800), "parameters.a.max", "800", "an exponent of e"),
    (named("inv_log_uniform", min=3, max=1), "parameters.a", "min 3.0 is not below max 1.0", "write a min below"),
    (named("inv_log_uniform_values", min=0, max=1), "parameters.a.min", "0", "a number above 0, the value itself"),
    (named("q_log_uniform_values", min=1, max=9, q=20), "parameters.a", "q 20 is above", "write a q that gives"),
    (named("q_log_uniform", min=0, max=1, q=5), "parameters.a", "q 5 is above", "write a q that gives"),
    (
        named("unifrom", min=0, max=1),
        "parameters.a.distribution",
        "'unifrom'",
        "write uniform (all: constant, categorical,",
    ),
    (named(3), "parameters.a.distribution", "3", "write one of constant"),
    (named(None), "parameters.a.distribution", "null", "write one of constant"),
    (named("int_uniform", min=0.5, max=3), "parameters.a.min", "0.5", "a whole number, such as min: 1"),
    (named("log_uniform_values", min=0, max=1), "parameters.a.min", "0", "a number above 0, the value itself"),
    (named("log_uniform_values", min=1, max=9, q=2), "parameters.a.q", "2", "write distribution: q_log_uniform_values"),
    (named("q_uniform", min=0, max=1, q=0), "parameters.a.q", "0", "a number above 0, such as q: 0.5"),
    (named("q_uniform", min=0, max=1, q="1"), "parameters.a.q", "'1'", "a number above 0, such as q: 0.5"),
    (
        named("q_uniform", min=0, max=1, q=2),
        "parameters.a",
        "q 2 is above max - min",
        "write a q that gives some steps",
    ),
    (named("q_uniform", min=0, max=1, q=1e-300), "parameters.a", "q 1e-300 is too small", "write a q that gives"),
    (named("uniform", min=0, max=1, mean=0.5), "parameters.a.mean", "0.5", "remove it"),
    (named("constant"), "parameters.a.value", "missing", "such as value: 0.1"),
    (named("categorical"), "parameters.a.values", "missing", "such as values: [1, 2]"),
    (one({"parameters": {"b": 1}}), "parameters.a.parameters.b", "1", "write {value: 1}"),
    (one({"parameters": {}}), "parameters.a.parameters", "{}", "at least one parameter"),
    (one({"parameters": LR, "values": [1]}), "parameters.a.values", "[1]", "remove it"),
    (nested(21), "parameters.a.parameters", "nested too deep", "at most 20 levels"),
    (config(method="grid"), "parameters.lr", '{"min": 0.1', "distribution: q_uniform with a q, or method: random"),
    (
        config(method="grid", parameters={"a": {"values": [1, 2], "probabilities": [0.5, 0.5]}}),
        "parameters.a",
        '"probabilities": [0.5',
        "remove them, or write method: random",
    ),
    (config(method="bayes"), "metric", "missing", "write {name: loss, goal: minimize}"),
    (one({"value": 1}) | {"method": "bayes", "metric": {"name": "l"}}, "parameters", '"value": 1', "min: and max:"),
    (one({"values": [0.5] * 70_000}), "config", "262144", "write ranges (min and max) or fewer values"),
    (one({"values": np.zeros(10**6)}), "config", "8000000", "or fewer values"),
]


@pytest.mark.parametrize(("written", "key", "value", "remedy"), MALFORMED)
def test_a_fault_is_named_with_key_value_and_remedy(written: Any, key: str, value: str, remedy: str) -> None:
    """The message leads with the full key path, shows the value and says what to write instead."""
    with pytest.raises(ConfigError) as caught:
        parse(written)
    assert any(line.startswith(f"{key}: ") or f"{key}." in line for line in str(caught.value).split("\n"))
    assert value in str(caught.value)
    assert remedy in str(caught.value)


def test_all_problems_come_at_once() -> None:
    """One error lists every problem, one a line, and a place with a problem inside it is named once."""
    with pytest.raises(ConfigError) as caught:
        parse({"method": "grid", "run_cap": 0, "parameters": {"a": 1, "b": {"min": math.nan, "max": 1.0}}, "job": "x"})
    keys = [line.split(":")[0] for line in str(caught.value).split("\n")]
    assert keys == ["parameters.b.min", "parameters.a", "run_cap", "job"]


def test_very_many_problems_are_counted() -> None:
    """After a hundred lines the message counts the rest."""
    with pytest.raises(ConfigError, match="and 150 more problems"):
        parse(config(parameters={f"p{number}": number for number in range(250)}))


FORMS: list[tuple[dict[str, Any], strategies.Domain]] = [
    ({"value": 0.1}, strategies.Constant(0.1)),
    ({"value": None}, strategies.Constant(None)),
    ({"value": {"x": [1]}}, strategies.Constant({"x": [1]})),
    (
        {"values": [1, "x", None, True, [2], {"k": 1}, 1]},
        strategies.Categorical((1, "x", None, True, [2], {"k": 1}, 1)),
    ),
    (
        {"values": [1, 2, 3], "probabilities": [0.333333, 0.333333, 0.333333]},
        strategies.Categorical((1, 2, 3), (0.333333, 0.333333, 0.333333)),
    ),
    ({"min": 1, "max": 3}, strategies.IntUniform(1, 3)),
    ({"min": 1, "max": 3.0}, strategies.Uniform(1.0, 3.0)),
    ({"min": 0.5, "max": 3}, strategies.Uniform(0.5, 3.0)),
    ({"distribution": "uniform", "min": 1, "max": 3}, strategies.Uniform(1.0, 3.0)),
    ({"distribution": "int_uniform", "min": 1.0, "max": 3}, strategies.IntUniform(1, 3)),
    ({"distribution": "log_uniform_values", "min": 1e-5, "max": 1}, strategies.LogUniform(1e-5, 1.0)),
    ({"distribution": "q_uniform", "min": 0, "max": 4}, strategies.QUniform(0.0, 4.0, 1.0)),
    ({"distribution": "q_uniform", "min": 0.1, "max": 0.3, "q": 0.2}, strategies.QUniform(0.1, 0.3, 0.2)),
    ({"distribution": "categorical", "values": ["x"]}, strategies.Categorical(("x",))),
    ({"distribution": "constant", "value": False}, strategies.Constant(False)),
]


@pytest.mark.parametrize(("form", "domain"), FORMS)
def test_each_form_gives_its_domain(form: dict[str, Any], domain: strategies.Domain) -> None:
    """A form, with its distribution written or inferred, becomes the domain it names, types included."""
    (dimension,) = parse(one(form, "x-1.y")).space().dimensions
    assert dimension.path == ("x-1.y",)
    assert repr(dimension.domain) == repr(domain)


def test_an_int_q_stays_an_int() -> None:
    """The values of a q_uniform are ints exactly when its q is written as one."""
    (dimension,) = parse(named("q_uniform", min=0.0, max=10.0, q=5)).space().dimensions
    assert [repr(dimension.domain.value_at(index)) for index in range(3)] == ["0", "5", "10"]


def test_nested_parameters_become_paths() -> None:
    """Nested parameters keep their names apart; a dot in a name is only a dot."""
    inner = {"lr": {"value": 1}, "nadam": {"parameters": {"beta": {"value": 2}}}}
    space = parse(config(parameters={"opt": {"parameters": inner}, "opt.x": {"value": 3}})).space()
    assert {dimension.path for dimension in space.dimensions} == {("opt", "lr"), ("opt", "nadam", "beta"), ("opt.x",)}
    assert space.point(0) == {"opt": {"lr": 1, "nadam": {"beta": 2}}, "opt.x": 3}


def test_twenty_levels_are_enough() -> None:
    """Nesting up to the limit is accepted."""
    (dimension,) = parse(nested(20)).space().dimensions
    assert len(dimension.path) == 20


def test_a_full_config_is_kept() -> None:
    """Every key is read, numbers are normalised, and what as_dict gives parses to the same sweep."""
    sweep = parse(
        config(
            method="bayes", metric={"name": "val.loss", "impute": None}, run_cap=3.0, seed=0, name="n", description="",
            project="p", entity="e", program="train.py", command=("${env}", "python"),
        )
    )  # fmt: skip
    assert (sweep.run_cap, sweep.seed, sweep.command) == (3, 0, ("${env}", "python"))
    assert sweep.as_dict()["metric"] == {"name": "val.loss", "goal": "minimize"}
    assert repr(sweep.as_dict()["run_cap"]) == "3"
    assert parse(json.loads(json.dumps(sweep.as_dict()))) == sweep
    assert sweep.warnings == ()


def test_as_dict_is_a_copy() -> None:
    """Changing what as_dict gave, or the mapping that was read, changes no sweep."""
    written = one({"values": [1]})
    sweep = parse(written)
    sweep.as_dict()["parameters"]["a"]["values"].append(2)
    written["parameters"]["a"]["values"].append(3)
    assert sweep.as_dict()["parameters"] == {"a": {"values": [1]}}


@pytest.mark.parametrize("key", ["run_cap", "metric", "early_terminate", "project", "command", "controller"])
def test_null_means_left_out(key: str) -> None:
    """An optional key with null is as good as none."""
    assert parse(config(**{key: None})) == parse(config())


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [("run_capp", 5, "did you mean run_cap?"), ("zzz", 1, "the keys are method"), ("job", "x", "the keys are method"),
     ("apiVersion", "1", "ignored"), ("kind", "sweep", "ignored"), ("image_uri", "x", "ignored"),
     ("settings", {}, "ignored"), ("controller", {"type": "cloud"}, "ignored"), ("scheduler", {"x": 1}, "ignored")],
)  # fmt: skip
def test_an_ignored_key_is_one_warning(key: str, value: Any, told: str) -> None:
    """Unknown and Launch-only keys warn, with the nearest known key, and the sweep goes on."""
    (warning,) = parse(config(**{key: value})).warnings
    assert key in warning
    assert told in warning


def test_python_values_become_plain() -> None:
    """numpy scalars and arrays, tuples, ranges, dates and paths are written as JSON would have them."""
    values = (np.int64(1), np.float32(0.5), np.bool_(True), np.str_("s"), range(2), datetime.date(2024, 1, 2))
    sweep = parse(config(program=PurePosixPath("a/b.py"), seed=np.int64(3), parameters={"a": {"values": values}}))
    assert json.dumps(sweep.as_dict()["parameters"]["a"]["values"]) == '[1, 0.5, true, "s", [0, 1], "2024-01-02"]'
    assert (sweep.program, sweep.seed) == ("a/b.py", 3)
    assert parse(one({"values": np.arange(3)})).as_dict()["parameters"]["a"] == {"values": [0, 1, 2]}


def test_shared_and_circular_values_end() -> None:
    """A value inside itself, and one that doubles again and again, are refused rather than followed."""
    circle: list[Any] = []
    circle.append(circle)
    double: list[Any] = [1]
    for _ in range(60):
        double = [double, double]
    for value, told in ((circle, "inside itself"), (double, "262144")):
        with pytest.raises(ConfigError, match=told):
            parse(one({"value": value}))


def test_load_takes_overrides() -> None:
    """An override replaces its key, None overrides nothing, and the rest stands."""
    sweep = load(config(project="p", name="n"), project="q", name=None, seed=7)
    assert (sweep.project, sweep.name, sweep.seed) == ("q", "n", 7)
    with pytest.raises(ConfigError, match="run_cap: 0"):
        load(config(), run_cap=0)
    with pytest.raises(ConfigError, match="write a mapping or the path"):
        load(3)  # type: ignore[arg-type]


def test_importing_the_controller_is_cheap() -> None:
    """Neither ruamel, nor numpy, nor the strategies are imported before they are used."""
    code = "import sys, besom.controller; print({'ruamel.yaml', 'numpy', 'besom.strategies'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


WORDS = (
    "method metric parameters run_cap command value values min max q distribution name goal project seed lr controller "
    "early_terminate uniform q_uniform int_uniform log_uniform_values grid bayes minimize"
)
KEYS = st.sampled_from(WORDS.split()) | st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.integers(), inner, max_size=5),
    max_leaves=20,
)
NAMES = st.sampled_from(["a", "lr", "b-c", "x.y"])
FORM = st.sampled_from([{"values": [1, 2, "x"]}, {"min": 0.0, "max": 1.0}, {"value": None}, {"min": 1, "max": 9}])
WHEN = st.builds(lambda form, when: {**form, "when": when}, FORM, st.dictionaries(NAMES, JSON, max_size=2))
GROUP = st.builds(lambda inner: {"parameters": inner}, st.dictionaries(NAMES, FORM | WHEN, max_size=2))
TOKENS = 'a lr x.y 1 0.5 "x" < <= == + - * / ** // and or not in ( ) [ ] , if else None log( len( param("b-c")'
EXPRESSION = st.lists(st.sampled_from(TOKENS.split()), max_size=7).map(" ".join)
RULE = st.builds(
    lambda kind, keys: {"type": kind, **keys},
    st.sampled_from(["hyperband", "asha", "median", "none"]),
    st.dictionaries(st.sampled_from(["min_iter", "max_iter", "s", "eta", "strict"]), JSON | st.integers(0, 30)),
)
FUZZED = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["grid", "random", "bayes"]),
        "parameters": st.dictionaries(NAMES, FORM | WHEN | GROUP, min_size=1, max_size=3)
        | st.dictionaries(KEYS, JSON, max_size=4),
    },
    optional={
        "metric": JSON | st.just({"name": "l"}), "metrics": JSON, "early_terminate": JSON | RULE, "run_cap": JSON,
        "repeats": JSON, "time_cap": JSON, "command": JSON, "seed": JSON, "project": JSON, "zz": JSON,
        "constraints": JSON | st.lists(EXPRESSION, max_size=2),
        "points": JSON | st.lists(st.dictionaries(NAMES, JSON, max_size=2), max_size=2),
    },
)  # fmt: skip


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(JSON | FUZZED)
def test_any_json_ends_in_a_sweep_or_a_config_error(written: Any) -> None:
    """Nothing but ConfigError comes out, and a sweep that does come out has a space and parses again."""
    try:
        sweep = parse(written)
    except ConfigError as error:
        str(error).encode()
    else:
        assert sweep.space().dimensions
        assert parse(sweep.as_dict()) == sweep


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(90, 90), (1.5, 1.5), ("90", 90), ("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5 d", 129600)],
)
def test_a_timeout_is_written_as_people_do(written: object, seconds: float) -> None:
    """Seconds, or a number with a unit."""
    assert parse(config(timeout=written)).timeout == seconds
