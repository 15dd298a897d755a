"""What wandb does and what besom does, case by case; where they differ, docs/wandb-differences.md says so and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from besom.tracking.store import Store
from tests.conformance import cases_log, cases_media, cases_run
from tests.conformance.bench import Case, cases_in, is_missing
from tests.conformance.besom_side import play
from tests.conformance.compare import differences, listed

ROOT = Path(__file__).parents[2]
RECORD: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "wandb_contract.json").read_text(encoding="utf-8"))
LISTED = listed((ROOT / "docs" / "wandb-differences.md").read_text(encoding="utf-8"))
CASES = {name: case for name, case in cases_in(cases_run, cases_log, cases_media).items() if not is_missing(case)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all cases; each takes its runs away again."""
    opened = Store.open(f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db")
    yield opened
    opened.close()


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=list(CASES))
def test_case(name: str, case: Case, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Besom gives and leaves what wandb gives and leaves, but for the parts that the list names."""
    monkeypatch.setenv("BESOM_CONSOLE", "off")
    monkeypatch.setenv("BESOM_DISABLE_STATS", "true")
    monkeypatch.setenv("BESOM_DISABLE_GIT", "true")
    found = differences(RECORD["cases"][name], play(case, tmp_path, store))
    unexpected = {part: pair for part, pair in found.items() if part not in LISTED.get(name, set())}
    assert unexpected == {}, "wandb first, besom second"
    assert LISTED.get(name, set()) == found.keys(), "listed as different, and it is not"


def test_the_list_names_cases() -> None:
    """Every case in the list is recorded; every recorded case is still there."""
    from tests.conformance import cases_torch

    every = cases_in(cases_run, cases_log, cases_media, cases_torch)
    assert set(RECORD["cases"]) == set(every)
    assert set(LISTED) <= set(every)
