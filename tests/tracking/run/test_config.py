"""`run.config`, as W&B's users know it."""

from __future__ import annotations

import argparse
import logging
from typing import Any

import numpy as np
import pytest

from besom.errors import ConfigError
from besom.tracking.run.config import RunConfig, merge


def test_reading() -> None:
    """By attribute, by item, and as a mapping; nested values are plain dicts."""
    config = RunConfig({"lr": 0.1, "net": {"depth": 2}})
    assert (config.lr, config["lr"], config.get("lr"), config.get("no", 5)) == (0.1, 0.1, 0.1, 5)
    assert dict(config) == {**config} == config.as_dict() == {"lr": 0.1, "net": {"depth": 2}}
    assert "lr" in config
    assert "no" not in config
    assert list(config) == list(config.keys()) == ["lr", "net"]
    assert type(config.net) is dict


def test_missing_names() -> None:
    """As attribute and as item they raise as Python's own do, and the message tells what there is."""
    with pytest.raises(AttributeError, match="'learning_rate'; it has lr"):
        _ = RunConfig({"lr": 1}).learning_rate
    with pytest.raises(KeyError):
        _ = RunConfig({})["lr"]
    assert not hasattr(RunConfig({}), "lr")


def test_new_names_are_free_and_told() -> None:
    """Every way of setting a new name passes on what changed, in plain values."""
    told: list[dict[str, Any]] = []
    config = RunConfig({}, changed=told.append)
    config.a = np.float32(0.5)
    config["b"] = (1, 2)
    config.update(argparse.Namespace(c=True))
    config.setdefaults({"a": 9, "d": None})
    assert told == [{"a": 0.5}, {"b": [1, 2]}, {"c": True}, {"d": None}]
    assert config.as_dict() == {"a": 0.5, "b": [1, 2], "c": True, "d": None}


def test_a_change_must_be_allowed() -> None:
    """Another value for a name is an error that shows both and the way out, and changes nothing."""
    config = RunConfig({"lr": 0.001})
    with pytest.raises(ConfigError, match=r"config\.lr is 0\.001 already, not 2.*allow_val_change=True"):
        config.update({"new": 1, "lr": 2})
    assert config.as_dict() == {"lr": 0.001}
    config.update({"lr": 2}, allow_val_change=True)
    config.lr = 2
    assert config.lr == 2


def test_swept_names_are_locked(caplog: pytest.LogCaptureFixture) -> None:
    """A change of a swept value is ignored with one warning, even where changes are allowed; no exception."""
    told: list[dict[str, Any]] = []
    config = RunConfig({"lr": 0.1}, frozenset({"lr"}), told.append)
    with caplog.at_level(logging.WARNING, "besom"):
        config.lr = 0.1
        assert caplog.messages == []
        config.update({"lr": 9, "other": 1}, allow_val_change=True)
    assert [message for message in caplog.messages if "config.lr" in message and "9" in message] == caplog.messages
    assert len(caplog.messages) == 1
    assert config.as_dict() == {"lr": 0.1, "other": 1}
    assert told == [{"other": 1}]


def test_names_lose_their_dashes() -> None:
    """`--lr` is `lr`, at the start and later."""
    config = RunConfig({"--lr": 1})
    config.update({"-wd-": 2})
    assert config.as_dict() == {"lr": 1, "wd": 2}


def test_a_copy_is_a_copy() -> None:
    """Changing what `as_dict` gives changes no config."""
    config = RunConfig({"a": 1})
    config.as_dict()["a"] = 2
    assert config.a == 1


@pytest.mark.parametrize(
    ("user", "sweep", "merged"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"o": {"manual": 1, "lr": 0}}, {"o": {"lr": 0.01}}, {"o": {"manual": 1, "lr": 0.01}}),
        ({"o": {"p": {"x": 1}}}, {"o": {"p": {"y": 2}}}, {"o": {"p": {"x": 1, "y": 2}}}),
        ({"o": 1}, {"o": {"lr": 2}}, {"o": {"lr": 2}}),
        ({"o": {"lr": 2}}, {"o": 1}, {"o": 1}),
    ],
)
def test_merge(user: dict[str, Any], sweep: dict[str, Any], merged: dict[str, Any]) -> None:
    """The sweep's values win; nested maps merge; neither input changes."""
    before = repr((user, sweep))
    assert merge(user, sweep) == merged
    assert repr((user, sweep)) == before
