from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from besom.compat.finder import install, remove


@pytest.fixture
def stand_in() -> Iterator[None]:
    """`import wandb` gives besom in this test, and as before after it."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "wandb"}
    finders = list(sys.meta_path)
    remove()
    install()
    yield
    remove()
    sys.meta_path[:] = finders
    sys.modules.update(before)
