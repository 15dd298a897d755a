"""The command in this process, and a store that has something of everything."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from besom.cli import main
from besom.messages import Metric, RunStarted, SweepCreated, SweepSpec, TrialEnded
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.store import Store
from tests.tracking.stories import batch, claimed, finished, play, started

TRACEBACK = (
    "Traceback (most recent call last):\n" + "".join(f"  line {n}\n" for n in range(40)) + "ValueError: \x1b[31mno"
)


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Besom = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """`besom controller` raises the logger's level, and basicConfig binds stderr; both end with the test."""
    logger, root = logging.getLogger("besom"), logging.getLogger()
    level, handlers = logger.level, list(root.handlers)
    yield
    logger.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def besom(capsys: pytest.CaptureFixture[str]) -> Besom:
    """`besom ARGUMENTS`, in this process."""

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert isinstance(ended.value.code, int)
        return Answer(ended.value.code, *capsys.readouterr())

    return run


def spec_of(sweep: str = "s1", **what: Any) -> SweepSpec:
    """A sweep of x and a nested y, minimising loss."""
    config = {
        "method": "random",
        "run_cap": 6,
        "parameters": {"x": {"min": 0.0, "max": 1.0}, "opt": {"parameters": {"name": {"values": ["a b"]}}}},
    }
    given: dict[str, Any] = {"entity": "me", "project": "p", "name": "first", "created": 1.0, "config": config}
    return SweepSpec(id=sweep, **{"metric": Metric(name="loss"), **given, **what})


def fill(store: Store, spec: SweepSpec) -> None:
    """Trials 1 (0.5), 2 (0.25, the best), 3 (failed), 4 (running), 5 (crashed), 6 (queued); a plain run `r1`."""
    recorder = Recorder()
    with store.begin() as conn:
        recorder.apply(conn, [("1-0", SweepCreated(spec=spec.model_dump_json()))], 0.0)
        params = [(n, {"x": n / 10, "opt": {"name": "a b"}}) for n in range(1, 7)]
        recorder.issue(conn, spec.id, params, 1.0)
    sweep = spec.id

    def end(number: int, state: str, **more: Any) -> TrialEnded:
        token = f"t{number}.1"
        return TrialEnded(sweep=sweep, number=number, attempt=1, token=token, state=state, at_ms=9500, **more)

    def start(number: int) -> RunStarted:
        return started(f"{sweep}-{number}", sweep=sweep, number=number, at_ms=2000, config={"x": number / 10})

    console = [("stdout", 1.0, "epoch 1"), ("stderr", 2.0, "careful"), ("stdout", 3.0, "epoch 2")]
    play(store, recorder, [
        *(claimed(n, sweep=sweep, params=f'{{"x": {n / 10}, "opt": {{"name": "a b"}}}}') for n in range(1, 6)),
        *(start(n) for n in (1, 2, 3)),
        batch(f"{sweep}-1", steps=[0, 1], loss=[0.75, 0.5], writer="w1", console=console),
        batch(f"{sweep}-2", steps=[0, 1], loss=[0.25, float("nan")], writer="w2"),
        end(1, "finished", writers='{"w1": 1}'), end(2, "finished", writers='{"w2": 1}'),
        end(3, "failed", error=TRACEBACK, exit_code="3"), end(5, "crashed", error="lost three times"),
        started("r1", config={"a": 1}, entity="me", at_ms=2000),
        batch("r1", steps=[0, 1], acc=[0.5, 0.75], writer="wr"),
        finished("r1", at_ms=4000, wr=1),
    ], first=2)  # fmt: skip


@pytest.fixture
def told() -> Iterator[Store]:
    """The default store of this test's BESOM_HOME, filled."""
    home = Path(os.environ["BESOM_HOME"])
    home.mkdir(mode=0o700)
    store = Store.open(f"sqlite:///{home / 'besom.db'}")
    fill(store, spec_of())
    with store.begin() as conn:
        later = spec_of("s2", name="", project="other", created=2.0, metric=None)
        Recorder().apply(conn, [("90-0", SweepCreated(spec=later.model_dump_json()))], 0.0)
    yield store
    store.close()
