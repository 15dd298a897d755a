"""The records of a `.wandb` file: which field has which number, and what is told by each.

The numbers are those of wandb's own message definitions (0.12 to 0.31), read off the package; records and fields that
say nothing about a run's content are not in the table, and are passed over.
Reads: `LogFile`.  Gives: `Entry`: a record's kind, place in the file and fields.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from besom.tracking.wandb_files.log import LogFile
from besom.tracking.wandb_files.wire import Field, Malformed, Schema, decode, numbers

__all__ = ["Entry", "apply_changes", "nested", "read_entries", "seconds_of", "value_of"]


def _message(name: str, schema: Schema, *, many: bool = False) -> Field:
    return Field(name, "message", schema, many)


_TIME: Final[Schema] = {1: Field("seconds", "int"), 2: Field("nanos", "int")}
_ITEM: Final[Schema] = {1: Field("key"), 2: Field("nested_key", many=True), 16: Field("value_json")}
_CHANGES: Final[Schema] = {1: _message("update", _ITEM, many=True), 2: _message("remove", _ITEM, many=True)}
# A value of history is JSON up to 0.2x; the typed fields 3 to 8 are what later definitions add.
_HISTORY_ITEM: Final[Schema] = _ITEM | {
    3: Field("none", "int"), 4: Field("boolean", "bool"), 5: Field("integer", "sint"),
    6: Field("number", "double"), 7: Field("text"), 8: Field("json"),
}  # fmt: skip
_HISTORY: Final[Schema] = {
    1: _message("item", _HISTORY_ITEM, many=True),
    2: _message("step", {1: Field("num", "int")}),
}
_OUTPUT: Final[Schema] = {1: Field("stream", "int"), 2: _message("time", _TIME), 3: Field("line")}
_STATS: Final[Schema] = {2: _message("time", _TIME), 3: _message("item", _ITEM, many=True)}
_GIT: Final[Schema] = {1: Field("remote"), 2: Field("commit")}
_TELEMETRY: Final[Schema] = {4: Field("python"), 5: Field("cli")}
_RUN: Final[Schema] = {
    1: Field("id"), 2: Field("entity"), 3: Field("project"), 4: _message("config", _CHANGES),
    5: _message("summary", _CHANGES), 6: Field("group"), 7: Field("job_type"), 8: Field("name"), 9: Field("notes"),
    10: Field("tags", many=True), 12: Field("sweep"), 13: Field("host"), 14: Field("starting_step", "int"),
    17: _message("start_time", _TIME), 19: _message("telemetry", _TELEMETRY), 21: _message("git", _GIT),
}  # fmt: skip
_EXIT: Final[Schema] = {1: Field("exit_code", "int"), 2: Field("runtime", "int")}
_METRIC: Final[Schema] = {
    1: Field("name"), 2: Field("glob"), 4: Field("step_metric"),
    6: _message("options", {1: Field("step_sync", "bool"), 2: Field("hidden", "bool")}),
    7: _message("summary", {
        1: Field("min", "bool"), 2: Field("max", "bool"), 3: Field("mean", "bool"), 5: Field("last", "bool"),
        6: Field("none", "bool"), 8: Field("first", "bool"),
    }),
    9: _message("control", {1: Field("overwrite", "bool")}),
    10: Field("is_expanded", "bool"),
}  # fmt: skip
_FILE: Final[Schema] = {1: Field("path"), 2: Field("policy", "int"), 3: Field("type", "int")}
_CONTENT: Final[Schema] = {
    1: Field("path"), 2: Field("digest"), 3: Field("ref"), 4: Field("size", "int"), 6: Field("local_path"),
}  # fmt: skip
_MANIFEST: Final[Schema] = {4: _message("contents", _CONTENT, many=True), 5: Field("file")}
_ARTIFACT: Final[Schema] = {
    4: Field("type"), 5: Field("name"), 7: Field("description"), 8: Field("metadata"),
    11: Field("aliases", many=True), 12: _message("manifest", _MANIFEST),
}  # fmt: skip
_GPU: Final[Schema] = {1: Field("name")}
_ENVIRONMENT: Final[Schema] = {
    1: Field("os"), 2: Field("python"), 5: Field("args", many=True), 6: Field("program"), 9: _message("git", _GIT),
    12: Field("host"), 14: Field("executable"), 17: Field("cpu_count", "int"), 24: _message("gpus", _GPU, many=True),
}  # fmt: skip

_RECORDS: Final[dict[int, tuple[str, Schema]]] = {
    2: ("history", _HISTORY), 3: ("summary", _CHANGES), 4: ("output", _OUTPUT), 5: ("config", _CHANGES),
    6: ("files", {1: _message("files", _FILE, many=True)}), 7: ("stats", _STATS), 8: ("artifact", _ARTIFACT),
    10: ("alert", {1: Field("title"), 2: Field("text"), 3: Field("level")}),
    12: ("metric", _METRIC), 13: ("output", _OUTPUT), 17: ("run", _RUN), 18: ("exit", _EXIT),
    26: ("environment", _ENVIRONMENT),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One record that tells something of a run."""

    place: int
    """Which record of the file it is, from 1."""
    kind: str
    fields: dict[str, Any]


def read_entries(file: LogFile, kinds: Collection[str] | None = None) -> Iterator[Entry]:
    """The records of these kinds in order, all known ones by default; one that cannot be read is left out and said."""
    for place, content in enumerate(file.records(), 1):
        try:
            number = next((one for one in numbers(content) if one in _RECORDS), None)
            if number is None:
                continue
            kind, schema = _RECORDS[number]
            if kinds is None or kind in kinds:
                yield Entry(place, kind, decode(content, {number: _message("it", schema)})["it"])
        except Malformed as error:
            file.damage.append(f"record {place} cannot be read: {error}")


def seconds_of(time: Mapping[str, int] | None) -> float | None:
    """Seconds since the epoch."""
    return None if time is None else time.get("seconds", 0) + time.get("nanos", 0) / 1e9


def value_of(item: Mapping[str, Any]) -> Any:
    """The value in an item of history, summary, config or stats; NaN and infinities are numbers.

    Raises:
        ValueError: its JSON is none.
    """
    for name in ("boolean", "integer", "number", "text"):
        if name in item:
            return item[name]
    text = item.get("value_json") or item.get("json")
    return json.loads(text) if text else None


def nested(target: dict[str, Any], item: Mapping[str, Any], value: Any) -> None:
    """Put a value where its key says: `key`, or the path of `nested_key`."""
    *path, last = item.get("nested_key") or [item.get("key", "")]
    for name in path:
        inner = target.get(name)
        if not isinstance(inner, dict):
            inner = target[name] = {}
        target = inner
    target[last] = value


def apply_changes(held: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Apply a record of config or summary; items whose JSON is none are left out."""
    for item in changes.get("update", ()):
        try:
            nested(held, item, value_of(item))
        except ValueError:
            continue
    for item in changes.get("remove", ()):
        *path, last = item.get("nested_key") or [item.get("key", "")]
        inside: Any = held
        for name in path:
            inside = inside.get(name) if isinstance(inside, dict) else None
        if isinstance(inside, dict):
            inside.pop(last, None)
