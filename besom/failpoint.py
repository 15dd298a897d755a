"""Places where a process can be made to die, to show that a crash there does no harm.

`failpoint(name)` does nothing unless BESOM_FAILPOINT names it: `controller.after-commit` kills the process with SIGKILL
when it first gets there, `controller.after-commit:3` the third time. The variable is read once.
"""

from __future__ import annotations

import os
import signal

__all__ = ["failpoint"]

_name, _, _times = os.environ.get("BESOM_FAILPOINT", "").partition(":")
_left = int(_times) if _times.isdecimal() else 1


def failpoint(name: str) -> None:
    """Die here, if that was asked for."""
    if name == _name:
        _pass()


def _pass() -> None:
    global _left
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
