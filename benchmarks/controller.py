"""A child process: besom's controller, which says at its end how much of its CPU time went into the store.

    python -m benchmarks.controller [--turn-trials N] [--turn-ms N] [--profile FILE]

A turn is short here where the time between two turns is to be measured.
"""

from __future__ import annotations

import argparse
import cProfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.machine import say
from besom.broker.service import connect
from besom.controller import slots
from besom.controller.loop import Controller
from besom.controller.service import stop_on_signals
from besom.settings import read_settings
from besom.tracking.store.store import Store


class Meter:
    """CPU time of the calling thread inside what it is put around."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    def around(self, action: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **kwargs: Any) -> Any:
            with self:
                return action(*args, **kwargs)

        return measured

    def __enter__(self) -> None:
        if not self._depth:
            self._started = time.thread_time()
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self.seconds += time.thread_time() - self._started


def measure(store: Store, controller: Controller) -> Meter:
    """A meter around all that is written to the store: applying, issuing, begin and commit."""
    meter = Meter()
    recorder: Any = controller.recorder
    for name in ("apply", "due", "issue", "replan", "set_sweep_state"):
        setattr(recorder, name, meter.around(getattr(recorder, name)))
    begin = store.begin

    @contextmanager
    def measured(epoch: int | None = None) -> Iterator[Any]:
        transaction = begin(epoch)
        with meter:
            conn = transaction.__enter__()
        try:
            yield conn
        except BaseException as error:
            if not transaction.__exit__(type(error), error, error.__traceback__):
                raise
        else:
            with meter:
                transaction.__exit__(None, None, None)

    store.begin = measured  # type: ignore[method-assign]
    return meter


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--turn-trials", type=int)
    parser.add_argument("--turn-ms", type=int)
    parser.add_argument("--profile")
    options = parser.parse_args()
    turns: Any = slots
    turns._TURN_TRIALS = options.turn_trials or turns._TURN_TRIALS
    turns._TURN_MS = options.turn_ms or turns._TURN_MS
    settings = read_settings()
    connection = connect(settings)
    store = Store.open(settings.store_url)
    stop = threading.Event()
    controller = Controller(connection, store, settings)
    meter = measure(store, controller)
    profile = cProfile.Profile(time.thread_time) if options.profile else None
    with stop_on_signals(stop):
        say(ready=True)
        if profile is None:
            controller.run(stop)
        else:
            profile.runcall(controller.run, stop)
            profile.dump_stats(options.profile)
    store.close()
    say(store=meter.seconds)


if __name__ == "__main__":
    main()
