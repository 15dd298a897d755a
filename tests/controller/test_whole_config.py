"""What the parts of a sweep config say of each other: conditions, constraints, points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from besom.controller import load, parse
from besom.controller.points import complete
from besom.errors import ConfigError
from besom.strategies import Condition

OPT = {
    "opt": {"values": ["adam", "sgd"]},
    "lr": {"min": 0.001, "max": 0.1},
    "sgd": {
        "when": {"opt": "sgd"},
        "parameters": {
            "momentum": {"values": [0.0, 0.9]},
            "nesterov": {"values": [True, False], "when": {"momentum": 0.9}},
        },
    },
    "layers": {"min": 1, "max": 3},
    "width2": {"min": 8, "max": 64, "when": {"layers": [2, 3]}},
}


def config(parameters: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    return {"method": "random", "parameters": OPT if parameters is None else parameters, **keys}


def test_when_becomes_conditions_at_any_depth() -> None:
    """A group's condition is that of all inside; a name means the nearest parameter so called, outward."""
    space = parse(config()).space()
    conditions = {one.name: one.when for one in space.dimensions if one.when}
    assert conditions == {
        "sgd.momentum": (Condition(("opt",), ("sgd",)),),
        "sgd.nesterov": (Condition(("opt",), ("sgd",)), Condition(("sgd", "momentum"), (0.9,))),
        "width2": (Condition(("layers",), (2, 3)),),
    }
    assert "sgd" not in space.fill({("opt",): "adam"}, [0.5] * 6)
    full = space.fill({("opt",): "sgd", ("sgd", "momentum"): 0.9, ("layers",): 3}, [0.5] * 6)
    assert full["sgd"].keys() == {"momentum", "nesterov"}
    assert "width2" in full


def test_the_nearest_name_counts() -> None:
    """A name that stands in the group and outside of it is the group's; from outside it is the other one."""
    inner = {"opt": {"values": [1, 2]}, "x": {"value": 0, "when": {"opt": 2}}}
    some = {"opt": {"values": ["a", "b"]}, "g": {"parameters": inner}, "y": {"value": 0, "when": {"opt": "a"}}}
    conditions = {one.name: one.when for one in parse(config(some)).space().dimensions if one.when}
    assert conditions == {"g.x": (Condition(("g", "opt"), (2,)),), "y": (Condition(("opt",), ("a",)),)}


def test_a_grid_counts_what_is_there() -> None:
    """Only different active combinations count: none is tried twice for the sake of an absent parameter."""
    some = {name: form for name, form in OPT.items() if name in ("opt", "sgd")}
    space = parse(config(some, method="grid")).space()
    assert [space.point(index) for index in range(space.size or 0)] == [
        {"opt": "adam"},
        {"opt": "sgd", "sgd": {"momentum": 0.0}},
        {"opt": "sgd", "sgd": {"momentum": 0.9, "nesterov": True}},
        {"opt": "sgd", "sgd": {"momentum": 0.9, "nesterov": False}},
    ]


def test_a_list_value_may_be_a_condition() -> None:
    """A list that is a value of the parameter is that value, and not two values."""
    shapes = {"shape": {"values": [[8, 8], [16]]}, "x": {"min": 0, "max": 1, "when": {"shape": [8, 8]}}}
    (dimension,) = (one for one in parse(config(shapes)).space().dimensions if one.when)
    assert dimension.when == (Condition(("shape",), ([8, 8],)),)


X = {"a": {"values": [1, 2]}, "x": {"min": 0.0, "max": 1.0}}
DUPLICATES = {"o": {"parameters": {"lr": {"value": 1}}}, "o.lr": {"value": 2}, "b": {"value": 1, "when": {"o.lr": 1}}}
MANY = {
    **{f"s{n:02}": {"values": [0, 1]} for n in range(17)},
    **{f"x{n:02}": {"values": [0, 1, 2], "when": {f"s{n:02}": 1, "s16": 1}} for n in range(16)},
}


def when(condition: Any) -> dict[str, Any]:
    return config({**X, "b": {"min": 0, "max": 9, "when": condition}})


def limited(*constraints: Any, **keys: Any) -> dict[str, Any]:
    return config(X, constraints=list(constraints), **keys)


def started(*points: Any, **keys: Any) -> dict[str, Any]:
    return config(points=list(points), **keys)


WRONG = [
    (when({}), "parameters.b.when", "{}", "remove when"),
    (when("a"), "parameters.b.when", "'a'", "such as when: {optimizer: sgd}"),
    (when({"aa": 1}), "parameters.b.when.aa", "'aa'", "write a"),
    (when({"zzz": 1}), "parameters.b.when.zzz", "'zzz'", "the parameters are a, x, b"),
    (when({"b": 1}), "parameters.b.when.b", "'b'", "name another one"),
    (when({"x": 0.5}), "parameters.b.when.x", "a continuum", "name a parameter with values"),
    (when({"a": 3}), "parameters.b.when.a", "3", "write one of 1, 2"),
    (when({"a": [1, 7]}), "parameters.b.when.a", "7", "write one of 1, 2"),
    (when({"a": []}), "parameters.b.when.a", "[]", "one or several values of a"),
    (
        config({"a": {"values": [1], "when": {"b": 1}}, "b": {"values": [1], "when": {"a": 1}}}),
        "parameters",
        "a, b",
        "remove one condition",
    ),
    (config(DUPLICATES), "parameters.b.when.'o.lr'", "2 parameters", "rename one"),
    (config(MANY, method="grid"), "parameters", "conditions", "in too many ways; use fewer"),
    (limited("a <"), "constraints[0]", "'a <'", "at column 4"),
    (
        limited("x < 1", "lr < 1"),
        "constraints[1]",
        "'lr'",
        "at column 1, 'lr' is no parameter; the parameters are a, x",
    ),
    (limited("a.append(1) == 2"), "constraints[0]", "a.append(1)", "the functions are min, max"),
    (
        config({"batch-size": {"values": [1, 2]}}, constraints=["batch-size < 2"]),
        "constraints[0]",
        "'batch-size < 2'",
        'at column 1, write param("batch-size") for batch-size',
    ),
    (
        config({"lambda": {"values": [1, 2]}}, constraints=["lambda < 2"]),
        "constraints[0]",
        "'lambda < 2'",
        'write param("lambda") for lambda',
    ),
    (
        config({"a-b": {"value": 1}, "x": X["x"]}, constraints=['param("a-b") < y']),
        "constraints[0]",
        "'y' is no parameter",
        "the parameters are a-b, x",
    ),
    (
        config({name: {"min": 1, "max": 100} for name in "abcd"}, method="grid", constraints=["a + b + c + d < 400"]),
        "constraints",
        "a grid of 100000000 points",
        "write fewer values, or method: random",
    ),
    (config(X, command=["train", "${y}"]), "command[1]", "'${y}'", "the first-level name of a parameter"),
    (config(X, command=["--a=${a}", "--y=${y}"]), "command[1]", "'y'", "the first-level name of a parameter"),
    (config(X, command=["--x=${args}"]), "command[0]", "'--x=${args}'", "write ${args} as an item of its own"),
    (config(command=["${lr}", "${sgd}"]), "command[1]", "'${sgd}'", "write ${args}, which has what is there"),
    (limited("1 < 2"), "constraints[0]", "'1 < 2'", "names no parameter"),
    (limited(3), "constraints[0]", "3", "a list of conditions"),
    (config(X, constraints="x < 1"), "constraints", "'x < 1'", "a list of conditions"),
    (limited("x + a"), "constraints[0]", "gives", "write a comparison"),
    (limited("x < 'one'"), "constraints[0]", "cannot be computed", "compare numbers with numbers"),
    (limited("x > 2"), "constraints", "none of those drawn, 20000 combinations of x,", "'x > 2' holds for none"),
    (limited("x > 0.6", "x < 0.4"), "constraints", "they do not hold together", "loosen them"),
    (limited("a > 2"), "constraints", "none of all, 2 combinations of a,", "'a > 2' never holds"),
    (
        config({"a": X["a"]}, method="grid", constraints=["a > 2"]),
        "constraints",
        "none of all, 2 combinations of a, satisfies",
        "'a > 2' never holds",
    ),
    (started(3), "points[0]", "3", "a list of params to try first"),
    (started({"lrr": 1}), "points[0].lrr", "'lrr'", "write lr"),
    (started({"lr": 5}), "points[0].lr", "5", "Uniform(min=0.001, max=0.1)"),
    (started({"sgd": {"momentum": 0.5}}), "points[0].sgd.momentum", "0.5", "write one of them"),
    (started({"opt": "adam", "sgd": {"momentum": 0.9}}), "points[0]", "has sgd.momentum", "not there with the other"),
    (
        started({"sgd": {"momentum": 0.9}, "sgd.momentum": 0.0}),
        "points[0].'sgd.momentum'",
        "0.0 is a second value of sgd.momentum",
        "remove one of the two",
    ),
    (
        started({"sgd.nesterov": True, "sgd.momentum": 0.0}),
        "points[0]",
        "has sgd.nesterov, which is not there",
        "remove it",
    ),
    (limited("x < 0.5", points=[{"x": 0.9}]), "points[0]", '{"x": 0.9}', "satisfies the constraints with no values"),
    (
        config({"a": X["a"], "b": X["a"]}, method="grid", points=[{"a": 1}]),
        "points[0]",
        "lacks b",
        "a point of a grid has them all",
    ),
]


@pytest.mark.parametrize(("written", "key", "value", "remedy"), WRONG)
def test_a_fault_between_parts_is_named(written: Any, key: str, value: str, remedy: str) -> None:
    """The message leads with the key path, shows the value and says what to write instead."""
    with pytest.raises(ConfigError) as caught:
        parse(written)
    assert any(line.startswith(f"{key}: ") for line in str(caught.value).split("\n"))
    assert value in str(caught.value)
    assert remedy in str(caught.value)


def test_a_broken_parameter_is_not_called_unknown() -> None:
    """Who names a parameter that has a fault of its own is told of that fault alone, and of all others at once."""
    some = {"a": {"valuess": [1]}, "b": {"value": 1, "when": {"a": 1, "c": 2}}}
    with pytest.raises(ConfigError) as caught:
        parse(config(some, constraints=["a < 3", "d < 1"], run_cap=0))
    keys = [line.split(": ")[0] for line in str(caught.value).split("\n")]
    assert keys == ["parameters.a.valuess", "run_cap", "parameters.b.when.c", "constraints[1]"]


def test_problems_in_a_file_have_line_and_column(tmp_path: Path) -> None:
    """Each problem of a file leads to where its key stands, one that is missing to where it should."""
    path = tmp_path / "sweep.yaml"
    path.write_text(
        "method: random\nmetric:\n  gaol: minimize\nparameters:\n  lr: &r\n    min: 1\n    max: 0\n  b:\n    values:\n"
        "      - 1\n    when: {lr: 2}\nconstraints:\n  - b < 1\n  - c > 2\ntypo: 1\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(path, run_cap=0)
    places = [line.removeprefix(f"{path}:").split(": ")[0:2] for line in str(caught.value).split("\n")]
    assert places == [
        ["5:3", "parameters.lr"],
        ["2:1", "metric.name"],
        ["3:3", "metric.gaol"],
        ["run_cap", "0 cannot be; write a whole number above 0, such as 20"],
        ["14:5", "constraints[1]"],
        ["15:1", "typo"],
    ]


def test_few_allowed_points_are_a_warning() -> None:
    """A space of which next to nothing is allowed can be searched; its user is told."""
    (warning,) = parse(limited("x < 0.0005")).warnings
    assert warning.startswith("constraints: ")
    assert "each trial needs many draws" in warning


def test_a_program_may_come_later() -> None:
    """A command that needs a program is told of it, and goes on: a function may train in its place."""
    command = ["${program}", "--lr=${lr}", "${envvar:HOME}/${opt}", "${args}"]
    (warning,) = parse(config(command=command)).warnings
    assert warning.startswith("command[0]: '${program}' needs a program")
    assert parse(config(command=command, program="train.py")).warnings == ()


def test_rare_combinations_are_found() -> None:
    """Of a small part of the space that alone is constrained, every combination is looked at, however rare it is."""
    rare = {"a": {"min": 1, "max": 20_000}, **{f"x{i}": {"min": 0.0, "max": 1.0} for i in range(9)}}
    (warning,) = parse(config(rare, constraints=["a == 20_000"])).warnings
    assert "1 of 20000 combinations satisfy them" in warning


def test_a_given_value_has_its_parameters_type() -> None:
    """2.0 for a whole number is 2, whole numbers of a range are floats, and so it is with what a condition names."""
    some = {"n": {"min": 1, "max": 10**6}, "x": {"min": 0, "max": 2.5}, "deep": {"value": "d", "when": {"n": [5.0]}}}
    sweep = parse(config(some, points=[{"n": 2.0, "x": 1}, {"deep": "d"}]))
    first, second = (complete(point, sweep, sweep.space(), "0") for point in sweep.points)
    assert repr(first) == "{'n': 2, 'x': 1.0}"
    assert repr(second["n"]) == "5"


@pytest.mark.parametrize("constraints", [[], ["opt == 'sgd' or lr < 0.02"]])
def test_a_point_brings_what_it_needs(constraints: list[str]) -> None:
    """A parameter that is there under conditions is given alone: what they name is drawn so that they hold."""
    sweep = parse(config(points=[{"sgd.nesterov": True, "width2": 9}], constraints=constraints))
    for seed in range(30):
        point = complete(sweep.points[0], sweep, sweep.space(), str(seed))
        assert point["sgd"] == {"momentum": 0.9, "nesterov": True}
        assert (point["opt"], point["width2"]) == ("sgd", 9)
        assert point["layers"] in (2, 3)


def test_points_are_completed_from_the_seed() -> None:
    """What a point leaves open is drawn within the constraints, the same for the same seed; dots and nesting agree."""
    sweep = parse(
        config(
            constraints=["lr < 0.05"],
            points=[{"opt": "sgd", "sgd": {"momentum": 0.9}}, {"sgd.momentum": 0.9, "opt": "sgd"}],
        )
    )
    space = sweep.space()
    first = complete(sweep.points[0], sweep, space, "1")
    assert first["sgd"]["momentum"] == 0.9
    assert first.keys() >= {"opt", "lr", "layers", "sgd"}
    assert space.allows(first)
    assert first == complete(sweep.points[0], sweep, space, "1") != complete(sweep.points[0], sweep, space, "2")
    assert complete(sweep.points[1], sweep, space, "1")["sgd"]["momentum"] == 0.9
