"""The environment in which every Python finds the stand-in for wandb: `startup/sitecustomize.py` on PYTHONPATH."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["with_stand_in"]


def with_stand_in(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment, with the folder first on PYTHONPATH; child processes inherit it."""
    ours = str(Path(__file__).parent / "startup")
    held = environment.get("PYTHONPATH")  # an empty part of it means the working directory
    others = [folder for folder in held.split(os.pathsep) if folder != ours] if held else []
    return {**environment, "PYTHONPATH": os.pathsep.join([ours, *others])}
