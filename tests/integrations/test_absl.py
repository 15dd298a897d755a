"""absl's flags as a run's config."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from absl import flags

import besom
from besom.tracking.reading.api_run import ApiRun

pytestmark = pytest.mark.integrations


def test_flags_as_config(recorded: Callable[[str], ApiRun]) -> None:
    """Given to init and to config.update, parsed from a command line: numbers, lists and enums as plain values."""
    values = flags.FlagValues()
    flags.DEFINE_float("lr", 0.1, "learning rate", flag_values=values)
    flags.DEFINE_list("layers", ["8", "1"], "sizes", flag_values=values)
    flags.DEFINE_enum("mode", "train", ["train", "eval"], "what to do", flag_values=values)
    values(["train.py", "--lr=0.5", "--mode=eval"])
    late = flags.FlagValues()
    flags.DEFINE_boolean("amp", False, "half precision", flag_values=late)
    late(["train.py", "--amp"])
    run = besom.init(project="absl", config=values, config_exclude_keys=["mode"])
    run.config.update(late)
    assert run.config.lr == 0.5
    run.finish()
    assert recorded("absl").config == {"lr": 0.5, "layers": ["8", "1"], "amp": True}
