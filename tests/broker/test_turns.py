"""Turns over RQ: given, taken once, and nothing else that may stand in the queue is run."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rq import Queue
from rq.job import Callback
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer

from besom.broker.connection import Connection
from besom.broker.turns import ENTRY, Turn, TurnJob, Turns, TurnWorker, UnexpectedJob
from tests.broker.content import content
from tests.redis_server import RedisServer

GOOD = Turn("s", 3, 500)


@pytest.fixture
def worker(fake: Connection) -> Iterator[TurnWorker]:
    worker = TurnWorker(fake, "s")
    yield worker
    worker.close()


def _rq_queue(fake: Connection) -> Queue:
    """The sweep's queue as plain RQ sees it: what a stranger could use."""
    return Queue(fake.keys.queue_name("s"), connection=fake.redis, serializer=JSONSerializer)


def test_a_turn_comes_out_as_it_went_in(fake: Connection, worker: TurnWorker) -> None:
    """Taken whole, and nothing of it is left in Redis but RQ's list of queues."""
    turns = Turns(fake)
    before = set(content(fake))
    turns.give(GOOD, 1)
    assert turns.waiting("s") == 1
    assert worker.take() == GOOD
    assert turns.waiting("s") == 0
    assert set(content(fake)) - before <= {Queue.redis_queues_keys}


def test_as_many_turns_as_were_given(fake: Connection, worker: TurnWorker) -> None:
    """`count` of them, each taken once; none for a count of 0 or less."""
    turns = Turns(fake)
    for count in (0, -1, 3):
        turns.give(GOOD, count)
    assert turns.waiting("s") == 3
    assert [worker.take() for _ in range(3)] == [GOOD] * 3
    assert turns.waiting("s") == 0


def test_no_turn_is_none(worker: TurnWorker) -> None:
    """An empty queue is waited for and then told."""
    assert worker.take(1) is None


def test_turns_keep_to_their_sweep_and_namespace(fake: Connection, worker: TurnWorker) -> None:
    """Turns of another sweep or namespace are not seen."""
    turns = Turns(fake)
    turns.give(Turn("other", 1, 1), 1)
    Turns(Connection("redis://fake", "team", client=fake.redis)).give(Turn("s", 1, 1), 1)
    turns.give(GOOD, 1)
    assert worker.take() == GOOD
    assert (turns.waiting("s"), turns.waiting("other")) == (0, 1)


def test_a_turn_does_not_stay_for_ever(fake: Connection) -> None:
    """A job whose list entry was lost is dropped by Redis after an hour."""
    Turns(fake).give(GOOD, 1)
    job = _rq_queue(fake).jobs[0]
    assert 0 < fake.redis.ttl(job.key) <= 3600


def test_a_doubled_turn_is_taken_once(fake: Connection, worker: TurnWorker) -> None:
    """The same job twice in the queue gives one turn, and the ghost is passed over."""
    turns = Turns(fake)
    turns.give(GOOD, 1)
    queue = _rq_queue(fake)
    fake.redis.rpush(queue.key, queue.job_ids[0])
    turns.give(Turn("s", 9, 9), 1)
    assert [worker.take(), worker.take()] == [GOOD, Turn("s", 9, 9)]
    assert turns.waiting("s") == 0


def _callback(queue: Queue, **which: Any) -> None:
    queue.enqueue(ENTRY, "s", 3, 500, **{name: Callback(path) for name, path in which.items()})


BAD_JOBS: dict[str, Callable[[Queue], object]] = {
    "another function": lambda queue: queue.enqueue("os.system", "true"),
    "a like name": lambda queue: queue.enqueue(ENTRY + ".x", "s", 3, 500),
    "a success callback": lambda queue: _callback(queue, on_success="os.getcwd"),
    "a failure callback": lambda queue: _callback(queue, on_failure="os.getcwd"),
    "a stopped callback": lambda queue: _callback(queue, on_stopped="os.getcwd"),
    "too few arguments": lambda queue: queue.enqueue(ENTRY, "s", 3),
    "too many arguments": lambda queue: queue.enqueue(ENTRY, "s", 3, 500, 1),
    "a sweep that is no text": lambda queue: queue.enqueue(ENTRY, ["s"], 3, 500),
    "a count that is no number": lambda queue: queue.enqueue(ENTRY, "s", "3", 500),
    "a time that is no number": lambda queue: queue.enqueue(ENTRY, "s", 3, None),
}


@pytest.mark.parametrize("kind", BAD_JOBS)
def test_what_is_no_turn_is_refused_and_gone(
    fake: Connection, worker: TurnWorker, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """It is told of, left nowhere in Redis, and the turn behind it is taken."""
    BAD_JOBS[kind](_rq_queue(fake))
    Turns(fake).give(GOOD, 1)
    with caplog.at_level(logging.WARNING, "besom"):
        assert worker.take() is None
    assert [record.getMessage()[:8] for record in caplog.records] == ["refused:"]
    assert worker.take() == GOOD
    assert list(fake.redis.keys("rq:job:*")) == []


def test_a_webhook_is_refused(fake: Connection, worker: TurnWorker, caplog: pytest.LogCaptureFixture) -> None:
    """A job that would call an address on its end is no turn."""
    Turns(fake).give(GOOD, 1)
    job = _rq_queue(fake).jobs[0]
    hooks = json.dumps([{"url": "http://127.0.0.1:1/", "job_status": "finished"}])
    fake.redis.hset(job.key, "webhooks", hooks)
    with caplog.at_level(logging.WARNING, "besom"):
        assert worker.take() is None
    assert "refused" in caplog.text
    assert not fake.redis.exists(job.key)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80\x04junk", b"[1, 2]", b"null", b'{"a": 1}', b'["besom.turn", null, 3, {}]', zlib.compress(b"[]"),
     zlib.compress(b"\x80\x04K\x01."), zlib.compress(b"[" * 100_000)],
)  # fmt: skip
def test_bytes_that_are_no_job_are_refused_and_gone(
    fake: Connection, worker: TurnWorker, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    """Pickle, broken JSON and nesting without end harm nobody, and the turn behind is taken."""
    turns = Turns(fake)
    turns.give(GOOD, 1)
    fake.redis.hset(_rq_queue(fake).jobs[0].key, "data", data)
    turns.give(Turn("s", 9, 9), 1)
    with caplog.at_level(logging.WARNING, "besom"):
        assert worker.take() is None
    assert "refused" in caplog.text
    assert worker.take() == Turn("s", 9, 9)
    assert list(fake.redis.keys("rq:job:*")) == []


def test_an_id_that_is_none_is_passed_over(fake: Connection, worker: TurnWorker) -> None:
    """Bytes that are no text where a job's id should stand do not end the agent."""
    fake.redis.rpush(_rq_queue(fake).key, b"\xff\xfe")
    Turns(fake).give(GOOD, 1)
    assert GOOD in (worker.take(), worker.take())


@pytest.mark.parametrize("name", ["os.system", "builtins.exec", "subprocess.call"])
def test_nothing_that_a_job_names_is_run(
    fake: Connection, worker: TurnWorker, tmp_path: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that names a function of Python is read and refused; no file, the sign of its run, is made."""
    sign = tmp_path / "sign"
    argument: Any = {
        "os.system": f"touch {sign}",
        "builtins.exec": f"open({str(sign)!r}, 'w').close()",
        "subprocess.call": ["touch", str(sign)],
    }[name]
    _rq_queue(fake).enqueue(name, argument)
    assert worker.take() is None
    assert not sign.exists()


def test_a_turn_job_cannot_be_performed(fake: Connection) -> None:
    """Even asked to, our job class runs nothing."""
    _rq_queue(fake).enqueue("os.getcwd")
    job = TurnJob.fetch(_rq_queue(fake).job_ids[0], connection=fake.redis, serializer=JSONSerializer)
    with pytest.raises(UnexpectedJob):
        job.perform()


def test_a_queue_of_another_type_is_told_and_not_fatal(
    fake: Connection, worker: TurnWorker, caplog: pytest.LogCaptureFixture
) -> None:
    """Where something else stands under the queue's key, the agent warns and goes on."""
    fake.redis.set(_rq_queue(fake).key, "no list")
    with caplog.at_level(logging.WARNING, "besom"):
        assert worker.take(1) is None
    assert "no turn from" in caplog.text


def test_a_worker_leaves_no_trace(fake: Connection, worker: TurnWorker) -> None:
    """Nothing of RQ's own bookkeeping is written: no worker, no registry, no result."""
    Turns(fake).give(GOOD, 1)
    worker.take()
    queue = _rq_queue(fake)
    assert list(fake.redis.keys("rq:worker*")) == []
    for registry in (StartedJobRegistry, FinishedJobRegistry, FailedJobRegistry):
        assert registry(queue=queue).get_job_ids() == []


def test_a_cleared_queue_ends_soon(fake: Connection) -> None:
    """It is gone within a minute and no longer listed; agents that wait may take what is left."""
    turns = Turns(fake)
    turns.give(GOOD, 2)
    turns.clear("s")
    assert 0 < fake.redis.ttl(_rq_queue(fake).key) <= 60
    assert Queue.all(connection=fake.redis, serializer=JSONSerializer) == []


@pytest.mark.redis
def test_a_turn_is_taken_over_a_real_server(redis_server: RedisServer) -> None:
    """Given and taken over private connections, and none is left."""
    connection = Connection(redis_server.url)
    worker = TurnWorker(connection, "s")
    turns = Turns(connection)
    turns.give(GOOD, 2)
    assert [worker.take(), worker.take()] == [GOOD, GOOD]
    assert worker.take(1) is None
    assert turns.waiting("s") == 0
    worker.close()
    connection.close()
