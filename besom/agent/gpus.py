"""Which GPUs each trial of an agent sees, by CUDA_VISIBLE_DEVICES.

Reads: `--gpus`, `--gpus-per-trial`, `--slots`.  Gives: how many trials run at once, and for each the devices it may
use. Knows nothing of CUDA itself: a device is a name, an index or a UUID.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from besom.errors import UsageError

__all__ = ["Gpus", "read_gpus"]

_NAME = re.compile(r"\d+|(?:GPU|MIG)-[A-Za-z0-9/-]+")
_SHARE_LIMIT: Final = 64
"""Trials on one GPU, at most."""
_ROUNDING: Final = 0.02
"""How far off 1/k a fraction may be written: 0.33 is a third."""


class Gpus:
    """The devices of one agent, handed out trial by trial.

    Args:
        names: Indices or UUIDs; none means that trials see what the agent sees.
        per_trial: Devices for each trial.
        share: Trials on each device; above 1 only when `per_trial` is 1.
        slots: How many trials run at once.
    """

    def __init__(self, names: Sequence[str] = (), per_trial: int = 1, share: int = 1, slots: int = 1) -> None:
        self.names = tuple(names)
        self.slots = slots
        self._per_trial = per_trial
        self._free = dict.fromkeys(self.names, share)

    def take(self) -> tuple[str, ...]:
        """Devices for one trial, the least used first; nothing when the agent has none."""
        if not self.names:
            return ()
        chosen = sorted(self.names, key=lambda name: -self._free[name])[: self._per_trial]
        for name in chosen:
            self._free[name] -= 1
        return tuple(sorted(chosen, key=self.names.index))

    def give_back(self, taken: Sequence[str]) -> None:
        """The trial that had these is over."""
        for name in taken:
            self._free[name] += 1


def read_gpus(
    slots: int | None = None,
    gpus: str | None = None,
    per_trial: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Gpus:
    """What the options ask for.

    Args:
        slots: Trials at once; default what the GPUs carry, else 1.
        gpus: `0,1`, UUIDs, or `auto`.
        per_trial: A whole number, or a fraction such as 0.5 or 1/3; default 1.
        environment: Where `auto` finds CUDA_VISIBLE_DEVICES.

    Raises:
        UsageError: a value that cannot be, or values that contradict each other.
    """
    if gpus is None:
        if per_trial is not None:
            raise UsageError(f"--gpus-per-trial {per_trial} says nothing without --gpus; add --gpus 0,1 or --gpus auto")
        return Gpus(slots=slots or 1)
    names = _found(environment) if gpus.strip().lower() == "auto" else _listed(gpus)
    each, share = _per_trial(per_trial or "1")
    if each > len(names):
        raise UsageError(
            f"--gpus-per-trial {per_trial} is more than there are: {len(names)} ({','.join(names)}); "
            "write a smaller number or more --gpus"
        )
    carries = len(names) // each * share
    if slots is not None and slots > carries:
        raise UsageError(
            f"--slots {slots} is more than the GPUs carry: {len(names)} ({','.join(names)}) with "
            f"--gpus-per-trial {per_trial or '1'} are {carries} trials at once; leave --slots out, or share GPUs "
            "with a smaller --gpus-per-trial, such as 0.5"
        )
    return Gpus(names, each, share, slots or carries)


def _listed(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    wrong = next((name for name in names if not _NAME.fullmatch(name)), None)
    if wrong is not None:
        raise UsageError(f"--gpus {text!r}: {wrong!r} is no GPU; write indices or UUIDs, such as 0,1, or auto")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"--gpus {text!r} names {twice!r} twice; for several trials on one GPU use --gpus-per-trial 0.5"
        )
    return names


def _found(environment: Mapping[str, str]) -> list[str]:
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
        if not names:
            raise UsageError(f"--gpus auto: CUDA_VISIBLE_DEVICES={visible!r} shows none; leave --gpus out")
        return _listed(",".join(names))
    try:
        command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        listed = []
    if not listed:
        raise UsageError("--gpus auto found none (no CUDA_VISIBLE_DEVICES, nothing from nvidia-smi); leave --gpus out")
    return listed


def _per_trial(text: str) -> tuple[int, int]:
    """(devices for a trial, trials on a device); one of them is 1."""
    wrong = UsageError(
        f"--gpus-per-trial {text!r} cannot be; write a whole number (GPUs for each trial), or a fraction that lets "
        "trials share one: 0.5, 0.25, 1/3"
    )
    over, _, under = text.partition("/")
    try:
        value = float(over) / float(under) if under else float(text)
    except (ValueError, ZeroDivisionError):
        raise wrong from None
    if not 1 / (_SHARE_LIMIT + 0.5) < value < 1e4:
        raise wrong
    if value >= 1:
        if value != int(value):
            raise wrong
        return int(value), 1
    share = round(1 / value)
    if abs(value * share - 1) > _ROUNDING:
        raise wrong
    return 1, share
