"""Finds `wandb` and its modules for Python's import, and its distribution for `importlib.metadata`.

Libraries look for wandb by import, by `find_spec` and by its installed version; all three find the stand-in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["VERSION", "Finder", "install", "remove"]

VERSION: Final = "0.28.0"
"""The wandb whose behaviour the stand-in follows."""


class _StandInLoader(Loader):
    """Makes the modules that `Finder` finds."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module, its content still to be looked up."""
        from besom.compat.modules import StandIn

        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to be done."""


class Finder:
    """Stands first in `sys.meta_path`, so that it comes before an installed wandb."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The stand-in's spec, for `wandb` and for the modules of it that there are."""
        if fullname.partition(".")[0] != "wandb":
            return None
        from besom.compat.modules import MODULES

        if fullname not in MODULES:
            raise ModuleNotFoundError(f"besom stands in for wandb and has no {fullname}", name=fullname)
        return ModuleSpec(fullname, _StandInLoader(), origin=__file__, is_package=True)

    def find_distributions(self, context: Any = None) -> Iterable[Distribution]:
        """wandb's, when it is asked for or all are."""
        if context is None or context.name is None or context.name.lower() == "wandb":
            from besom.compat.distribution import StandInDistribution

            yield StandInDistribution()


def install() -> Finder:
    """Make the stand-in importable; once is enough.

    Libraries choose a run's project by WANDB_PROJECT and a default of their own, so BESOM_PROJECT must stand there too.
    """
    if project := os.environ.get("BESOM_PROJECT"):
        os.environ.setdefault("WANDB_PROJECT", project)
    for finder in sys.meta_path:
        if isinstance(finder, Finder):
            return finder
    made = Finder()
    sys.meta_path.insert(0, made)
    return made


def remove() -> None:
    """Take the stand-in away again, its modules too."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Finder)]
    for name in [name for name in sys.modules if name.partition(".")[0] == "wandb"]:
        del sys.modules[name]
