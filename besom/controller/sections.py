"""What is wrong with a config, told all at once: each place, its value, and what to write instead.

Gives: `Problems`, and `Section` with `check`, from which the parts of a sweep config are made.
Knows nothing of what the keys mean.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from besom.errors import ConfigError

__all__ = ["Path", "Problems", "Section", "WholeNumber", "check", "nearest", "shown", "written_path"]

MAX_PROBLEMS = 100
"""Problems told one by one; the rest are counted."""

Path = tuple[str | int, ...]
"""Where a value stands in the config: keys, and indices of lists."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,80}")

M = TypeVar("M", bound="Section")


class Problems:
    """What is wrong with a config, one line for each place; a place with a problem inside it gets no other.

    Args:
        where: What to write before a path, such as the line and column where its value stands in a file.
    """

    def __init__(self, where: Callable[[Path], str] = lambda path: "") -> None:
        self._where = where
        self._lines: list[str] = []
        self._told: set[Path] = set()
        self.warnings: list[str] = []
        """What goes on, though its user should know of it; one sentence each."""

    def add(self, path: Path, text: str) -> None:
        """`text` is wrong at `path`."""
        if path not in self._told:
            self._told.update(path[:end] for end in range(len(path) + 1))
            self._lines.append(f"{self._where(path)}{written_path(path)}: {text}")

    def warn(self, path: Path, text: str) -> None:
        """`text` is to be known of what stands at `path`."""
        self.warnings.append(f"{self._where(path)}{written_path(path)}: {text}")

    def __bool__(self) -> bool:
        return bool(self._lines)

    def error(self) -> ConfigError:
        """All problems as one error, then the warnings, which often tell the cause."""
        more = len(self._lines) - MAX_PROBLEMS
        rest = [f"and {more} more problems"] if more > 0 else []
        return ConfigError("\n".join([*self._lines[:MAX_PROBLEMS], *rest, *self.warnings]))


def shown(value: Any, limit: int = 60) -> str:
    """The value as a user would write it, cut to about `limit` characters."""
    text = repr(value[:limit]) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else text[: limit - 3] + "..."


def nearest(word: str, options: Iterable[str]) -> str | None:
    """The option that `word` was probably meant to be."""
    found = difflib.get_close_matches(word[:40].lower(), list(options), n=1)
    return found[0] if found else None


class Section(BaseModel):
    """A mapping in the config. A field's description is what a user may write for it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    hints: ClassVar[Mapping[str, str]] = {}
    """Keys that are not fields, and what to tell who writes them."""


def check(section: type[M], written: Mapping[str, Any], path: Path, problems: Problems) -> M | None:
    """The section as written at `path`, or None after adding what is wrong with it to `problems`."""
    try:
        return section.model_validate(written)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            key, *rest = problem["loc"] or ("",)
            indices = [part for part in rest if isinstance(part, int)]
            place = (*path, key, *indices) if problem["loc"] else path
            problems.add(place, _explain(section, written, str(key), problem))
    return None


def _explain(section: type[Section], written: Mapping[str, Any], key: str, problem: Any) -> str:
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] == "extra_forbidden":
        return _unknown_key(section, key, written)
    rule = section.model_fields[key].description or ""
    if problem["type"] == "missing":
        return f"missing; write {key}: with {rule}"
    near = nearest(str(problem["input"]), re.findall(r"\w+", rule)) if problem["type"] == "literal_error" else None
    return f"{shown(problem['input'])} cannot be; write {rule}" + (f" (nearest: {near})" if near else "")


def _unknown_key(section: type[Section], key: str, written: Mapping[str, Any]) -> str:
    value = shown(written[key])
    if key in section.hints:
        return f"{value} {section.hints[key]}"
    near = nearest(key, [name for name in section.model_fields if name not in written])
    if near:
        return f"{value} stands under an unknown key; write {near} instead of {shown(key)}"
    return f"{value} stands under an unknown key; remove it, the keys here are {', '.join(section.model_fields)}"


def written_path(path: Path) -> str:
    """The path as users write it: parameters.lr.values[2]."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _PLAIN_KEY.fullmatch(part) else shown(part)
            text += f".{key}" if text else key
    return text or "config"


def _whole(value: Any) -> Any:
    """1.0 is the integer 1, as in JSON schema; anything else stays for the strict check."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**63 else value


WholeNumber = Annotated[int, BeforeValidator(_whole)]
