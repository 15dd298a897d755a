"""What `${...}` in a command may be."""

from __future__ import annotations

import pytest

from besom.macros import MACROS, expanded, fault_in, whole_macro


@pytest.mark.parametrize("macro", MACROS)
def test_a_macro_is_a_whole_item(macro: str) -> None:
    """As an item it needs no parameter of that name; inside an item it is one, or a fault that says so."""
    item = f"${{{macro}}}"
    assert whole_macro(item) == macro
    assert fault_in(item, ()) is None
    assert whole_macro(f"--x={item}") is None
    assert fault_in(f"--x={item}", [macro]) is None
    assert f"write {item} as an item of its own" in (fault_in(f"--x={item}", ["lr"]) or "")


def test_names_and_variables_stand_anywhere() -> None:
    """Each is replaced by what the functions give; text around it stays, and an unclosed one is only text."""
    item = "a${lr}/${envvar:HOME}${lr}${x"
    assert expanded(item, lambda name: f"<{name}>", lambda name: f"[{name}]") == "a<lr>/[HOME]<lr>${x"
    assert fault_in(item, ["lr"]) is None
    assert "asks for 'lr'; write ${env}, " in (fault_in(item, []) or "")
