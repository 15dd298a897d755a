"""Which GPUs each trial sees."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from besom.agent.gpus import Gpus, read_gpus
from besom.errors import UsageError

UUID = "GPU-8f6f9d1c-1111-2222-3333-444455556666"


@pytest.mark.parametrize(
    ("slots", "gpus", "per_trial", "at_once"),
    [
        (None, None, None, 1),
        (4, None, None, 4),
        (None, "0,1", None, 2),
        (None, "0,1", "0.5", 4),
        (None, "0", "0.33", 3),
        (None, "0", "1/3", 3),
        (None, "0,1,2,3", "2", 2),
        (None, "0,1,2", "2", 1),
        (1, "0,1", "0.5", 1),
        (None, f" {UUID} , 1", "1", 2),
    ],
)
def test_trials_at_once(slots: int | None, gpus: str | None, per_trial: str | None, at_once: int) -> None:
    """Without --slots as many as the GPUs carry, else 1; fewer may be asked for."""
    assert read_gpus(slots, gpus, per_trial, {}).slots == at_once


@pytest.mark.parametrize(
    ("slots", "gpus", "per_trial", "told"),
    [
        (None, None, "0.5", "without --gpus"),
        (3, "0,1", None, "--slots 3 is more than the GPUs carry"),
        (5, "0,1", "0.5", "are 4 trials at once"),
        (None, "0,1", "3", "more than there are: 2"),
        (None, "0,1", "0.7", "'0.7' cannot be"),
        (None, "0,1", "1.5", "'1.5' cannot be"),
        (None, "0,1", "0", "'0' cannot be"),
        (None, "0,1", "-1", "'-1' cannot be"),
        (None, "0,1", "half", "'half' cannot be"),
        (None, "0,1", "1/0", "'1/0' cannot be"),
        (None, "0,1", "nan", "'nan' cannot be"),
        (None, "0,a", None, "'a' is no GPU"),
        (None, "", None, "'' is no GPU"),
        (None, "0,0", None, "names '0' twice"),
    ],
)
def test_what_cannot_be(slots: int | None, gpus: str | None, per_trial: str | None, told: str) -> None:
    """Each is one error that says what was written and what to write instead."""
    with pytest.raises(UsageError) as refused:
        read_gpus(slots, gpus, per_trial, {})
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_auto_follows_the_environment() -> None:
    """`auto` is what this agent may see, by CUDA_VISIBLE_DEVICES, as a batch system sets it."""
    assert read_gpus(None, "auto", None, {"CUDA_VISIBLE_DEVICES": "2,3"}).names == ("2", "3")
    with pytest.raises(UsageError, match="CUDA_VISIBLE_DEVICES='' shows none"):
        read_gpus(None, "auto", None, {"CUDA_VISIBLE_DEVICES": ""})


def test_auto_asks_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable `auto` is what nvidia-smi lists; where there is none, an error says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="--gpus auto found none"):
        read_gpus(None, "auto", None, {})
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 0\necho 1\n")
    tool.chmod(0o755)
    assert read_gpus(None, "auto", "0.5", {}).slots == 4


def test_shared_evenly() -> None:
    """Trials that share GPUs are spread: never two on one while another is free."""
    gpus = read_gpus(None, "0,1,2", "0.5", {})
    taken = [gpus.take() for _ in range(3)]
    assert sorted(taken) == [("0",), ("1",), ("2",)]
    taken += [gpus.take() for _ in range(3)]
    assert set(Counter(taken).values()) == {2}
    gpus.give_back(("1",))
    assert gpus.take() == ("1",)


def test_several_for_one_trial() -> None:
    """Two GPUs each: no GPU is in two trials at once, and those given back come again."""
    gpus = read_gpus(None, "0,1,2,3", "2", {})
    first, second = gpus.take(), gpus.take()
    assert sorted(first + second) == ["0", "1", "2", "3"]
    gpus.give_back(first)
    assert gpus.take() == first


def test_none() -> None:
    """An agent without --gpus gives none out, so that trials see what it sees."""
    assert Gpus(slots=3).take() == ()
