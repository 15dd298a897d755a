"""What a `bayes` sweep costs after so many trials, with a real controller, store, planner's process and Redis.

    python -m benchmarks.adaptive [--trials 100 1000 10000] [--questions N] [--pauses N] [--profile FILE]

The history is drawn at random, run by hand and recorded as any other. Then a controller starts on it, and an agent that
does nothing takes one trial after another. Prints the CPU of the loop and of the process for each question, the time
from a trial's end until the next ones are planned, and what a start of the controller costs. With `--pauses` a real
agent then takes so many trials of 0.4 s; the pause is between one trial's end and the next one's begin.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import math
import multiprocessing
import statistics
import struct
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from benchmarks.controller import Meter
from benchmarks.handout import start_agents, start_controller
from benchmarks.machine import Place, cpu_seconds, describe, place, resident_mb, table
from besom.broker.journal import Journal
from besom.broker.ledger import Ending, Ledger
from besom.broker.service import connect
from besom.controller.create import create_sweep
from besom.controller.loop import Controller
from besom.controller.sweep_config import parse
from besom.controller.sweep_plan import Question
from besom.messages import Batch, BatchBody, Claim
from besom.settings import read_settings
from besom.strategies import Params, make_strategy
from besom.strategies.strategy import RunningTrial
from besom.tracking.store.store import Store

CONFIG: dict[str, Any] = {
    "method": "bayes",
    "seed": 1,
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {
        "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
        "decay": {"distribution": "log_uniform_values", "min": 1e-6, "max": 1e-1},
        "x": {"min": 0.0, "max": 0.7},
        "momentum": {"min": 0.0, "max": 1.0},
        "layers": {"min": 1, "max": 8},
        "units": {"min": 8, "max": 512},
        "optimizer": {"values": ["sgd", "adam", "rmsprop"]},
    },
}
Profile = cProfile.Profile | nullcontext[None]
BATCH = 200
"""Trials of the history that run at once."""


class Drawn:
    """A planner that draws at random, at once: it makes the history."""

    def __init__(self) -> None:
        self._asked: dict[str, Question] = {}

    def asked(self, sweep: str) -> bool:
        return sweep in self._asked

    def ask(self, question: Question) -> None:
        self._asked[question.sweep] = question

    def answers(self) -> list[tuple[Question, list[Params]]]:
        found = [(question, self._drawn(question)) for question in self._asked.values()]
        self._asked.clear()
        return found

    def _drawn(self, question: Question) -> list[Params]:
        strategy = make_strategy("random", question.course.space, seed=1)
        strategy.update((), [RunningTrial(question.issued, {})])
        return strategy.suggest(len(question.replan) + question.count)

    def nothing(self, *_: object) -> None:
        pass

    warm_up = forget = close = keep = nothing


class Hand:
    """An agent that does nothing."""

    def __init__(self, here: Place, trials: int) -> None:
        settings = read_settings(redis_url=here.url, silent=True)
        self._connection = connect(settings)
        self._ledger, self._journal = Ledger(self._connection), Journal(self._connection)
        self.sweep = create_sweep(self._connection, parse({**CONFIG, "run_cap": trials}), settings).id
        self._claims = 0

    def beat(self) -> None:
        """Here, with one slot."""
        self._ledger.beat("hand", 600_000, [], {"sweep": self.sweep, "slots": 1})

    def leave(self) -> None:
        """Gone, for others to take what is left."""
        self._ledger.leave("hand")

    def claim(self, count: int) -> list[Claim]:
        self._claims += 1
        return self._ledger.claim(self.sweep, "hand", count, f"claim{self._claims}")[1]

    def end(self, claim: Claim) -> None:
        """One value logged, and over."""
        writer = f"w-{claim.token}"
        history = {"loss": ("d", struct.pack("<q", 0), struct.pack("<d", _loss(claim.params)))}
        body = BatchBody(history=history).pack()
        batch = Batch(run=claim.run_id, attempt=claim.attempt, writer=writer, seq=1, body=body)
        self._journal.append_batch(batch, first=False, limit=10**9, claim=claim)
        self._ledger.complete([Ending(claim, "finished", {"writers": json.dumps({writer: 1})})])


def _loss(params: Params) -> float:
    """A bowl with a ripple, the better the further from sgd."""
    lr, decay = math.log10(params["lr"]) + 2.5, math.log10(params["decay"]) + 4
    rest = (params["layers"] - 3) ** 2 / 10 + (params["units"] / 512 - 0.4) ** 2 + (params["momentum"] - 0.9) ** 2
    return lr * lr + decay * decay / 4 + rest + math.sin(9 * lr) / 5 + params["x"] * (params["optimizer"] == "sgd")


@dataclass
class Sample:
    """Of one length of history."""

    trials: int
    start_ms: float
    """CPU of the controller until it knows its sweeps."""
    first_ms: float
    """From then to the first answer."""
    loop_ms: float
    """CPU of the loop, a trial."""
    question_ms: float
    """Of that, for the question."""
    process_ms: float
    """CPU of the planner's process, a question."""
    planned_ms: float
    """From a trial's end until the next is planned."""
    process_mb: float
    """What the planner's process holds."""


def make_history(here: Place, store: Store, hand: Hand, trials: int) -> None:
    """So many trials that have ended, recorded by a controller that draws them."""
    controller = _controller(here, store)
    controller.planner = Drawn()  # type: ignore[assignment]
    slots: Any = controller.slots
    for done in range(0, trials, BATCH):
        count = min(BATCH, trials - done)
        slots.of = lambda _, count=count: count
        claims: list[Claim] = []
        while len(claims) < count:
            controller.step(block_ms=0)
            claims += hand.claim(count - len(claims))
        slots.of = lambda _: 1  # so that one trial waits in the end, as for one agent
        for claim in claims:
            hand.end(claim)
        controller.step(block_ms=0)
    hand.beat()
    controller.close()


def measure(here: Place, store: Store, hand: Hand, trials: int, questions: int, profile: Profile) -> Sample:
    """A fresh controller on this history, and questions one after another."""
    controller, meter = _controller(here, store), Meter()
    asks: Any = controller
    asks._question, asks.planner.ask = meter.around(asks._question), meter.around(asks.planner.ask)
    began = time.thread_time()
    while not controller.leading:
        controller.step(block_ms=0)
    start = time.thread_time() - began
    began = time.perf_counter()
    _until_planned(controller, hand)
    first = time.perf_counter() - began
    process = multiprocessing.active_children()[0].pid
    assert process is not None
    claims, planned, loop, cpu = hand.claim(1), [], 0.0, cpu_seconds(process)
    _until_planned(controller, hand)
    meter.seconds = 0.0
    for _ in range(questions):
        hand.end(claims[0])
        claims = hand.claim(1)
        ended, began = time.perf_counter(), time.thread_time()
        with profile:
            _until_planned(controller, hand)
        loop += time.thread_time() - began
        planned.append(time.perf_counter() - ended)
    cpu = cpu_seconds(process) - cpu
    sample = Sample(
        trials, start * 1e3, first * 1e3, loop / questions * 1e3, meter.seconds / questions * 1e3,
        cpu / (questions + 1) * 1e3,
        statistics.median(planned) * 1e3, resident_mb(process),
    )  # fmt: skip
    hand.end(claims[0])
    controller.step(block_ms=0)
    controller.close()
    return sample


def measure_pauses(here: Place, sweep: str) -> str:
    """A real controller and a real agent, until the sweep has its trials."""
    start_controller(here)
    [agent] = start_agents(here, 1, "besom_logged_gaps", sweep, 0.4)
    gaps = sorted(gap * 1e3 for gap in agent.hear(600)["gaps"])
    ninth = gaps[len(gaps) * 9 // 10]
    return (
        f"{len(gaps)} pauses: median {statistics.median(gaps):.1f} ms, 90 % {ninth:.1f} ms, longest {gaps[-1]:.1f} ms"
    )


def _controller(here: Place, store: Store) -> Controller:
    settings = read_settings(redis_url=here.url, silent=True, reap_seconds=3600.0)
    return Controller(connect(settings), store, settings)


def _until_planned(controller: Controller, hand: Hand) -> None:
    """Turns of the loop until what has happened is planned for."""
    controller.step()
    while controller.planner.asked(hand.sweep):
        controller.step()


def as_table(samples: list[Sample]) -> str:
    rows = [
        ["trials", "loop ms", "question ms", "process ms", "planned ms", "process MB", "start ms", "first answer ms"],
        *(
            [
                str(one.trials), f"{one.loop_ms:.1f}", f"{one.question_ms:.3f}", f"{one.process_ms:.1f}",
                f"{one.planned_ms:.1f}", f"{one.process_mb:.0f}", f"{one.start_ms:.0f}", f"{one.first_ms:.0f}",
            ]
            for one in samples
        ),
    ]  # fmt: skip
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--questions", type=int, default=30)
    parser.add_argument("--pauses", type=int, default=0)
    parser.add_argument("--profile", help="a file for what the loop does")
    options = parser.parse_args()
    print(describe())
    samples: list[Sample] = []
    profile = cProfile.Profile(time.thread_time) if options.profile else nullcontext()
    for trials in options.trials:
        with place() as here:
            here.env["BESOM_STORE"] = f"sqlite:///{here.folder}/store.db"
            store = Store.open(here.env["BESOM_STORE"])
            hand = Hand(here, trials + options.questions + 1 + options.pauses)
            make_history(here, store, hand, trials)
            samples.append(measure(here, store, hand, trials, options.questions, profile))
            store.close()
            if options.pauses:
                hand.leave()
                print(f"after {trials} trials {measure_pauses(here, hand.sweep)}")
    print(as_table(samples))
    if isinstance(profile, cProfile.Profile):
        profile.dump_stats(options.profile)


if __name__ == "__main__":
    main()
