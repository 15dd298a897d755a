"""Html, Audio, Video, Object3D and Plotly: what they take, refuse and keep."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from besom.tracking.media.audio import Audio
from besom.tracking.media.html import Html
from besom.tracking.media.media import FileMedia
from besom.tracking.media.object3d import Object3D
from besom.tracking.media.plotly import Plotly
from besom.tracking.media.video import Video

from .conftest import Shelf


def content(media: FileMedia, shelf: Shelf) -> bytes:
    return shelf.blobs.read(media.to_logged(shelf, "k", 0)["sha256"])


class Figure:
    """Stands for a plotly figure, which tests do without."""

    def to_json(self) -> str:
        return '{"data": []}'


# ---- pages


@pytest.mark.parametrize(
    ("page", "kept"),
    [
        ("<p>x", '<base target="_blank"><p>x'),
        ("<html><head></head></html>", '<html><head><base target="_blank"></head></html>'),
        ("<html>x</html>", '<html><base target="_blank">x</html>'),
        (io.StringIO("<p>x"), '<base target="_blank"><p>x'),
        (b"<p>x", '<base target="_blank"><p>x'),
    ],
)
def test_pages(page: Any, kept: str, shelf: Shelf) -> None:
    """Text and open files are kept, with links that open in a window of their own."""
    assert content(Html(page), shelf).decode() == kept


def test_a_page_from_a_file(tmp_path: Path, shelf: Shelf) -> None:
    """A path of an .html file is read, unless it is said to be text."""
    path = tmp_path / "a.html"
    path.write_text("<p>file")
    assert content(Html(str(path), inject=False), shelf) == b"<p>file"
    assert content(Html(path, inject=False), shelf) == b"<p>file"
    assert content(Html(str(path), inject=False, data_is_not_path=True), shelf) == str(path).encode()


# ---- sound


@pytest.mark.parametrize(
    ("samples", "frames"),
    [
        (np.array([0.0, 1.0, -1.0, 2.0, np.nan]), [[0], [32767], [-32767], [32767], [0]]),
        (np.array([[1, -2], [3, 40_000]]), [[1, -2], [3, 32767]]),
    ],
)
def test_sound(samples: np.ndarray[Any, Any], frames: list[list[int]], shelf: Shelf) -> None:
    """Arrays become WAV files of 16 bits, as Python's `wave` reads them."""
    with wave.open(io.BytesIO(content(Audio(samples, sample_rate=8000), shelf))) as sound:
        assert (sound.getframerate(), sound.getsampwidth(), sound.getnchannels()) == (8000, 2, len(frames[0]))
        found = np.frombuffer(sound.readframes(100), "<i2").reshape(-1, len(frames[0]))
    np.testing.assert_array_equal(found, frames)


def test_a_list_of_sounds(tmp_path: Path, shelf: Shelf) -> None:
    """The list tells rates, durations and captions; a file is kept as it is."""
    path = tmp_path / "a.mp3"
    path.write_bytes(b"mp3")
    told = Audio.many([Audio(np.zeros(16), 8, caption="low"), Audio(path)], shelf, "k", 0)
    assert (told["_type"], told["count"], told["captions"]) == ("audio", 2, ["low", ""])
    assert (told["sampleRates"], told["durations"]) == ([8, None], [2.0, None])
    assert shelf.blobs.read(told["audio"][1]["sha256"]) == b"mp3"
    assert told["audio"][1]["path"].endswith(".mp3")


# ---- video


@pytest.mark.parametrize(
    ("shape", "size", "count"),
    [((3, 3, 4, 6), (6, 4), 3), ((2, 1, 4, 6), (6, 4), 2), ((3, 2, 3, 4, 6), (12, 8), 2)],
)
def test_video(shape: tuple[int, ...], size: tuple[int, int], count: int, shelf: Shelf) -> None:
    """Arrays become GIFs with a picture for each time; a batch becomes a grid filled up to a power of two."""
    pil = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    video = Video(values, fps=10)
    opened = pil.open(io.BytesIO(content(video, shelf)))
    assert (opened.size, opened.n_frames, opened.info["duration"]) == (size, count, 100)
    assert (video.width, video.height) == size


def test_grey_frames_come_back(shelf: Shelf) -> None:
    """A GIF keeps grey exactly."""
    pil = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(0).integers(0, 255, (2, 1, 4, 6)).astype(np.uint8)
    opened = pil.open(io.BytesIO(content(Video(values), shelf)))
    for place in range(2):
        opened.seek(place)
        np.testing.assert_array_equal(np.asarray(opened.convert("L")), values[place, 0])


def test_video_files(tmp_path: Path, shelf: Shelf) -> None:
    """Files and open files are kept as they are; a list tells the captions."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"mp4")
    told = Video.many([Video(path, caption="a"), Video(io.BytesIO(b"webm"), format="webm")], shelf, "k", 0)
    assert (told["_type"], told["count"], told["captions"]) == ("videos", 2, ["a", None])
    assert [shelf.blobs.read(one["sha256"]) for one in told["videos"]] == [b"mp4", b"webm"]


# ---- shapes


@pytest.mark.parametrize("width", [3, 4, 6])
def test_points(width: int, shelf: Shelf) -> None:
    """Arrays of points become `.pts.json`."""
    values = np.arange(2.0 * width).reshape(2, width)
    told = Object3D(values).to_logged(shelf, "k", 0)
    assert json.loads(shelf.blobs.read(told["sha256"])) == values.tolist()
    assert told["path"].endswith(".pts.json")


def test_a_scene(shelf: Shelf) -> None:
    """A lidar scene keeps points, boxes and vectors."""
    scene = {"type": "lidar/beta", "points": np.ones((1, 3)), "boxes": np.array([{"corners": [[0, 0, 0]]}])}
    kept = json.loads(content(Object3D(scene), shelf))
    assert kept == {"type": "lidar/beta", "points": [[1, 1, 1]], "boxes": [{"corners": [[0, 0, 0]]}], "vectors": []}


def test_shape_files(tmp_path: Path, shelf: Shelf) -> None:
    """Files keep their format; a list names them."""
    path = tmp_path / "a.OBJ"
    path.write_bytes(b"v 1 2 3")
    told = Object3D.many([Object3D(path), Object3D(io.StringIO("solid"), file_type="stl")], shelf, "k", 0)
    assert (told["_type"], told["count"]) == ("object3D", 2)
    assert [name.rpartition(".")[2] for name in told["filenames"]] == ["obj", "stl"]
    assert shelf.blobs.read(told["objects"][1]["sha256"]) == b"solid"


def test_plotly(shelf: Shelf) -> None:
    """A figure is kept as plotly's own JSON."""
    assert content(Plotly(Figure()), shelf) == b'{"data": []}'


# ---- misuse


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Html(5), TypeError),
        (lambda: Audio(np.zeros(4)), ValueError),
        (lambda: Audio(np.zeros((2, 2, 2)), 8), ValueError),
        (lambda: Audio("nowhere.wav"), FileNotFoundError),
        (lambda: Video("nowhere.mp4"), FileNotFoundError),
        (lambda: Video(io.BytesIO(b"x")), ValueError),
        (lambda: Video(io.BytesIO(b"x"), format="avi"), ValueError),
        (lambda: Video(np.zeros((2, 3, 4, 4)), format="mp4"), ValueError),
        (lambda: Video(np.zeros((3, 4, 4))), ValueError),
        (lambda: Video(np.zeros((2, 4, 4, 3))), ValueError),
        (lambda: Object3D("nowhere.obj"), FileNotFoundError),
        (lambda: Object3D(np.zeros((3, 5))), ValueError),
        (lambda: Object3D({"type": "x"}), ValueError),
        (lambda: Object3D(io.StringIO("x"), file_type="doc"), ValueError),
        (lambda: Object3D(5), TypeError),
        (lambda: Plotly(5), TypeError),
    ],
)
def test_misuse(make: Callable[[], Any], error: type[Exception]) -> None:
    """Formats, shapes and files that cannot be are refused where they are written."""
    with pytest.raises(error):
        make()


@pytest.mark.parametrize(
    ("media", "folder"),
    [
        (Html("x"), "media/html"), (Audio(np.zeros(2), 8), "media/audio"), (Plotly(Figure()), "media/plotly"),
        (Object3D(np.zeros((1, 3))), "media/object3D"), (Video(io.BytesIO(b"x"), format="mp4"), "media/videos"),
    ],
)  # fmt: skip
def test_their_json(media: FileMedia, folder: str, shelf: Shelf) -> None:
    """Type, a path in W&B's folder, sha256 and size of what is kept."""
    told = media.to_logged(shelf, "a/b", 5)
    assert told["_type"].endswith("-file")
    assert told["path"].startswith(f"{folder}/a/b_5_{told['sha256'][:20]}.")
    assert told["size"] == len(shelf.blobs.read(told["sha256"]))
