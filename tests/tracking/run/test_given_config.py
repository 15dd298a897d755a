"""The forms that a run's config may have."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from besom.errors import UsageError
from besom.tracking.run.given_config import as_mapping, chosen, from_files


class Flags:
    """What absl.flags.FLAGS offers."""

    def flag_values_dict(self) -> dict[str, Any]:
        return {"lr": 0.1, "name": "x"}


@pytest.mark.parametrize("given", [{"lr": 0.1, "name": "x"}, argparse.Namespace(lr=0.1, name="x"), Flags()])
def test_objects(given: Any) -> None:
    """A mapping, a Namespace and absl's flags are names and values."""
    assert as_mapping(given) == {"lr": 0.1, "name": "x"}


def test_yaml(tmp_path: Path) -> None:
    """Plain lines and W&B's `value:` are read alike, and 1e-5 is a number as YAML 1.2 says."""
    path = tmp_path / "c.yaml"
    path.write_text("lr: 1e-5\nepochs:\n  desc: how many\n  value: 3\nopt: {name: sgd}\n")
    assert as_mapping(str(path)) == as_mapping(path) == {"lr": 1e-5, "epochs": 3, "opt": {"name": "sgd"}}


@pytest.mark.parametrize(
    ("text", "message"), [("a: [1", "no YAML"), ("- 1\n", "holds a list"), ("1: 2\n", "no string"), (None, "No such")]
)
def test_files_that_cannot_be(text: str | None, message: str, tmp_path: Path) -> None:
    """A broken, foreign or missing file is one error that says what is wrong."""
    path = tmp_path / "c.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=message):
        as_mapping(path)


def test_files_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The defaults file of the working directory is lowest, then the files in order."""
    monkeypatch.chdir(tmp_path)
    assert from_files(None) == {}
    (tmp_path / "config-defaults.yaml").write_text("a: 1\nb: 1\nc: 1\n")
    (tmp_path / "one.yaml").write_text("b: 2\nc: 2\n")
    (tmp_path / "two.yaml").write_text("c: 3\n")
    assert from_files(["one.yaml", "two.yaml"]) == {"a": 1, "b": 2, "c": 3}


def test_chosen_names() -> None:
    """Leave out some or keep some, never both."""
    config = {"a": 1, "b": 2}
    assert (chosen(config, exclude=["a"]), chosen(config, include=["a"]), chosen(config)) == (
        {"b": 2},
        {"a": 1},
        config,
    )
    with pytest.raises(UsageError, match="exclude each other"):
        chosen(config, ["a"], ["b"])
