"""The params of a sweep's trials as columns of numbers, one for each parameter that varies.

Reads: nested params, and the sweep config for which parameters live on a log scale.  Gives: arrays.  A parameter that
is absent from some trials (a condition did not hold) has a column all the same; which trials have it is told beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["ParameterColumn", "columns_of", "flat"]

_LARGEST: Final = 1e300
"""Above this a number cannot be scaled; such values count as names."""


@dataclass(frozen=True)
class ParameterColumn:
    """One parameter over trials."""

    name: str
    """With dots where it is nested."""
    numbers: NDArray[np.float64] | None
    """Its values where it is present, NaN elsewhere; None for a categorical parameter."""
    labels: tuple[str | None, ...]
    """Of a categorical parameter its values as text, None where it is absent; else empty."""
    units: NDArray[np.float64]
    """Places in [0, 1], NaN where it is absent; a length stands for probability under an even draw."""
    present: NDArray[np.bool_]
    """Which trials have it."""


def flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted name, in order; an empty dict is a value."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        whole = f"{prefix}{name}"
        found.update(flat(value, f"{whole}.") if isinstance(value, Mapping) and value else {whole: value})
    return found


def columns_of(
    params: Sequence[Mapping[str, Any]], config: Mapping[str, Any]
) -> tuple[list[ParameterColumn], list[str]]:
    """The columns of what varies, by name, and the names of what has the same value wherever it is present.

    Args:
        params: Of each trial.
        config: The sweep's.
    """
    rows = [flat(one) for one in params]
    laws = dict(_laws(config.get("parameters")))
    columns, constants = [], []
    for name in sorted({name for row in rows for name in row}):
        values = [row.get(name, _ABSENT) for row in rows]
        if len({_label(value) for value in values if value is not _ABSENT}) < 2:
            constants.append(name)
        else:
            columns.append(_column(name, values, laws.get(name, {})))
    return columns, constants


def _column(name: str, values: Sequence[Any], law: Mapping[str, Any]) -> ParameterColumn:
    present = np.array([value is not _ABSENT for value in values])
    given = [value for value in values if value is not _ABSENT]
    if not (all(_is_number(value) for value in given) or all(isinstance(value, bool) for value in given)):
        labels = tuple(None if value is _ABSENT else _label(value) for value in values)
        order = {label: place for place, label in enumerate(dict.fromkeys(filter(None, labels)))}
        places = np.array([math.nan if label is None else order[label] for label in labels])
        return ParameterColumn(name, None, labels, (places + 0.5) / len(order), present)
    numbers = np.array([math.nan if value is _ABSENT else float(value) for value in values])
    return ParameterColumn(name, numbers, (), _units(numbers, present, law), present)


def _units(numbers: NDArray[np.float64], present: NDArray[np.bool_], law: Mapping[str, Any]) -> NDArray[np.float64]:
    """Where numbers lie between the smallest and the largest, on the scale that they were drawn on."""
    known = numbers[present]
    if "values" in law or set(known) <= {0.0, 1.0}:  # each of the list counts the same, however far apart they are
        listed = np.unique(known)
        return np.where(present, (np.searchsorted(listed, numbers) + 0.5) / len(listed), math.nan)
    if "log" in str(law.get("distribution", "")) and known.min() > 0:
        numbers, known = np.log(numbers), np.log(known)
    units: NDArray[np.float64] = (numbers - known.min()) / (known.max() - known.min())
    return units


def _laws(parameters: Any, prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What the config says of each parameter, by dotted name."""
    for name, law in parameters.items() if isinstance(parameters, Mapping) else ():
        if isinstance(law, Mapping):
            yield f"{prefix}{name}", law
            yield from _laws(law.get("parameters"), f"{prefix}{name}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def _label(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


_ABSENT: Final = object()
