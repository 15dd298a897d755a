"""Plotly figures, kept as plotly's own JSON."""

from __future__ import annotations

from typing import Any

from besom.tracking.media.media import FileMedia

__all__ = ["Plotly"]


class Plotly(FileMedia):
    """A plotly figure.

    Raises:
        TypeError: it is none.
    """

    kind = "plotly-file"
    folder = "media/plotly"

    def __init__(self, figure: Any) -> None:
        if not hasattr(figure, "to_json"):
            raise TypeError(f"Plotly takes a plotly figure, not {type(figure).__name__}")
        super().__init__(figure.to_json().encode(), ".plotly.json")
