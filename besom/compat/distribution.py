"""An installed wandb, as far as `importlib.metadata` and requirement checks look."""

from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from besom.compat.finder import VERSION

__all__ = ["StandInDistribution"]


class StandInDistribution(Distribution):
    """Name and version, and no file."""

    def read_text(self, filename: str) -> str | None:
        """Its METADATA."""
        if filename == "METADATA":
            return f"Metadata-Version: 2.1\nName: wandb\nVersion: {VERSION}\nSummary: besom stands in for it\n"
        return None

    def locate_file(self, path: Any) -> Any:
        """Where a file of it would be."""
        return Path(__file__).parent / path
