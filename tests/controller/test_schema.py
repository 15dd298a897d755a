"""The JSON schema of sweep files: valid itself, and of one mind with the check."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from besom.controller import parse
from besom.controller.distributions import KINDS
from besom.controller.schema import json_schema
from besom.controller.stopping_config import RULES
from besom.controller.sweep_config import OWN_KEYS, MetricConfig, SweepConfig
from besom.controller.sweep_file import read_config
from besom.errors import ConfigError

from .test_sweep_config import MALFORMED

SCHEMA = json_schema()
BASE: dict[str, Any] = {
    "method": "random",
    "metric": {"name": "loss"},
    "parameters": {
        "lr": {"min": 0.0001, "max": 0.1},
        "layers": {"values": [1, 2, 3]},
        "batch_size": {"values": [16, 32]},
        "steps": {"min": 1, "max": 256},
        "optimizer": {"parameters": {"momentum": {"min": 0.0, "max": 1.0}}},
    },
}


def faults(config: Any) -> list[str]:
    return [fault.message for fault in jsonschema.Draft202012Validator(SCHEMA).iter_errors(config)]


def test_the_schema_is_one() -> None:
    """It is a schema of draft 2020-12, and speaks of every key."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) >= set(OWN_KEYS)
    assert all("title" in SCHEMA["properties"][key] for key in OWN_KEYS)


def shown(key: str) -> dict[str, Any]:
    """The example of a key, in a config in which it can be."""
    given = {name: value for name, value in BASE.items() if (key, name) != ("metrics", "metric")}
    return {**given, **read_config(str((SweepConfig.model_fields[key].examples or [""])[0]), key)}


def form(example: str) -> dict[str, Any]:
    return read_config(example, "example")


EXAMPLES: list[dict[str, Any]] = [
    *(shown(key) for key in OWN_KEYS),
    *({**BASE, "parameters": {"x": {"distribution": name, **form(kind.example)}}} for name, kind in KINDS.items()),
    *({**BASE, "early_terminate": form(rule.example)} for rule in RULES.values()),
    {**BASE, "parameters": {"a": {"parameters": {"b": {"values": [1], "when": {"c": 1}}, "c": {"value": 1}}}}},
    {**BASE, **{key: None for key in OWN_KEYS if key not in ("method", "parameters")}},
    {**BASE, "metric": {"name": "loss", **{key: None for key in MetricConfig.model_fields if key != "name"}}},
    {**BASE, "metric": {"name": "loss", "impute_while_running": False}},
    {**BASE, "early_terminate": {"type": "asha", "min_iter": None, "max_iter": None, "eta": None}},
]  # fmt: skip


@pytest.mark.parametrize("config", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_are_valid(config: dict[str, Any]) -> None:
    """What the models give as examples is accepted by the schema and by the check."""
    assert faults(config) == []
    parse(config)


UNSAYABLE = re.compile(
    "is not below|too far apart|sum to|has a number below 0|probabilities for|are of the logarithm|write a larger q"
    "|gives some steps|leaves no band|is not above min_iter|stands here twice|no finite number|not valid text|above 64"
    "|above 262144|is no text|no plain value|nested too deep|so no grid covers it|a grid tries each value"
    "|only constants|is no parameter|none of .*'s values|lacks |satisfies|at column|is no value of|a continuum"
    "|when: {} is empty|judged by one metric|is no metric of this sweep"
)
"""What a fault says that lies between values, or that only the whole space shows."""


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a config, the whole aside."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*path, key)
        yield from paths(inner, (*path, key))


def mutated(config: dict[str, Any], changes: list[tuple[int, Any]]) -> dict[str, Any]:
    """The config with other values in some places; GONE takes one out."""
    changed = copy.deepcopy(config)
    for number, value in changes:
        if not (places := list(paths(changed))):
            break
        *leading, last = places[number % len(places)]
        inner = changed
        for key in leading:
            inner = inner[key]
        if value is GONE:
            inner.pop(last)
        else:
            inner[last] = copy.deepcopy(value)
    return changed


GONE = object()
VALUES = [None, True, 0, 1, -1, 1.0, 2.5, 1e30, "x", "1", "", "90s", "grid", [], [1, 2], {}, {"a": 1}]
BASES = [*EXAMPLES, *(written for written, *_ in MALFORMED if isinstance(written, dict) and len(str(written)) < 2000)]
CHANGES = st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from([GONE, GONE, GONE, *VALUES])), max_size=2)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(BASES), CHANGES)
def test_the_schema_and_the_check_agree(base: dict[str, Any], changes: list[tuple[int, Any]]) -> None:
    """What the check accepts, an editor does not mark; what it refuses is marked, but for what no schema can say."""
    config = mutated(base, changes)
    marked = faults(config)
    try:
        parse(config)
    except ConfigError as error:
        told = str(error).split("\n")
        assert marked or any(UNSAYABLE.search(line) for line in told), told
    else:
        assert marked == []
