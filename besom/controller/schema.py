"""The JSON schema of a sweep file, from the models that check it, so that editors complete and mark what one writes.

Knows nothing of what the keys mean beyond what the models say. It accepts whatever `besom check` does; what a schema
cannot say, such as that min is below max, is left to that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from besom.controller.distributions import KINDS
from besom.controller.durations import DURATION_PATTERN
from besom.controller.stopping_config import RULES
from besom.controller.sweep_config import IGNORED_KEYS, OWN_KEYS, MetricConfig, SweepConfig

__all__ = ["json_schema"]

Schema = dict[str, Any]

_NAMES: Final = {"pattern": r"^[A-Za-z_][A-Za-z0-9_.-]*(?!\n)$"}
_DURATION: Final[Schema] = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e9},
        {"type": "string", "pattern": f"^{DURATION_PATTERN}$"},
    ]
}
_BOUNDS: Final = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
"""What pydantic writes beside a choice of types, and what it is in a schema."""
_NEEDED: Final = {"sweep": ("method", "parameters"), "metric": ("name",), "rule": ("type",)}
"""Keys with which null is not the same as leaving them out."""
_BANDS: Final[list[Schema]] = [
    {"required": ["min_iter"], "properties": {"min_iter": {"type": "integer"}}},
    {"required": ["max_iter", "s"], "properties": {"max_iter": {"type": "integer"}, "s": {"type": "integer"}}},
]


def json_schema() -> Schema:
    """The schema, draft 2020-12."""
    schema = _of(SweepConfig)
    replaced: dict[str, Schema] = {
        "parameters": {"$ref": "#/$defs/parameters"},
        "early_terminate": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in RULES]},
        "timeout": _DURATION,
        "time_cap": _DURATION,
    }
    properties = {key: schema["properties"][key] for key in OWN_KEYS}
    for key, shape in replaced.items():
        properties[key] = {**{name: properties[key][name] for name in ("title", "description", "examples")}, **shape}
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "besom sweep",
        "type": "object",
        "properties": _nullable(properties, _NEEDED["sweep"])
        | {key: {"description": "Accepted and ignored."} for key in IGNORED_KEYS if key != "scheduler"}
        | {"scheduler": {"description": "Accepted and ignored.", "not": _engine("optuna", "ax")}},
        "required": schema["required"],
        "allOf": _between_keys(),
        "$defs": {"Objective": schema["$defs"]["Objective"], "MetricConfig": _metric()} | _parameters() | _rules(),
    }


def _engine(*names: str) -> Schema:
    return {"type": "object", "required": ["engine"], "properties": {"engine": {"enum": list(names)}}}


def _between_keys() -> list[Schema]:
    """What keys ask of each other."""
    metric = {"required": ["metric"], "properties": {"metric": {"type": "object"}}}
    metrics = {"required": ["metrics"], "properties": {"metrics": {"type": "array"}}}
    either = {"anyOf": [metric, metrics]}
    bayes = {"properties": {"method": {"const": "bayes"}}}
    rule = {"type": "object", "not": {"properties": {"type": {"const": "none"}}}}
    return [
        {"not": {"allOf": [metric, metrics]}},
        {"if": bayes, "then": either},
        {"if": {"required": ["early_terminate"], "properties": {"early_terminate": rule}}, "then": either},
    ]


def _metric() -> Schema:
    metric = _of(MetricConfig)
    impute = metric["properties"]["impute_while_running"]
    del impute["type"]
    impute["enum"].append(False)
    return metric | {"properties": _nullable(metric["properties"], _NEEDED["metric"])}


def _rules() -> dict[str, Schema]:
    rules = {name: _of(rule) for name, rule in RULES.items()}
    for rule in rules.values():
        rule["properties"] = _nullable(rule["properties"], _NEEDED["rule"])
    rules["hyperband"]["anyOf"] = _BANDS
    return rules


def _parameters() -> dict[str, Schema]:
    """The forms of a parameter, groups of them, and the mapping of names to these."""
    kinds = {name: _of(kind) for name, kind in KINDS.items()}
    for name, kind in KINDS.items():
        kinds[name]["required"] = [*([] if kind.inferred else ["distribution"]), *kinds[name].get("required", [])]
        kinds[name]["deprecated"] = bool(kind.deprecated)
    group = {
        "type": "object",
        "description": "Parameters that stand together under one name.",
        "properties": {"parameters": {"$ref": "#/$defs/parameters"}, "when": kinds["constant"]["properties"]["when"]},
        "required": ["parameters"],
        "additionalProperties": False,
    }
    parameters = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": _NAMES,
        "additionalProperties": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in (*KINDS, "group")]},
    }
    return {**kinds, "group": group, "parameters": parameters}


def _nullable(properties: Mapping[str, Schema], needed: Collection[str]) -> dict[str, Schema]:
    """With null for a key that is as good as left out."""
    return {key: one if key in needed else _or_null(one) for key, one in properties.items()}


def _or_null(shape: Schema) -> Schema:
    told: Schema = {key: shape[key] for key in ("title", "description", "examples", "default") if key in shape}
    return {**told, "anyOf": [{key: shape[key] for key in shape if key not in told}, {"type": "null"}]}


def _of(model: type[BaseModel]) -> Schema:
    schema: Schema = _in_words_of_schemas(model.model_json_schema(mode="validation"))
    return schema


def _in_words_of_schemas(part: Any) -> Any:
    if isinstance(part, list):
        return [_in_words_of_schemas(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {_BOUNDS.get(key, key): _in_words_of_schemas(value) for key, value in part.items()}
