"""What wandb was seen to do, and what docs/wandb-differences.md says that besom does otherwise."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.conformance.compare import differences

_ROOT = Path(__file__).parents[2]
RECORD: dict[str, Any] = json.loads((_ROOT / "tests" / "data" / "wandb_contract.json").read_text(encoding="utf-8"))


def _listed(text: str) -> dict[str, set[str]]:
    """Case to the parts of it that differ, as `case.part` in the first cell of a row."""
    cells = "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    found: dict[str, set[str]] = {}
    for name, part in re.findall(r"`([a-z0-9_]+)\.([a-z_]+)`", cells):
        found.setdefault(name, set()).add(part)
    return found


LISTED = _listed((_ROOT / "docs" / "wandb-differences.md").read_text(encoding="utf-8"))


def assert_as_recorded(name: str, ours: dict[str, Any]) -> None:
    """Besom did in this case what wandb did, but for the parts that are listed, which must differ."""
    found = differences(RECORD["cases"][name], ours)
    listed = LISTED.get(name, set())
    assert {part: pair for part, pair in found.items() if part not in listed} == {}, "wandb first, besom second"
    assert listed == found.keys(), "listed as different, and it is not"
