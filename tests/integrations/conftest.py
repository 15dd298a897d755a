"""Tests with real libraries, in the venv of `make test-integrations`; other runs do not even import them."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A module here may import its library at its head."""
    if collection_path.suffix == ".py" and config.option.markexpr != "integrations":
        return True
    return None
