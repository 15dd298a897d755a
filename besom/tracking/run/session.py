"""What scripts call around their runs: `login` and `setup`, which have nothing to do here, and `teardown`."""

from __future__ import annotations

from typing import Any

from besom.tracking.run.active import runs_in_process
from besom.tracking.run.trial import current_trial

__all__ = ["login", "setup", "teardown"]


def login(
    key: str | None = None,
    relogin: bool | None = None,
    host: str | None = None,
    force: bool | None = None,
    timeout: int | None = None,
    verify: bool = False,
    referrer: str | None = None,
    anonymous: str | None = None,
) -> bool:
    """True: there is no account. The arguments are W&B's, so that a script need not change; none means anything."""
    return True


def setup(settings: Any = None) -> None:
    """Nothing: what a run needs is started by the first `init()`."""


def teardown(exit_code: int | None = None) -> None:
    """End the runs of this process, the newest first; in a trial, those of the trial.

    Args:
        exit_code: Of each run; 0 is finished, any other failed.
    """
    trial = current_trial()
    for run in reversed(runs_in_process()):
        if run.trial is trial:
            run.finish(exit_code)
