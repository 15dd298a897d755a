"""Images as W&B takes them, read back with Pillow."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL")
from PIL import Image as Pil

from besom.errors import UsageError
from besom.tracking.media.image import Image

from .conftest import Shelf

RAMP = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10


def pixels(image: Image, shelf: Shelf) -> np.ndarray[Any, Any]:
    told = image.to_logged(shelf, "k", 0)
    return np.asarray(Pil.open(io.BytesIO(shelf.blobs.read(told["sha256"]))))


class Tensor:
    """Stands for torch.Tensor, which tests do without."""

    __module__ = "torch"

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        self._values = values
        self.shape = values.shape

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> np.ndarray[Any, Any]:
        return self._values


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (RAMP, RAMP),
        (RAMP[:, :, 0], RAMP[:, :, 0]),
        (RAMP[:, :, :1], RAMP[:, :, 0]),
        (np.dstack([RAMP, RAMP[:, :, 0]]), np.dstack([RAMP, RAMP[:, :, 0]])),
        (np.array([[0.0, 0.5, 1.0]]), [[0, 127, 255]]),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), [[0, 127, 255]]),
        (np.array([[0.0, 300.0, 17.0]]), [[0, 255, 17]]),
        (np.array([[-5, 300, 1]]), [[0, 255, 1]]),
        (np.array([[0, 1]], np.uint8), [[0, 1]]),
        (np.array([[False, True]]), [[0, 255]]),
        (np.array([[np.nan, 1.0]]), [[0, 255]]),
        (Tensor(RAMP.transpose(2, 0, 1)), RAMP),
        (Tensor(RAMP[None, :, :, 0]), RAMP[:, :, 0]),
        (Tensor(RAMP[:, :, 1]), RAMP[:, :, 1]),
        (Pil.fromarray(RAMP), RAMP),
        (Image(RAMP), RAMP),
    ],
)
def test_pixels_come_back(data: Any, seen: Any, shelf: Shelf) -> None:
    """Channels last for numpy, first for torch; floats of [0, 1] and [-1, 1] are stretched, the rest is cut."""
    np.testing.assert_array_equal(pixels(Image(data), shelf), np.asarray(seen))


@pytest.mark.parametrize("shape", [(3, 8, 10), (2, 3, 4, 5), (8,), (4, 4, 5), (0, 4)])
def test_shapes_that_are_no_image(shape: tuple[int, ...]) -> None:
    """Channels first, batches and empty arrays are refused with the shape."""
    with pytest.raises(ValueError, match="Un-supported shape for image conversion"):
        Image(np.zeros(shape))


@pytest.mark.parametrize(
    ("source", "options", "error"),
    [
        ([[1, 2]], {}, TypeError),
        (None, {}, TypeError),
        ("nowhere.png", {}, FileNotFoundError),
        (RAMP, {"file_type": "tiff"}, ValueError),
        (RAMP, {"masks": {"m": 5}}, TypeError),
        (RAMP, {"masks": {"m": {"mask_data": np.zeros((2, 4))}}}, ValueError),
        (RAMP, {"masks": {"m": {"mask_data": np.full((2, 4), 256)}}}, ValueError),
        (RAMP, {"masks": {"m": {"mask_data": np.zeros((2, 4, 3), int)}}}, ValueError),
        (RAMP, {"boxes": {"b": {}}}, TypeError),
        (RAMP, {"boxes": {"b": {"box_data": [{}]}}}, TypeError),
        (RAMP, {"boxes": {"b": {"box_data": [{"position": {"minX": 1}}]}}}, ValueError),
        (
            RAMP,
            {"boxes": {"b": {"box_data": [{"position": {"middle": [0, 0], "width": 1, "height": "x"}}]}}},
            TypeError,
        ),
        (RAMP, {"classes": [1]}, TypeError),
    ],
)
def test_misuse(source: Any, options: dict[str, Any], error: type[Exception]) -> None:
    """What cannot be an image, mask, box or class is refused where it is written."""
    with pytest.raises(error):
        Image(source, **options)


def test_its_json(shelf: Shelf) -> None:
    """W&B's `image-file`, with a path under media/images that names key, step and content."""
    told = Image(RAMP, caption="a ramp").to_logged(shelf, "val/ramp", 7)
    content = shelf.blobs.read(told["sha256"])
    assert told == {
        "_type": "image-file", "path": f"media/images/val/ramp_7_{told['sha256'][:20]}.png", "sha256": told["sha256"],
        "size": len(content), "format": "png", "width": 4, "height": 2, "caption": "a ramp",
    }  # fmt: skip


@pytest.mark.parametrize(("file_type", "kind"), [("png", "PNG"), ("jpg", "JPEG"), ("jpeg", "JPEG"), ("bmp", "BMP")])
def test_file_types(file_type: str, kind: str, shelf: Shelf) -> None:
    """Each is written as such, jpg and bmp without transparency."""
    told = Image(np.zeros((2, 2, 4), np.uint8), file_type=file_type).to_logged(shelf, "k", 0)
    assert Pil.open(io.BytesIO(shelf.blobs.read(told["sha256"]))).format == kind
    assert told["path"].endswith(f".{file_type}")


def test_a_file_is_kept_as_it_is(tmp_path: Path, shelf: Shelf) -> None:
    """Bytes and suffix of a file are not touched, unless another type or mode is asked for."""
    path = tmp_path / "a.jpg"
    Pil.fromarray(RAMP).save(path)
    told = Image(path).to_logged(shelf, "k", 0)
    assert shelf.blobs.read(told["sha256"]) == path.read_bytes()
    assert (told["format"], told["width"], told["height"]) == ("jpg", 4, 2)
    assert pixels(Image(str(path), mode="L", file_type="png"), shelf).shape == (2, 4)


def test_another_image_is_copied(shelf: Shelf) -> None:
    """Caption, classes and masks come along, unless given anew."""
    first = Image(RAMP, caption="one", classes=[{"id": 0, "name": "cat"}], masks={"m": {"mask_data": RAMP[:, :, 0]}})
    told = Image(first, caption="two").to_logged(shelf, "k", 0)
    assert told["caption"] == "two"
    assert told["classes"] == [{"id": 0, "name": "cat"}]
    assert set(told["masks"]) == {"m"}
    assert pixels(Image(first, mode="L"), shelf).shape == (2, 4)


def test_masks_and_boxes(shelf: Shelf) -> None:
    """A mask is a PNG of class numbers, boxes are a JSON file; labels come with them."""
    classes = np.arange(8).reshape(2, 4)
    box = {
        "position": {"minX": 0.1, "maxX": np.float32(0.5), "minY": 0, "maxY": 1},
        "class_id": 2,
        "scores": {"p": 0.5},
    }
    image = Image(
        RAMP,
        masks={"truth": {"mask_data": classes, "class_labels": {1: "cat"}}},
        boxes={"found": {"box_data": [box], "class_labels": {2: "dog"}}},
    )
    told = image.to_logged(shelf, "k", 3)
    mask, boxes = told["masks"]["truth"], told["boxes"]["found"]
    np.testing.assert_array_equal(Pil.open(io.BytesIO(shelf.blobs.read(mask["sha256"]))), classes)
    assert (mask["_type"], mask["class_labels"]) == ("mask", {"1": "cat"})
    assert mask["path"].startswith("media/images/mask/k_3_")
    assert boxes["_type"] == "boxes2D"
    assert json.loads(shelf.blobs.read(boxes["sha256"])) == {"box_data": [box], "class_labels": {"2": "dog"}}


def test_a_list(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    """`images/separated` counts them, names their files, and has captions, masks and boxes for each."""
    items = [Image(RAMP, caption="a"), Image(RAMP[:1], masks={"m": {"mask_data": RAMP[:1, :, 0]}})]
    with caplog.at_level(logging.WARNING, "besom"):
        told = Image.many(items, shelf, "k", 1)
    assert (told["_type"], told["count"], told["width"], told["height"]) == ("images/separated", 2, 4, 2)
    assert told["captions"] == ["a", ""]
    assert told["all_masks"][0] is None
    assert set(told["all_masks"][1]) == {"m"}
    assert [len(shelf.blobs.read(one)) for one in told["sha256"]] == told["size"]
    assert len(set(told["filenames"])) == 2
    assert len(caplog.messages) == 1


def test_figures(shelf: Shelf) -> None:
    """A figure, its axes, and pyplot itself become the picture that matplotlib draws."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(2, 1), dpi=50)
    try:
        axes.plot([1, 2])
        drawn = [pixels(Image(source), shelf) for source in (figure, axes, pyplot)]
    finally:
        pyplot.close(figure)
    assert drawn[0].shape == (50, 100, 4)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error tells what to install."""
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(UsageError, match=r"pip install 'besom\[media\]'"):
        Image(RAMP)
