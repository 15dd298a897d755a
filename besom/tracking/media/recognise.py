"""Which logged values become media: ours, lists and dicts of them, and what libraries make.

Libraries are known by the name of their module, so that none is imported to find out.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

from besom.tracking.media.media import Media, MediaList, MediaMap

__all__ = ["as_media"]

_NEVER: Final = frozenset({str, bool, int, float, type(None)})


def as_media(value: Any) -> Media | None:
    """The value as media; None when it is none.

    A pandas DataFrame becomes a `Table`, a matplotlib figure an `Image`, a plotly figure stays plotly JSON.

    Raises:
        ValueError: a list of media of several classes.
    """
    kind = type(value)
    if kind in _NEVER:
        return None
    if isinstance(value, Media):
        return value
    if kind is list or kind is tuple:
        return MediaList(value) if value and all(isinstance(item, Media) for item in value) else None
    if kind is dict:
        inner = {name: as_media(item) or item for name, item in value.items()}
        return MediaMap(inner) if any(isinstance(item, Media) for item in inner.values()) else None
    return _of_library(value)


def _of_library(value: Any) -> Media | None:
    home, name = type(value).__module__.partition(".")[0], type(value).__name__
    if home == "pandas" and name == "DataFrame":
        from besom.tracking.media.table import Table

        return Table(dataframe=value)
    if home == "plotly" and hasattr(value, "to_plotly_json"):
        from besom.tracking.media.plotly import Plotly

        return Plotly(value)
    is_pyplot = isinstance(value, ModuleType) and value.__name__ == "matplotlib.pyplot"
    if is_pyplot or (home == "matplotlib" and hasattr(value, "savefig" if name == "Figure" else "get_figure")):
        from besom.tracking.media.image import Image

        return Image(value)
    return None
