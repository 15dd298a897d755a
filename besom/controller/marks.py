"""Line and column of each value of a sweep file, for the problems that are found in it.

Reads: the text of a YAML or JSON file.  Knows nothing of what the keys mean, nor of the values themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from besom.controller.sections import Path
from besom.controller.sweep_file import MAX_BYTES, MAX_NESTING

__all__ = ["Marks"]

_MERGE: Final = "tag:yaml.org,2002:merge"


class Marks:
    """Where each value of a sweep file stands, found when the first one is asked for.

    Args:
        text: The file.
        name: What it is called.
        without: Keys whose values come from elsewhere.
    """

    def __init__(self, text: str, name: str, without: Collection[str] = ()) -> None:
        self._text, self._name, self._without = text, name, without
        self._found: dict[Path, tuple[int, int]] | None = None

    def where(self, path: Path) -> str:
        """`sweep.yaml:3:5: ` for the line and column, from 1, of what stands at `path`, or of what should hold it."""
        if path[:1] and path[0] in self._without:
            return ""
        if self._found is None:
            self._found = dict(self._read())
        place = next((self._found[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self._found), None)
        return f"{self._name}:{place[0]}:{place[1]}: " if place else f"{self._name}: "

    def _read(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        from ruamel.yaml import YAML

        yaml = YAML(typ="safe", pure=True)
        yaml.composer.warn_double_anchors = False
        try:
            node = yaml.compose(self._text)
        except Exception:  # JSON that YAML does not read; its values go without a place
            return
        left = MAX_BYTES
        waiting: list[tuple[Path, Any]] = [((), node)] if node is not None else []
        while waiting and left > 0:
            path, node = waiting.pop()
            inner = _inside(node) if len(path) <= MAX_NESTING else []
            left -= len(inner) + 1
            for key, mark, value in inner:
                yield (*path, key), (mark.line + 1, mark.column + 1)
                waiting.append(((*path, key), value))


def _inside(node: Any) -> list[tuple[str | int, Any, Any]]:
    """Key or index, place and value of all that a YAML node holds; merged keys are left to their anchor."""
    if node.id == "mapping":
        return [
            (key.value, key.start_mark, value) for key, value in node.value if key.id == "scalar" and key.tag != _MERGE
        ]
    if node.id == "sequence":
        return [(index, item.start_mark, item) for index, item in enumerate(node.value)]
    return []
