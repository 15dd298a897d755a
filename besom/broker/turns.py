"""Turns over RQ: leave for an agent to claim some trials of one sweep.

RQ carries turns and nothing else: JSON only, one allow-listed function, no callbacks, webhooks, results, retries,
scheduler or signal handlers. A turn that is lost, late or doubled harms nothing, since the ledger decides who gets
which trial; so a worker deletes the job as soon as it has read it.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from redis.exceptions import RedisError, ResponseError
from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty
from rq.worker import SimpleWorker

from besom.broker.connection import BLOCK_SECONDS, Connection, is_transient
from besom.errors import BesomError

__all__ = ["ENTRY", "Turn", "TurnQueue", "TurnWorker", "Turns", "UnexpectedJob"]

log = logging.getLogger("besom")

ENTRY: Final = "besom.turn"
"""The only function name a job may carry; it is looked up in this file, never imported."""

_TURN_SECONDS: Final = 3600
"""A turn that nobody took in this time is dropped by Redis."""

_POLL_SECONDS: Final = 0.05
"""Between two looks at a server whose BLMOVE does not block (fakeredis)."""

_REFUSED_SECONDS: Final = 1.0
"""Before the next try at a server that refuses to give a turn."""


class UnexpectedJob(BesomError):
    """A job in our queue that is no turn."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Leave to claim at most `trials` trials of `sweep` within `milliseconds`."""

    sweep: str
    trials: int
    milliseconds: int


class TurnJob(Job):
    """A job that runs nothing: `perform` would import what it names."""

    def perform(self) -> NoReturn:
        """Refused; a turn is read by `read_turn`."""
        raise UnexpectedJob("jobs are read, never performed")


def read_turn(job: Job) -> Turn:
    """The turn that a job carries.

    Raises:
        UnexpectedJob: another function, a callback, a webhook, or arguments that do not fit.
    """
    if job.func_name != ENTRY:
        raise UnexpectedJob(f"a job asks for {job.func_name!r}; only {ENTRY!r} is run")
    if job._success_callback_name or job._failure_callback_name or job._stopped_callback_name or job.webhooks:
        raise UnexpectedJob("a job carries callbacks or webhooks; none is run")
    try:
        sweep, trials, milliseconds = job.args
    except ValueError:
        raise UnexpectedJob(f"a turn with {len(job.args)} arguments, not 3") from None
    if not (isinstance(sweep, str) and isinstance(trials, int) and isinstance(milliseconds, int)):
        raise UnexpectedJob("a turn whose arguments are not (sweep, trials, milliseconds)")
    return Turn(sweep, trials, milliseconds)


class TurnQueue(Queue):
    """RQ's queue, for servers that block and for fakeredis, whose BLMOVE returns at once."""

    job_class = TurnJob

    @classmethod
    def lmove(cls, connection: Any, queue_key: str, timeout: int | None) -> Any:
        """As RQ's, but an empty reply that came too early is waited out."""
        deadline = time.monotonic() + (timeout or 0)
        while True:
            try:
                return super().lmove(connection, queue_key, timeout)
            except DequeueTimeout:
                left = deadline - time.monotonic()
                if left < _POLL_SECONDS:
                    raise
                threading.Event().wait(_POLL_SECONDS)


class Turns:
    """The controller's side: hand out turns, and clear up."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def queue(self, sweep: str) -> TurnQueue:
        """The sweep's queue."""
        name = self._connection.keys.queue_name(sweep)
        return TurnQueue(name, connection=self._connection.redis, serializer=JSONSerializer)

    def waiting(self, sweep: str) -> int:
        """Turns that nobody has taken."""
        queue = self.queue(sweep)
        return int(self._connection.call(lambda: self._connection.redis.llen(queue.key)))

    def give(self, turn: Turn, count: int) -> None:
        """Put `count` such turns into the sweep's queue. Not repeated on a lost reply: too few are topped up."""
        if count <= 0:
            return
        queue = self.queue(turn.sweep)
        data = [
            TurnQueue.prepare_data(
                ENTRY,
                args=(turn.sweep, turn.trials, turn.milliseconds),
                timeout=_TURN_SECONDS,
                result_ttl=0,
                failure_ttl=0,
                ttl=_TURN_SECONDS,
                job_id=secrets.token_hex(8),
                description="turn",
            )
            for _ in range(count)
        ]
        try:
            queue.enqueue_many(data)
        except RedisError as error:
            if not is_transient(error):
                raise
            log.debug("turns not given: %s", error)

    def clear(self, sweep: str) -> None:
        """Delete the sweep's queue, soon: agents that wait on it take their last turn first."""
        queue = self.queue(sweep)
        client = self._connection.redis

        def delete() -> None:
            with client.pipeline(transaction=False) as pipe:
                pipe.expire(queue.key, 60)
                pipe.delete(queue.intermediate_queue_key)
                pipe.srem(Queue.redis_queues_keys, queue.key)
                pipe.execute()

        self._connection.call(delete)


class TurnWorker(SimpleWorker):
    """The agent's side: takes one turn at a time.

    Nothing of RQ's own loop runs: no signal handlers, no fork, no heartbeat, no maintenance, no pub/sub.
    """

    queue_class = TurnQueue
    job_class = TurnJob
    death_penalty_class = TimerDeathPenalty
    connection_timeout = int(BLOCK_SECONDS) + 5  # RQ would raise the connection's to 415 s

    def __init__(self, connection: Connection, sweep: str) -> None:
        self._turn: Turn | None = None
        self._commands = connection
        client = connection.blocking()
        queue = TurnQueue(connection.keys.queue_name(sweep), connection=client, serializer=JSONSerializer)
        super().__init__([queue], connection=client, serializer=JSONSerializer, prepare_for_work=False)

    def take(self, seconds: float = BLOCK_SECONDS) -> Turn | None:
        """Wait up to `seconds` for a turn; None when there was none."""
        self._turn = None
        try:
            if not self._take_waiting():
                found = TurnQueue.dequeue_any(
                    self.queues, max(1, int(seconds)), self.connection, job_class=TurnJob, serializer=JSONSerializer
                )
                if found is not None:
                    self.execute_job(*found)
        except DequeueTimeout:
            return None
        except ResponseError as error:  # memory or disk full, or a key of another type: not at once again
            log.warning("no turn from %s: %s", self.queues[0].name, error)
            threading.Event().wait(_REFUSED_SECONDS)
        except Exception as error:  # an id or a hash that RQ cannot read; it is out of the queue by now
            if is_transient(error):
                raise
            log.warning("refused: a job that cannot be read (%s)", type(error).__name__)
        return self._turn

    def _take_waiting(self) -> bool:
        """Take a turn that waits already, in one round trip in place of RQ's three; False when none does."""
        while answer := self._commands.script("take", self.queues[0].key, TurnJob.redis_job_namespace_prefix):
            name, fields = answer
            if not fields:
                continue  # the job has expired
            job = TurnJob(name.decode(), connection=self.connection, serializer=JSONSerializer)
            job.restore(dict(zip(fields[::2], fields[1::2], strict=True)))
            self._read(job)
            return True
        return False

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Delete the job and keep its turn for `take`; what is no turn is refused and gone."""
        with self.connection.pipeline(transaction=False) as pipe:
            pipe.lrem(queue.intermediate_queue_key, 1, job.id)
            pipe.delete(job.key)
            pipe.execute()
        self._read(job)

    def _read(self, job: Job) -> None:
        try:
            self._turn = read_turn(job)
        except UnexpectedJob as error:
            log.warning("refused: %s", error)
        except Exception as error:  # whatever RQ's deserialising raises for bytes that are no job of ours
            log.warning("refused: a job that cannot be read (%s)", type(error).__name__)

    def close(self) -> None:
        """Give the private connection back."""
        self.connection.close()
