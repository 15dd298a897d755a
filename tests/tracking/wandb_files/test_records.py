"""Records as entries; real files as wandb's own message classes read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from besom.tracking.wandb_files.facts import read_facts
from besom.tracking.wandb_files.log import LogFile
from besom.tracking.wandb_files.records import apply_changes, nested, read_entries, value_of
from tests.conformance.bench import plain_json

from .writing import ended, message, row, run, write

SAMPLES = Path(__file__).parents[2] / "data" / "wandb_samples"
TOLD: dict[str, dict[str, Any]] = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))
"""What wandb's own classes found in each (`make contract-record`)."""


@pytest.mark.parametrize("kind", sorted(TOLD))
def test_real_files(kind: str) -> None:
    """History, summary, config, definitions, names and exit code are what wandb itself reads in its files."""
    file = LogFile(SAMPLES / TOLD[kind]["file"])
    found: dict[str, Any] = {"history": [], "summary": {}, "config": {}, "metrics": 0}
    for entry in read_entries(file):
        if entry.kind == "history":
            values: dict[str, Any] = {}
            for item in entry.fields["item"]:
                nested(values, item, value_of(item))
            found["history"].append(values)
        elif entry.kind in ("config", "summary"):
            apply_changes(found[entry.kind], entry.fields)
        elif entry.kind == "run":
            apply_changes(found["config"], entry.fields.get("config", {}))
        elif entry.kind == "metric":
            found["metrics"] += 1
    for part in (found["summary"], found["config"], *found["history"]):
        for name in ("_timestamp", "_runtime", "_wandb"):
            part.pop(name, None)
    told = TOLD[kind]
    assert plain_json(found) == {
        **{part: told[part] for part in ("history", "summary", "config")},
        "metrics": len(told["metrics"]),
    }
    facts = read_facts(file)
    assert (facts.exit_code, facts.id, facts.name, sorted(facts.tags)) == (
        told["exit_code"], told["about"]["id"], told["about"]["name"], told["about"]["tags"],
    )  # fmt: skip


def test_the_surroundings_of_a_real_run() -> None:
    """Start, version, machine, program and git are those of the recording."""
    facts = read_facts(LogFile(SAMPLES / TOLD["everything"]["file"]))
    info = facts.started_event().info()
    assert facts.started > 1.7e9
    assert (info["project"], info["entity"], info["group"], info["host"]) == ("digits", "lab", "folds", "lab")
    metadata = info["metadata"]
    assert metadata["args"] == ["everything", "--rate=3", "--api-key=***"]
    assert metadata["git"]["remote"] == "https://example.org/lab/train.git"
    assert len(metadata["git"]["commit"]) == 40
    assert metadata["wandb"] == {"version": "0.31.0"}
    assert set(info["texts"]) == {"packages"}


def test_typed_values(tmp_path: Path) -> None:
    """Values in the fields that newer definitions have for each type."""
    typed = [
        {1: "none", 3: 0}, {1: "flag", 4: 1}, {1: "whole", 5: 5}, {1: "real", 6: 0.5}, {1: "text", 7: "x"},
        {1: "list", 8: "[1, NaN]"},
    ]  # fmt: skip
    file = LogFile(write(tmp_path, [message({2: {1: typed}})]))
    (entry,) = read_entries(file)
    values = {item["key"]: value_of(item) for item in entry.fields["item"]}
    assert repr(values) == "{'none': None, 'flag': True, 'whole': -3, 'real': 0.5, 'text': 'x', 'list': [1, nan]}"


def test_a_record_that_cannot_be_read(tmp_path: Path) -> None:
    """It is left out and said; those around it are given, with their places."""
    file = LogFile(write(tmp_path, [run(), b"\x12\x05ab", message({2: 5}), row(0), ended()]))
    assert [(entry.place, entry.kind) for entry in read_entries(file)] == [(1, "run"), (4, "history"), (5, "exit")]
    assert [problem.partition(":")[0] for problem in file.damage] == [
        "record 2 cannot be read",
        "record 3 cannot be read",
    ]


def test_changes() -> None:
    """Nested names are set and removed by themselves; JSON that is none is left out."""
    held: dict[str, Any] = {"a": {"b": 1, "c": 2}, "d": 3}
    update = [{"nested_key": ["a", "b"], "value_json": "5"}, {"key": "e", "value_json": "{"}]
    apply_changes(held, {"update": update, "remove": [{"nested_key": ["a", "c"]}, {"key": "d"}, {"key": "gone"}]})
    assert held == {"a": {"b": 5}}
