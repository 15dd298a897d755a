"""What `${...}` in an item of a sweep's command may be: a macro that is a whole item, a variable, a parameter's name.

Knows nothing of what they stand for in a trial; agents do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final

__all__ = ["MACROS", "expanded", "fault_in", "whole_macro"]

MACROS: Final = (
    "env", "interpreter", "program", "args", "args_no_equals", "args_no_hyphens", "args_no_boolean_flags", "args_json",
    "args_json_file", "args_append_hydra", "args_override_hydra",
)  # fmt: skip
"""Each a whole item."""

_VARIABLE: Final = "envvar:"
_INNER: Final = re.compile(r"\$\{([^}]*)\}")


def whole_macro(item: str) -> str | None:
    """The macro that the whole item is."""
    found = _INNER.fullmatch(item)
    return found[1] if found and found[1] in MACROS else None


def expanded(item: str, parameter: Callable[[str], str], variable: Callable[[str], str]) -> str:
    """The item with what the two functions give for the names of parameters and variables that it asks for."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return variable(name.removeprefix(_VARIABLE)) if name.startswith(_VARIABLE) else parameter(name)

    return _INNER.sub(value, item)


def fault_in(item: str, names: Collection[str]) -> str | None:
    """What is wrong with an item of a command when a trial has parameters of these first-level names."""
    if whole_macro(item):
        return None
    for name in _INNER.findall(item):
        if name in names or name.startswith(_VARIABLE):
            continue
        if name in MACROS:
            return f"asks for {name!r} inside an item; write ${{{name}}} as an item of its own"
        macros = ", ".join(f"${{{macro}}}" for macro in MACROS)
        return f"asks for {name!r}; write {macros}, ${{envvar:NAME}} or the first-level name of a parameter"
    return None
