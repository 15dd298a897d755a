"""What a script writes for TensorBoard, logged to its run as well, with `global_step`.

A SummaryWriter of torch or tensorboardX gives each event to its `FileWriter.add_event`; TensorFlow's summaries all come
through `tf.summary.write`. Both are watched while a run asks for it. Event files stay as they are.
"""

from __future__ import annotations

import functools
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np

from besom.errors import UsageError
from besom.tracking.media.arrays import pillow
from besom.tracking.media.histogram import BINS_LIMIT, Histogram
from besom.tracking.media.image import Image
from besom.tracking.run.active import active_run
from besom.tracking.run.patches import Patches, Undo, replaced
from besom.tracking.run.run import Run

__all__ = ["STEP", "follow", "follow_all", "unfollow_all"]

log = logging.getLogger("besom")

STEP: Final = "global_step"
"""The name under which a row has the step that the script wrote."""
_NAMED_FOLDERS: Final = ("train", "validation")
"""A first folder of these names stands before its tags, as W&B has it: another will follow."""
_SHOWN: Final = ("scalars", "histograms", "images")
"""TensorBoard's plugins whose values are logged."""


class EventRows:
    """The values of one run's writers, as rows: one for each global step.

    Args:
        run: Where they are logged.
        root: The folder that others' names are told from; "" is the first writer's.
    """

    def __init__(self, run: Run, root: str = "") -> None:
        self._run = run
        self._root = root
        self._prefixes: dict[str, str] = {}
        self._row: dict[str, Any] = {}  # names in the row that is open; of steps, their values
        self._lock = threading.Lock()

    def add(self, folder: str, step: int | None, values: Mapping[str, Any]) -> None:
        """Log values that a writer in this folder wrote at a step; a new step or a repeated name opens a new row."""
        with self._lock:
            prefix = self._prefix(os.path.abspath(folder))
            named = {prefix + tag: value for tag, value in values.items()}
            at = prefix + STEP
            if self._row.get(at, step) != step or not self._row.keys().isdisjoint(named):
                self._run.close_row()
                self._row = {}
            self._row |= dict.fromkeys(named)
            if step is not None:
                self._row[at] = named[at] = step
            self._run.log(named, commit=False)

    def _prefix(self, folder: str) -> str:
        if folder not in self._prefixes:
            self._prefixes[folder] = self._new_prefix(folder)
        return self._prefixes[folder]

    def _new_prefix(self, folder: str) -> str:
        if not self._root:
            self._root = folder
            name = os.path.basename(folder)
            return f"{name}/" if name in _NAMED_FOLDERS else ""
        root = os.path.abspath(self._root)
        name = os.path.relpath(folder, os.path.commonpath([root, folder]))
        return "" if name == os.curdir else f"{name}/"


_rows: WeakKeyDictionary[Run, EventRows] = WeakKeyDictionary()
_following: set[Run] = set()
_root_of_all: str | None = None  # when every run is followed


def follow(run: Run) -> None:
    """Log to this run, while it lasts, what is written in its context."""
    _following.add(run)

    def leave() -> None:
        _following.discard(run)
        _undo_if_unused()

    run.observers.append(leave)
    _patches.apply()


def follow_all(root: str = "") -> None:
    """Log to whichever run is active, until `unfollow_all`.

    Args:
        root: The folder from which the names of writers' folders are told; "" is the first writer's.
    """
    global _root_of_all
    _root_of_all = root
    _patches.apply()


def unfollow_all() -> None:
    """Undo `follow_all`; runs that asked for themselves go on."""
    global _root_of_all
    _root_of_all = None
    _undo_if_unused()


def _undo_if_unused() -> None:
    if not _following and _root_of_all is None:
        _patches.undo()


def _follower() -> EventRows | None:
    run = active_run()
    if run is None or run.disabled or (run not in _following and _root_of_all is None):
        return None
    if run not in _rows:
        _rows[run] = EventRows(run, _root_of_all or "")
    return _rows[run]


def _write(find: Callable[[], tuple[str, int | None, dict[str, Any]]]) -> None:
    """Log what is found. Whatever goes wrong, the script's own writer has done its work: it is said once."""
    rows = _follower()
    if rows is None:
        return
    try:
        folder, step, values = find()
        if values:
            rows.add(folder, step, values)
    except (
        Exception
    ) as error:  # a foreign writer's call must not fail because of us; a trial's interrupt is no Exception
        _say_once(str(error) or type(error).__name__)


@functools.cache
def _say_once(problem: str) -> None:
    log.warning("what is written for TensorBoard cannot be logged, and is left out: %s", problem)


# ---- torch and tensorboardX


def _patch_writer(module: ModuleType) -> Undo:
    def wrap(add_event: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(add_event)
        def noted(self: Any, event: Any, step: Any = None, walltime: float | None = None) -> None:
            add_event(self, event, step, walltime)

            def find() -> tuple[str, int | None, dict[str, Any]]:
                written = int(step) if step is not None else event.step or None
                return str(self.get_logdir()), written, _of_event(event)

            _write(find)

        return noted

    return replaced(module.FileWriter, "add_event", wrap)


def _of_event(event: Any) -> dict[str, Any]:
    """What an Event's summary holds, by tag: numbers, histograms, pictures."""
    found: dict[str, Any] = {}
    for value in event.summary.value:
        kind = value.WhichOneof("value")
        if kind == "simple_value":
            found[value.tag] = value.simple_value
        elif kind == "tensor" and value.metadata.plugin_data.plugin_name == "scalars" and value.tensor.float_val:
            found[value.tag] = value.tensor.float_val[0]
        elif kind == "histo" and len(value.histo.bucket):
            limits = np.array(value.histo.bucket_limit)
            low, high = min(value.histo.min, limits[0]), max(value.histo.max, *limits[-2:-1])
            found[value.tag] = _histogram(np.append(low, np.minimum(limits, high)), np.array(value.histo.bucket))
        elif kind == "image":
            found[value.tag] = _picture(value.image.encoded_image_string)
    return found


# ---- TensorFlow


def _patch_summary(module: ModuleType) -> Undo:
    """For `tf.summary`: a module for users, one for TensorBoard's functions, one for `import tensorflow.summary`."""

    def wrap_create(create: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(create)
        def noted(logdir: Any, *arguments: Any, **named: Any) -> Any:
            writer = create(logdir, *arguments, **named)
            writer.besom_folder = os.fspath(logdir) if isinstance(logdir, str | os.PathLike) else ""
            return writer

        return noted

    def wrap_write(write: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(write)
        def noted(tag: str, tensor: Any, step: Any = None, metadata: Any = None, name: str | None = None) -> Any:
            done = write(tag, tensor, step, metadata, name)
            plugin = metadata.plugin_data.plugin_name if metadata is not None else ""

            def find() -> tuple[str, int | None, dict[str, Any]]:
                if not sys.modules["tensorflow"].executing_eagerly():
                    raise UsageError(f"{tag} is written inside a tf.function, which TensorFlow runs by itself")
                if plugin not in _SHOWN or not bool(module.should_record_summaries()):
                    return "", None, {}
                at = step if step is not None else module.experimental.get_step()
                value = _of_tensor(plugin, np.asarray(tensor() if callable(tensor) else tensor))
                return _current_folder(), None if at is None else int(at), {tag: value}

            _write(find)
            return done

        return noted

    unwrite, uncreate = replaced(module, "write", wrap_write), replaced(module, "create_file_writer", wrap_create)

    def undo() -> None:
        unwrite()
        uncreate()

    return undo


def _current_folder() -> str:
    """Of the default writer; TensorFlow says which one that is in a private place only."""
    state = getattr(sys.modules.get("tensorflow.python.ops.summary_ops_v2"), "_summary_state", None)
    return str(getattr(getattr(state, "writer", None), "besom_folder", ""))


def _of_tensor(plugin: str, held: np.ndarray[Any, Any]) -> Any:
    if plugin == "scalars":
        return float(held)
    if plugin == "histograms":  # rows of left edge, right edge, count
        return _histogram(np.append(held[:1, 0], held[:, 1]), held[:, 2])
    return [_picture(encoded) for encoded in held[2:]]  # after width and height


# ---- both


def _histogram(edges: np.ndarray[Any, Any], counts: np.ndarray[Any, Any]) -> Histogram:
    """With neighbouring bins joined where there are too many."""
    joined = -(-len(counts) // BINS_LIMIT)
    counts = np.add.reduceat(counts, range(0, len(counts), joined))
    return Histogram(np_histogram=(counts, np.append(edges[:-1:joined], edges[-1])))


def _picture(encoded: bytes) -> Image:
    return Image(pillow("an image written for TensorBoard").open(io.BytesIO(encoded)))


_patches = Patches({
    "torch.utils.tensorboard.writer": _patch_writer,
    "tensorboardX.writer": _patch_writer,
    "tensorflow.summary": _patch_summary,
    "tensorflow._api.v2.summary": _patch_summary,
    "tensorflow._api.v2.compat.v2.summary": _patch_summary,
})  # fmt: skip
