"""Pages: HTML as text, from a file or from something that can be read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from besom.tracking.media.media import FileMedia

__all__ = ["Html"]

_INJECTED = '<base target="_blank">'


class Html(FileMedia):
    """A page.

    Args:
        data: HTML text, the path of a `.html` file, or an open file.
        inject: Let links open in a window of their own.
        data_is_not_path: Take `data` as text even where a file of that name exists.
        caption: Text beside it.

    Raises:
        TypeError: `data` is nothing of these.
    """

    kind = "html-file"
    folder = "media/html"

    def __init__(
        self, data: Any, inject: bool = True, data_is_not_path: bool = False, caption: str | None = None
    ) -> None:
        if hasattr(data, "read"):
            if hasattr(data, "seek"):
                data.seek(0)
            data, data_is_not_path = data.read(), True
        if isinstance(data, bytes):
            data = data.decode("utf-8", "replace")
        if isinstance(data, os.PathLike) or (not data_is_not_path and _is_file(data)):
            data = Path(data).read_text(encoding="utf-8", errors="replace")
        if not isinstance(data, str):
            raise TypeError(f"Html is made of text or an open file, not {type(data).__name__}")
        self.html = _injected(data) if inject else data
        super().__init__(self.html.encode("utf-8", "replace"), ".html", caption)


def _is_file(data: Any) -> bool:
    return isinstance(data, str) and data.endswith(".html") and len(data) < 4096 and os.path.isfile(data)


def _injected(page: str) -> str:
    for tag in ("<head>", "<html>"):
        if tag in page:
            return page.replace(tag, tag + _INJECTED, 1)
    return _INJECTED + page
