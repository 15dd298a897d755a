"""The service seen from outside: what its file says is checked before it is believed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import redis

from besom.broker import service as module
from besom.broker.service import Service, ServiceInfo, connect
from besom.disk import boot_id, host_id, write_private
from besom.errors import ConfigError, Unreachable
from besom.settings import read_settings
from tests.redis_server import RedisServer


@pytest.fixture
def service(tmp_path: Path) -> Service:
    (tmp_path / "home").mkdir()
    return Service(read_settings(home=tmp_path / "home"))


def _write(service: Service, **changes: Any) -> None:
    """The file of a service, as it writes it."""
    content = {
        "host": host_id(),
        "boot": boot_id(),
        "pid": os.getpid(),
        "url": f"unix://:SECRET@{service.home}/nobody.sock?db=0",
        "nonce": "n",
        "redis": "/usr/bin/redis-server",
    }
    write_private(service.info_file, content | changes)


def _answer(server: RedisServer, nonce: str = "n", namespace: str = "besom") -> None:
    """A Redis that says of itself what a service's does."""
    client = server.client()
    client.hset(f"{namespace}:service", "nonce", nonce)
    client.close()


@pytest.mark.redis
def test_a_service_that_answers_is_found(service: Service, redis_server: RedisServer) -> None:
    """Host, boot and nonce fit: it is the one meant."""
    _answer(redis_server)
    _write(service, url=redis_server.url)
    info = service.find()
    assert info is not None
    assert (info.pid, info.url.get_secret_value()) == (os.getpid(), redis_server.url)
    assert service.ensure() == info


@pytest.mark.redis
@pytest.mark.parametrize("changes", [{"nonce": "another"}, {"boot": "before"}])
def test_who_answers_but_is_not_the_one_is_not_found(
    service: Service, redis_server: RedisServer, changes: dict[str, str]
) -> None:
    """Another Redis at the same address, or a file from before the machine started, is no service."""
    _answer(redis_server)
    _write(service, url=redis_server.url, **changes)
    assert service.find() is None


@pytest.mark.redis
def test_a_redis_with_no_nonce_is_not_believed(service: Service, redis_server: RedisServer) -> None:
    """A Redis that somebody else started there says nothing of itself."""
    _write(service, url=redis_server.url)
    assert service.find() is None


def test_no_file_no_service(service: Service) -> None:
    """Where none ever ran there is none, and none to stop."""
    assert service.find() is None
    assert not service.stop()


@pytest.mark.parametrize("text", [b"", b"{", b"null", b"[]", b'{"host": 1}', b"\xff\xfe\x00", b"{}"])
def test_a_damaged_file_is_no_service(service: Service, text: bytes) -> None:
    """Half a file, another file's content or no text at all is as none."""
    service.info_file.write_bytes(text)
    assert service.find() is None


def test_a_dead_service_is_not_found(service: Service) -> None:
    """A file whose Redis does not answer is as none."""
    _write(service)
    assert service.find() is None


def test_another_machines_service_is_told(service: Service) -> None:
    """A home shared with another machine is an error that names it and both ways out."""
    _write(service, host="other-machine")
    with pytest.raises(ConfigError, match="a service on other-machine") as caught:
        service.find()
    assert "BESOM_REDIS_URL" in str(caught.value)
    assert "BESOM_HOME" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_the_password_is_hidden(service: Service) -> None:
    """Neither repr, str nor a dump of what the file says shows it."""
    info = ServiceInfo(host="h", boot="b", pid=1, url="unix://:SECRET@/tmp/r.sock", nonce="n", redis="r")
    for told in (repr(info), str(info), info.model_dump_json(), repr(info.model_dump())):
        assert "SECRET" not in told
    assert "SECRET" in info.url.get_secret_value()
    connection = service.connection(info)
    assert "SECRET" not in repr(connection)
    connection.close()


def test_a_service_that_was_ended_stays_down(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its file gone, a client that waits does not start it again."""
    monkeypatch.setattr(service, "ensure", lambda: pytest.fail("it was started"))
    service.revive()


def test_a_dead_service_is_revived_once_a_second(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a client asks, and a start that fails does not end the client."""
    now, starts = [100.0], []

    def ensure() -> ServiceInfo:
        starts.append(now[0])
        raise Unreachable("no")

    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(service, "ensure", ensure)
    _write(service)
    for _ in range(25):
        service.revive()
        now[0] += 0.125
    assert starts == [100.0, 101.0, 102.0, 103.0]


def test_one_that_runs_but_does_not_answer_is_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lock held and its Redis silent, a client gives up, naming log and way out, and starts no second one."""
    monkeypatch.setattr(module, "_START_SECONDS", 0.05)
    monkeypatch.setattr(service, "_start", lambda: pytest.fail("a second one was started"))
    _write(service)
    with service._lock("service.lock"), pytest.raises(Unreachable, match="does not answer") as caught:
        service.ensure()
    assert str(service.log_file) in str(caught.value)
    assert "besom down" in str(caught.value)


def test_a_start_that_fails_says_why(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the new process wrote before it ended is the error."""
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: service.error_file.write_text("disk full\n"))
    with pytest.raises(Unreachable, match=r"^the service did not start: disk full$"):
        service.ensure()


def test_a_start_that_says_nothing_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time the error names the log, which only its owner may read."""
    monkeypatch.setattr(module, "_START_SECONDS", 0.05)
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: None)
    with pytest.raises(Unreachable, match="did not start within") as caught:
        service.ensure()
    assert str(service.log_file) in str(caught.value)
    assert service.log_file.stat().st_mode & 0o077 == 0


# ---- connect


@pytest.mark.redis
def test_a_configured_redis_is_used(redis_server: RedisServer, tmp_path: Path) -> None:
    """With a URL nothing is started, and the namespace is the settings'."""
    connection = connect(read_settings(redis_url=redis_server.url, namespace="team", home=tmp_path / "home"))
    assert connection.call(connection.redis.ping)
    assert connection.namespace == "team"
    assert not (tmp_path / "home").exists()
    connection.close()


def test_a_configured_redis_that_is_away_is_told(tmp_path: Path) -> None:
    """After the caller's patience, with the address and without the password."""
    with pytest.raises(Unreachable, match=r"unix:///.*/nobody\.sock does not answer") as caught:
        connect(read_settings(redis_url=f"unix://:SECRET@{tmp_path}/nobody.sock?db=0"), patience=0)
    assert "SECRET" not in str(caught.value)


def test_with_nothing_there_and_nothing_started_it_says_what_to_do(tmp_path: Path) -> None:
    """A command that may start no service names both ways out."""
    with pytest.raises(Unreachable, match="BESOM_REDIS_URL") as caught:
        connect(read_settings(home=tmp_path / "home"), start=False)
    assert "besom controller" in str(caught.value)
    assert str(tmp_path / "home") in str(caught.value)


@pytest.mark.redis
def test_the_services_redis_is_used_and_told_of_it(service: Service, redis_server: RedisServer) -> None:
    """A client that comes counts as a sign of life of its user, so that the service does not end."""
    _answer(redis_server)
    _write(service, url=redis_server.url)
    connection = connect(service.settings, start=False, patience=3.0)
    client: redis.Redis = redis_server.client()
    assert int(client.hget("besom:service", "active") or 0) > 0
    assert connection.patience == 3.0
    client.close()
    connection.close()
