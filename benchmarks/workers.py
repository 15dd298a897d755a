"""Child processes that take no-op trials, one function for each system; and those that fill the peers' queues.

    python -m benchmarks.workers SYSTEM URL [ARGUMENT ...]

Each says {"ready": true} when it waits for work. Settings are those that the peers' manuals advise for short tasks.
"""

from __future__ import annotations

import importlib
import logging
import os
import random
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from benchmarks.machine import say


def nothing() -> None:
    """The objective."""


def results_url(url: str) -> str:
    """The peers' results stand in a database of their own, where they can be counted."""
    return url.removesuffix("/0") + "/1"


def wait_for_end() -> None:
    sys.stdin.read()


# ---- besom


def besom_agent(url: str, sweep: str) -> None:
    import besom

    profiled = os.environ.get("BESOM_BENCH_PROFILE")
    if profiled:
        import cProfile

        profile = cProfile.Profile(time.thread_time)
        profile.runcall(besom.agent, sweep, nothing)
        profile.dump_stats(profiled)
    else:
        besom.agent(sweep, nothing)
    say(done=True)
    wait_for_end()


def besom_gaps(url: str, sweep: str, low: str, high: str) -> None:
    """Trials of `low` to `high` seconds; says how long each waited since the one before."""
    import besom

    draw = random.Random(os.getpid())
    ends: list[float] = []
    gaps: list[float] = []

    def trial() -> None:
        if ends:
            gaps.append(time.perf_counter() - ends[-1])
        time.sleep(draw.uniform(float(low), float(high)))
        ends.append(time.perf_counter())

    besom.agent(sweep, trial)
    say(gaps=gaps)
    wait_for_end()


def besom_logged_gaps(url: str, sweep: str, seconds: str) -> None:
    """The same with a metric, as an adaptive search needs it."""
    import besom

    ends: list[float] = []
    gaps: list[float] = []

    def trial() -> None:
        if ends:
            gaps.append(time.perf_counter() - ends[-1])
        with besom.init() as run:
            time.sleep(float(seconds))
            run.log({"loss": (run.config["x"] - 0.3) ** 2})
        ends.append(time.perf_counter())

    besom.agent(sweep, trial)
    say(gaps=gaps)
    wait_for_end()


def besom_runs(url: str, sweep: str, *settings: str) -> None:
    """Trials that open a run, log once and end it; says what each step took, of wall and of this process' CPU."""
    import besom

    chosen = dict.fromkeys(settings, True)
    took: list[list[float]] = []

    def now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def trial() -> None:
        times = [now()]
        run = besom.init(settings=chosen | ({"console": "off"} if chosen else {}))
        times.append(now())
        run.log({"loss": run.config["x"]})
        run.finish()
        times.append(now())
        took.append(
            [end - start for before, after in pairwise(times) for start, end in zip(before, after, strict=True)]
        )

    besom.agent(sweep, trial)
    say(took=took)
    wait_for_end()


# ---- Celery


def celery_app(url: str) -> tuple[Any, Any]:
    from celery import Celery

    app = Celery("trials", broker=url, backend=results_url(url))
    app.conf.update(worker_prefetch_multiplier=64, worker_hijack_root_logger=False, worker_redirect_stdouts=False)
    return app, app.task(name="nothing")(nothing)


def celery(url: str) -> None:
    from celery.signals import worker_ready

    app, _ = celery_app(url)
    worker_ready.connect(lambda **_: say(ready=True), weak=False)
    app.worker_main([
        "worker", "--pool", "solo", "--loglevel", "CRITICAL", "--without-gossip", "--without-mingle",
        "--without-heartbeat", "--hostname", f"{os.getpid()}@bench",
    ])  # fmt: skip


def fill_celery(url: str, trials: str) -> None:
    _, task = celery_app(url)
    _fill(task.delay, int(trials))


# ---- Dramatiq


def dramatiq_actor(url: str) -> tuple[Any, Any]:
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker
    from dramatiq.results import Results
    from dramatiq.results.backends import RedisBackend

    broker = RedisBroker(url=url)
    broker.add_middleware(Results(backend=RedisBackend(url=results_url(url)), store_results=True))
    return broker, dramatiq.actor(nothing, actor_name="nothing", broker=broker)


def dramatiq(url: str) -> None:
    from dramatiq import Worker

    logging.getLogger("dramatiq").setLevel(logging.CRITICAL)  # an actor that returns None with results is warned of
    broker, _ = dramatiq_actor(url)
    worker = Worker(broker, worker_threads=1, worker_timeout=100)
    worker.start()
    say(ready=True)
    wait_for_end()
    worker.stop()


def fill_dramatiq(url: str, trials: str) -> None:
    _, actor = dramatiq_actor(url)
    _fill(actor.send, int(trials))


# ---- RQ


def rq(url: str) -> None:
    import redis
    from rq import Queue, SimpleWorker

    connection = redis.Redis.from_url(url)
    worker = SimpleWorker([Queue("default", connection=connection)], connection=connection)
    say(ready=True)
    worker.work(logging_level="CRITICAL")


def fill_rq(url: str, trials: str) -> None:
    import redis
    from rq import Queue

    queue = Queue("default", connection=redis.Redis.from_url(url))
    started = time.process_time()
    queue.enqueue_many([Queue.prepare_data(nothing) for _ in range(int(trials))])
    say(seconds=time.process_time() - started)


# ---- Optuna


def optuna_storage(url: str) -> Any:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalRedisBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return JournalStorage(JournalRedisBackend(url))


def optuna(url: str, trials: str) -> None:
    import redis
    from optuna import load_study
    from optuna.samplers import RandomSampler

    study = load_study(study_name="bench", storage=optuna_storage(url), sampler=RandomSampler())
    client = redis.Redis.from_url(results_url(url))
    say(ready=True)
    client.blpop(["go"])
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=int(trials))
    say(done=True)
    wait_for_end()


def fill_optuna(url: str, trials: str) -> None:
    from optuna import create_study

    create_study(study_name="bench", storage=optuna_storage(url))
    say(seconds=0.0)


def _fill(send: Callable[[], Any], trials: int) -> None:
    started = time.process_time()
    for _ in range(trials):
        send()
    say(seconds=time.process_time() - started)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    name, url, *arguments = sys.argv[1:]
    # As a module of its own, not as __main__: RQ finds the objective by its name.
    getattr(importlib.import_module("benchmarks.workers"), name)(url, *arguments)
