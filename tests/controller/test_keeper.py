"""Strategies kept between questions: told what is new, they answer as fresh ones, and say when they are not there."""

from __future__ import annotations

import dataclasses

import pytest

from besom.controller import keeper
from besom.controller.course import Course, Past
from besom.controller.keeper import Keeper, News
from besom.controller.sweep_config import parse
from besom.strategies import EndedTrial, Params, RunningTrial

COURSE = Course(
    parse({"method": "bayes", "metric": {"name": "loss"}, "parameters": {"x": {"min": 0.0, "max": 1.0}}}), 5
)
TRIALS = [EndedTrial(number, {"x": number / 13}, "finished", (number / 13 - 0.3) ** 2) for number in range(1, 13)]


def news(course: Course | None, known: int, until: int, running: int = 0, sweep: str = "s") -> News:
    """The trials from `known` on ended, so many more run, and two points are wanted."""
    left = [RunningTrial(trial.number, trial.params) for trial in TRIALS[until : until + running]]
    return News(sweep, course, known, TRIALS[known:until], (), left, 2)


def fresh(until: int, running: int = 0) -> list[Params] | None:
    return Keeper().answer(news(COURSE, 0, until, running))


def test_kept_strategy_answers_as_a_fresh_one() -> None:
    """Told of four, two and four trials, some of which ran before, it suggests what one told of all ten suggests."""
    kept = Keeper()
    assert kept.answer(news(COURSE, 0, 4, 2)) == fresh(4, 2)
    assert kept.answer(news(None, 4, 6)) == fresh(6)
    assert kept.answer(news(None, 6, 10, 1)) == fresh(10, 1)


def test_guesses_are_for_one_question() -> None:
    """A trial that counted as ended for a while runs on and ends otherwise, as if nothing had been guessed."""
    kept, [first, second] = Keeper(), TRIALS[8:10]
    guess = dataclasses.replace(first, value=-1.0)
    kept.answer(dataclasses.replace(news(COURSE, 0, 8), guessed=[guess, dataclasses.replace(second, value=-2.0)]))
    assert kept.answer(news(None, 8, 8, 2)) == fresh(8, 2)
    kept.answer(dataclasses.replace(news(None, 8, 8), guessed=[guess]))
    assert kept.answer(news(None, 8, 10)) == fresh(10)


def test_another_history_begins_with_a_fresh_strategy() -> None:
    """With a course everything that was known is void."""
    kept = Keeper()
    kept.answer(news(COURSE, 0, 12))
    other = dataclasses.replace(COURSE, past=Past(prior=tuple(TRIALS[6:])))
    assert kept.answer(news(other, 0, 4)) == Keeper().answer(news(other, 0, 4))


def test_unknown_sweep_has_no_answer() -> None:
    """A strategy that was never there, is behind, was dropped, or has raised, is not taken for the one meant."""
    kept = Keeper()
    assert kept.answer(news(None, 4, 6)) is None
    kept.answer(news(COURSE, 0, 4))
    assert kept.answer(news(None, 5, 6)) is None
    kept.answer(news(COURSE, 0, 4))
    kept.drop("s")
    assert kept.answer(news(None, 4, 6)) is None
    kept.answer(news(COURSE, 0, 4))
    with pytest.raises(TypeError):
        kept.answer(dataclasses.replace(news(None, 4, 6), wanted="two"))  # type: ignore[arg-type]
    assert kept.answer(news(None, 6, 8)) is None


def test_kept_strategies_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """With too many results in all, the strategy that was asked least recently goes; the one just asked stays."""
    monkeypatch.setattr(keeper, "_MOST", 8)
    kept = Keeper()
    for sweep in ("a", "b", "a", "c"):
        kept.answer(news(COURSE, 0, 3, sweep=sweep))
    answers = {sweep: kept.answer(news(None, 3, 4, sweep=sweep)) for sweep in ("a", "c", "b")}
    assert {sweep for sweep, points in answers.items() if points is not None} == {"a", "c"}
    kept.answer(news(COURSE, 0, 12, sweep="large"))
    assert kept.answer(news(None, 12, 12, sweep="large")) is not None
    assert kept.answer(news(None, 4, 5, sweep="c")) is None
