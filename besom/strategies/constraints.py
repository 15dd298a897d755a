"""Constraints of a space: which points may be tried, written as expressions, and whether any may.

Knows nothing of how a sweep file is written, nor of strategies.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from besom.strategies.expression import Expression
from besom.strategies.space import Constraint, Space
from besom.strategies.strategy import Params

__all__ = ["Probe", "Rule", "probe"]

LISTED = 20_000
"""A finite space up to this size is looked through point by point."""
DRAWS = 20_000
_ENOUGH = 50


class Rule:
    """An expression that must be true of a point; one that cannot be computed there, as by a division by 0, is not.

    Args:
        text: The expression.
        find: Where a name of the expression stands in the params.

    Raises:
        ExpressionError: the text is no expression.
    """

    def __init__(self, text: str, find: Callable[[str], tuple[str, ...] | str]) -> None:
        self.text = text
        self._expression = Expression(text)
        self._paths = {name: path for name in self._expression.names if isinstance(path := find(name), tuple)}

    @property
    def paths(self) -> Collection[tuple[str, ...]]:
        """Where the parameters stand that it names."""
        return self._paths.values()

    def __reduce__(self) -> tuple[Any, ...]:
        return Rule, (self.text, self._paths.__getitem__)  # the compiled expression does not travel

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and (self.text, self._paths) == (other.text, other._paths)

    def __hash__(self) -> int:
        return hash(self.text)

    def value(self, params: Params) -> Any:
        """What the expression gives for the point; None where one of its parameters is absent.

        Raises:
            ArithmeticError, TypeError, ValueError: it gives nothing.
        """
        values: dict[str, Any] = {}
        for name, path in self._paths.items():
            value: Any = params
            for part in path:
                if not isinstance(value, dict) or part not in value:
                    return None
                value = value[part]
            values[name] = value
        return self._expression(values)

    def holds(self, params: Params) -> bool:
        """Whether it is true, or speaks of a parameter that is absent."""
        try:
            value = self.value(params)
        except (ArithmeticError, TypeError, ValueError):
            return False
        return value is None or bool(value)


@dataclass(frozen=True)
class Probe:
    """What looking at a space has shown, as far as its constraints speak of it."""

    names: tuple[str, ...]
    """The parameters that were looked at: those that the constraints name, and what they depend on."""
    tried: int
    """Combinations of their values that were looked at."""
    allowed: int
    """Of these, such as satisfy every constraint."""
    whole: bool
    """Whether these are all there are."""
    held: tuple[int, ...]
    """Of these, for each rule, such as satisfy it; all that were looked at when `allowed` is 0."""
    faults: tuple[str, ...]
    """For each rule why it is none, or nothing."""


def probe(space: Space, enough: int = _ENOUGH) -> Probe:
    """Whether some point satisfies the constraints: by listing a small space, by draws from a large one.

    Args:
        space: Parameters that no constraint names do not count.
        enough: Such points, with which the search ends.
    """
    space = _named(space)
    whole = space.size is not None and space.size <= LISTED
    allowed, tried = 0, 0
    held, faults = [0] * len(space.constraints), [""] * len(space.constraints)
    for point in _listed(space) if whole else _drawn(space):
        tried += 1
        verdicts = [_verdict(rule, point) for rule in space.constraints]
        held = [count + (verdict is True) for count, verdict in zip(held, verdicts, strict=True)]
        faults = [
            fault or (said if isinstance(said, str) else "") for fault, said in zip(faults, verdicts, strict=True)
        ]
        allowed += all(verdict is True for verdict in verdicts)
        if allowed >= enough or any(faults):
            break
    names = tuple(dimension.name for dimension in space.dimensions)
    return Probe(names, tried, allowed, whole, tuple(held), tuple(faults))


def _named(space: Space) -> Space:
    """The part of the space that its constraints speak of."""
    rules = [rule for rule in space.constraints if isinstance(rule, Rule)]
    if len(rules) < len(space.constraints):
        return space
    wanted = {path for rule in rules for path in rule.paths}
    for dimension in reversed(space.dimensions):  # what others depend on stands before them
        if dimension.path in wanted:
            wanted.update(condition.path for condition in dimension.when)
    return Space(tuple(one for one in space.dimensions if one.path in wanted), space.constraints)


def _listed(space: Space) -> Iterator[Params]:
    return (space.point(index) for index in range(space.size or 0))


def _drawn(space: Space) -> Iterator[Params]:
    source = random.Random(0)
    return (space.draw([source.random() for _ in space.dimensions]) for _ in range(DRAWS))


def _verdict(rule: Constraint, point: Params) -> bool | str:
    """Whether the rule holds; a text tells why it is no rule."""
    if not isinstance(rule, Rule):
        return rule.holds(point)
    try:
        value = rule.value(point)
    except TypeError as error:
        return f"cannot be computed, {error}; compare numbers with numbers and texts with texts"
    except (ArithmeticError, ValueError):
        return False
    if value is None or isinstance(value, bool):
        return value is not False
    return f"gives {value!r}, neither true nor false; write a comparison such as lr <= 0.1"
