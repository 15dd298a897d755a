"""Filters and orders of runs, written as W&B's Api has them: Mongo's operators over fields of a run.

Reads: documents such as `{"config.lr": {"$lt": 0.1}}`, orders such as `-summary_metrics.loss`.
Gives: tests of one run's values, and the fields that they need.  Knows nothing of the store.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["MISSING", "Field", "Filter", "plain_filters", "read_field", "read_order", "sorted_by"]

MISSING: Final = object()
"""The value of a field that a run does not have."""

_COLUMNS: Final = {
    "id": "id", "name": "id", "display_name": "name", "displayName": "name", "state": "state", "tags": "tags",
    "created": "created", "created_at": "created", "createdAt": "created", "ended": "ended", "ended_at": "ended",
    "group": "group_name", "group_name": "group_name", "job_type": "job_type", "jobType": "job_type",
    "sweep": "sweep", "number": "number", "value": "value", "notes": "notes", "host": "host", "program": "program",
    "entity": "entity", "project": "project", "exit_code": "exit_code",
}  # fmt: skip
"""A run's name is its id, as in W&B; what people read is its display_name."""
_PARTS: Final = {"config": "config", "summary": "summary", "summary_metrics": "summary"}
_TIMES: Final = ("created", "ended")

Test = Callable[[Any], bool]
_ValueOf = Callable[["Field"], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a run, or a path into its config or summary."""

    part: str
    """"column", "config" or "summary"."""
    name: str

    def within(self, values: Mapping[str, Any]) -> Any:
        """What the path leads to; a name that has dots itself comes first."""
        found = _at(values, self.name)
        if found is MISSING and self.part == "config" and self.name.endswith(".value"):
            return _at(values, self.name.removesuffix(".value"))  # how W&B stores a config
        return found


class Filter:
    """A compiled filter.

    Raises:
        ValueError: an operator or a field that is none; names it and those that are.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.fields: set[Field] = set()
        self._test = self._all_of(document)

    def accepts(self, value_of: _ValueOf) -> bool:
        """Whether the run with these values is wanted."""
        return self._test(value_of)

    def _all_of(self, document: Any) -> Callable[[_ValueOf], bool]:
        if not isinstance(document, Mapping):
            raise ValueError(f"a filter is a dict of fields and conditions, not {document!r}")
        tests = [self._clause(str(name), wanted) for name, wanted in document.items()]
        return lambda value_of: all(test(value_of) for test in tests)

    def _clause(self, name: str, wanted: Any) -> Callable[[_ValueOf], bool]:
        if name == "$not":
            inner = self._all_of(wanted)
            return lambda value_of: not inner(value_of)
        if name in ("$and", "$or", "$nor"):
            if not isinstance(wanted, Sequence) or isinstance(wanted, str):
                raise ValueError(f"{name} takes a list of filters, not {wanted!r}")
            some = [self._all_of(one) for one in wanted]
            if name == "$and":
                return lambda value_of: all(one(value_of) for one in some)
            if name == "$or":
                return lambda value_of: any(one(value_of) for one in some)
            return lambda value_of: not any(one(value_of) for one in some)
        if name.startswith("$"):
            raise ValueError(f"{name} is no operator over filters; there are $and, $or, $nor and $not")
        field = read_field(name)
        self.fields.add(field)
        test = _condition(name, wanted, is_time=field.part == "column" and field.name in _TIMES)
        return lambda value_of: test(value_of(field))


def read_field(name: str) -> Field:
    """The field that a user means.

    Raises:
        ValueError: there is none of this name; names those that are.
    """
    part, _, rest = name.partition(".")
    if rest and part in _PARTS:
        return Field(_PARTS[part], rest)
    if name in _COLUMNS:
        return Field("column", _COLUMNS[name])
    raise ValueError(f"{name!r} is no field of a run; write config.NAME, summary_metrics.NAME or {', '.join(_COLUMNS)}")


def read_order(order: str) -> list[tuple[Field, bool]]:
    """The fields to sort by, and whether the largest comes first: `+created_at`, `-config.lr`, several with commas.

    Raises:
        ValueError: one is no field.
    """
    parts = [part.strip() for part in order.split(",")]
    try:
        return [(read_field(part.lstrip("+-")), part.startswith("-")) for part in parts]
    except ValueError as error:
        raise ValueError(f"order {order!r}: {error}") from None


def sorted_by(
    names: Sequence[str], orders: Sequence[tuple[Field, bool]], value_of: Callable[[str, Field], Any]
) -> list[str]:
    """The names in order; those without a value come last, and equals stay as they are."""
    found = list(names)
    for field, descending in reversed(orders):
        ranked = [(name, _rank(value_of(name, field))) for name in found]
        there = [(name, rank) for name, rank in ranked if rank is not None]
        there.sort(key=lambda pair: pair[1], reverse=descending)
        found = [name for name, _ in there] + [name for name, rank in ranked if rank is None]
    return found


def plain_filters(value: Any) -> Any:
    """The filter with times as text and tuples as lists, so that it can travel as JSON."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain_filters(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_filters(item) for item in value]
    if isinstance(value, re.Pattern):
        return value.pattern
    return value.item() if hasattr(value, "item") else value


def _at(values: Any, path: str) -> Any:
    if not isinstance(values, Mapping):
        return MISSING
    if path in values:
        return values[path]
    head, dot, rest = path.partition(".")
    while dot:
        if head in values and (found := _at(values[head], rest)) is not MISSING:
            return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return MISSING


def _condition(name: str, wanted: Any, *, is_time: bool) -> Test:
    if isinstance(wanted, Mapping) and any(str(key).startswith("$") for key in wanted):
        options = str(wanted.get("$options", ""))
        tests = [
            _operator(name, str(key), value, options, is_time=is_time)
            for key, value in wanted.items()
            if key != "$options"
        ]
        return lambda value: all(test(value) for test in tests)
    return _equals(_time(name, wanted) if is_time else wanted)


def _operator(name: str, operator: str, wanted: Any, options: str, *, is_time: bool) -> Test:
    if operator == "$not":
        inner = _condition(name, wanted, is_time=is_time)
        return lambda value: not inner(value)
    if operator == "$exists":
        return lambda value: (value is not MISSING) is bool(wanted)
    if operator == "$regex":
        return _matches(name, wanted, options)
    if operator in ("$in", "$nin"):
        if not isinstance(wanted, Sequence) or isinstance(wanted, str):
            raise ValueError(f"{name}: {operator} takes a list of values, not {wanted!r}")
        some = [_equals(_time(name, one) if is_time else one) for one in wanted]
        return lambda value: any(one(value) for one in some) is (operator == "$in")
    if is_time:
        wanted = _time(name, wanted)
    if operator in ("$eq", "$ne"):
        same = _equals(wanted)
        return same if operator == "$eq" else lambda value: not same(value)
    if operator in _COMPARE:
        holds = _COMPARE[operator]
        return lambda value: any(_comparable(one, wanted) and holds(one, wanted) for one in _each(value))
    known = "$eq $ne $gt $gte $lt $lte $in $nin $regex $exists $not"
    raise ValueError(f"{name}: {operator} is no operator; there are {known}")


_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$gt": lambda one, other: one > other,
    "$gte": lambda one, other: one >= other,
    "$lt": lambda one, other: one < other,
    "$lte": lambda one, other: one <= other,
}


def _equals(wanted: Any) -> Test:
    """Equal as in Mongo: None is also what is missing, and a list equals what it holds."""
    if wanted is None:
        return lambda value: value is MISSING or value is None

    def test(value: Any) -> bool:
        return any(isinstance(one, bool) is isinstance(wanted, bool) and bool(one == wanted) for one in _each(value))

    return test


def _matches(name: str, wanted: Any, options: str) -> Test:
    try:
        pattern = re.compile(wanted, re.IGNORECASE if "i" in options else 0)
    except (re.error, TypeError) as error:
        raise ValueError(f"{name}: $regex {wanted!r}: {error}") from None
    return lambda value: any(isinstance(one, str) and pattern.search(one) is not None for one in _each(value))


def _each(value: Any) -> list[Any]:
    return [value, *value] if isinstance(value, list) else [value]


def _comparable(one: Any, other: Any) -> bool:
    return any(
        isinstance(one, kind) and isinstance(other, kind) and isinstance(one, bool) is isinstance(other, bool)
        for kind in (int | float, str)
    )


def _time(name: str, wanted: Any) -> float | None:
    """Seconds since the epoch; ISO text without a zone is UTC, as in W&B."""
    if wanted is None or (isinstance(wanted, int | float) and not isinstance(wanted, bool)):
        return wanted
    try:
        moment = datetime.fromisoformat(wanted)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: {wanted!r} is no time; write 2025-01-31T12:00:00 or seconds") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _rank(value: Any) -> tuple[int, Any] | None:
    """What values of any kind sort by; None for what has no place."""
    if value is MISSING or value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, repr(value))
