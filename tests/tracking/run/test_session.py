"""What scripts call around their runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import besom
from besom.broker.connection import Connection
from besom.messages import Claim
from besom.tracking.run.trial import Trial, set_trial
from tests.tracking.stories import spec


@pytest.mark.parametrize(
    ("given", "named"),
    [((), {}), (("key",), {}), ((), {"key": "k", "relogin": True, "host": "h", "force": True, "timeout": 5})],
)
def test_login_is_true(given: tuple[Any, ...], named: Any) -> None:
    """However it is called, and nothing is asked."""
    assert besom.login(*given, **named) is True


def test_a_login_with_a_slip_of_the_pen() -> None:
    """An argument that W&B has not either is a TypeError."""
    with pytest.raises(TypeError, match="reloginn"):
        besom.login(reloginn=True)  # type: ignore[call-arg]


def test_setup_starts_nothing(tmp_path: Path) -> None:
    """No home and no service for a script that never calls init()."""
    assert besom.setup() is None  # type: ignore[func-returns-value]
    assert not (tmp_path / "home").exists()


def test_teardown_ends_every_run(wired: Connection) -> None:
    """With its exit code; without runs it does nothing."""
    runs = [besom.init(reinit="create_new") for _ in range(2)]
    besom.teardown(1)
    assert [run.state for run in runs] == ["failed", "failed"]
    besom.teardown()
    assert besom.run is None


def test_teardown_in_a_trial_ends_the_trials_runs(wired: Connection, tmp_path: Path) -> None:
    """A script's own run stays open around its trials."""
    outer = besom.init()
    claim = Claim(sweep="s", number=1, attempt=1, token="t", params={})
    set_trial(Trial(spec(), claim, tmp_path, wired))
    inner = besom.init()
    besom.teardown()
    assert (inner.state, outer.state) == ("finished", "running")
