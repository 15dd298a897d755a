"""The trial ledger: which trials wait, who runs which, which are over.

Each verb is one Lua script (`lua/`), atomic, and safe to send twice. A claim gives a lease and a token; every later
call about the attempt carries the token, so that an attempt whose trial another agent has claimed changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from besom.broker.connection import Connection, to_json
from besom.failpoint import failpoint
from besom.messages import Claim, SweepSpec, SweepState, read_spec

__all__ = ["CRASH_LIMIT", "Ending", "Ledger", "Reply", "Retry", "Verdict"]

CRASH_LIMIT: Final = 3
"""A trial whose agent was lost so many times has crashed."""

_CHUNK: Final = 500
"""Trials in one script call; Lua's stack and Redis' latency set the order of magnitude."""

Reply = Literal["ok", "retry", "done", "stale", "unknown"]
Verdict = Literal["ok", "stale", "unknown", "cancel", "stop"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, as its agent reports it."""

    claim: Claim
    state: Literal["finished", "failed", "stopped", "cancelled"]
    details: Mapping[str, Any] = field(default_factory=dict)
    """error, exit_code, writers: fields of `messages.TrialEnded`."""

    def arguments(self) -> list[Any]:
        """As `complete.lua` takes it."""
        details = to_json(self.details) if self.details else "{}"
        return [self.claim.sweep, self.claim.number, self.claim.token, self.state, details]


class Retry(NamedTuple):
    """A trial to be run again, and what it has behind it."""

    number: int
    attempt: int
    losses: int
    failures: int
    params: Mapping[str, Any]


class Ledger:
    """The verbs. Those of the controller take its epoch and raise `Fenced` when that is over."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.keys = connection.keys

    # ---- what commands and scripts call

    def create(self, spec: SweepSpec) -> bool:
        """Write a new sweep; False when its id is taken."""
        return bool(self.connection.script("create", spec.id, spec.model_dump_json(), spec.retries))

    def set_state(self, sweep: str, state: SweepState, epoch: int | None = None) -> tuple[str, str]:
        """('ok' | 'unknown' | 'refused', the state it was in)."""
        verdict, before = self.connection.script("set_state", sweep, state, "" if epoch is None else epoch)
        return verdict.decode(), before.decode()

    def spec(self, sweep: str) -> SweepSpec | None:
        """The sweep with this id, or None.

        Raises:
            Unreadable: another version of besom wrote it.
        """
        key = self.keys.sweep(sweep)
        held = self.connection.call(lambda: self.connection.redis.hget(key, "spec"))
        return None if held is None else read_spec(held)

    def state(self, sweep: str) -> str | None:
        """The sweep's state, or None."""
        key = self.keys.sweep(sweep)
        held = self.connection.call(lambda: self.connection.redis.hget(key, "state"))
        return None if held is None else held.decode()

    def running(self, sweep: str) -> int:
        """How many of its trials are with an agent."""
        key = self.keys.leases()
        members = self.connection.call(lambda: self.connection.redis.zrange(key, 0, -1))
        return sum(member.decode().rpartition(":")[0] == sweep for member in members)

    # ---- what agents call

    def claim(self, sweep: str, agent: str, count: int, nonce: str) -> tuple[str, list[Claim]]:
        """The sweep's state and up to `count` trials; the same nonce again gives the same trials."""
        state, taken = self.connection.script("claim", sweep, agent, count, nonce)
        if taken:
            failpoint("ledger.after-claim")
        return state.decode(), _claims(sweep, taken)

    def complete(
        self, endings: Sequence[Ending], *, then: tuple[str, str, int, str] | None = None
    ) -> tuple[list[tuple[Reply, str]], str, list[Claim]]:
        """Report endings and, in the same call, claim what follows.

        Args:
            endings: Attempts of this agent that are over.
            then: (sweep, agent, count, nonce) of a claim to make, or None.

        Returns:
            For each ending its reply and the journal entry by which it is recorded, '' when there is none; the sweep's
            state and the new claims (empty without `then`). Reply "retry": the trial waits to be tried again;
            "unknown": Redis does not know the sweep, which was removed, or is written back by a controller soon.
        """
        claim = then or ("", "", 0, "")
        flat = [argument for ending in endings for argument in ending.arguments()]
        failpoint("ledger.before-complete")
        replies, entry, (state, taken) = self.connection.script("complete", *claim, *flat)
        failpoint("ledger.after-complete")
        read = [(reply.decode(), entry.decode() if reply in (b"ok", b"retry") else "") for reply in replies]
        return read, state.decode(), _claims(claim[0], taken)

    def beat(
        self, agent: str, beat_ms: int, claims: Sequence[Claim], info: Mapping[str, Any] | None = None
    ) -> list[Verdict]:
        """Renew the agent and the leases of its trials; one verdict for each."""
        flat = [part for claim in claims for part in (claim.sweep, claim.number, claim.token)]
        told = to_json(dict(info)) if info else ""
        if claims:
            failpoint("ledger.before-beat")
        return [verdict.decode() for verdict in self.connection.script("beat", agent, beat_ms, told, *flat)]

    def release(self, claim: Claim, reason: str) -> bool:
        """Hand a trial back, to be taken next; False when it was no longer the agent's."""
        failpoint("ledger.before-release")
        return bool(self.connection.script("release", claim.sweep, claim.number, claim.token, reason))

    def leave(self, agent: str) -> None:
        """The agent is no longer there."""
        self.connection.script("leave", agent)

    def reap(self, limit: int = 100) -> int:
        """Put trials whose lease ran out back; how many."""
        return int(self.connection.script("reap", CRASH_LIMIT, limit))

    # ---- what the controller calls

    def issue(self, epoch: int, sweep: str, trials: Sequence[tuple[int, Mapping[str, Any]]]) -> int:
        """Queue new trials; numbers that are known already are left as they are."""
        issued = 0
        for part in _chunks(trials):
            flat = [text for number, params in part for text in (number, to_json(params))]
            issued += int(self.connection.script("issue", epoch, sweep, *flat))
        return issued

    def replan(self, epoch: int, sweep: str, trials: Sequence[tuple[int, Mapping[str, Any]]]) -> set[int]:
        """New params for trials that nobody has claimed; the numbers that changed."""
        flat = [text for number, params in trials for text in (number, to_json(params))]
        return {int(number) for number in self.connection.script("replan", epoch, sweep, *flat)}

    def forget(self, epoch: int, sweep: str, numbers: Iterable[int]) -> None:
        """Trials whose end is committed in the store leave Redis."""
        for part in _chunks(list(numbers)):
            self.connection.script("forget", epoch, sweep, *part)

    def stop(self, epoch: int, sweep: str, numbers: Sequence[int]) -> None:
        """Trials that a stopping rule ends; they are told at their next batch or beat."""
        for part in _chunks(numbers):
            self.connection.script("stop", epoch, sweep, *part)

    def drop(self, epoch: int, sweep: str) -> None:
        """A removed sweep leaves Redis."""
        self.connection.script("drop", epoch, sweep)

    def restore(self, epoch: int, spec: SweepSpec, state: str, trials: Sequence[Sequence[Any]]) -> None:
        """Write back what Redis lost; see `lua/restore.lua` for a trial's nine fields."""
        for part in _chunks(trials) or [[]]:
            flat = [field for trial in part for field in trial]
            self.connection.script("restore", epoch, spec.id, spec.model_dump_json(), state, spec.retries, *flat)

    def retry(self, epoch: int, sweep: str, trials: Sequence[Retry], *, in_front: bool = False) -> None:
        """Queue trials that were claimed before: ended ones, or such as Redis has lost; before the others or behind."""
        for part in _chunks(trials):
            flat = [field for one in part for field in (*one[:4], to_json(one.params))]
            self.connection.script("retry", epoch, sweep, "front" if in_front else "back", *flat)

    def states(self) -> dict[str, str]:
        """The state of every sweep in Redis."""
        client = self.connection.redis

        def read() -> dict[str, str]:
            sweeps = [sweep.decode() for sweep in client.zrange(self.keys.sweeps(), 0, -1)]
            with client.pipeline(transaction=False) as pipe:
                for sweep in sweeps:
                    pipe.hget(self.keys.sweep(sweep), "state")
                return {sweep: (state or b"").decode() for sweep, state in zip(sweeps, pipe.execute(), strict=True)}

        return self.connection.call(read)

    def alive(self, sweep: str) -> set[int]:
        """Numbers of the trials that Redis holds."""
        key = self.keys.trials(sweep)
        held = self.connection.call(lambda: self.connection.redis.hkeys(key))
        return {int(number) for number in held}

    def ready_counts(self, sweeps: Sequence[str]) -> list[int]:
        """How many trials wait in each sweep."""

        def read() -> list[int]:
            with self.connection.redis.pipeline(transaction=False) as pipe:
                for sweep in sweeps:
                    pipe.llen(self.keys.ready(sweep))
                return [int(length) for length in pipe.execute()]

        return self.connection.call(read) if sweeps else []

    def agents(self, known: Mapping[str, dict[str, Any]] | None = None) -> dict[str, dict[str, Any]]:
        """Agents whose beat has not run out, and what they said of themselves; of those in `known`, what stands there.

        With thousands of agents it matters to whoever looks several times a second.
        """
        client, held = self.connection.redis, known or {}

        def read() -> dict[str, dict[str, Any]]:
            seconds, micro = client.time()
            found = client.zrangebyscore(self.keys.agents(), seconds * 1000 + micro // 1000, "+inf")
            names = [name.decode() for name in found]
            strange = [name for name in names if not held.get(name)]
            told: dict[str, dict[str, Any]] = {}
            if strange:
                with client.pipeline(transaction=False) as pipe:
                    for name in strange:
                        pipe.hget(self.keys.agent(name), "info")
                    told = {name: json.loads(info or "{}") for name, info in zip(strange, pipe.execute(), strict=True)}
            return {name: told[name] if name in told else held[name] for name in names}

        return self.connection.call(read)


def _claims(sweep: str, taken: Sequence[Sequence[bytes]]) -> list[Claim]:
    # Unchecked: the ledger's own script wrote them, and an agent of trials that last a millisecond reads thousands.
    return [
        Claim.model_construct(
            sweep=sweep,
            number=int(number),
            attempt=int(attempt),
            token=token.decode(),
            params=json.loads(params.decode()),
        )
        for number, attempt, token, params in taken
    ]


def _chunks(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
