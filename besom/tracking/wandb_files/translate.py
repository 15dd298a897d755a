"""A `.wandb` file's records as the batches that a writer would have sent.

Reads: entries in order.  Gives: `BatchBody`, cut so that the same file is always cut the same.  Sends nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from besom.errors import TooLarge, UsageError
from besom.messages import SYSTEM, BatchBody
from besom.tracking.metrics import METRICS_KEY, NO_SUMMARY, Metrics
from besom.tracking.values import KEY_LIMIT, logged, size_of
from besom.tracking.wandb_files.media import FilesOfRun
from besom.tracking.wandb_files.records import Entry, apply_changes, nested, seconds_of, value_of
from besom.tracking.watching.console import Lines
from besom.tracking.writing.columns import encode_column

__all__ = ["BATCH_BYTES", "Translation"]

log = logging.getLogger("besom")

BATCH_BYTES: Final = 48_000
"""About how large a batch is."""
_STREAMS: Final = ("stderr", "stdout")
_OWN: Final = ("_step", "_wandb")
_KINDS: Final = ("min", "max", "mean", "last", "first", "none")
_GAUGES: Final = {
    "cpu": "cpu", "memory_percent": "memory", "memory": "memory", "disk./.usagePercent": "disk",
    "proc.memory.rssMB": "process/memory_mb", "proc.cpu": "process/cpu",
}  # fmt: skip
_OF_GPU: Final = {"gpu": "use", "memoryAllocated": "memory", "temp": "temperature_c", "powerWatts": "power_w"}


class Translation:
    """Collects what records say until it is taken.

    Args:
        files: Where the run's media are, and go.
        config: As the run began.
    """

    def __init__(self, files: FilesOfRun, config: Mapping[str, Any]) -> None:
        self._files = files
        self._config = dict(config)
        self._summary: dict[str, Any] = {}
        self._logged: dict[str, Any] = {}  # the last value of each name, as the file tells it
        self._metrics = Metrics({})
        self._lines = {name: Lines() for name in _STREAMS}
        self._printed = False
        self.rows = 0
        self.latest = 0.0
        """Seconds since the epoch of the newest record."""
        self.left_out: set[str] = set()
        """Names with values that have no room in a row."""
        self._clear()
        self._readers: Final = {
            "history": self._history, "summary": self._summarised, "config": self._configured,
            "output": self._output, "stats": self._stats, "metric": self._metric, "run": self._run,
        }  # fmt: skip

    @property
    def is_full(self) -> bool:
        """Whether a batch's worth waits to be taken."""
        return self._size >= BATCH_BYTES

    def read(self, entry: Entry) -> None:
        """Take what a record says; kinds that say nothing here are passed over."""
        reader = self._readers.get(entry.kind)
        if reader is not None:
            reader(entry.fields)

    def take(self) -> BatchBody | None:
        """What was collected since the last call; None for nothing."""
        if not self._size:
            return None
        columns = {key: encode_column(steps, values) for key, (steps, values) in self._columns.items()}
        body = BatchBody(history=columns, config=self._changed, console=self._console)
        self._clear()
        return body

    def end(self, console: str) -> BatchBody | None:
        """What is left, and the summary as far as it is not the last row's.

        Args:
            console: The text of output.log, for files that tell of no output.
        """
        if not self._printed:
            self._print("stdout", self.latest, console)
        for stream, lines in self._lines.items():
            self._console += [(stream, self.latest, line) for line in lines.end()]
        summary = self._explicit()
        self._size += len(self._console) + len(summary)
        body = self.take()
        return body and body.model_copy(update={"summary": summary})

    # ---- one for each kind of record

    def _history(self, told: Mapping[str, Any]) -> None:
        row: dict[str, Any] = {}
        for item in told.get("item", ()):
            nested(row, item, value_of(item))
        own = row.pop("_step", 0)
        step = told["step"].get("num", 0) if "step" in told else int(own)
        self.rows += 1
        self._saw(row.get("_timestamp"))
        self._logged.update(row)
        for key, value in row.items():
            if (kept := self._kept(key, value)) is not _NOTHING:
                self._add(key, step, kept)

    def _kept(self, key: str, value: Any) -> Any:
        if type(value) in (float, int):
            return value
        try:
            if len(key) > KEY_LIMIT:
                raise TooLarge(f"a name of {len(key)} characters")
            return logged(self._files.keep(value), key)
        except (TooLarge, UsageError) as error:
            if key not in self.left_out:
                log.warning("%s is left out: %s", key[:KEY_LIMIT], error)
            self.left_out.add(key)
            return _NOTHING

    def _summarised(self, told: Mapping[str, Any]) -> None:
        apply_changes(self._summary, told)

    def _run(self, told: Mapping[str, Any]) -> None:
        apply_changes(self._summary, told.get("summary", {}))

    def _configured(self, told: Mapping[str, Any]) -> None:
        apply_changes(self._config, told)
        for item in told.get("update", ()):
            name = (item.get("nested_key") or [item.get("key", "")])[0]
            if name in self._config and name not in _OWN:
                self._changed[name] = self._config[name]
                self._size += 24 + len(name) + size_of(self._config[name])

    def _metric(self, told: Mapping[str, Any]) -> None:
        if told.get("is_expanded"):
            return  # from a glob that is told as well
        options, summary = told.get("options", {}), told.get("summary", {})
        name = told.get("name") or told.get("glob") or ""
        kinds = ",".join(kind for kind in _KINDS if summary.get(kind))
        overwrite = told.get("control", {}).get("overwrite")
        try:
            self._metrics.define(
                name, told.get("step_metric") or None, options.get("step_sync"), options.get("hidden"),
                kinds or None, overwrite,
            )  # fmt: skip
        except UsageError as error:
            log.warning("%s", error)
            return
        self._changed[METRICS_KEY] = self._metrics.told()
        self._size += 100

    def _output(self, told: Mapping[str, Any]) -> None:
        at = seconds_of(told.get("time"))
        self._saw(at)
        self._printed = True
        self._print(_STREAMS[told.get("stream", 0) == 1], at or self.latest, told.get("line", ""))

    def _print(self, stream: str, at: float, text: str) -> None:
        for line in self._lines[stream].feed(text):
            self._console.append((stream, at, line))
            self._size += 24 + len(line)

    def _stats(self, told: Mapping[str, Any]) -> None:
        at = seconds_of(told.get("time"))
        self._saw(at)
        for item in told.get("item", ()):
            value = value_of(item)
            if at is not None and isinstance(value, int | float):
                self._add(SYSTEM + _gauge(item.get("key", "")), int(at), value)

    # ---- inside

    def _clear(self) -> None:
        self._columns: dict[str, tuple[list[int], list[Any]]] = {}
        self._changed: dict[str, Any] = {}
        self._console: list[tuple[str, float, str]] = []
        self._size = 0

    def _add(self, key: str, step: int, value: Any) -> None:
        steps, values = self._columns.setdefault(key, ([], []))
        steps.append(step)
        values.append(value)
        self._size += 8 + size_of(value)

    def _saw(self, at: Any) -> None:
        if isinstance(at, int | float) and at > self.latest:
            self.latest = float(at)

    def _explicit(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in self._summary.items():
            own = key.startswith("_") and key in ("_step", "_wandb", "_runtime", "_timestamp")
            if not own and not _same(self._logged.get(key, _NOTHING), value):
                kept = self._kept(key, value)
                found |= {} if kept is _NOTHING else {key: kept}
        for key in self._logged:
            metric = self._metrics.of(key)
            if metric is not None and metric.summary == ("none",) and key not in self._summary:
                found[key] = NO_SUMMARY
        return found


_NOTHING: Final = object()


def _same(one: Any, other: Any) -> bool:
    """Equal, NaN to NaN as well."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return bool(one == other) or (one != one and other != other)


def _gauge(name: str) -> str:
    """Our name of a system metric; those that have none keep wandb's, with / for dots."""
    if name in _GAUGES:
        return _GAUGES[name]
    kind, _, rest = name.partition(".")
    number, _, what = rest.partition(".")
    if kind == "gpu" and what in _OF_GPU:
        return f"gpu/{number}/{_OF_GPU[what]}"
    return "wandb/" + name.replace(".", "/").replace("//", "/")
