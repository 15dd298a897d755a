"""Duplicate delivery: every script goes to Redis twice, every turn is given twice."""

from __future__ import annotations

from typing import Any

from besom.broker.connection import Connection
from besom.broker.turns import Turn, Turns

__all__ = ["give_turns_twice", "send_scripts_twice"]


def send_scripts_twice() -> None:
    """As after a lost reply: the second answer is the one that is believed."""
    once = Connection.script

    def twice(connection: Connection, name: str, *arguments: Any, patience: float | None = None) -> Any:
        once(connection, name, *arguments, patience=patience)
        return once(connection, name, *arguments, patience=patience)

    Connection.script = twice  # type: ignore[method-assign]


def give_turns_twice() -> None:
    """Each turn stands in its queue twice."""
    once = Turns.give

    def twice(turns: Turns, turn: Turn, count: int) -> None:
        once(turns, turn, count)
        once(turns, turn, count)

    Turns.give = twice  # type: ignore[method-assign]
