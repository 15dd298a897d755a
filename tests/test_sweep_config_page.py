"""The reference page of the sweep config is what the models say now."""

from __future__ import annotations

import runpy
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "docs"


def test_the_page_is_current() -> None:
    """docs/sweep-config.md is what docs/sweep_config_page.py writes; run it after changing a model."""
    page = runpy.run_path(str(FOLDER / "sweep_config_page.py"))["page"]()
    assert (FOLDER / "sweep-config.md").read_text(encoding="utf-8") == page
