"""Section 3.5 of the contract: media, tables, charts, artifacts, and the small calls.

Each case is a function of a bench; what it gives is compared, and what its runs left behind, the files among it.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np

from tests.conformance.bench import Bench, needs

_BYTES = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)

# ---- images


def image_rgb(b: Bench) -> Any:
    """Height, width, channels."""
    b.init().log({"img": b.w.Image(_BYTES, caption="a caption")})


def image_shapes(b: Bench) -> Any:
    """Grey with and without a channel, with alpha."""
    b.init().log(
        {
            "hw": b.w.Image(_BYTES[:, :, 0]),
            "hw1": b.w.Image(_BYTES[:, :, :1]),
            "rgba": b.w.Image(np.dstack([_BYTES, _BYTES[:, :, :1]])),
        }
    )


def image_bad_shapes(b: Bench) -> Any:
    """Channels first, batches, lists, numbers."""
    image = b.w.Image
    return [
        b.raised(image, np.zeros((3, 8, 10), np.uint8)), b.raised(image, np.zeros((2, 3, 8, 10), np.uint8)),
        b.raised(image, np.zeros(5, np.uint8)), b.raised(image, _BYTES[:, :, :2]),
        b.raised(image, [[1, 2], [3, 4]]), b.raised(image, 3),
        b.raised(image, "none.png"),
    ]  # fmt: skip


def image_integers(b: Bench) -> Any:
    """Integers of other sizes, and booleans."""
    b.init().log(
        {
            "i64": b.w.Image(_BYTES.astype(np.int64)),
            "large": b.w.Image(_BYTES.astype(np.int64) + 250),
            "bool": b.w.Image(_BYTES[:, :, 0] > 20),
        }
    )


def image_floats(b: Bench) -> Any:
    """Floats of [0, 255]."""
    b.init().log({"img": b.w.Image(_BYTES.astype(np.float32))})


def image_unit_floats(b: Bench) -> Any:
    """Floats of [0, 1]."""
    b.init().log({"img": b.w.Image(_BYTES.astype(np.float32) / 59)})


def image_mode(b: Bench) -> Any:
    """Converted to grey."""
    b.init().log({"img": b.w.Image(_BYTES, mode="L")})


def image_pil(b: Bench) -> Any:
    """PIL's images, palettes among them."""
    import PIL.Image

    picture = PIL.Image.fromarray(_BYTES)
    b.init().log(
        {"rgb": b.w.Image(picture), "p": b.w.Image(picture.convert("P")), "l": b.w.Image(picture.convert("L"))}
    )


def image_pil_bare(b: Bench) -> Any:
    """A PIL image without Image around it."""
    import PIL.Image

    return b.raised(b.init().log, {"img": PIL.Image.fromarray(_BYTES)})


def image_file(b: Bench) -> Any:
    """A file, by text and by Path."""
    import PIL.Image

    PIL.Image.fromarray(_BYTES).save("a.png")
    PIL.Image.fromarray(_BYTES).save("b.bmp")
    b.init().log({"png": b.w.Image("a.png", caption="c"), "bmp": b.w.Image(Path("b.bmp"))})


def image_file_types(b: Bench) -> Any:
    """jpg and bmp."""
    image = b.w.Image
    flat = np.full((4, 5, 3), 90, np.uint8)
    b.init().log({"jpg": image(flat, file_type="jpg"), "bmp": image(flat, file_type="bmp")})
    return [b.raised(image, flat, file_type="gif"), b.raised(image, flat, file_type="tiff")]


def image_jpg_alpha(b: Bench) -> Any:
    """Alpha is dropped for jpg."""
    b.init().log({"jpg": b.w.Image(np.full((4, 5, 4), 90, np.uint8), file_type="jpg")})


def image_of_image(b: Bench) -> Any:
    """An Image of an Image keeps its caption."""
    b.init().log({"img": b.w.Image(b.w.Image(_BYTES, caption="c"))})


def image_grouping(b: Bench) -> Any:
    """grouping and classes."""
    b.init().log({"img": b.w.Image(_BYTES, grouping=2, classes=[{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}])})


def image_list(b: Bench) -> Any:
    """A list of images."""
    b.init().log({"imgs": [b.w.Image(_BYTES + place, caption=f"no {place}") for place in range(3)]})


def image_list_captions(b: Bench) -> Any:
    """Captions for some of them."""
    b.init().log({"imgs": [b.w.Image(_BYTES), b.w.Image(_BYTES + 1, caption="second")]})


def image_list_too_long(b: Bench) -> Any:
    """108 are kept."""
    picture = np.zeros((2, 2), np.uint8)
    b.init().log({"imgs": [b.w.Image(picture) for _ in range(110)]})


def image_list_sizes(b: Bench) -> Any:
    """Images of two sizes."""
    b.init().log({"imgs": [b.w.Image(_BYTES), b.w.Image(_BYTES[:2])]})


def image_list_mixed(b: Bench) -> Any:
    """A list of an image and a number."""
    return b.raised(b.init().log, {"imgs": [b.w.Image(_BYTES), 3]})


def image_nested(b: Bench) -> Any:
    """An image inside a dict."""
    b.init().log({"n": {"img": b.w.Image(_BYTES), "x": 1}})


def image_name_with_slash(b: Bench) -> Any:
    """A name with a section."""
    b.init().log({"val/img": b.w.Image(_BYTES)}, step=4)


def image_masks(b: Bench) -> Any:
    """Masks over an image."""
    mask = np.arange(20, dtype=np.uint8).reshape(4, 5) % 3
    masks = {"truth": {"mask_data": mask, "class_labels": {0: "sky", 1: "cat", 2: "dog"}}, "guess": {"mask_data": mask}}
    b.init().log({"img": b.w.Image(_BYTES, masks=masks)})


def image_boxes(b: Bench) -> Any:
    """Boxes over an image."""
    boxes = {
        "guess": {
            "box_data": [
                {
                    "position": {"minX": 0.1, "maxX": 0.2, "minY": 0.3, "maxY": 0.4}, "class_id": 2,
                    "box_caption": "cat", "scores": {"acc": 0.1, "loss": 1.2},
                },
                {"position": {"middle": [1, 2], "width": 2, "height": 1}, "domain": "pixel", "class_id": 1},
            ],
            "class_labels": {1: "dog", 2: "cat"},
        }
    }  # fmt: skip
    b.init().log({"img": b.w.Image(_BYTES, boxes=boxes)})


def image_bad_boxes(b: Bench) -> Any:
    """Boxes and masks that cannot be."""
    image = b.w.Image
    box = {"position": {"minX": 0.1, "maxX": 0.2, "minY": 0.3, "maxY": 0.4}, "class_id": 2}
    return [
        b.raised(image, _BYTES, boxes={"g": {}}),
        b.raised(image, _BYTES, boxes={"g": {"box_data": [{"class_id": 1}]}}),
        b.raised(image, _BYTES, boxes={"g": {"box_data": [{**box, "class_id": "cat"}]}}),
        b.raised(image, _BYTES, boxes={"g": {"box_data": [{**box, "scores": {"a": "x"}}]}}),
        b.raised(image, _BYTES, masks={"g": {}}),
    ]


def image_figure(b: Bench) -> Any:
    """A matplotlib figure as an image."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(2, 1), dpi=50)
    b.init().log({"img": b.w.Image(figure)})
    plt.close(figure)


@needs("plotly")
def figure_logged(b: Bench) -> Any:
    """A matplotlib figure as it is becomes plotly's JSON."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    axes.plot([1, 2, 3])
    b.init().log({"fig": figure})
    plt.close(figure)


@needs("plotly")
def plotly_logged(b: Bench) -> Any:
    """A plotly figure."""
    import plotly.graph_objects as graph

    b.init().log({"fig": graph.Figure(graph.Scatter(x=[1, 2], y=[3, 4]))})


# ---- histograms


def histogram_of_values(b: Bench) -> Any:
    """64 bins, unless said otherwise."""
    w = b.w
    b.init().log({"a": w.Histogram([1, 2, 3]), "b": w.Histogram(np.arange(100.0), num_bins=10)})


def histogram_of_counts(b: Bench) -> Any:
    """Counts and edges."""
    b.init().log({"a": b.w.Histogram(np_histogram=np.histogram(np.arange(10), bins=4))})


def histogram_2d(b: Bench) -> Any:
    """Values of two dimensions."""
    b.init().log({"a": b.w.Histogram(np.arange(6).reshape(2, 3), num_bins=3)})


def histogram_attributes(b: Bench) -> Any:
    """What a histogram knows."""
    histogram = b.w.Histogram([1.0, 2.0, 4.0], num_bins=3)
    return [list(histogram.histogram), list(histogram.bins)]


def histogram_bad(b: Bench) -> Any:
    """What is none."""
    histogram = b.w.Histogram
    return [
        b.raised(histogram, [1], num_bins=513), b.raised(histogram, np_histogram=([1, 2], [1, 2])),
        b.raised(histogram, np_histogram=[1]), b.raised(histogram, np_histogram=([1] * 513, list(range(514)))),
        b.raised(histogram, [1], num_bins=512),
    ]  # fmt: skip


def histogram_constant(b: Bench) -> Any:
    """All values the same."""
    b.init().log({"a": b.w.Histogram([2.0, 2.0])})


def histogram_list(b: Bench) -> Any:
    """A list of histograms."""
    return b.raised(b.init().log, {"a": [b.w.Histogram([1, 2]), b.w.Histogram([3, 4])]})


# ---- tables


def table_data(b: Bench) -> Any:
    """Columns and rows."""
    table = b.w.Table(columns=["a", "b"], data=[[1, "x"], [2, "y"]])
    b.init().log({"t": table})
    return [list(table.columns), table.data]


def table_add_data(b: Bench) -> Any:
    """Row by row."""
    table = b.w.Table(columns=["a", "b"])
    table.add_data(1, 2.5)
    table.add_data(None, 3.5)
    b.init().log({"t": table})
    return [b.raised(table.add_data, 1), b.raised(table.add_data, 1, 2, 3)]


def table_default_columns(b: Bench) -> Any:
    """Without columns."""
    table = b.w.Table()
    table.add_data("in", "out", "expected")
    b.init().log({"t": table})
    return list(table.columns)


def table_dataframe(b: Bench) -> Any:
    """Of a DataFrame."""
    import pandas as pd

    frame = pd.DataFrame({"x": [1, 2], "y": [0.5, float("nan")], "z": ["a", None]})
    b.init().log({"t": b.w.Table(dataframe=frame)})


def table_array(b: Bench) -> Any:
    """Of an array."""
    b.init().log({"t": b.w.Table(columns=["x", "y"], data=np.arange(4.0).reshape(2, 2))})


def table_add_column(b: Bench) -> Any:
    """A column later."""
    table = b.w.Table(columns=["a"], data=[[1], [2]])
    table.add_column("b", [3, 4])
    b.init().log({"t": table})
    return [table.get_column("b"), b.raised(table.add_column, "c", [1])]


def table_mixed(b: Bench) -> Any:
    """Two types in one column."""
    table = b.w.Table(columns=["a"], data=[[1]])
    seen = b.raised(table.add_data, "text")
    free = b.w.Table(columns=["a"], data=[[1], ["text"]], allow_mixed_types=True)
    b.init().log({"t": free})
    return seen


def table_numpy_cells(b: Bench) -> Any:
    """numpy in cells."""
    b.init().log({"t": b.w.Table(columns=["f", "i"], data=[[np.float32(0.5), np.int64(3)]])})


def table_not_finite(b: Bench) -> Any:
    """NaN and infinities in cells."""
    b.init().log({"t": b.w.Table(columns=["f"], data=[[float("nan")], [float("inf")], [1.5]])})


def table_cells_of_lists(b: Bench) -> Any:
    """Lists and dicts in cells."""
    b.init().log({"t": b.w.Table(columns=["l", "d"], data=[[[1, 2], {"x": 1}]])})


def table_images(b: Bench) -> Any:
    """Images in cells: how many rows and columns there are."""
    b.init().log({"t": b.w.Table(columns=["n", "img"], data=[[1, b.w.Image(_BYTES)]])})


def table_bad(b: Bench) -> Any:
    """What is no table."""
    table = b.w.Table
    return [
        b.raised(table, columns=["a"], data=[[1, 2]]), b.raised(table, columns=["a"], data="x"),
        b.raised(table, columns=["a"], data=[1]), b.raised(table, data={"a": 1}), b.raised(table, dataframe=[1]),
    ]  # fmt: skip


def table_iterrows(b: Bench) -> Any:
    """Going through rows."""
    return [list(row) for _, row in b.w.Table(columns=["a"], data=[[1], [2]]).iterrows()]


# ---- other files


def html_text(b: Bench) -> Any:
    """A page as text, with and without the style that is put in."""
    b.init().log(
        {"a": b.w.Html("<b>hi</b>", inject=False), "b": b.w.Html("<html><head></head>hi</html>", inject=False)}
    )


def html_injected(b: Bench) -> Any:
    """The style that is put in."""
    b.init().log({"a": b.w.Html("<b>hi</b>")})


def html_file(b: Bench) -> Any:
    """A file, by path and as an open one."""
    Path("page.html").write_text("<b>file</b>")
    with Path("page.html").open() as file:
        b.init().log({"path": b.w.Html("page.html", inject=False), "open": b.w.Html(file, inject=False)})


def html_bad(b: Bench) -> Any:
    """What is no page."""
    return b.raised(b.w.Html, 3)


def audio_file(b: Bench) -> Any:
    """A file of sound."""
    _sound("a.wav")
    b.init().log({"a": b.w.Audio("a.wav", caption="beep")})


def audio_list(b: Bench) -> Any:
    """A list of sounds."""
    _sound("a.wav")
    b.init().log({"a": [b.w.Audio("a.wav", caption="one"), b.w.Audio("a.wav")]})


def audio_bad(b: Bench) -> Any:
    """An array without a rate."""
    return b.raised(b.w.Audio, np.zeros(10))


def video_file(b: Bench) -> Any:
    """A file of video."""
    Path("a.mp4").write_bytes(b"not really a video")
    b.init().log({"a": b.w.Video("a.mp4", caption="c", format="mp4")})


def video_bad(b: Bench) -> Any:
    """A format that is none, and an array of too few dimensions."""
    Path("a.txt").write_text("x")
    return [b.raised(b.w.Video, "a.txt"), b.raised(b.w.Video, np.zeros((2, 2)), format="xyz")]


def object3d_points(b: Bench) -> Any:
    """A cloud of points."""
    b.init().log({"a": b.w.Object3D(np.arange(6.0).reshape(2, 3))})


def object3d_scene(b: Bench) -> Any:
    """A scene with boxes."""
    box = {"corners": [[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], "label": "box", "color": [1, 2, 3]}
    scene = {"type": "lidar/beta", "points": np.arange(6.0).reshape(2, 3), "boxes": np.array([box])}
    b.init().log({"a": b.w.Object3D(scene)})


def object3d_file(b: Bench) -> Any:
    """A file."""
    Path("a.obj").write_text("v 0 0 0\n")
    b.init().log({"a": b.w.Object3D("a.obj")})


def object3d_bad(b: Bench) -> Any:
    """Arrays of other shapes, unknown files."""
    Path("a.xyz").write_text("x")
    kind = b.w.Object3D
    return [b.raised(kind, np.zeros((2, 2))), b.raised(kind, "a.xyz"), b.raised(kind, {"type": "lidar"})]


def media_class_mixed_list(b: Bench) -> Any:
    """A list of two kinds of media."""
    return b.raised(b.init().log, {"a": [b.w.Image(_BYTES), b.w.Histogram([1])]})


# ---- charts


def plot_line(b: Bench) -> Any:
    """A line chart of a table."""
    table = b.w.Table(columns=["x", "y"], data=[[1, 2], [2, 3]])
    b.init().log({"chart": b.w.plot.line(table, "x", "y", title="T")})


def plot_bar(b: Bench) -> Any:
    """A bar chart."""
    table = b.w.Table(columns=["label", "value"], data=[["a", 2], ["b", 3]])
    b.init().log({"chart": b.w.plot.bar(table, "label", "value", title="T")})


def plot_confusion_matrix(b: Bench) -> Any:
    """A confusion matrix."""
    b.init().log(
        {"chart": b.w.plot.confusion_matrix(y_true=[0, 1, 1], preds=[0, 1, 0], class_names=["cat", "dog"], title="T")}
    )


def plot_line_series(b: Bench) -> Any:
    """Several lines."""
    chart = b.w.plot.line_series(xs=[0, 1, 2], ys=[[1, 2, 3], [4, 5, 6]], keys=["a", "b"], title="T", xname="step")
    b.init().log({"chart": chart})


# ---- artifacts and the small calls


def artifact_made(b: Bench) -> Any:
    """What an artifact knows before it is logged."""
    Path("f.txt").write_text("hi")
    artifact = b.w.Artifact("data", "dataset", description="d", metadata={"k": 1})
    artifact.add_file("f.txt")
    artifact.add_file("f.txt", name="other/g.txt")
    with artifact.new_file("new.txt") as file:
        file.write("new")
    return [
        artifact.name, artifact.type, artifact.description, artifact.metadata, artifact.size,
        sorted(artifact.manifest.entries),
    ]  # fmt: skip


def artifact_bad(b: Bench) -> Any:
    """Names and files that cannot be."""
    kind = b.w.Artifact
    artifact = kind("data", "dataset")
    return [
        b.raised(kind, "a/b", "dataset"), b.raised(kind, "a b!", "dataset"), b.raised(artifact.add_file, "none.txt"),
        b.raised(artifact.add_dir, "none"), b.raised(kind, "data", "job"),
    ]  # fmt: skip


def artifact_folder(b: Bench) -> Any:
    """A folder."""
    Path("d/e").mkdir(parents=True)
    Path("d/x.txt").write_text("x")
    Path("d/e/y.txt").write_text("y")
    artifact = b.w.Artifact("data", "dataset")
    artifact.add_dir("d")
    artifact.add_dir("d", name="inside")
    return sorted(artifact.manifest.entries)


def artifact_logged(b: Bench) -> Any:
    """Logging gives the artifact; what was logged does not change."""
    Path("f.txt").write_text("hi")
    artifact = b.w.Artifact("data", "dataset")
    artifact.add_file("f.txt")
    return b.init().log_artifact(artifact, aliases=["best"]) is artifact


def artifact_bad_alias(b: Bench) -> Any:
    """Aliases that cannot be."""
    Path("f.txt").write_text("hi")
    artifact = b.w.Artifact("data", "dataset")
    artifact.add_file("f.txt")
    return b.raised(b.init().log_artifact, artifact, aliases=["a/b"])


def _sound(name: str) -> None:
    with wave.open(name, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(160))
