"""kill -9 the controller while it promotes a trial."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.asha import agent, asha, ends_as_it_should
from tests.e2e.processes import House

pytestmark = pytest.mark.redis


@pytest.mark.soak
@pytest.mark.parametrize("point", ["before-promote", "after-promote", "after-stop"])
def test_promoted_trials_begin_anew(house: House, point: str) -> None:
    """Without a checkpoint the second attempt logs all of it, judged only where it had not passed; though the
    controller dies right when it stops or promotes the first of them."""
    doomed = house.controller(BESOM_FAILPOINT=f"controller.{point}")
    sweep = asha(house)
    working = agent(house, sweep)
    assert doomed.ends(60) == -signal.SIGKILL, doomed.err
    house.controller()
    house.finishes(sweep)
    assert working.ends() == 0, working.err
    history = ends_as_it_should(house, sweep)
    assert history == {1: [(0, 1)], 2: [(s, 2) for s in range(4)], 3: [(0, 2), (1, 2)], 4: [(0, 1)]}
