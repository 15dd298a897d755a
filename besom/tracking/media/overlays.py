"""What lies over an image: masks of classes, and boxes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from besom.tracking.blobs.blobs import Blobs
from besom.tracking.media.arrays import as_array, pillow
from besom.tracking.media.media import keep_file, to_json
from besom.tracking.values import plain

__all__ = ["Boxes", "Mask"]


class Mask:
    """A class for each pixel.

    Args:
        name: "prediction", "ground_truth", ...
        said: `{"mask_data": array of shape (height, width), whole numbers 0 to 255}` or `{"path": file}`, and
            `class_labels`, a dict from number to name.

    Raises:
        TypeError: no such dict.
        ValueError: an array of another shape or kind.
    """

    def __init__(self, name: str, said: Any) -> None:
        if not isinstance(said, Mapping) or not ({"mask_data", "path"} & said.keys()):
            raise TypeError(f"masks[{name!r}] is a dict with 'mask_data' or 'path', not {said!r:.80}")
        self.name = name
        self.labels = _labels(said.get("class_labels"), f"masks[{name!r}]")
        self._content: bytes | Path = (
            _mask_png(name, as_array(said["mask_data"])) if "mask_data" in said else Path(said["path"])
        )

    def to_logged(self, blobs: Blobs, key: str, step: int) -> dict[str, Any]:
        """Keep it; its JSON."""
        kept = keep_file(blobs, self._content, f"media/images/mask/{key}_{step}", ".mask.png")
        return {"_type": "mask", **kept, **({"class_labels": self.labels} if self.labels else {})}


class Boxes:
    """Boxes on an image.

    Args:
        name: "predictions", ...
        said: `{"box_data": [{"position": {minX, maxX, minY, maxY} or {middle, width, height}, "class_id": int,
            "box_caption": str, "scores": {name: number}, "domain": "pixel"}], "class_labels": {int: str}}`.

    Raises:
        TypeError: a part is of another type.
        ValueError: a part is missing or cannot be.
    """

    def __init__(self, name: str, said: Any) -> None:
        where = f"boxes[{name!r}]"
        if not isinstance(said, Mapping) or not isinstance(said.get("box_data"), Sequence):
            raise TypeError(f"{where} is a dict with the list 'box_data', not {said!r:.80}")
        self.name = name
        self.labels = _labels(said.get("class_labels"), where)
        self.boxes = [_box(box, f"{where}.box_data[{place}]") for place, box in enumerate(said["box_data"])]

    def to_logged(self, blobs: Blobs, key: str, step: int) -> dict[str, Any]:
        """Keep them as a JSON file; their JSON."""
        content = to_json({"box_data": self.boxes, "class_labels": self.labels})
        kept = keep_file(blobs, content, f"media/metadata/boxes2D/{key}_{step}", ".boxes2D.json")
        return {"_type": "boxes2D", **kept}


def _mask_png(name: str, values: np.ndarray[Any, Any]) -> bytes:
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2 or not (np.issubdtype(values.dtype, np.integer) or values.dtype == bool):
        raise ValueError(
            f"masks[{name!r}].mask_data has shape (height, width) and whole numbers, not {values.shape} {values.dtype}"
        )
    if values.size and (values.min() < 0 or values.max() > 255):
        raise ValueError(f"masks[{name!r}].mask_data holds {values.min()} to {values.max()}; write 0 to 255")
    file = io.BytesIO()
    pillow("a mask").fromarray(values.astype(np.uint8)).save(file, format="PNG")
    return file.getvalue()


def _labels(said: Any, where: str) -> dict[str, str]:
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        raise TypeError(f"{where}.class_labels is a dict of numbers and names, not {said!r:.80}")
    return {str(plain(number)): str(label) for number, label in said.items()}


def _box(box: Any, where: str) -> dict[str, Any]:
    if not isinstance(box, Mapping) or not isinstance(box.get("position"), Mapping):
        raise TypeError(f"{where} is a dict with the dict 'position', not {box!r:.80}")
    position = plain(dict(box["position"]), where)
    corners = {"minX", "maxX", "minY", "maxY"} <= position.keys()
    if not corners and not {"middle", "width", "height"} <= position.keys():
        raise ValueError(f"{where}.position has minX, maxX, minY, maxY or middle, width, height, not {position}")
    numbers = [position[name] for name in ("minX", "maxX", "minY", "maxY")] if corners else [
        *position["middle"], position["width"], position["height"]
    ]  # fmt: skip
    if not all(isinstance(number, int | float) for number in numbers):
        raise TypeError(f"{where}.position holds numbers, not {position}")
    if box.get("domain") not in (None, "pixel"):
        raise ValueError(f"{where}.domain={box['domain']!r} cannot be; write 'pixel', or leave it out for fractions")
    if not isinstance(plain(box.get("class_id", 0)), int):
        raise TypeError(f"{where}.class_id is a whole number, not {box['class_id']!r}")
    scores = plain(box.get("scores") or {}, where)
    if not isinstance(scores, dict) or not all(isinstance(score, int | float) for score in scores.values()):
        raise TypeError(f"{where}.scores is a dict of numbers, not {box['scores']!r:.80}")
    known = ("class_id", "box_caption", "scores", "domain")
    return {"position": position, **{name: plain(box[name], where) for name in known if box.get(name) is not None}}
