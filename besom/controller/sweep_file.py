"""The sweep file: YAML 1.2, of which JSON is a part, and the plain values that a config is made of.

Reads: a file, or Python values.  Gives: dicts, lists, texts, numbers, booleans and None, bounded in size and depth.
Knows nothing of what the keys mean.
"""

from __future__ import annotations

import datetime
import enum
import json
import math
import os
import reprlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from besom.controller.sections import Path, Problems, shown
from besom.errors import ConfigError

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

__all__ = ["MAX_BYTES", "MAX_NESTING", "plain_config", "read_config", "read_sweep_file", "read_text"]

MAX_BYTES = 256 * 1024
"""Of a sweep file, and of a config as JSON: it travels through Redis with its sweep."""
MAX_NESTING = 100
"""Mappings and lists inside each other."""

_TAG = "tag:yaml.org,2002:"
_SCALARS = frozenset(_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value"))
_ADVICE = {
    "'\\t'": "indent with spaces, not tabs",
    "mapping values are not allowed": "put a text that holds ': ' in quotes, or check the indentation",
    "undefined alias": "define it above with &, or put a text that starts with * in quotes",
    "another document": "keep one document, and remove what follows the second ---",
}


def read_sweep_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The mapping in a YAML or JSON file, as plain Python; dates and times become ISO texts.

    Raises:
        ConfigError: names the file, the line and column where there is one, and what to write.
    """
    name = os.fspath(path)
    return read_config(read_text(name), name)


def read_config(text: str, name: str) -> dict[str, Any]:
    """The mapping in a YAML or JSON text; `name` is what errors call it.

    Raises:
        ConfigError: names the line and column where there is one, and what to write.
    """
    config = _read_json(text)
    if config is None:
        config = _read_yaml(text, name)
    if config is None or config == {}:
        raise ConfigError(f"{name}: the file is empty; write at least method: and parameters:")
    if not isinstance(config, dict):
        raise ConfigError(f"{name}:1:1: {shown(config)} is not a mapping; write keys such as method: random")
    return config


def read_text(name: str) -> str:
    """What a sweep file holds.

    Raises:
        ConfigError: it cannot be read, is above `MAX_BYTES`, or is not UTF-8.
    """
    try:
        with open(name, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{name!r}: no such file in {os.getcwd()}; write the path of a sweep file") from None
    except IsADirectoryError:
        raise ConfigError(f"{name}: is a directory; write the path of a file in it, such as sweep.yaml") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{name!r}: cannot be read ({reason}); write the path of a readable file") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{name}: above {MAX_BYTES // 1024} kB; write ranges or fewer values")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise ConfigError(f"{name}:{line}:{column}: not UTF-8; save the file as UTF-8") from None


def _read_json(text: str) -> dict[str, Any] | None:
    """The object, or None for what YAML had better read, or complain of with a line and column."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        config: dict[str, Any] = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None
    return config


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def _read_yaml(text: str, name: str) -> Any:
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False
    reader = _NodeReader(yaml, name)
    reader.refuse_old_yaml(text)
    try:
        node = yaml.compose(text)
    except RecursionError:
        raise ConfigError(f"{name}: nested too deep; write at most {MAX_NESTING} levels") from None
    except Exception as error:  # ruamel lets its own slips through, such as a ValueError of chr() for "\UFFFFFFFF"
        reader.explain(error, text)
    return None if node is None else reader.read(node)


class _NodeReader:
    """Makes plain values of YAML nodes, and knows where each stands. An alias costs as much as what it repeats."""

    def __init__(self, yaml: YAML, name: str) -> None:
        self._yaml, self._name = yaml, name
        self._left = MAX_BYTES

    def refuse_old_yaml(self, text: str) -> None:
        """A %YAML line would bring back 1.1, where 1e-5 is a text and `on` a boolean."""
        for number, line in enumerate(text.split("\n"), start=1):
            if line.startswith("%YAML") and line.split()[1:2] != ["1.2"]:
                self._fail(number, 1, f"{shown(line)} cannot be; remove the line, the file is read as YAML 1.2")
            if line.strip() and not line.startswith(("#", "%")):
                return

    def explain(self, error: Exception, text: str) -> NoReturn:
        """Raises ConfigError in place of what ruamel raised."""
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or str(error).split("\n")[0]
        advice = next((advice for part, advice in _ADVICE.items() if part in problem), None)
        if mark is None:
            before = text[: getattr(error, "position", 0)]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        else:
            line, column = mark.line + 1, mark.column + 1
        self._fail(line, column, f"not YAML, {problem}; {advice or 'check the indentation, brackets and quotes here'}")

    def read(self, node: Any, depth: int = 0) -> Any:
        """The plain value of a node."""
        self._left -= 1
        if self._left < 0:
            self._refuse(node, f"the aliases expand to more than {MAX_BYTES} values; write fewer of them")
        if depth > MAX_NESTING:
            self._refuse(node, f"nested too deep, or an alias inside itself; write at most {MAX_NESTING} levels")
        if node.id == "scalar":
            return self._scalar(node)
        if node.tag == _TAG + "seq":
            return [self.read(item, depth + 1) for item in node.value]
        if node.tag == _TAG + "map":
            return self._mapping(node, depth)
        return self._refuse_tag(node)

    def _mapping(self, node: MappingNode, depth: int) -> dict[Any, Any]:
        own: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                merged = {**self._merged(value_node, depth), **merged}
                continue
            if key_node.id != "scalar":
                self._refuse(key_node, "a list or mapping cannot be a key; write a text")
            key = self._scalar(key_node)
            if key in own:
                self._refuse(key_node, f"the key {shown(key)} stands here a second time; remove one of the two")
            own[key] = self.read(value_node, depth + 1)
        return {**merged, **own}

    def _merged(self, node: Node, depth: int) -> dict[Any, Any]:
        value = self.read(node, depth + 1)
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, dict) for part in parts):
            self._refuse(node, f"<<: {shown(value)} cannot be merged; write the alias of a mapping")
        return {key: item for part in reversed(parts) for key, item in part.items()}

    def _scalar(self, node: ScalarNode) -> Any:
        if node.tag not in _SCALARS:
            self._refuse_tag(node)
        if node.tag in (_TAG + "str", _TAG + "value"):
            return node.value
        try:
            value = self._yaml.constructor.construct_object(node)
        except (ValueError, LookupError, OverflowError, TypeError):
            kind = node.tag.removeprefix(_TAG)
            self._refuse(node, f"{shown(node.value)} is no {kind} that can be read; write it in quotes to have a text")
        return value.isoformat() if isinstance(value, datetime.date) else value

    def _refuse_tag(self, node: Node) -> NoReturn:
        tag = str(node.tag).replace(_TAG, "!!")
        self._refuse(node, f"the tag {shown(tag)} is not read; write plain values without it")

    def _refuse(self, node: Node, text: str) -> NoReturn:
        self._fail(node.start_mark.line + 1, node.start_mark.column + 1, text)

    def _fail(self, line: int, column: int, text: str) -> NoReturn:
        raise ConfigError(f"{self._name}:{line}:{column}: {text}") from None


def plain_config(config: Any, problems: Problems) -> dict[str, Any]:
    """A copy of the config in plain JSON values; what has none goes to `problems`.

    Raises:
        ConfigError: if it is no mapping, or too large or too deep to go on.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(f"config: {reprlib.repr(config)} is not a mapping; write keys such as method: random")
    copy: dict[str, Any] = _PlainCopy(problems).of(config, ())
    size = len(json.dumps(copy, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_BYTES:
        _refuse_size(size)
    return copy


def _refuse_size(size: int) -> NoReturn:
    raise ConfigError(
        f"config: {size} bytes or more as JSON, above {MAX_BYTES} (256 kB); write ranges (min and max) or fewer values"
    )


class _PlainCopy:
    """Copies Python values; numpy's are recognised by their `tolist`, without importing numpy."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._size = 0

    def of(self, value: Any, path: Path) -> Any:
        """The plain value; None in place of what has none."""
        self._size += len(value) if isinstance(value, str) else 1
        if self._size > MAX_BYTES:
            _refuse_size(self._size)
        if len(path) > MAX_NESTING:
            raise ConfigError(f"{path[0]}: nested too deep, or inside itself; write at most {MAX_NESTING} levels")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float | str):
            return self._single(value, path)
        if isinstance(value, Mapping):
            return self._mapping(value, path)
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
            return [self.of(item, (*path, index)) for index, item in enumerate(value)]
        return self._converted(value, path)

    def _single(self, value: float | str, path: Path) -> Any:
        if isinstance(value, str):
            text = str.__str__(value)
            if any("\ud800" <= character <= "\udfff" for character in text):
                self._problems.add(path, f"{shown(text)} is not valid text; write it without \\ud800 to \\udfff")
                return ""
            return text
        if isinstance(value, int):
            number = int(value)
            if not -(2**63) <= number < 2**63:
                said = str(number) if number.bit_length() < 200 else "an integer"
                self._problems.add(
                    path, f"{said} has {number.bit_length()} bits, above 64; write a smaller one or a text"
                )
                return 0
            return number
        if not math.isfinite(value):
            self._problems.add(path, f"{shown(value)} is no finite number; write one, or a text in quotes")
        return float(value)

    def _mapping(self, value: Mapping[Any, Any], path: Path) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                said = reprlib.repr(key)
                self._problems.add((*path, said), f"the key {said} is no text; write it in quotes, {shown(said)}")
            elif (name := self._single(key, path)) or key == "":
                copy[name] = self.of(item, (*path, name))
        return copy

    def _converted(self, value: Any, path: Path) -> Any:
        if isinstance(value, datetime.date | datetime.time):
            return value.isoformat()
        if isinstance(value, os.PathLike):
            return self._single(os.fsdecode(value), path)
        if hasattr(value, "tolist"):
            if getattr(value, "nbytes", 0) > 16 * MAX_BYTES:
                _refuse_size(value.nbytes)
            plain = value.tolist()
            if plain is None or isinstance(plain, bool | int | float | str | list | datetime.date):
                return self.of(plain, path)
        said, remedy = reprlib.repr(value), "a number, text or list"
        if isinstance(value, enum.Enum):
            remedy = f"its value, {reprlib.repr(value.value)}"
        self._problems.add(path, f"{said} ({type(value).__name__}) is no plain value; write {remedy}")
        return None
