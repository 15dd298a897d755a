"""Changes to other people's modules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from besom.tracking.run.patches import Patches, Undo, replaced

NAME = "besom_patched_module"


@pytest.fixture
def patches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patches]:
    """One that makes `answer()` of a module 42."""
    (tmp_path / f"{NAME}.py").write_text("def answer():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def patch(module: ModuleType) -> Undo:
        return replaced(module, "answer", lambda _: lambda: 42)

    made = Patches({NAME: patch})
    yield made
    made.undo()
    sys.modules.pop(NAME, None)


def imported() -> Any:
    return importlib.import_module(NAME)


def test_a_module_that_is_here(patches: Patches) -> None:
    """It is changed at once, once however often that is asked for, and as before afterwards."""
    module = imported()
    real = module.answer
    patches.apply()
    patches.apply()
    assert module.answer() == 42
    patches.undo()
    assert module.answer is real
    assert patches not in sys.meta_path


def test_a_module_that_comes_later(patches: Patches) -> None:
    """It is changed when it is imported; one imported after the end is not."""
    patches.apply()
    assert imported().answer() == 42
    patches.undo()
    assert imported().answer() == 1
    del sys.modules[NAME]
    assert imported().answer() == 1


def test_another_change_on_top(patches: Patches) -> None:
    """What somebody else has put over ours stays."""
    module = imported()
    patches.apply()
    module.answer = lambda: 7
    patches.undo()
    assert module.answer() == 7


def test_a_module_that_there_is_not() -> None:
    """Its import fails as ever."""
    patches = Patches({"besom_no_such_module": lambda _: lambda: None})
    patches.apply()
    try:
        with pytest.raises(ModuleNotFoundError, match="besom_no_such_module"):
            importlib.import_module("besom_no_such_module")
    finally:
        patches.undo()
