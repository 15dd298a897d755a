"""Changes to other people's modules: made when such a module is there or comes, and taken back together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["Patches", "replaced"]

Undo = Callable[[], None]


class Patches:
    """Stands first in `sys.meta_path` while applied, so that it sees modules that are imported later.

    Args:
        patches: By the name of a module, what changes it and gives what takes the change back.
    """

    def __init__(self, patches: Mapping[str, Callable[[ModuleType], Undo]]) -> None:
        self._patches = patches
        self._undo: list[Undo] = []

    def apply(self) -> None:
        """Change the modules that are here, and from now on those that are imported. Repeating it is harmless."""
        if self in sys.meta_path:
            return
        sys.meta_path.insert(0, self)
        for name in self._patches.keys() & sys.modules.keys():
            self._patch(sys.modules[name])

    def undo(self) -> None:
        """Leave everything as it was."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        while self._undo:
            self._undo.pop()()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As the finders after this one give it, with the change made once the module has been executed."""
        if fullname not in self._patches:
            return None
        others = (finder.find_spec(fullname, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((spec for spec in others if spec is not None), None)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:
                self._patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # the loader is this spec's alone
        return spec

    def _patch(self, module: ModuleType) -> None:
        self._undo.append(self._patches[module.__name__](module))


def replaced(holder: Any, name: str, wrap: Callable[[Any], Any]) -> Undo:
    """Put `wrap(function)` in the place of a function; the result puts it back, unless another has been put over it."""
    real = getattr(holder, name)
    ours = wrap(real)
    setattr(holder, name, ours)

    def undo() -> None:
        if getattr(holder, name) is ours:
            setattr(holder, name, real)

    return undo
