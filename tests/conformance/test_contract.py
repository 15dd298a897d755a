"""What wandb does and what besom does, case by case; where they differ, docs/wandb-differences.md says so and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from besom.tracking.store.store import Store
from tests.conformance import cases_log, cases_media, cases_run, cases_torch
from tests.conformance.bench import Case, cases_in
from tests.conformance.besom_side import play
from tests.conformance.recorded import LISTED, RECORD, assert_as_recorded

CASES = {name: case for name, case in cases_in(cases_run, cases_log, cases_media).items() if not hasattr(case, "needs")}
"""The others are in tests/integrations/test_contract.py."""


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=list(CASES))
def test_case(name: str, case: Case, shared_store: Store, tmp_path: Path, quiet: None) -> None:
    """Besom gives and leaves what wandb gives and leaves, but for the parts that the list names."""
    assert_as_recorded(name, play(case, tmp_path, shared_store))


def test_the_list_names_cases() -> None:
    """Every case in the list is recorded; every recorded case is still there."""
    every = cases_in(cases_run, cases_log, cases_media, cases_torch)
    assert set(RECORD["cases"]) == set(every)
    assert set(LISTED) <= set(every)
