"""Ids as users write them."""

from __future__ import annotations

from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.broker.find import Address, find_sweep, read_address
from besom.broker.ledger import Ledger
from besom.errors import NotFound, UsageError
from tests.broker.content import spec


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("abc", Address("abc")),
        (" abc\n", Address("abc")),
        ("digits/abc", Address("abc", "digits")),
        ("my team/my digits/abc", Address("abc", "my digits", "my team")),
        ("a-b_c.d", Address("a-b_c.d")),
        ("é" * 128, Address("é" * 128)),
    ],
)
def test_an_id_is_taken_apart(text: str, address: Address) -> None:
    """The last part is the id, before it stand project and entity."""
    assert read_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "  ", "/", "a/b/c/d", "a//b", "/b", "a/", "a b", "a;b", "a:b", "a,b", "a#b", "p?q/a", "a'", "a\x00b",
     "x" * 129, None, 3, ["abc"]],
)  # fmt: skip
def test_what_is_no_id_is_named(text: Any) -> None:
    """The error repeats what was written and says what to write."""
    with pytest.raises(UsageError) as caught:
        read_address(text, "trial")
    assert repr(text) in str(caught.value)
    assert "a trial id; write id, project/id or entity/project/id" in str(caught.value)


@pytest.mark.parametrize("text", ["abc", "p/abc", "e/p/abc"])
def test_an_address_reads_back(text: str) -> None:
    """Written out, an address is what was read."""
    assert str(read_address(text)) == text


@pytest.mark.parametrize("text", ["s", "p/s", "e/p/s"])
def test_a_sweep_is_found_by_each_shape(fake: Connection, text: str) -> None:
    """The id alone will do; project and entity must fit when given."""
    ledger = Ledger(fake)
    ledger.create(spec())
    assert find_sweep(ledger, text) == spec()


@pytest.mark.parametrize(
    ("text", "given", "shown"),
    [
        ("other", {}, "other"),
        ("q/s", {}, "q/s"),
        ("f/p/s", {}, "f/p/s"),
        ("s", {"project": "q"}, "q/s"),
        ("s", {"project": "p", "entity": "f"}, "f/p/s"),
    ],
)
def test_a_sweep_elsewhere_is_not_found(fake: Connection, text: str, given: dict[str, str], shown: str) -> None:
    """Another id, project or entity is an error that shows the whole address looked for."""
    ledger = Ledger(fake)
    ledger.create(spec())
    with pytest.raises(NotFound) as caught:
        find_sweep(ledger, text, **given)
    assert (caught.value.what, caught.value.name) == ("sweep", shown)


def test_what_the_id_says_goes_before_the_default(fake: Connection) -> None:
    """A project in the id wins over the one that the settings name."""
    ledger = Ledger(fake)
    ledger.create(spec())
    assert find_sweep(ledger, "p/s", project="q") == spec()
