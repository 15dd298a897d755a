"""A sweep before it exists: its space as a table, how many points a grid has, what would be tried first, which bands.

Reads: a checked config.  Gives: plain values to print.  Creates nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from besom.controller.conditions import conditions_of
from besom.controller.course import Course
from besom.controller.distributions import Parameter
from besom.controller.parameters import leaves
from besom.controller.sections import shown
from besom.controller.sweep_config import SweepConfig

if TYPE_CHECKING:
    from besom.strategies import Space

__all__ = ["Overview", "look_over"]

_FIRST: Final = 3
_QUANTILES: Final = (0.1, 0.5, 0.9)
_BANDS: Final = 8
_COUNTED: Final = 100_000
"""Points that are looked at one by one."""


@dataclass(frozen=True)
class Overview:
    """What `besom check` shows."""

    rows: list[dict[str, Any]]
    """For each parameter its name, law, range, example values and conditions."""
    points: int | None
    """Different points that satisfy the constraints; None when that cannot be counted."""
    allowed: str
    """How much of the space the constraints leave, '' without any."""
    first: list[dict[str, Any]]
    """What would be tried first, with seed 0 when the config names none."""
    bands: list[int]
    """The first iterations at which a stopping rule judges."""
    more_bands: bool
    promotes: bool
    """Whether trials that it stopped may go on later."""


def look_over(config: SweepConfig) -> Overview:
    """What a config amounts to.

    Raises:
        ConfigError: the method cannot search this space.
    """
    conditions = conditions_of(config.parameters)
    rows = [
        {
            "name": ".".join(leading),
            "law": parameter.distribution,
            "range": _range(parameter),
            "examples": _examples(parameter),
            "when": " and ".join(
                f"{'.'.join(one.path)}: {shown(list(one.values))}" for one in conditions.get(leading, ())
            ),
        }
        for leading, parameter in leaves(config.parameters)
    ]
    course = Course(config, config.seed or 0)
    rule = config.early_terminate
    bands = rule.bands() if rule else ()
    points, allowed = _count(course.space)
    promotes = rule is not None and rule.promotes
    return Overview(rows, points, allowed, _first(course), list(bands[:_BANDS]), len(bands) > _BANDS, promotes)


def _range(parameter: Parameter) -> str:
    keys = parameter.model_dump(exclude={"distribution", "when"})
    if "min" in keys:
        step = f", step {_number(keys['q'])}" if "q" in keys else ""
        return f"{_number(keys['min'])} to {_number(keys['max'])}{step}"
    if "values" in keys:
        values, odds = keys["values"], keys.get("probabilities")
        pairs = [f"{shown(one)} ({odds[i]:g})" if odds else shown(one) for i, one in enumerate(values[:6])]
        return ", ".join(pairs) + (", ..." if len(values) > len(pairs) else "")
    return ", ".join(f"{key} {shown(value)}" if key != "value" else shown(value) for key, value in keys.items())


def _number(number: float) -> str:
    """As short as it can be written without being another one."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def _examples(parameter: Parameter) -> str:
    """The values at a tenth, the middle and nine tenths of the law."""
    domain = parameter.domain()
    values = [domain.draw(unit) for unit in _QUANTILES]
    return ", ".join(dict.fromkeys(f"{one:.4g}" if isinstance(one, float) else shown(one) for one in values))


def _count(space: Space) -> tuple[int | None, str]:
    """Points that satisfy the constraints, and what share of the space they are."""
    if not space.constraints:
        return space.size, ""
    if space.size is not None and space.size <= _COUNTED:
        allowed = sum(1 for _ in space.points())
        return allowed, f"{allowed} of {space.size} points satisfy the constraints"
    from besom.strategies.constraints import DRAWS, probe

    found = probe(space, enough=DRAWS)
    about = "" if found.whole else "about "
    return None, f"{about}{100 * found.allowed / found.tried:.2g} % of the space satisfies the constraints"


def _first(course: Course) -> list[dict[str, Any]]:
    given = course.given(0, _FIRST)
    strategy = course.strategy()
    if given:
        from besom.strategies import RunningTrial

        strategy.update((), [RunningTrial(number, params) for number, params in enumerate(given, start=1)])
    return [*given, *strategy.suggest(_FIRST - len(given))]
