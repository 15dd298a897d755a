"""The part of the conformance with wandb that needs torch or plotly: tensors in rows, watch, figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from besom.tracking.store.store import Store
from tests.conformance import cases_log, cases_media, cases_run, cases_torch
from tests.conformance.bench import Case, cases_in
from tests.conformance.besom_side import play
from tests.conformance.conftest import quiet as quiet
from tests.conformance.conftest import shared_store as shared_store
from tests.conformance.recorded import assert_as_recorded

pytestmark = pytest.mark.integrations

CASES = cases_in(cases_torch) | {
    name: case for name, case in cases_in(cases_run, cases_log, cases_media).items() if hasattr(case, "needs")
}


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=list(CASES))
def test_case(name: str, case: Case, shared_store: Store, tmp_path: Path, quiet: None) -> None:
    """Besom gives and leaves what wandb gives and leaves, but for the parts that the list names."""
    for package in getattr(case, "needs", ()):
        pytest.importorskip(package)
    assert_as_recorded(name, play(case, tmp_path, shared_store))
