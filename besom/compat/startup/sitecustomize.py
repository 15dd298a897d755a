"""Python runs this at its start under `besom exec`: `import wandb` gives besom.

besom itself is imported when somebody looks for wandb, so that other programs start as fast as ever.
A sitecustomize that this one hides, such as the system's, is run too.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Waiting:
    """Puts the stand-in's own finder in place at the first look for wandb."""

    def __init__(self) -> None:
        self._is_over = False

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if self._is_over or fullname.partition(".")[0] != "wandb":
            return None
        finder = self._finder()
        return finder and finder.find_spec(fullname, path, target)

    def find_distributions(self, context: Any = None) -> Any:
        name = getattr(context, "name", None)
        if self._is_over or (name is not None and name.lower() != "wandb"):
            return []
        finder = self._finder()
        return finder.find_distributions(context) if finder else []

    def _finder(self) -> Any:
        self._is_over = True  # it stays in sys.meta_path, over which Python may be iterating
        try:
            from besom.compat.finder import install
        except ImportError:
            sys.stderr.write(f"besom: {sys.executable} has no besom, so nothing stands in for wandb there\n")
            return None
        return install()


def _run_hidden() -> None:
    here = os.path.dirname(os.path.realpath(__file__))
    others = [folder for folder in sys.path if os.path.realpath(folder) != here]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        from importlib.util import module_from_spec

        spec.loader.exec_module(module_from_spec(spec))


sys.meta_path.insert(0, _Waiting())
_run_hidden()
