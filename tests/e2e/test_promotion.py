"""A sweep under asha, with real agents: who came too early goes on in the end."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.asha import agent, asha, ends_as_it_should
from tests.e2e.processes import House

pytestmark = pytest.mark.redis


def test_promoted_trials_go_on_from_their_checkpoints(house: House) -> None:
    """Each epoch is trained once, though the controller dies when it promotes the first trial; the next one goes on."""
    doomed = house.controller(BESOM_FAILPOINT="controller.before-promote")
    sweep = asha(house)
    working = agent(house, sweep, EPOCHS_KEEP="1")
    assert doomed.ends(60) == -signal.SIGKILL, doomed.err
    house.controller()
    house.finishes(sweep)
    assert working.ends() == 0, working.err
    history = ends_as_it_should(house, sweep)
    assert history == {1: [(0, 1)], 2: [(0, 1), (1, 1), (2, 2), (3, 2)], 3: [(0, 1), (1, 2)], 4: [(0, 1)]}
