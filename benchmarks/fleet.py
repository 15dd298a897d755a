"""Thousands of simulated agents against one Redis and one controller.

    python -m benchmarks.fleet [--agents N ...] [--ramp S] [--steady S] [--seconds LOW HIGH]

An agent here is an asyncio task with two connections, as a real one has. It speaks the real protocol: the package's own
Lua scripts, the key table, RQ's queue and `turns.read_turn`, so that what is measured cannot drift from what is used.
It beats every third of the lease and reaps every sixth, takes turns, claims, "trains" and completes.
Afterwards the store says whether all was exact: each trial that an agent completed finished once, at its first attempt.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import resource
import secrets
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import redis
import redis.asyncio
from rq.serializers import JSONSerializer
from sqlalchemy import func, select

from benchmarks.handout import make_sweep, start_controller
from benchmarks.machine import Place, cpu_seconds, describe, place, resident_mb, table, until
from besom.broker import connection as broker
from besom.broker.connection import BLOCK_SECONDS, to_json
from besom.broker.keys import Keys
from besom.broker.ledger import CRASH_LIMIT
from besom.broker.turns import Turn, TurnJob, TurnQueue, read_turn
from besom.tracking.store.schema import attempts, trials
from besom.tracking.store.store import Store

LEASE = 30.0
SCRIPTS = ("claim", "beat", "complete", "reap", "leave")


@dataclass
class Figures:
    """What the agents saw; latencies in seconds."""

    claims: list[float] = field(default_factory=list)
    completes: list[float] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)
    replies: Counter[str] = field(default_factory=Counter)
    numbers: list[int] = field(default_factory=list)
    """Trials that were completed and answered 'ok'."""
    lags: list[float] = field(default_factory=list)
    """How late the simulation's own event loop was: no latency above can be told apart from this."""


class Fleet:
    """What all agents of one process share."""

    def __init__(self, url: str, sweep: str, seconds: tuple[float, float]) -> None:
        self.url, self.sweep, self.seconds = url, sweep, seconds
        self.keys = Keys("besom")
        queue = TurnQueue(self.keys.queue_name(sweep), connection=redis.Redis.from_url(url), serializer=JSONSerializer)
        self.queue, self.taken = queue.key, queue.intermediate_queue_key
        self.over = False
        self.figures = Figures()
        self.shas: dict[str, str] = {}

    async def load(self) -> None:
        client = self.client()
        for name in SCRIPTS:
            self.shas[name] = await client.script_load(broker._source(name))
        await client.aclose()

    def client(self) -> Any:
        """One connection; who finds it in use waits for it."""
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            self.url, max_connections=1, timeout=None, socket_timeout=60, socket_connect_timeout=60
        )
        return redis.asyncio.Redis.from_pool(pool)


class Agent:
    """One simulated agent of one slot."""

    def __init__(self, fleet: Fleet, number: int) -> None:
        self._fleet = fleet
        self._id = f"host-{number}-{secrets.token_hex(3)}"
        self._short, self._blocking = fleet.client(), fleet.client()
        self._held: list[Any] = []

    async def run(self) -> None:
        await self._beat()
        beside = [asyncio.create_task(self._every(LEASE / 3, self._beat)),
                  asyncio.create_task(self._every(LEASE / 6, self._reap))]  # fmt: skip
        try:
            while not self._fleet.over:
                turn = await self._take()
                if turn is not None and turn.trials:
                    await self._carry_out(turn)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._script("leave", self._id)
            await self._short.aclose()
            await self._blocking.aclose()

    async def _carry_out(self, turn: Turn) -> None:
        until_ = time.monotonic() + turn.milliseconds / 1000
        state, taken = await self._timed(self._fleet.figures.claims, "claim", turn.sweep, self._id, 1, self._nonce())
        while taken:
            number, attempt, token, _ = taken[0]
            self._held = [turn.sweep, number, token]
            await asyncio.sleep(random.uniform(*self._fleet.seconds))
            more = 1 if time.monotonic() < until_ else 0
            ending = (turn.sweep, number, token, "finished", "{}")
            replies, _, (state, taken) = await self._timed(
                self._fleet.figures.completes, "complete", turn.sweep, self._id, more, self._nonce(), *ending
            )
            self._held = []
            self._note(int(number), int(attempt), replies[0].decode())
        self._fleet.over = self._fleet.over or state in (b"stopping", b"finished", b"cancelled")

    def _note(self, number: int, attempt: int, reply: str) -> None:
        self._fleet.figures.replies[reply if attempt == 1 else f"{reply} at attempt {attempt}"] += 1
        if reply == "ok":
            self._fleet.figures.numbers.append(number)

    async def _take(self) -> Turn | None:
        """As `TurnWorker.take`: RQ's dequeue of one queue, then the job is deleted."""
        job_id = await self._blocking.blmove(self._fleet.queue, self._fleet.taken, BLOCK_SECONDS)
        if job_id is None:
            return None
        job = TurnJob(job_id.decode(), connection=self._fleet, serializer=JSONSerializer)
        held = await self._blocking.hgetall(job.key)
        async with self._blocking.pipeline(transaction=False) as pipe:
            pipe.lrem(self._fleet.taken, 1, job.id)
            pipe.delete(job.key)
            await pipe.execute()
        if not held:
            return None
        job.restore(held)
        return read_turn(job)

    async def _beat(self) -> None:
        info = {
            "sweep": self._fleet.sweep,
            "slots": 1,
            "host": "host",
            "pid": 1,
            "since": 0.0,
            "gpus": [],
            "running": [],
        }
        held = self._held
        verdicts = await self._timed(
            self._fleet.figures.beats, "beat", self._id, int(LEASE * 1000), to_json(info), *held
        )
        if held is self._held:  # else it was reported in the meantime, and the word is about what is over
            self._fleet.figures.replies.update(f"beat {verdict.decode()}" for verdict in verdicts if verdict != b"ok")

    async def _reap(self) -> None:
        reaped = await self._script("reap", CRASH_LIMIT, 100)
        if reaped:
            self._fleet.figures.replies["reaped"] += int(reaped)

    async def _every(self, seconds: float, action: Any) -> None:
        while True:
            await asyncio.sleep(seconds)
            await action()

    async def _timed(self, into: list[float], name: str, *arguments: Any) -> Any:
        started = time.perf_counter()
        reply = await self._script(name, *arguments)
        into.append(time.perf_counter() - started)
        return reply

    async def _script(self, name: str, *arguments: Any) -> Any:
        return await self._short.evalsha(self._fleet.shas[name], 0, "besom", *arguments)

    @staticmethod
    def _nonce() -> str:
        return secrets.token_hex(8)


async def watch_loop(lags: list[float]) -> None:
    while True:
        started = time.perf_counter()
        await asyncio.sleep(0.05)
        lags.append(time.perf_counter() - started - 0.05)


async def run_agents(fleet: Fleet, agents: int, ramp: float) -> None:
    await fleet.load()
    watch = asyncio.create_task(watch_loop(fleet.figures.lags))
    running = []
    started = time.monotonic()
    for number in range(agents):
        running.append(asyncio.create_task(Agent(fleet, number).run()))
        await asyncio.sleep(max(0.0, started + ramp * (number + 1) / agents - time.monotonic()))
    await asyncio.gather(*running)
    watch.cancel()


def fleet_process(told: Any, url: str, sweep: str, agents: int, ramp: float, seconds: tuple[float, float]) -> None:
    """The fleet in a process of its own, so that this one can watch."""
    raise_limit()
    fleet = Fleet(url, sweep, seconds)
    asyncio.run(run_agents(fleet, agents, ramp))
    told.send(fleet.figures)


def raise_limit() -> int:
    """As many open files as may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def measure(agents: int, ramp: float, steady: float, seconds: tuple[float, float]) -> tuple[list[str], list[str]]:
    """A row of the table, and what is not as it should be."""
    room = raise_limit()
    if 2 * agents + 100 > room:
        raise SystemExit(f"{agents} agents need {2 * agents + 100} open files, this process may have {room}")
    with place("--maxclients", str(2 * agents + 100)) as here:
        controller = start_controller(here)
        ledger, sweep = make_sweep(here)
        ledger.set_state(sweep, "running")
        ours, theirs = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.Process(target=fleet_process, args=(theirs, here.url, sweep, agents, ramp, seconds))
        process.start()
        until("the agents", lambda: here.redis.zcard("besom:agents") >= agents, ramp * 3 + 60, 0.2)
        time.sleep(seconds[0] / 2)
        pids = (here.pid, controller.pid, process.pid)
        before, started = [cpu_seconds(pid or 0) for pid in pids], time.perf_counter()
        commands = here.redis.info("stats")["total_commands_processed"]
        present = []
        while time.perf_counter() - started < steady:
            time.sleep(2.0)
            present.append(len(ledger.agents()))
        wall = time.perf_counter() - started
        shares = [(cpu_seconds(pid or 0) - then) / wall * 100 for pid, then in zip(pids, before, strict=True)]
        commands = here.redis.info("stats")["total_commands_processed"] - commands
        memory = (here.redis.info("memory")["used_memory"] / 1e6, resident_mb(controller.pid))
        ledger.set_state(sweep, "stopping")
        figures = ours.recv()
        process.join()
        until("the sweep", lambda: ledger.state(sweep) == "finished", 60)
        problems = check(here, sweep, figures, agents, present)
        row = [
            str(agents), str(len(figures.numbers)), f"{commands / wall:.0f}", *(f"{share:.0f} %" for share in shares),
            *(f"{percentile(figures.claims, share) * 1e3:.1f}" for share in (0.5, 0.99)),
            f"{percentile(figures.completes, 0.99) * 1e3:.1f}", f"{percentile(figures.beats, 0.99) * 1e3:.1f}",
            f"{percentile(figures.lags, 0.99) * 1e3:.1f}", f"{max(figures.lags) * 1e3:.0f}",
            f"{memory[0]:.0f}", f"{memory[1]:.0f}", "yes" if not problems else "NO",
        ]  # fmt: skip
        return row, problems


def check(here: Place, sweep: str, figures: Figures, agents: int, present: list[int]) -> list[str]:
    """What the store and the agents disagree on."""
    problems = [f"replies: {reply} {count} times" for reply, count in figures.replies.items() if reply != "ok"]
    if min(present) < agents:
        problems.append(f"only {min(present)} of {agents} agents counted as there at some moment")
    if len(set(figures.numbers)) != len(figures.numbers):
        problems.append("a trial was completed twice")
    store = Store.open(f"sqlite:///{here.folder / 'home' / 'besom.db'}", create=False)
    with store.read() as conn:
        ours = trials.c.sweep == sweep
        finished = set(conn.scalars(select(trials.c.number).where(ours, trials.c.state == "finished")))
        odd = conn.scalar(select(func.count()).where(ours, trials.c.state.not_in(["finished", "cancelled"])))
        again = conn.scalar(select(func.count()).where(ours, (trials.c.attempt > 1) | (trials.c.losses > 0)))
        lost = conn.scalar(select(func.count()).select_from(attempts).where(attempts.c.state == "lost"))
    store.close()
    if finished != set(figures.numbers):
        problems.append(f"{len(finished ^ set(figures.numbers))} trials differ between agents and store")
    counts = {"neither finished nor cancelled": odd, "attempted again": again, "lost": lost}
    return problems + [f"{count} trials {what}" for what, count in counts.items() if count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--ramp", type=float, default=20.0, help="seconds for each 1000 agents to start (default 20)")
    parser.add_argument("--steady", type=float, default=60.0, help="seconds that are measured (default 60)")
    parser.add_argument("--seconds", type=float, nargs=2, default=[20.0, 60.0], help="of a trial (default 20 60)")
    options = parser.parse_args()
    print(describe())
    rows = [["agents", "trials", "commands/s", "redis CPU", "controller CPU", "fleet CPU", "claim p50 ms", "p99 ms",
             "complete p99 ms", "beat p99 ms", "lag p99 ms", "lag max ms", "redis MB", "controller MB",
             "exact"]]  # fmt: skip
    problems = []
    for agents in options.agents:
        row, found = measure(agents, options.ramp * agents / 1000, options.steady, tuple(options.seconds))
        rows.append(row)
        problems += [f"{agents} agents: {problem}" for problem in found]
    print(
        f"ramp {options.ramp:g} s for 1000 agents, then {options.steady:g} s measured; trials of {options.seconds} s, "
        f"lease {LEASE:g} s"
    )
    print("latencies are those seen by the agents, from ramp to end, their loop's lag included; CPU in % of a core\n")
    print(table(rows))
    print(
        "\n".join(problems) or "no false reap, no loss: each completed trial is in the store once, at its first attempt"
    )
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
