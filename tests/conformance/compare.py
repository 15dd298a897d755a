"""Where wandb's record of a case and what besom did differ, part by part.

What cannot be the same is taken out first: times, random ids, how a file was packed, where wandb keeps a copy of a
table, and the names of its own artifacts.
"""

from __future__ import annotations

import math
import re
from typing import Any

PARTS = ("seen", "error", "history", "summary", "config", "metrics", "about", "exit_code", "files")
_OURS = {"BesomError": "Error", "FinishedRun": "UsageError"}
_PACKED = ("sha256", "size", "artifact_path", "_latest_artifact_path", "log_mode")
_HEX = re.compile(r"_[0-9a-f]{20}\.")


def differences(wandb: dict[str, Any], besom: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Part to what wandb and what besom has there."""
    found = {}
    for part in PARTS:
        theirs, ours = (_part(record, part) for record in (wandb, besom))
        if part == "seen":
            theirs = _errors(theirs, ours)
        if not _equal(theirs, ours):
            found[part] = (theirs, ours)
    return found


def _part(record: dict[str, Any], part: str) -> Any:
    if part in ("seen", "error"):
        return record[part]
    return [_comparable(part, run[part]) for run in record["runs"]]


def _comparable(part: str, value: Any) -> Any:
    if part == "history":
        return [_plain(row) for row in value]
    if part == "summary":
        return {name: held for name, held in _plain(value).items() if name != "_step"}
    if part == "about":
        told = dict(value)
        told["name"] = "" if told["name"] == told["id"] else told["name"]  # what a run without a name is called
        told["id"] = "drawn" if re.fullmatch(r"[a-z0-9]{8}", told["id"]) else told["id"]
        return told
    if part == "metrics":
        return _definitions(value)
    return _plain(value)


def _definitions(told: list[dict[str, Any]]) -> dict[str, Any]:
    """What definitions say together: a later one adds to an earlier of its name, unless it overwrites it."""
    found: dict[str, Any] = {}
    for one in told:
        name, old = one["name"], {} if one.get("overwrite") else found.get(one["name"], {})
        found[name] = {
            "step_metric": one["step_metric"] or old.get("step_metric", ""),
            "step_sync": one["step_sync"] or old.get("step_sync", False),
            "hidden": one["hidden"] or old.get("hidden", False),
            "summary": sorted({*one["summary"], *old.get("summary", ())}),
        }
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(held) for name, held in value.items() if not (name in _PACKED and "_type" in value)}
    if isinstance(value, list):
        return [_plain(held) for held in value]
    return _HEX.sub("_0.", value) if isinstance(value, str) else value


def _errors(theirs: Any, ours: Any) -> Any:
    """Errors in wandb's place by ours where ours is of the same class or of one below it."""
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return [_errors(one, other) for one, other in zip(theirs, ours, strict=True)]
    if isinstance(theirs, str) and isinstance(ours, str) and theirs.endswith(" Exception") and ours:
        names = {_OURS.get(name, name) for name in ours.split()}
        return ours if theirs.split()[0] in names else theirs
    return theirs


def _same_edges(one: list[float], other: list[float]) -> bool:
    """Equal by the measure of the whole range: an edge near 0 that was counted in float32 has few exact digits."""
    near = 1e-6 * max(1e-6, one[-1] - one[0])
    return len(one) == len(other) and all(abs(a - b) <= near for a, b in zip(one, other, strict=True))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            (_same_edges if name == "bins" else _equal)(one[name], other[name]) for name in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_equal(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-12)
    return bool(one == other)
