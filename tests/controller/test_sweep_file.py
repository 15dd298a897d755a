"""The sweep file: what YAML gives, and where a fault stands."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from besom.controller import load, read_sweep_file
from besom.errors import ConfigError


def read(folder: Path, content: str | bytes, name: str = "sweep.yaml") -> Any:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_sweep_file(path)


VALUES = [
    ("1e-5", 1e-5), ("!!float 1e-5", 1e-5), ("1.0e-5", 1e-5), ("1_000", 1000), ("0x10", 16), ("010", 10),
    ("yes", "yes"), ("on", "on"), ("true", True), ("~", None), ("'5'", "5"), ("!!str 5", "5"), ("1:30", "1:30"),
    ("2024-01-02", "2024-01-02"), ("2024-01-02T03:04:05", "2024-01-02T03:04:05"), ("=", "="), ("é", "é"),
    ("[1, {b: c}]", [1, {"b": "c"}]), ("|\n  x\n  y\n", "x\ny\n"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "value"), VALUES)
def test_yaml_1_2_values(tmp_path: Path, written: str, value: Any) -> None:
    """Values are those of YAML 1.2, in plain Python types: 1e-5 is a float, yes a text, a date its ISO text."""
    read_value = read(tmp_path, f"a: {written}")["a"]
    assert read_value == value
    assert type(read_value) is type(value)


def test_anchors_and_merges(tmp_path: Path) -> None:
    """An alias repeats its value; a merge fills in what is not written, the earlier of several first."""
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\nd: *a\n"
    given_config = read(tmp_path, text)
    assert given_config["c"] == {"x": 3, "y": 1, "z": 2}
    given_config["d"]["x"] = 9
    assert given_config["a"]["x"] == 1


@pytest.mark.parametrize(
    "text",
    ['{"method": "grid",\n\t"a": 1e-5, "s": "\\ud83d\\ude00\\/"}', '\ufeff{"method": "grid", "a": 1e-5, "s": "😀/"}'],
)
def test_json_is_read(tmp_path: Path, text: str) -> None:
    """JSON is read with its own escapes, tabs and a byte order mark, whatever the file's name."""
    assert read(tmp_path, text) == {"method": "grid", "a": 1e-5, "s": "😀/"}


MALFORMED = [
    ("", "", "empty; write at least method: and parameters:"),
    ("# nothing\n", "", "empty; write at least method: and parameters:"),
    ("{}", "", "empty; write at least method: and parameters:"),
    ("- a\n", ":1:1", "is not a mapping; write keys such as method: random"),
    ("random", ":1:1", "'random' is not a mapping"),
    ("a: b: c", ":1:5", "in quotes, or check the indentation"),
    ("a:\n\tb: 1", ":2:1", "indent with spaces, not tabs"),
    ("a: [1, 2", ":1:9", "check the indentation, brackets and quotes"),
    ("a: 'x", ":1:6", "check the indentation, brackets and quotes"),
    ("a: 1\nb: 2\na: 3\n", ":3:1", "the key 'a' stands here a second time; remove one of the two"),
    ('{"a": 1,\n "a": 2}', ":2:2", "the key 'a' stands here a second time"),
    ('{"a": {"b": 1 "c": 2}}', ":1:18", "not YAML"),
    ("a: *b", ":1:4", "define it above with &"),
    ("a: 1\n---\nb: 2\n", ":2:1", "keep one document"),
    ("a: !!python/object/apply:os.system [ls]", ":1:4", "the tag '!!python/object/apply:os.system' is not read"),
    ("a: !mine 3", ":1:4", "the tag '!mine' is not read; write plain values without it"),
    ("a: !!set {x, y}", ":1:4", "the tag '!!set' is not read"),
    ("a: !!binary aaa=", ":1:4", "the tag '!!binary' is not read"),
    ("a: !!int abc", ":1:4", "'abc' is no int that can be read; write it in quotes"),
    ("a: !!int ''", ":1:4", "'' is no int that can be read; write it in quotes"),
    ("a: 2024-13-45", ":1:4", "'2024-13-45' is no timestamp that can be read; write it in quotes"),
    ("a: " + "9" * 5000, ":1:4", "is no int that can be read"),
    ("? [1]\n: 2\n", ":1:3", "cannot be a key; write a text"),
    ("a: {<<: 3}", ":1:9", "<<: 3 cannot be merged; write the alias of a mapping"),
    ("%YAML 1.1\n---\na: 1e-5\n", ":1:1", "remove the line, the file is read as YAML 1.2"),
    ("a: 1\nb: \x00", ":2:4", "not YAML"),
    ('a: "\\UFFFFFFFF"', ":", "not YAML"),
    ("a: &a [*a]", ":1:4", "an alias inside itself"),
    ("a: " + "[" * 150 + "]" * 150, ":1:104", "nested too deep"),
    ("[" * 5000, "", "nested too deep; write at most 100 levels"),
    ('{"a":' * 5000, "", "nested too deep; write at most 100 levels"),
    (b"a: 1\nbc: \xff", ":2:5", "not UTF-8; save the file as UTF-8"),
    ("a: 1\n".encode("utf-16"), ":1:1", "not UTF-8; save the file as UTF-8"),
    ("a: " + "x" * 262_144, "", "above 256 kB; write ranges or fewer values"),
]


@pytest.mark.parametrize(("content", "place", "remedy"), MALFORMED)
def test_a_bad_file_is_named_with_its_place(tmp_path: Path, content: str | bytes, place: str, remedy: str) -> None:
    """The message leads with the file, its line and column where there is one, and says what to write."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'sweep.yaml'}{place}")
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    "step",
    [
        "a{n}: &a{n} [" + "*a{m}, " * 9 + "]",
        "a{n}: &a{n} {{x: *a{m}, y: *a{m}, z: *a{m}}}",
        "a{n}: &a{n} {{<<: [" + "*a{m}, " * 9 + "]}}",
    ],
)
def test_an_alias_bomb_is_refused(tmp_path: Path, step: str) -> None:
    """Aliases of aliases stop at the limit of values, in lists, mappings and merges."""
    lines = ["a0: &a0 {k: 1}"] + [step.format(n=number, m=number - 1) for number in range(1, 30)]
    with pytest.raises(ConfigError, match=r"sweep.yaml:\d+:\d+: the aliases expand to more than 262144 values"):
        read(tmp_path, "\n".join(lines))


def test_a_path_that_is_no_file(tmp_path: Path) -> None:
    """A missing file, a folder, an unreadable name each say what to write."""
    for path, told in (
        (tmp_path / "none.yaml", "no such file in .*; write the path of a sweep file"),
        (tmp_path, "is a directory; write the path of a file in it"),
        (Path("a\0b"), "cannot be read .*; write the path of a readable file"),
        (Path("x" * 300), "cannot be read .*; write the path of a readable file"),
    ):
        with pytest.raises(ConfigError, match=told):
            read_sweep_file(path)


def test_a_pipe_is_read(tmp_path: Path) -> None:
    """What comes out of a named pipe, as from a shell's <(...), is as good as a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("method: grid"))
    writer.start()
    assert read_sweep_file(str(pipe)) == {"method": "grid"}
    writer.join()


def test_load_names_the_file(tmp_path: Path) -> None:
    """A problem with a key is told with the file it stands in; a sound file loads with overrides on top."""
    path = tmp_path / "sweep.yaml"
    path.write_text("method: grid\nparameters:\n  lr: 1e-5\n  a: [1]\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    lines = str(caught.value).split("\n")
    assert lines[0] == f"{path}:3:3: parameters.lr: 1e-05 is not a parameter; write {{value: 1e-05}}"
    assert lines[1].startswith(f"{path}:4:3: parameters.a: ")
    path.write_text("method: grid\nparameters:\n  decay: {values: [1e-5, 1e-6]}\n")
    sweep = load(str(path), run_cap=2)
    assert sweep.run_cap == 2
    assert [sweep.space().point(index) for index in range(2)] == [{"decay": 1e-5}, {"decay": 1e-6}]


WORDS = "a 1e5 2024-02-31 ~ \\x \\U00FFFFFF 0x -.inf é \x85 @ ` --- ... %YAML %TAG | > ? # [ ] { } ' \""
TOKENS = st.sampled_from([*WORDS.split(" "), ": ", "\n", "  ", "- ", ", ", "&a ", "*a", "!!int ", "!t ", "<<: ", "\t"])


@settings(max_examples=400, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TOKENS, max_size=25).map("".join).map(str.encode) | st.binary(max_size=60))
def test_any_file_ends_in_a_mapping_or_a_config_error(tmp_path: Path, content: bytes) -> None:
    """Nothing but ConfigError comes out of reading any bytes."""
    try:
        assert isinstance(read(tmp_path, content), dict)
    except ConfigError as error:
        str(error).encode()
