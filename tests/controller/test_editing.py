"""What may be changed of a sweep that runs, as its user writes it."""

from __future__ import annotations

from typing import Any

import pytest

from besom.controller import parse
from besom.controller.editing import assigned, changes_of, enqueued, replaced
from besom.errors import ConfigError

CONFIG = parse(
    {
        "method": "random",
        "seed": 5,
        "metric": {"name": "loss"},
        "run_cap": 20,
        "parameters": {
            "lr": {"min": 0.001, "max": 0.1},
            "a.b": {"min": 0.0, "max": 1.0},
            "opt": {"parameters": {"name": {"values": ["adam", "sgd"]}}},
        },
        "points": [{"lr": 0.01}],
    }
).as_dict()


@pytest.mark.parametrize(
    ("assignment", "line"),
    [
        ("run_cap=200", "run_cap: 20 -> 200"),
        ("run_cap=null", "run_cap: 20 -> null"),
        ("time_cap=2h", "time_cap: null -> '2h'"),
        ("parameters.lr.max=0.3", "parameters.lr.max: 0.1 -> 0.3"),
        ("parameters.lr.min=1e-5", "parameters.lr.min: 0.001 -> 1e-05"),
        ("parameters.a.b.max=2", "parameters.a.b.max: 1.0 -> 2"),
        (
            "parameters.opt.parameters.name.values=[adam]",
            'parameters.opt.parameters.name.values: ["adam", "sgd"] -> ["adam"]',
        ),
        ("parameters.opt.name.values=[sgd]", 'parameters.opt.parameters.name.values: ["adam", "sgd"] -> ["sgd"]'),
        ("parameters.new={values: [1, 2]}", 'parameters.new: null -> {"values": [1, 2]}'),
        ("metric.target=0.5", "metric.target: null -> 0.5"),
        ("constraints=[lr < 0.05]", 'constraints: null -> ["lr < 0.05"]'),
    ],
)
def test_an_assignment_changes_one_key(assignment: str, line: str) -> None:
    """The path leads through names with dots; the value is read as in a sweep file; null takes the key away."""
    new = assigned(CONFIG, [assignment])
    assert list(changes_of(CONFIG, new)) == [line]
    assert parse(new).as_dict() == new


WRONG = [
    ("run_cap", "no assignment; write a key and its value"),
    ("=5", "no assignment"),
    ("run_cap=", "'run_cap=' has no value; write one"),
    ("name= ", "null for none"),
    ("run_cap=0", "run_cap: 0 cannot be; write a whole number above 0"),
    ("run_cap=[", "write the value as in a sweep file"),
    ("parameters.lr.max=0", "parameters.lr: min 0.001 is not below max 0"),
    ("parameters.lrr.max=1", "parameters.'lrr.max': 1 is not a parameter"),
    ("parameters.lrr=null", "parameters.lrr: is not there to be taken away; write one of lr, a.b, opt"),
    ("lr.max=1", "lr.max: is no key of a sweep config"),
    ("parameters.opt.nam.values=[sgd]", "parameters.opt.'nam.values'"),
    ("runcap=5", "runcap: is no key of a sweep config; write run_cap"),
    ("method=grid", "cannot change from 'random' to 'grid' while the sweep runs"),
    ("seed=6", "seed: cannot change from 5 to 6"),
    ("repeats=2", "repeats: cannot change"),
    ("early_terminate={type: asha}", "early_terminate: cannot change"),
    ("metric.goal=maximize", "metric: cannot change"),
    ("points=[{lr: 0.02}]", "were given before and have their turn"),
    ("points=null", "were given before"),
]


@pytest.mark.parametrize(("assignment", "told"), WRONG)
def test_what_cannot_be_changed_is_refused(assignment: str, told: str) -> None:
    """The message names the key, the values, and what to do instead."""
    with pytest.raises(ConfigError) as caught:
        assigned(CONFIG, [assignment])
    assert told in str(caught.value)


def test_a_point_is_added_behind_those_that_wait() -> None:
    """Dots lead into nested parameters; a foreign value is refused, and nothing changes."""
    new = enqueued(CONFIG, ["lr=0.05", "opt.name=sgd"])
    assert new["points"] == [{"lr": 0.01}, {"lr": 0.05, "opt.name": "sgd"}]
    with pytest.raises(ConfigError, match=r"points\[1\].lr: 5 is none of lr's values"):
        enqueued(CONFIG, ["lr=5"])
    with pytest.raises(ConfigError, match=r"lr: 0.02 is a second value, after 0.01; write one of the two"):
        enqueued(CONFIG, ["lr=0.01", "lr=0.02"])
    assert CONFIG["points"] == [{"lr": 0.01}]


def test_points_that_had_their_turn_do_not_bind() -> None:
    """A point that was tried need not be of the new space; one that still waits must."""
    narrow = ["parameters.lr={min: 0.02, max: 0.1}"]
    with pytest.raises(ConfigError, match=r"points\[0\].lr: 0.01 is none of lr's values"):
        assigned(CONFIG, narrow)
    assert assigned(CONFIG, narrow, done=1)["points"] == [{"lr": 0.01}]


def test_a_file_replaces_what_may_change() -> None:
    """What it leaves out of the rest stays: seed, points, where the sweep is filed; a difference there is refused."""
    file: dict[str, Any] = {"method": "random", "metric": {"name": "loss", "goal": "minimize"}, "project": "other"}
    new = replaced(CONFIG, {**file, "points": [{"lr": 0.5}], "parameters": {"lr": {"min": 0.01, "max": 1.0}}})
    assert new["parameters"] == {"lr": {"min": 0.01, "max": 1.0}}
    assert "run_cap" not in new
    assert (new["seed"], new["points"]) == (5, [{"lr": 0.01}])
    with pytest.raises(ConfigError, match="method: cannot change"):
        replaced(CONFIG, {**file, "method": "grid", "parameters": {"lr": {"values": [0.01]}}})


def test_the_file_of_a_sweep_is_the_same_as_the_sweep() -> None:
    """Prior sweeps and runs, kept as ids, may stand in the file with their projects."""
    named = {"prior_sweeps": ["me/digits/k3x9a2bq"], "prior_runs": ["digits/h7d0w4zn-3"]}
    file = {key: CONFIG[key] for key in ("method", "metric", "parameters", "run_cap")} | named
    kept = {**CONFIG, "prior_sweeps": ["k3x9a2bq"], "prior_runs": ["h7d0w4zn-3"]}
    assert list(changes_of(kept, replaced(kept, file))) == []
    with pytest.raises(ConfigError, match="prior_sweeps: cannot change"):
        replaced(kept, {**file, "prior_sweeps": ["me/digits/other"]})


def test_the_longest_name_is_meant() -> None:
    """A name with a dot goes before a group and what stands in it."""
    group = {"parameters": {"lr": {"min": 0.0, "max": 1.0}}}
    both = {"method": "random", "parameters": {"opt": group, "opt.lr": {"min": 0.0, "max": 1.0}}}
    new = assigned(both, ["parameters.opt.lr.max=2.0"])
    assert list(changes_of(both, new)) == ["parameters.opt.lr.max: 1.0 -> 2.0"]
    assert new["parameters"]["opt"] == group
