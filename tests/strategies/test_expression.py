"""The language of constraints: what it computes, and what it refuses."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from besom.strategies.expression import Expression, ExpressionError

VALUES: dict[str, Any] = {"a": 3, "b": 0.5, "name": "adam", "flag": True, "sizes": [8, 16], "opt.lr": 0.1, "x-y": 7}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a * 2 + 1 <= 7", True),
        ("a - b > 2.5", False),
        ("0 < b < 1 < a", True),
        ("0 < a < 1", False),
        ("a // 2 == 1 and a % 2 == 1", True),
        ("a ** 2 / 2", 4.5),
        ("-a < +b", True),
        ("name == 'adam' or b > 1", True),
        ("not flag", False),
        ("name in ['adam', 'sgd']", True),
        ("a not in (1, 2)", True),
        ("8 in sizes and len(sizes) == 2", True),
        ("max(a, b) - min(a, b)", 2.5),
        ("max(sizes)", 16),
        ("abs(-a) + round(2.6)", 6),
        ("sqrt(16) + log2(8) + log10(100) + floor(1.5) + ceil(1.5) + exp(0) + log(1)", 13.0),
        ("a if flag else b", 3),
        ("opt.lr == 0.1 and param('x-y') == 7", True),
        ("flag == True and name != None", True),
    ],
)
def test_what_it_computes(text: str, value: Any) -> None:
    """Python's arithmetic, precedence and comparisons, and the few functions."""
    assert Expression(text)(VALUES) == value


@pytest.mark.parametrize(
    ("text", "column", "told"),
    [
        ("a <", 4, "write a comparison"),
        ("", 1, "write a comparison"),
        ("a <= 1; b", 7, "write a comparison"),
        ("a := 1", 3, "write a comparison"),
        ("b + print(1)", 5, "the functions are min, max"),
        ("__import__('os')", 1, "the functions are"),
        ("a.__class__.__bases__ == 1 and [].append", 32, "a dot joins names"),
        ("(lambda: 1)()", 1, "the functions are"),
        ("[x for x in sizes]", 1, "write comparisons"),
        ("sizes[0] > 1", 1, "write comparisons"),
        ("a is 3", 1, "write == or !="),
        ("a & 3", 1, "write comparisons"),
        ("~a", 1, "write comparisons"),
        ("b'x' == a", 1, "write a number, a text"),
        ("1j == a", 1, "write a number, a text"),
        ("f'{a}' == 'x'", 1, "write comparisons"),
        ("max(a, key=b)", 1, "the functions are"),
        ("min()", 1, "the functions are"),
        ("max(*sizes)", 5, "write comparisons"),
        ("a < " + "1 + " * 400 + "1", 1000, "several constraints"),
        ("(" * 90 + "a" + ")" * 90 + " + 1" * 60, 1, "nested too deep"),
        ("a\0", 2, "write a comparison"),
    ],
)
def test_what_it_refuses(text: str, column: int, told: str) -> None:
    """Anything else is an error that names the column and says what to write; nothing of it runs."""
    with pytest.raises(ExpressionError, match=r"^at column") as caught:
        Expression(text)
    assert told in str(caught.value)
    assert caught.value.column == column


@pytest.mark.parametrize(
    "text",
    [
        "a / 0",
        "a % 0",
        "log(0)",
        "sqrt(-1)",
        "(-a) ** 0.5",
        "(-a) ** b < 1",
        "0 ** -1",
        "name < a",
        "name * 9",
        "sizes + a",
        "9.0**999",
    ],
)
def test_what_has_no_value(text: str) -> None:
    """A division by 0, a text that is compared with a number: an error of arithmetic, type or value, no other."""
    with pytest.raises((ArithmeticError, TypeError, ValueError)):
        Expression(text)(VALUES)


def test_powers_do_not_grow_without_end() -> None:
    """Whole powers are exact while they are small; a tower of them ends in an overflow, not in a full memory."""
    assert Expression("a ** 64")(VALUES) == 3**64
    start = time.perf_counter()
    with pytest.raises(OverflowError):
        Expression("9 ** 9 ** 9 ** 9")(VALUES)
    assert time.perf_counter() - start < 0.5


@settings(deadline=None, max_examples=300)
@given(st.text("ab01.+-*/%<>=() ,[]'\n\\#:", max_size=20) | st.text(max_size=12))
def test_any_text_is_an_expression_or_an_error(text: str) -> None:
    """Nothing but the documented errors comes out of reading and computing any text."""
    with contextlib.suppress(ExpressionError, ArithmeticError, TypeError, ValueError, KeyError):
        Expression(text)({"a": 1, "b": 0.0})
