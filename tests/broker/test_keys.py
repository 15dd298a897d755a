"""The table of keys, as Python and as Lua see it."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from besom.broker.connection import Connection
from besom.broker.keys import KEYS, LUA_KEYS, Keys

PARTS = ("a", "7")


def _filled(name: str, keys: Keys) -> str:
    return getattr(keys, name)(*PARTS[: KEYS[name].count("{}")])


def test_no_two_keys_are_the_same() -> None:
    """Each name of the table gives a key of its own, below the namespace."""
    names = [_filled(name, Keys("team")) for name in KEYS]
    assert len(set(names)) == len(KEYS)
    assert all(name.startswith("team:") for name in names)


@pytest.mark.parametrize("name", KEYS)
def test_lua_and_python_agree(name: str, fake: Connection) -> None:
    """A script builds the very key that Python builds."""
    places = ", ".join(f"ARGV[{i + 2}]" for i in range(KEYS[name].count("{}")))
    built = fake.redis.eval(f"{LUA_KEYS}return key.{name}({places})", 0, "team", *PARTS)
    assert built.decode() == _filled(name, Keys("team"))


def test_scripts_name_only_keys_of_the_table() -> None:
    """No Lua file calls for a key that the table has not."""
    used = {
        name
        for file in (resources.files("besom.broker") / "lua").iterdir()
        for name in re.findall(r"\bkey\.(\w+)", file.read_text(encoding="utf-8"))
    }
    assert {"trials", "journal"} <= used
    assert used <= set(KEYS)


def test_an_unknown_name_is_no_key() -> None:
    """A slip in a key's name is an error that repeats it."""
    with pytest.raises(AttributeError, match="'trails'"):
        _ = Keys("team").trails


def test_two_namespaces_share_no_queue() -> None:
    """RQ's queues, which stand outside the table, carry the namespace too."""
    assert Keys("a").queue_name("s") != Keys("b").queue_name("s")
