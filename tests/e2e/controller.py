"""`besom controller`, with a record outside Redis and the store of what each strategy is told.

TRAIN_TOLD is the file; TRAIN_TWICE doubles every script and every turn. A line names the `life`, one memory of one
sweep: it starts anew with each controller, and whenever a controller throws its memory away.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from typing import Any

from besom.cli import main
from besom.controller.sweep_plan import SweepPlan
from besom.strategies import EndedTrial
from tests.e2e.twice import give_turns_twice, send_scripts_twice


def record_what_strategies_are_told(path: str) -> None:
    """A line for each result."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    lives = itertools.count(1)
    begin, learn, reopened = SweepPlan.__post_init__, SweepPlan.learn, SweepPlan.reopened

    def write(plan: Any, what: str, number: int, **more: Any) -> None:
        line = {"life": plan.life, "sweep": plan.spec.id, "what": what, "number": number, **more}
        os.write(file, json.dumps(line).encode() + b"\n")

    def noted_begin(plan: Any) -> None:
        plan.life = f"{os.getpid()}-{next(lives)}"
        begin(plan)

    def noted_learn(plan: SweepPlan, ended: EndedTrial) -> None:
        write(plan, "told", ended.number, state=ended.state, value=ended.value)
        learn(plan, ended)

    def noted_reopened(plan: SweepPlan, number: int, params: Any) -> None:
        write(plan, "reopened", number)
        reopened(plan, number, params)

    SweepPlan.__post_init__ = noted_begin  # type: ignore[method-assign]
    SweepPlan.learn = noted_learn  # type: ignore[method-assign]
    SweepPlan.reopened = noted_reopened  # type: ignore[method-assign]


if __name__ == "__main__":
    record_what_strategies_are_told(os.environ["TRAIN_TOLD"])
    if "TRAIN_TWICE" in os.environ:
        send_scripts_twice()
        give_turns_twice()
    main(["controller", *sys.argv[1:]])
