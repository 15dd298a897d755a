"""A clock for fakeredis, so that leases run out without waiting."""

from __future__ import annotations

import pkgutil
import sys
import time
from types import ModuleType, SimpleNamespace

import fakeredis
import pytest

from tests.broker.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that fakeredis goes by; it stands still until it is moved."""
    clock = Clock(time.time())
    stand_in = SimpleNamespace(**{**vars(time), "time": clock})
    for name in [module.name for module in pkgutil.walk_packages(fakeredis.__path__, "fakeredis.")]:
        if isinstance(getattr(sys.modules.get(name), "time", None), ModuleType):
            monkeypatch.setattr(sys.modules[name], "time", stand_in)
    return clock
