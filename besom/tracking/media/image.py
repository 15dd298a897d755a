"""Images: arrays, PIL's, matplotlib figures and files, with captions, masks and boxes."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from besom.tracking.media.arrays import as_array, is_torch, pillow, to_bytes
from besom.tracking.media.media import FileMedia, Keeper
from besom.tracking.media.overlays import Boxes, Mask
from besom.tracking.values import plain

__all__ = ["Image"]

log = logging.getLogger("besom")

_FORMATS: Final = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "bmp": "BMP"}
_OPAQUE: Final = ("JPEG", "BMP")


class Image(FileMedia):
    """A picture.

    Args:
        data_or_path: A numpy array of shape (height, width), (height, width, 1), (…, 3) or (…, 4), a torch tensor of
            shape (channels, height, width), a PIL image, a matplotlib figure, axes or `pyplot`, a file, another Image.
        mode: PIL mode to convert to, such as "L" or "RGB".
        caption: Text beside it.
        grouping: How many images of a list stand side by side.
        classes: `[{"id": 0, "name": "cat"}, …]`, names of classes in masks and boxes.
        boxes: Name to boxes (`overlays.Boxes`).
        masks: Name to mask (`overlays.Mask`).
        file_type: "png" (the default), "jpg", "jpeg" or "bmp".
        normalize: Stretch floats of [0, 1] and [-1, 1] to [0, 255]; without it they are cut.

    Raises:
        ValueError: an array of another shape, or a file type that is not known.
        TypeError: neither of these.
        FileNotFoundError: the file is not there.
        UsageError: Pillow is not installed.
    """

    kind = "image-file"
    folder = "media/images"

    def __init__(
        self,
        data_or_path: Any,
        mode: str | None = None,
        caption: str | None = None,
        grouping: int | None = None,
        classes: Any = None,
        boxes: Mapping[str, Any] | None = None,
        masks: Mapping[str, Any] | None = None,
        file_type: str | None = None,
        normalize: bool = True,
    ) -> None:
        if file_type is not None and file_type not in _FORMATS:
            raise ValueError(f"file_type={file_type!r} cannot be; write one of {', '.join(_FORMATS)}")
        content, suffix, size = _encoded(data_or_path, mode, file_type, normalize)
        super().__init__(content, f".{suffix}", caption)
        self.format, (self.width, self.height) = suffix, size
        self.grouping = grouping
        self.classes = [] if classes is None else [_class(item) for item in classes]
        self.masks = {name: Mask(name, mask) for name, mask in (masks or {}).items()}
        self.boxes = {name: Boxes(name, some) for name, some in (boxes or {}).items()}
        if isinstance(data_or_path, Image):
            self._inherit(data_or_path)

    def _inherit(self, other: Image) -> None:
        self.caption = other.caption if self.caption is None else self.caption
        self.grouping = other.grouping if self.grouping is None else self.grouping
        self.classes, self.masks = self.classes or other.classes, self.masks or other.masks
        self.boxes = self.boxes or other.boxes

    def details(self) -> dict[str, Any]:
        """Format, size in pixels, caption, grouping and classes."""
        told = {"format": self.format, "width": self.width, "height": self.height, **super().details()}
        if self.grouping is not None:
            told["grouping"] = self.grouping
        return {**told, "classes": self.classes} if self.classes else told

    def to_logged(self, run: Keeper, key: str, step: int) -> dict[str, Any]:
        """Keep the picture, its masks and boxes; its JSON."""
        told = super().to_logged(run, key, step)
        for what, overlays in (("masks", self.masks), ("boxes", self.boxes)):
            if overlays:
                told[what] = {name: one.to_logged(run.blobs, key, step) for name, one in overlays.items()}
        return told

    @classmethod
    def many(cls, items: Sequence[Image], run: Keeper, key: str, step: int) -> dict[str, Any]:
        """The JSON of a list: `images/separated`."""
        logged = [item.to_logged(run, key, step) for item in items]  # their content tells their names apart
        if len({(item.width, item.height) for item in items}) > 1:
            log.warning("%s: images of several sizes in one list are shown in the size of the first", key)
        told: dict[str, Any] = {
            "_type": "images/separated", "count": len(items), "format": items[0].format,
            "width": items[0].width, "height": items[0].height, "filenames": [one["path"] for one in logged],
            "sha256": [one["sha256"] for one in logged], "size": [one["size"] for one in logged],
        }  # fmt: skip
        if any(item.caption is not None for item in items):
            told["captions"] = ["" if item.caption is None else str(item.caption) for item in items]
        for what, name in (("masks", "all_masks"), ("boxes", "all_boxes")):
            if any(what in one for one in logged):
                told[name] = [one.get(what) for one in logged]
        for what in ("grouping", "classes"):
            if what in logged[0]:
                told[what] = logged[0][what]
        return told


def _encoded(
    source: Any, mode: str | None, file_type: str | None, normalize: bool
) -> tuple[bytes | Path, str, tuple[int, int]]:
    """Content, suffix without dot, (width, height)."""
    if isinstance(source, Image):
        content = source.content()
        if mode is None and file_type in (None, source.format):
            return content, source.format, (source.width, source.height)
        source = pillow("an Image").open(content if isinstance(content, Path) else io.BytesIO(content))
    elif isinstance(source, str | os.PathLike):
        path = Path(source)
        with pillow("an Image").open(path) as opened:
            suffix = path.suffix[1:].lower() or str(opened.format or "png").lower()
            if mode is None and file_type in (None, suffix):
                return path.absolute(), suffix, opened.size
            source = opened.copy()
    picture = _picture(source, normalize)
    if mode is not None:
        picture = picture.convert(mode)
    kind = _FORMATS[file_type or "png"]
    if kind in _OPAQUE and picture.mode in ("RGBA", "LA", "P"):
        picture = picture.convert("RGB")
    file = io.BytesIO()
    picture.save(file, format=kind)
    return file.getvalue(), file_type or "png", picture.size


def _picture(source: Any, normalize: bool) -> Any:
    """A PIL image."""
    figure = _figure(source)
    if figure is not None:
        file = io.BytesIO()
        figure.savefig(file, format="png")
        return pillow("a figure").open(file)
    if type(source).__module__.partition(".")[0] == "PIL":
        return source
    if not hasattr(source, "shape"):
        raise TypeError(f"an Image is made of an array, a PIL image, a figure or a file, not {type(source).__name__}")
    array = as_array(source)
    if is_torch(source) and array.ndim == 3:
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (2, 3, 4)) or 0 in array.shape:
        raise ValueError(
            f"Un-supported shape for image conversion {list(source.shape)}; write (height, width), (height, width, "
            "1, 3 or 4), or for torch (channels, height, width)"
        )
    return pillow("an Image").fromarray(to_bytes(array) if normalize else array.clip(0, 255).astype("uint8"))


def _figure(source: Any) -> Any:
    """The matplotlib figure that is meant, or None."""
    if isinstance(source, ModuleType) and source.__name__ == "matplotlib.pyplot":
        return source.gcf()
    if type(source).__module__.partition(".")[0] != "matplotlib":
        return None
    return source if hasattr(source, "savefig") else source.get_figure()


def _class(said: Any) -> dict[str, Any]:
    if not isinstance(said, Mapping) or "id" not in said or "name" not in said:
        raise TypeError(f"classes is a list of dicts with 'id' and 'name', not of {said!r:.80}")
    return {"id": plain(said["id"]), "name": str(said["name"])}
