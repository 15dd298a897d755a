"""Suggestions of adaptive strategies, made in a process beside the controller's loop.

The process keeps its strategies (`keeper.py`) and is told what is new since the last question. A process that dies is
replaced, and a question that it, or a keeper that does not know its sweep, leaves unanswered is asked again in full.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TypeVar

from besom.controller.keeper import Keeper, News
from besom.controller.sweep_plan import Question
from besom.launcher import die_with_parent
from besom.strategies import EndedTrial, Params

__all__ = ["Planner"]

log = logging.getLogger("besom")

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class _Told:
    """What the process was told of one sweep, and knows if it has neither died nor dropped it."""

    ended: Sequence[EndedTrial]
    known: int = 0
    """The length that it had."""


class Planner:
    """At most one question of each sweep at a time."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._asked: dict[str, tuple[Question, Future[list[Params] | None]]] = {}
        self._told: dict[str, _Told] = {}

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
        if (future := self._submit(_answer, self._news(question))) is not None:
            self._asked[question.sweep] = (question, future)

    @property
    def busy(self) -> bool:
        """Whether any answer is being made."""
        return bool(self._asked)

    def wait(self, seconds: float) -> None:
        """Wait for an answer, no longer than that."""
        wait([future for _, future in self._asked.values()], seconds, FIRST_COMPLETED)

    def answers(self) -> list[tuple[Question, list[Params] | Exception]]:
        """What was answered since the last call; an exception of the strategy's own comes as such."""
        found: list[tuple[Question, list[Params] | Exception]] = []
        died = False
        for sweep, (question, future) in [*self._asked.items()]:
            if not future.done():
                continue
            del self._asked[sweep]
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                died = True
            elif isinstance(error, Exception):
                found.append((question, error))
            elif (points := future.result()) is None:
                self._told.pop(sweep, None)
            else:
                found.append((question, points))
        if died:
            self._replace_pool()
        return found

    def forget(self) -> None:
        """Drop all questions: the memory they came from was thrown away."""
        self._asked.clear()

    def keep(self, sweeps: Collection[str]) -> None:
        """No other sweeps will be asked about: the process forgets them."""
        for sweep in self._told.keys() - sweeps:
            self._told.pop(sweep, None)
            self._submit(_drop, sweep)

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _news(self, question: Question) -> News:
        """The question as the process needs it, which will know all of it then."""
        sweep, ended = question.sweep, question.ended
        told, course = self._told.get(sweep), None
        if told is None or told.ended is not ended:
            told, course = _Told(ended), question.course
            self._told[sweep] = told
        known, told.known = told.known, len(ended)
        return News(sweep, course, known, ended[known:], question.guessed, question.pending, question.wanted)

    def _submit(self, action: Callable[[T], R], argument: T) -> Future[R] | None:
        self.warm_up()
        assert self._pool is not None
        try:
            return self._pool.submit(action, argument)
        except BrokenProcessPool:
            self._replace_pool()
            return None

    def _replace_pool(self) -> None:
        log.warning("the process that makes suggestions died; starting another")
        self._asked.clear()
        self._told.clear()
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


_keeper = Keeper()  # the process', where the functions below run


def _answer(news: News) -> list[Params] | None:
    return _keeper.answer(news)


def _drop(sweep: str) -> None:
    _keeper.drop(sweep)


def _import_all() -> None:
    import besom.strategies.bayes  # noqa: F401
