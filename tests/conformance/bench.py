"""Where a case runs: one module, wandb or besom, in a folder of its own, and what is seen of it.

Knows neither of the two modules; who runs cases hands one in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

Case = Callable[["Bench"], Any]


class Bench:
    """What a case is given.

    Args:
        module: `wandb`, or `besom`.
        folder: Empty, and the working directory.
    """

    def __init__(self, module: ModuleType, folder: Path) -> None:
        self.w: Any = module
        self.folder = folder
        self.runs: list[Any] = []

    def init(self, **arguments: Any) -> Any:
        """`init` in offline mode; the run is finished at the case's end at the latest."""
        named = {"mode": "offline", "project": "contract", "entity": "me", "dir": str(self.folder), **arguments}
        run = self.w.init(**named)
        if not any(run is one for one in self.runs):
            self.runs.append(run)
        return run

    def raised(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
        """Names of what a call raises, the class first, then its bases; '' when it raises nothing."""
        try:
            call(*arguments, **named)
        except Exception as error:
            return _names(error)
        return ""

    def outcome(self, call: Callable[[], Any]) -> Any:
        """What a call gives, or names of what it raises."""
        try:
            return call()
        except Exception as error:
            return _names(error)

    def finish(self) -> None:
        """End what the case left open."""
        for run in self.runs:
            run.finish()


def _names(error: Exception) -> str:
    return " ".join(kind.__name__ for kind in type(error).__mro__ if kind not in (object, BaseException))


def cases_in(*modules: ModuleType) -> dict[str, Case]:
    """The cases of these modules by name: their public functions, in order."""
    found: dict[str, Case] = {}
    for module in modules:
        for name, value in vars(module).items():
            if callable(value) and getattr(value, "__module__", "") == module.__name__ and not name.startswith("_"):
                if name in found:
                    raise AssertionError(f"two cases are called {name}")
                found[name] = value
    return found


def needs(*packages: str) -> Callable[[Case], Case]:
    """Mark a case that only runs where these packages are."""

    def mark(case: Case) -> Case:
        case.needs = packages  # type: ignore[attr-defined]
        return case

    return mark


def plain_json(value: Any) -> Any:
    """A value as the record holds it: NaN and infinities as texts, tuples as lists, anything else by its repr."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"_float": repr(value)}
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, dict):
        return {str(name): plain_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    return repr(value)
