"""A small language for conditions on numbers and texts: read into a tree that is walked, never executed as Python.

Comparisons (chained too), `and`, `or`, `not`, `in`, + - * / // % **, `a if b else c`, literals and lists of them, and
min, max, abs, len, round, sqrt, log, log2, log10, exp, floor, ceil. A name, with dots or as param("any-name"), is a
parameter. Anything else is refused with the place where it stands.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["Expression", "ExpressionError"]

MAX_LENGTH: Final = 1000
"""Characters of an expression; a readable one has a few dozen."""
MAX_DEPTH: Final = 50
_MAX_EXPONENT: Final = 64

Values = Mapping[str, Any]
_Evaluate = Callable[[Values], Any]


class ExpressionError(ValueError):
    """The text is no expression of this language; `column` counts from 1."""

    def __init__(self, column: int, problem: str) -> None:
        super().__init__(f"at column {column}, {problem}")
        self.column, self.problem = column, problem


class Expression:
    """One expression.

    Raises:
        ExpressionError: names the column and what to write.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: dict[str, int] = {}
        """The parameters that it names, each with the column where it first does."""
        self._evaluate = self._read(_parsed(text), 0)

    def __call__(self, values: Values) -> Any:
        """Its value, given one for each of `names`.

        Raises:
            ArithmeticError, TypeError, ValueError: it has none: a division by 0, a text compared with a number.
        """
        return self._evaluate(values)

    def _read(self, node: ast.expr, depth: int) -> _Evaluate:
        if depth > MAX_DEPTH:
            raise ExpressionError(_column(node), "nested too deep; write it as several constraints")
        reader = self._readers.get(type(node))
        if reader is None:
            raise ExpressionError(_column(node), f"{_said(node)} cannot be; {_ALLOWED}")
        return reader(self, node, depth + 1)

    def _constant(self, node: Any, depth: int) -> _Evaluate:
        if not isinstance(node.value, str | int | float | None):
            raise ExpressionError(
                _column(node), f"{_said(node)} cannot be; write a number, a text, True, False or None"
            )
        return lambda values: node.value

    def _name(self, node: Any, depth: int) -> _Evaluate:
        name = _dotted(node)
        if name is None:
            raise ExpressionError(_column(node), f"{_said(node)} cannot be; a dot joins names, optimizer.lr")
        return self._parameter(name, node)

    def _parameter(self, name: str, node: ast.expr) -> _Evaluate:
        self.names.setdefault(name, _column(node))
        return lambda values: values[name]

    def _list(self, node: Any, depth: int) -> _Evaluate:
        items = [self._read(item, depth) for item in node.elts]
        return lambda values: [item(values) for item in items]

    def _bool(self, node: Any, depth: int) -> _Evaluate:
        parts = [self._read(part, depth) for part in node.values]
        if isinstance(node.op, ast.And):
            return lambda values: all(part(values) for part in parts)
        return lambda values: any(part(values) for part in parts)

    def _unary(self, node: Any, depth: int) -> _Evaluate:
        operand, apply = self._read(node.operand, depth), _UNARY.get(type(node.op))
        if apply is None:
            raise ExpressionError(_column(node), f"{_said(node)} cannot be; {_ALLOWED}")
        return lambda values: apply(operand(values))

    def _binary(self, node: Any, depth: int) -> _Evaluate:
        left, right, apply = self._read(node.left, depth), self._read(node.right, depth), _BINARY.get(type(node.op))
        if apply is None:
            raise ExpressionError(_column(node), f"{_said(node)} cannot be; {_ALLOWED}")
        return lambda values: apply(_number(left(values)), _number(right(values)))

    def _compare(self, node: Any, depth: int) -> _Evaluate:
        operands = [self._read(one, depth) for one in (node.left, *node.comparators)]
        compares = [_COMPARE.get(type(op)) for op in node.ops]
        if None in compares:
            raise ExpressionError(_column(node), f"{_said(node)} cannot be; write == or != to compare with None")

        def evaluate(values: Values) -> bool:
            left = operands[0](values)
            for compare, operand in zip(compares, operands[1:], strict=True):
                right = operand(values)
                assert compare is not None
                if not compare(left, right):
                    return False
                left = right
            return True

        return evaluate

    def _choice(self, node: Any, depth: int) -> _Evaluate:
        test, body, other = (self._read(part, depth) for part in (node.test, node.body, node.orelse))
        return lambda values: body(values) if test(values) else other(values)

    def _call(self, node: Any, depth: int) -> _Evaluate:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "param" and len(node.args) == 1 and isinstance(getattr(node.args[0], "value", None), str):
            return self._parameter(node.args[0].value, node)
        if name not in _FUNCTIONS or node.keywords or not node.args:
            functions = ", ".join([*_FUNCTIONS, 'param("name")'])
            raise ExpressionError(_column(node), f"{_said(node)} cannot be; the functions are {functions}")
        arguments, function = [self._read(one, depth) for one in node.args], _FUNCTIONS[name]
        return lambda values: function(*(one(values) for one in arguments))

    _readers: Final[Mapping[type, Callable[[Any, Any, int], _Evaluate]]] = {
        ast.Constant: _constant,
        ast.Name: _name,
        ast.Attribute: _name,
        ast.List: _list,
        ast.Tuple: _list,
        ast.BoolOp: _bool,
        ast.UnaryOp: _unary,
        ast.BinOp: _binary,
        ast.Compare: _compare,
        ast.IfExp: _choice,
        ast.Call: _call,
    }


_ALLOWED: Final = "write comparisons, and, or, not, in, arithmetic and functions such as max(a, b)"


def _parsed(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            MAX_LENGTH, f"{len(text)} characters; write it as several constraints, each below {MAX_LENGTH}"
        )
    if "\0" in text:  # versions of Python tell different places of it
        raise ExpressionError(text.index("\0") + 1, "a NUL character; write a comparison such as batch_size <= 512")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        reason = error.msg.partition(".")[0]
        raise ExpressionError(
            error.offset or len(text) + 1, f"{reason}; write a comparison such as batch_size <= 512"
        ) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError(1, "this cannot be read; write a comparison such as batch_size <= 512") from None


def _column(node: ast.expr) -> int:
    return node.col_offset + 1


def _said(node: ast.expr) -> str:
    text = ast.unparse(node)
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    inner = _dotted(node.value) if isinstance(node, ast.Attribute) else None
    return f"{inner}.{node.attr}" if inner is not None and isinstance(node, ast.Attribute) else None


def _number(value: Any) -> Any:
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value


def _power(base: float, exponent: float) -> Any:
    # Whole powers stay exact while they are small; others are floats, which overflow instead of growing without end.
    if isinstance(exponent, int) and 0 <= exponent <= _MAX_EXPONENT and abs(base) < 2**64:
        return base**exponent
    return math.pow(base, exponent)  # which has no complex numbers: a root of a negative one is a ValueError


def _numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*arguments: Any) -> Any:
        given = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], list) else arguments
        return function(*(_number(one) for one in given))

    return checked


_UNARY: Final[Mapping[type, Callable[[Any], Any]]] = {
    ast.Not: operator.not_,
    ast.USub: lambda value: -_number(value),
    ast.UAdd: _number,
}
_BINARY: Final[Mapping[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_COMPARE: Final[Mapping[type, Callable[[Any, Any], Any]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "min": _numbers(lambda *numbers: min(numbers)),
    "max": _numbers(lambda *numbers: max(numbers)),
    "abs": _numbers(abs),
    "len": len,
    "round": _numbers(round),
    "sqrt": _numbers(math.sqrt),
    "log": _numbers(math.log),
    "log2": _numbers(math.log2),
    "log10": _numbers(math.log10),
    "exp": _numbers(math.exp),
    "floor": _numbers(math.floor),
    "ceil": _numbers(math.ceil),
}
