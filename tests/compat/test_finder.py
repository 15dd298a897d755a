"""How libraries look for wandb, and that they find the stand-in."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from besom.compat.finder import VERSION, Finder, install, remove


@pytest.mark.usefixtures("stand_in")
def test_find_spec() -> None:
    """Before and after the import there is a spec, of a package, as transformers and accelerate ask."""
    assert importlib.util.find_spec("wandb") is not None
    module = importlib.import_module("wandb")
    spec = importlib.util.find_spec("wandb")
    assert spec is module.__spec__
    assert module.__path__ == []
    assert module.__version__ == VERSION
    assert importlib.util.find_spec("wandb.sdk.lib") is not None


@pytest.mark.usefixtures("stand_in")
def test_the_distribution() -> None:
    """A requirement such as Lightning's is satisfied by what importlib.metadata tells."""
    found = importlib.metadata.distribution("wandb")
    assert found.metadata["Name"] == "wandb"
    assert found.version in Requirement("wandb>=0.12.10").specifier
    assert importlib.metadata.version("wandb") == VERSION
    assert "wandb" in {one.metadata["Name"] for one in importlib.metadata.distributions()}
    assert importlib.metadata.version("numpy")  # others are found as ever


@pytest.mark.usefixtures("stand_in")
def test_it_goes_away_again() -> None:
    """Installed twice it is there once; removed it is gone with its modules."""
    importlib.import_module("wandb.sdk")
    install()
    assert sum(isinstance(finder, Finder) for finder in sys.meta_path) == 1
    remove()
    assert not any(isinstance(finder, Finder) for finder in sys.meta_path)
    assert not any(name.startswith("wandb") for name in sys.modules)


@pytest.mark.parametrize(("held", "wanted"), [(None, "ours"), ("theirs", "theirs")])
def test_the_project_is_where_libraries_look(held: str | None, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers and Lightning read WANDB_PROJECT before they fall back to a name of their own."""
    monkeypatch.setenv("WANDB_PROJECT", "later undone")
    monkeypatch.delenv("WANDB_PROJECT")
    monkeypatch.setenv("BESOM_PROJECT", "ours")
    if held:
        monkeypatch.setenv("WANDB_PROJECT", held)
    finders = list(sys.meta_path)
    install()
    sys.meta_path[:] = finders
    assert os.environ["WANDB_PROJECT"] == wanted


def test_importing_the_module_is_enough() -> None:
    """After `import besom.compat.wandb` an earlier import of wandb does not stand in the way."""
    code = (
        "import sys, types; sys.modules['wandb'] = types.ModuleType('wandb'); import besom.compat.wandb; "
        "import besom.compat.wandb as named; "
        "import wandb, besom; assert wandb is named; assert wandb.log is besom.log"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
