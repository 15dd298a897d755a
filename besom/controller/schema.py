"""The JSON schema of a sweep file, from the models that check it, so that editors complete and mark what one writes.

Knows nothing of what the keys mean beyond what the models say. What a schema cannot say, such as that min is below
max, is left to `besom check`.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from besom.controller.distributions import KINDS
from besom.controller.stopping_config import RULES
from besom.controller.sweep_config import SweepConfig

__all__ = ["json_schema"]

_NAMES = {"pattern": r"^[A-Za-z_][A-Za-z0-9_.-]*$"}
_DURATION: dict[str, Any] = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]}
_IGNORED = ("apiVersion", "controller", "image_uri", "job", "kind", "scheduler", "settings")
"""Keys of W&B that are accepted without effect."""


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    schema = _of(SweepConfig)
    properties = {key: value for key, value in schema["properties"].items() if key not in ("warnings", "written")}
    rules = [*({"$ref": f"#/$defs/{name}"} for name in RULES), {"type": "null"}]
    replaced: dict[str, dict[str, Any]] = {
        "parameters": {"$ref": "#/$defs/parameters"},
        "early_terminate": {"anyOf": rules},
    }
    shapes = {**replaced, "timeout": _DURATION, "time_cap": _DURATION}
    for key, shape in shapes.items():
        told = {name: properties[key][name] for name in ("title", "description", "examples")}
        properties[key] = {**told, **shape}
    kinds = {name: _of(kind) for name, kind in KINDS.items()}
    for name, kind in KINDS.items():
        kinds[name]["required"] = [*([] if kind.inferred else ["distribution"]), *kinds[name].get("required", [])]
        kinds[name]["deprecated"] = bool(kind.deprecated)
    group = {
        "type": "object",
        "description": "Parameters that stand together under one name.",
        "properties": {"parameters": {"$ref": "#/$defs/parameters"}, "when": {"type": ["object", "null"]}},
        "required": ["parameters"],
        "additionalProperties": False,
    }
    forms = [{"$ref": f"#/$defs/{name}"} for name in (*KINDS, "group")]
    parameters = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": _NAMES,
        "additionalProperties": {"anyOf": forms},
    }
    definitions = {**schema.get("$defs", {}), **kinds, **{name: _of(rule) for name, rule in RULES.items()}}
    for name in ("EarlyTerminate", "Group", "Parameter"):
        definitions.pop(name, None)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "besom sweep",
        "type": "object",
        "properties": properties | {key: {"description": "Accepted and ignored."} for key in _IGNORED},
        "required": schema["required"],
        "$defs": {**definitions, "group": group, "parameters": parameters},
    }


def _of(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="validation")
    for field in schema["properties"].values():
        if field.get("type") in (None, "object") and field.get("additionalProperties") is True:
            del field["additionalProperties"]
    return schema
