"""Tables: columns and rows, with media in cells, kept as a JSON file."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, get_args

from besom.tracking.media.media import Keeper, Media, keep_file, to_json
from besom.tracking.values import plain, utf8

__all__ = ["Table"]

log = logging.getLogger("besom")

ROWS_LIMIT: Final = 10_000
"""Rows that are logged, as in W&B."""
ARTIFACT_ROWS_LIMIT: Final = 200_000

LogMode = Literal["IMMUTABLE", "MUTABLE", "INCREMENTAL"]


class Table(Media):
    """Rows of named columns.

    Args:
        columns: Names; the default is Input, Output, Expected.
        data: Rows, each a list as long as `columns`; or a numpy array of two dimensions, or a DataFrame.
        rows: The same, W&B's older name.
        dataframe: A pandas DataFrame instead of columns and data.
        dtype: `int`, `float`, `str` or `bool` that a column holds, for all or one for each.
        optional: Whether cells may be None, for all or one for each.
        allow_mixed_types: Whether a column may hold values of several types.
        log_mode: As in W&B; every `log` keeps the table as it is then.

    Raises:
        TypeError: columns or data of another type, or a cell that does not fit its column.
        ValueError: a row of another length.
    """

    kind: ClassVar[str] = "table-file"

    def __init__(
        self,
        columns: Sequence[Any] | None = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: bool | Sequence[bool] = True,
        allow_mixed_types: bool = False,
        log_mode: LogMode = "IMMUTABLE",
    ) -> None:
        if log_mode not in get_args(LogMode):
            raise ValueError(f"log_mode={log_mode!r} cannot be; write one of {', '.join(get_args(LogMode))}")
        given = dataframe if dataframe is not None else data if data is not None else rows
        names, content = _content(columns, given)
        self.columns: list[Any] = list(names)
        self.data: list[list[Any]] = []
        self.log_mode = log_mode
        self._mixed = allow_mixed_types
        self._kinds: list[str | None] = [_KINDS.get(kind) for kind in _for_each(dtype, self.columns, "dtype")]
        self._optional = [bool(one) for one in _for_each(optional, self.columns, "optional")]
        for row in content:
            self.add_data(*row)

    def add_data(self, *data: Any) -> None:
        """Add a row.

        Raises:
            ValueError: it has more or fewer cells than there are columns.
            TypeError: a cell does not fit its column.
        """
        if len(data) != len(self.columns):
            raise ValueError(
                f"this table has {len(self.columns)} columns {self.columns}, the row has {len(data)} cells"
            )
        row = [_cell(value, str(name)) for name, value in zip(self.columns, data, strict=True)]
        kinds = [self._kind(place, value) for place, value in enumerate(row)]
        self._kinds = kinds
        self.data.append(row)

    def add_row(self, *row: Any) -> None:
        """`add_data`, W&B's older name."""
        self.add_data(*row)

    def add_column(self, name: str, data: Iterable[Any], optional: bool = False) -> None:
        """Add a column on the right.

        Raises:
            ValueError: another number of cells than there are rows, or a name that is taken.
            TypeError: cells of several types.
        """
        if name in self.columns:
            raise ValueError(f"this table has a column {name!r} already")
        cells = [_cell(value, str(name)) for value in data]
        if self.columns and len(cells) != len(self.data):
            raise ValueError(f"this table has {len(self.data)} rows, the column {name!r} has {len(cells)} cells")
        place = len(self.columns)
        self._kinds.append(None)
        self._optional.append(optional or None in cells)
        self.columns.append(name)
        try:
            for value in cells:
                self._kinds[place] = self._kind(place, value)
        except TypeError:
            del self._kinds[place], self._optional[place], self.columns[place]
            raise
        self.data = [[*row, cell] for row, cell in zip(self.data or [[] for _ in cells], cells, strict=True)]

    def get_index(self) -> list[int]:
        """Numbers of the rows."""
        return list(range(len(self.data)))

    def get_column(self, name: str, convert_to: Literal["numpy"] | None = None) -> Any:
        """A column's cells, as a list or a numpy array.

        Raises:
            KeyError: there is no such column.
            ValueError: `convert_to` is neither None nor "numpy".
        """
        if name not in self.columns:
            raise KeyError(f"no column {name!r}; there are {self.columns}")
        place = self.columns.index(name)
        cells = [row[place] for row in self.data]
        if convert_to is None:
            return cells
        if convert_to != "numpy":
            raise ValueError(f"convert_to={convert_to!r} cannot be; write 'numpy' or leave it out")
        import numpy as np

        return np.array(cells)

    def get_dataframe(self) -> Any:
        """A pandas DataFrame of it."""
        import pandas as pd

        return pd.DataFrame(self.data, columns=self.columns)

    def iterrows(self) -> Iterable[tuple[int, list[Any]]]:
        """Number and cells of each row."""
        return enumerate(self.data)

    def to_logged(self, run: Keeper, key: str, step: int) -> dict[str, Any]:
        """Keep the first 10 000 rows as JSON, and the media in their cells."""
        return self.keep(run, f"media/table/{key}_{step}", key, step, ROWS_LIMIT)

    def keep(self, run: Keeper, name: str, key: str, step: int, limit: int) -> dict[str, Any]:
        """Keep at most `limit` rows; the table's JSON."""
        if len(self.data) > limit:
            log.warning("%s: only the first %d of %d rows are kept", key, limit, len(self.data))
        rows = [
            [_told(cell, run, f"{key}.{name}", step) for name, cell in zip(self.columns, row, strict=True)]
            for row in self.data[:limit]
        ]
        content = to_json({"columns": self.columns, "data": rows})
        kept = keep_file(run.blobs, content, name, ".table.json")
        return {"_type": self.kind, "nrows": len(rows), "ncols": len(self.columns), **kept}

    def _kind(self, place: int, value: Any) -> str | None:
        """The column's type once it holds this cell."""
        known, found = self._kinds[place], _kind_of(value)
        if found is None:
            if not self._optional[place]:
                raise TypeError(f"column {self.columns[place]!r} is not optional; a cell is None")
            return known
        if known is None or self._mixed or known == found:
            return found
        raise TypeError(
            f"column {self.columns[place]!r} holds {known}, and a cell is {found}: {value!r:.80}; "
            "allow_mixed_types=True lets a column hold both"
        )


_KINDS: Final[Mapping[Any, str]] = {int: "number", float: "number", str: "string", bool: "boolean"}


def _kind_of(value: Any) -> str | None:
    if value is None:
        return None
    return _KINDS.get(type(value)) or (type(value).__name__ if isinstance(value, Media) else "other")


def _cell(value: Any, name: str) -> Any:
    from besom.tracking.media.recognise import as_media

    if type(value) in _KINDS or value is None:
        return utf8(value) if type(value) is str else value
    return as_media(value) or plain(value, name)


def _told(cell: Any, run: Keeper, key: str, step: int) -> Any:
    return cell.to_logged(run, key, step) if isinstance(cell, Media) else cell


def _content(columns: Sequence[Any] | None, given: Any) -> tuple[Sequence[Any], Iterable[Sequence[Any]]]:
    if columns is not None and (isinstance(columns, str) or not hasattr(columns, "__iter__")):
        raise TypeError(f"columns is a list of names, not {columns!r}")
    if given is not None and hasattr(given, "columns") and hasattr(given, "itertuples"):  # a DataFrame
        names = list(given.columns) if columns is None else list(columns)
        cells = given.astype(object).where(given.notna(), None)
        return [name if isinstance(name, str | int) else str(name) for name in names], cells.itertuples(index=False)
    if given is None:
        return ["Input", "Output", "Expected"] if columns is None else list(columns), []
    if hasattr(given, "tolist"):
        given = given.tolist()
    if not isinstance(given, list | tuple) or not all(isinstance(row, list | tuple) for row in given):
        raise TypeError(f"data is a list of rows, each a list of cells, not {given!r:.80}")
    if columns is None:
        columns = ["Input", "Output", "Expected"] if not given or len(given[0]) == 3 else range(len(given[0]))
    return [name if isinstance(name, str | int) else str(name) for name in columns], given


def _for_each(said: Any, columns: Sequence[Any], what: str) -> list[Any]:
    if not isinstance(said, list | tuple):
        return [said] * len(columns)
    if len(said) != len(columns):
        raise ValueError(f"{what} has {len(said)} items for {len(columns)} columns")
    return list(said)
