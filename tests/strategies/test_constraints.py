"""Constraints of a space: which points they allow, how strategies honour them, and whether any point is left."""

from __future__ import annotations

import pickle
from itertools import product

import pytest

from besom.errors import ConfigError
from besom.strategies import (
    Categorical,
    Condition,
    Dimension,
    EndedTrial,
    IntUniform,
    Params,
    Skipped,
    Space,
    Uniform,
    make_strategy,
)
from besom.strategies.constraints import Rule, probe
from besom.strategies.random_search import draw


def find(name: str) -> tuple[str, ...]:
    return tuple(name.split("."))


def rules(*texts: str) -> tuple[Rule, ...]:
    return tuple(Rule(text, find) for text in texts)


A, B = Dimension(("a",), IntUniform(1, 6)), Dimension(("b",), IntUniform(1, 6))
SQUARE = Space((A, B), rules("a * b <= 6", "a != b"))
WIDE = Space((Dimension(("x",), Uniform(0, 1)), Dimension(("y",), Uniform(0, 1))), rules("x + y < 0.2"))


@pytest.mark.parametrize("space", [SQUARE, WIDE])
def test_draws_satisfy_the_constraints(space: Space) -> None:
    """What random search tries never leaves what is allowed."""
    assert all(space.allows(point) for point in make_strategy("random", space, seed=3).suggest(50))


def expected() -> list[tuple[int, int]]:
    return [(a, b) for a, b in product(range(1, 7), repeat=2) if a * b <= 6 and a != b]


def test_grid_tries_exactly_what_is_allowed() -> None:
    """The points that itertools finds, in its order, however they are asked for."""
    grid = make_strategy("grid", SQUARE, seed=0)
    found: list[Params] = []
    while points := grid.suggest(3):
        found += points
        grid.update([EndedTrial(len(found), points[-1], "finished", 1.0)], [])
    assert [(point["a"], point["b"]) for point in found] == expected()
    fresh = make_strategy("grid", SQUARE, seed=0)
    fresh.update([EndedTrial(7, {}, "finished", 1.0)], [])
    assert fresh.suggest(99) == found[7:]


def test_grid_skips_what_was_tried() -> None:
    """Points tried elsewhere need no trial; trials whose points came from elsewhere are not counted as the grid's."""
    key = SQUARE.key({"a": 1, "b": 3})
    grid = make_strategy("grid", SQUARE, seed=0, skipped=Skipped(10, (11, 13), frozenset({key})))
    grid.update([EndedTrial(13, {}, "finished", 1.0)], [])
    left = [(point["a"], point["b"]) for point in grid.suggest(99)]
    assert left == [pair for pair in expected() if pair != (1, 3)][1:]


def test_a_rule_about_an_absent_parameter_holds() -> None:
    """Where a parameter is not part of the point, nothing can be asked of it."""
    momentum = Dimension(("m",), Uniform(0, 1), (Condition(("opt",), ("sgd",)),))
    space = Space((Dimension(("opt",), Categorical(("adam", "sgd"))), momentum), rules("m < 0.5"))
    assert space.allows({"opt": "adam"})
    assert not space.allows({"opt": "sgd", "m": 0.7})


def test_what_cannot_be_computed_is_not_allowed() -> None:
    """A point with a division by 0 is ruled out, and the search goes on."""
    space = Space((Dimension(("a",), IntUniform(0, 1)),), rules("1 / a > 0.5"))
    assert [point["a"] for point in make_strategy("grid", space, seed=0).suggest(9)] == [1]


def test_a_rule_survives_pickle() -> None:
    """A space with constraints goes to another process, and is equal to itself there."""
    again = pickle.loads(pickle.dumps(SQUARE))
    assert again == SQUARE
    assert not again.allows({"a": 2, "b": 2})


def test_probe_counts() -> None:
    """A small space is looked through whole, a large one by draws, and each rule is counted by itself."""
    found = probe(Space((A, B), rules("a > 6", "b >= 4")))
    assert (found.tried, found.allowed, found.whole, found.held) == (36, 0, True, (0, 18))
    found = probe(WIDE)
    assert found.allowed / found.tried == pytest.approx(0.02, abs=0.01)
    assert not found.whole


def test_probe_looks_at_what_is_named() -> None:
    """Parameters that no rule names, nor a condition of one that is named, do not make a space larger."""
    under = Dimension(("b",), IntUniform(1, 6), (Condition(("opt",), ("sgd",)),))
    opt, others = (
        Dimension(("opt",), Categorical(("adam", "sgd"))),
        [Dimension((f"x{i}",), Uniform(0, 1)) for i in "ab"],
    )
    found = probe(Space((A, opt, under, *others), rules("b > 6")))
    assert (found.names, found.tried, found.allowed, found.whole) == (("opt", "b"), 7, 1, True)


def test_a_space_with_nothing_allowed_ends_the_search() -> None:
    """Drawing gives up with an error instead of going on for ever."""
    with pytest.raises(ConfigError, match="none of 200000 points drawn for trial 1"):
        draw(Space((Dimension(("x",), Uniform(0, 1)),), rules("x > 2")), 0, 1)
