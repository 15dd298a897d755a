"""Waiting through outages, and never showing a password."""

from __future__ import annotations

import logging
import math
import socket
import threading
from collections.abc import Callable, Iterator

import fakeredis
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from besom.broker.connection import Connection, check_url, is_transient, redact, to_json
from besom.broker.lead import Lead
from besom.errors import ConfigError, Fenced, Unreachable
from tests.redis_server import RedisServer

HIDDEN = "(a URL that cannot be read)"

# ---- URLs


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h", "redis://h"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("redis://user:secret@h:6379/0", "redis://h:6379/0"),
        ("redis://:secret@h", "redis://h"),
        ("redis://:sec%2Fret@h/3", "redis://h/3"),
        ("redis://:se:cr:et@h:1", "redis://h:1"),
        ("redis://:se@cret@h:1", "redis://h:1"),
        ("rediss://user:secret@h:1/2/", "rediss://h:1/2"),
        ("redis://:secret@[::1]:6379/0", "redis://[::1]:6379/0"),
        ("redis://h/0?password=secret", "redis://h/0"),
        ("unix:///tmp/r.sock", "unix:///tmp/r.sock"),
        ("unix://:secret@/tmp/r.sock?db=0", "unix:///tmp/r.sock"),
        ("unix:///tmp/r.sock?password=secret", "unix:///tmp/r.sock"),
        ("unix:///tmp/me@home/r.sock", "unix:///tmp/me@home/r.sock"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    """Host, port, database and socket are shown; user, password and options are not."""
    assert redact(url) == shown
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "redis://:sec/ret@h:1/0",
        "redis://:sec?ret@h:1/0",
        "redis://:sec#ret@h:1/0",
        "redis://:12/secret@h:1/0",
        "rediss://user:sec/ret@h",
        "unix://:sec/ret@/tmp/r.sock",
        "unix://:12/secret@/tmp/r.sock",
        "unix://:12?secret@/tmp/r.sock",
        "user:secret@h",
        "redis://:[secret@h",
        "redis://:secret",
    ],
)
def test_a_torn_password_hides_the_whole_url(url: str) -> None:
    """Where a stray "/", "?", "#" or "[" cut the password in two, nothing is shown, and the URL is refused."""
    assert redact(url) == HIDDEN
    with pytest.raises(ConfigError) as caught:
        check_url(url)
    assert "secret" not in str(caught.value)
    assert "redis://[user:password@]host:port/db" in str(caught.value)


@given(
    middle=st.text(alphabet="/?#@:[]%\\ \n\t&=aé1", max_size=8),
    shape=st.sampled_from(
        ["redis://u:{}@h:6379/0", "rediss://:{}@h", "unix://:{}@/tmp/r.sock", "redis://h/0?password={}"]
    ),
)
def test_no_password_is_ever_shown(middle: str, shape: str) -> None:
    """Neither the shown URL nor the error holds any part of a password, whatever stands in it."""
    url = shape.format(f"SEC{middle}RET")
    told = redact(url)
    try:
        check_url(url)
    except ConfigError as error:
        told += str(error)
    assert "SEC" not in told
    assert "RET" not in told


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "cannot be"),
        ("localhost:6379", "cannot be"),
        ("http://user:secret@h", "cannot be"),
        ("redis://h:99999/0", "cannot be"),
        ("redis://", "names no host"),
        ("redis:///0", "names no host"),
        ("redis://:secret@", "names no host"),
        ("unix://", "names no socket"),
        ("unix://tmp", "names no socket"),
        ("redis://h/abc", "'abc', which is no database number"),
        ("redis://h/0/1", "'0/1', which is no database number"),
        ("redis://h/-1", "'-1', which is no database number"),
        ("redis://u:secret@h?foo=1", "an option that cannot be"),
        ("redis://u:secret@h?socket_timeout=secret", "an option that cannot be"),
        ("redis://u:secret@h?protocol=9", "an option that cannot be"),
    ],
)
def test_a_url_that_cannot_be_is_refused(url: str, problem: str) -> None:
    """The error says what is wrong with it, before anything connects, and shows no password."""
    with pytest.raises(ConfigError) as caught:
        Connection(url)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)


# ---- which errors may pass


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (RedisConnectionError("refused"), True),
        (RedisTimeoutError("slow"), True),
        (BusyLoadingError("loading"), True),
        (ReadOnlyError("a replica"), True),
        (OSError("reset"), True),
        (ResponseError("MISCONF Redis is configured to save RDB snapshots"), True),
        (ResponseError("OOM command not allowed when used memory > 'maxmemory'"), True),
        (ResponseError("LOADING Redis is loading the dataset in memory"), True),
        (ResponseError("MASTERDOWN Link with MASTER is down"), True),
        (ResponseError("NOREPLICAS Not enough good replicas to write"), True),
        (ResponseError("BUSY Redis is busy running a script"), True),
        (ResponseError("Command # 2 (SET a 1) of pipeline caused error: OOM command not allowed"), True),
        (ResponseError("Error running script (call to f_ab12): @user_script:7: -OOM command not allowed"), True),
        (ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), False),
        (ResponseError("ERR unknown command 'OOM'"), False),
        (ResponseError("ERR Error running script: @user_script:1: attempt to index a nil value"), False),
        (ResponseError("BUSYGROUP Consumer Group name already exists"), False),
        (AuthenticationError("WRONGPASS invalid username-password pair"), False),
        (AuthorizationError("refused"), False),
        (NoPermissionError("NOPERM this user has no permissions"), False),
        (ValueError("ours"), False),
    ],
)
def test_waiting_helps_in_outages_only(error: Exception, passes: bool) -> None:
    """Outage, failover, full memory or disk pass; a wrong command, type or password does not."""
    assert is_transient(error) is passes


# ---- call


class _Flaky:
    """An action that fails so often before it succeeds."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.left, self.error, self.calls = failures, error or RedisConnectionError("refused"), 0

    def __call__(self) -> str:
        self.calls += 1
        if self.left > 0:
            self.left -= 1
            raise self.error
        return "done"


def test_call_waits_through_an_outage(fake: Connection) -> None:
    """The action is repeated until it succeeds, and its result is given."""
    action = _Flaky(2)
    assert fake.call(action) == "done"
    assert action.calls == 3


def test_call_gives_up_after_its_patience(fake: Connection) -> None:
    """An outage that outlasts the patience is Unreachable, with address and reason."""
    action = _Flaky(10**9, RedisConnectionError("Error 111 connecting\nsecond line"))
    with pytest.raises(Unreachable, match=r"^Redis at redis://fake does not answer: Error 111 connecting$"):
        fake.call(action, patience=0.06)
    assert action.calls >= 2


def test_no_patience_means_one_try(fake: Connection) -> None:
    """With patience 0 the first failure is the last."""
    action = _Flaky(1)
    with pytest.raises(Unreachable):
        fake.call(action, patience=0)
    assert action.calls == 1


def test_the_connections_patience_is_the_default() -> None:
    """What the connection was made with counts where a call says nothing."""
    action = _Flaky(1)
    with pytest.raises(Unreachable):
        Connection("redis://fake", client=fakeredis.FakeRedis(), patience=0).call(action)
    assert action.calls == 1


@pytest.mark.parametrize("error", [ResponseError("WRONGTYPE no list"), ValueError("ours"), KeyError("x")])
def test_a_real_error_is_not_repeated(fake: Connection, error: Exception) -> None:
    """What waiting cannot mend rises at once, as it is."""
    action = _Flaky(5, error)
    with pytest.raises(type(error)) as caught:
        fake.call(action)
    assert caught.value is error
    assert action.calls == 1


@pytest.mark.parametrize("kind", [AuthenticationError, AuthorizationError, NoPermissionError])
def test_a_refused_user_is_unreachable_at_once(fake: Connection, kind: type[Exception]) -> None:
    """A wrong password or a missing permission is told with the server's words and never waited for."""
    action = _Flaky(5, kind("NOPERM no way"))
    with pytest.raises(Unreachable, match="refuses this user or password: NOPERM no way"):
        fake.call(action)
    assert action.calls == 1


def test_an_outage_is_told_once(fake: Connection, caplog: pytest.LogCaptureFixture) -> None:
    """One line when it begins and one when it ends, however many calls failed; then again for the next."""
    with caplog.at_level(logging.WARNING, "besom"):
        fake.call(_Flaky(2))
        fake.call(_Flaky(0))
        first = [record.getMessage() for record in caplog.records]
        fake.call(_Flaky(1))
    assert len(first) == 2
    assert "redis://fake does not answer (refused); waiting" in first[0]
    assert "redis://fake answers again after" in first[1]
    assert len(caplog.records) == 4


def test_every_failure_asks_for_a_revival() -> None:
    """Whoever owns the server is asked to start it again, until it answers."""
    asked: list[int] = []
    connection = Connection("redis://fake", client=fakeredis.FakeRedis(), revive=lambda: asked.append(1))
    connection.call(_Flaky(2))
    assert len(asked) == 2


def test_no_message_holds_the_password(caplog: pytest.LogCaptureFixture) -> None:
    """Neither error, log nor repr of a connection shows it, when nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: whoever connects is refused
        connection = Connection(f"redis://me:SECRET@127.0.0.1:{taken.getsockname()[1]}/0", patience=0.05)
        with caplog.at_level(logging.DEBUG, "besom"), pytest.raises(Unreachable) as caught:
            connection.call(connection.redis.ping)
    told = f"{caught.value} {connection!r} {connection.shown} {caplog.text}"
    assert "127.0.0.1" in told
    assert "SECRET" not in told
    assert "me:" not in told
    connection.close()


@pytest.fixture
def web_server() -> Iterator[int]:
    """The port of something that answers, but not as Redis does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.recv(1000)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_what_is_no_redis_is_told_at_once(web_server: int) -> None:
    """A web server at that address ends in Unreachable, with no waiting."""
    connection = Connection(f"redis://127.0.0.1:{web_server}/0")
    with pytest.raises(Unreachable, match="is no Redis server"):
        connection.call(connection.redis.ping)
    connection.close()


@pytest.mark.redis
def test_a_wrong_password_is_unreachable(redis_server: RedisServer) -> None:
    """A real server's refusal of a password is told at once, and without the password."""
    client = redis_server.client()
    client.config_set("requirepass", "right")
    client.close()
    connection = Connection(f"unix://:WRONGONE@{redis_server.socket}?db=0")
    with pytest.raises(Unreachable, match="refuses this user or password") as caught:
        connection.call(connection.redis.ping)
    assert "WRONGONE" not in str(caught.value)
    connection.close()


@pytest.mark.redis
def test_a_call_lives_through_a_restart(redis_server: RedisServer) -> None:
    """A server that is killed and started again under a waiting call is met again, and holds what it held."""
    started: list[Callable[[], None]] = [redis_server.start]
    connection = Connection(redis_server.url, revive=lambda: started.pop()() if started else None)
    connection.call(lambda: connection.redis.set("a", "1"))
    redis_server.kill()
    assert connection.call(lambda: connection.redis.get("a"), patience=20) == b"1"
    connection.close()


# ---- scripts


def test_an_old_epoch_is_fenced(fake: Connection) -> None:
    """A script of a controller whose time is over raises Fenced and names the namespace."""
    Lead(fake, 5, {}).hold()
    with pytest.raises(Fenced, match="'besom'"):
        fake.script("forget", 0, "s", 1)


def test_a_script_that_redis_forgot_is_sent_again(fake: Connection) -> None:
    """After SCRIPT FLUSH or a restart a script runs as before."""
    assert fake.script("leave", "a") == 1
    fake.redis.script_flush()
    assert fake.script("leave", "a") == 1


def test_a_fault_in_a_script_rises(fake: Connection) -> None:
    """Redis' complaint about a script is no outage and no fence."""
    fake.redis.set(fake.keys.sweep("s"), "no hash")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        fake.script("claim", "s", "a", 1, "n")


# ---- the rest


def test_blocking_reads_have_a_client_of_their_own() -> None:
    """It outwaits the block, and repeats nothing: what a blocking read took is not asked for twice."""
    connection = Connection("redis://h")
    client = connection.blocking(7)
    arguments = client.connection_pool.connection_kwargs
    assert client is not connection.redis
    assert arguments["socket_timeout"] > 7
    assert arguments["retry"].get_retries() == 0
    client.close()
    connection.close()


def test_a_given_client_is_left_open() -> None:
    """Who passes a client closes it."""
    client = fakeredis.FakeRedis()
    connection = Connection("redis://fake", client=client)
    connection.close()
    assert connection.blocking() is client
    assert client.ping()
    client.close()


def test_json_is_compact_and_keeps_order() -> None:
    """No blanks, keys as they came, letters as they are."""
    assert to_json({"b": [1, 2.5], "a": "é"}) == '{"b":[1,2.5],"a":"é"}'


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_json_refuses_what_is_no_json(value: float) -> None:
    """NaN and infinity, which other readers of JSON do not take, are an error."""
    with pytest.raises(ValueError, match="JSON"):
        to_json({"x": value})


def test_the_client_is_redis_pys() -> None:
    """A connection by URL uses redis-py with time limits on every read."""
    connection = Connection("redis://h")
    assert isinstance(connection.redis, redis.Redis)
    assert connection.redis.connection_pool.connection_kwargs["socket_timeout"] == 5
    connection.close()
