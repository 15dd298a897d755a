"""The JSON schema of sweep files: valid itself, and of one mind with the check."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from besom.controller import parse
from besom.controller.distributions import KINDS
from besom.controller.schema import json_schema
from besom.controller.stopping_config import RULES
from besom.controller.sweep_config import OWN_KEYS, SweepConfig
from besom.controller.sweep_file import read_config

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
]  # fmt: skip


@pytest.mark.parametrize("config", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_are_valid(config: dict[str, Any]) -> None:
    """What the models give as examples is accepted by the schema and by the check."""
    assert faults(config) == []
    parse(config)


def test_the_schema_marks_most_faults() -> None:
    """Of the configs that the check refuses, an editor with the schema marks more than two thirds by their shape."""
    shaped = [written for written, *_ in MALFORMED if isinstance(written, dict)]
    marked = sum(bool(faults(written)) for written in shaped)
    assert marked > 2 / 3 * len(shaped)
