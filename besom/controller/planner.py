"""Suggestions of adaptive strategies, made in a process beside the controller's loop.

Strategies are pure, so a question carries all that the answer depends on; a process that dies is replaced and asked
again.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from besom.controller.sweep_plan import Question, answer
from besom.launcher import die_with_parent
from besom.strategies import Params

__all__ = ["Planner"]

log = logging.getLogger("besom")


class Planner:
    """At most one question of each sweep at a time."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._asked: dict[str, tuple[Question, Future[list[Params]]]] = {}

    def warm_up(self) -> None:
        """Start the process and its imports, before the first question needs them."""
        if self._pool is None:
            self._pool = self._new_pool()
            self._pool.submit(_import_all)

    def asked(self, sweep: str) -> bool:
        """Whether an answer is being made."""
        return sweep in self._asked

    def ask(self, question: Question) -> None:
        """Start making an answer."""
        self.warm_up()
        assert self._pool is not None
        try:
            self._asked[question.sweep] = (question, self._pool.submit(answer, question))
        except BrokenProcessPool:
            self._replace_pool()

    def answers(self) -> list[tuple[Question, list[Params] | Exception]]:
        """What was answered since the last call; an exception of the strategy's own comes as such."""
        done = [(sweep, asked) for sweep, asked in self._asked.items() if asked[1].done()]
        found: list[tuple[Question, list[Params] | Exception]] = []
        for sweep, (question, future) in done:
            del self._asked[sweep]
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                self._replace_pool()
            elif isinstance(error, Exception):
                found.append((question, error))
            else:
                found.append((question, future.result()))
        return found

    def forget(self) -> None:
        """Drop all questions: the memory they came from was thrown away."""
        self._asked.clear()

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _replace_pool(self) -> None:
        log.warning("the process that makes suggestions died; starting another")
        self._asked.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=False)
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _start_process, (os.getpid(),))


def _start_process(parent: int) -> None:
    die_with_parent(signal.SIGKILL, parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the controller's to handle
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


def _import_all() -> None:
    import besom.strategies.bayes  # noqa: F401
