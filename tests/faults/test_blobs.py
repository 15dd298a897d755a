"""Media and artifacts of a run on another machine: they arrive whole, whatever dies or is away meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import besom
from tests.e2e.processes import House, wait_until
from tests.faults.houses import a_house
from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis

pytest.importorskip("PIL")

WAYS = {"http": ("--http", "127.0.0.1:0"), "redis": ()}


@pytest.fixture
def house(redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Controllers have their own home; this process is on another machine, as far as files are concerned."""
    monkeypatch.setattr("besom.tracking.blobs.folder.host_id", lambda: "elsewhere")
    with a_house(tmp_path, redis_server) as house:
        monkeypatch.setenv("BESOM_HOME", str(tmp_path / "elsewhere"))
        for name in ("BESOM_REDIS_URL", "BESOM_STORE"):
            monkeypatch.setenv(name, house.processes.environment[name])
        yield house


def _picture(seed: int = 0) -> np.ndarray:
    """About 300 kB as PNG: several pieces, several writes."""
    return np.random.default_rng(seed).integers(0, 255, (320, 320, 3), np.uint8)


def _log(house: House, seed: int = 0) -> None:
    besom.log({"picture": besom.Image(_picture(seed)), "loss": 1.0})


def _arrived(house: House, run: str) -> bytes:
    """The bytes of the run's picture, where its controller keeps them; they are what the row says."""
    api = house.api()
    try:
        told = api.run(run).summary["picture"]
    finally:
        api.close()
    path = house.folder / "home" / "blobs" / told["sha256"][:2] / told["sha256"]
    content = path.read_bytes()
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (told["sha256"], told["size"])
    return content


def _nothing_waits(house: House) -> bool:
    return not [path for path in (house.folder / "elsewhere").rglob("*") if path.is_file() and path.name != "lock"]


def test_on_the_controllers_machine(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a home of its own, but on the same disk: its files go into the controller's folder, and come from there."""
    monkeypatch.undo()
    for name in ("BESOM_REDIS_URL", "BESOM_STORE"):
        monkeypatch.setenv(name, house.processes.environment[name])
    monkeypatch.setenv("BESOM_HOME", str(tmp_path / "elsewhere"))
    house.controller()
    with besom.init(project="p", entity="e") as run:
        _log(house)
        run.log_artifact(__file__, "script", "code")
    assert _arrived(house, run.id)
    assert _nothing_waits(house)
    api = besom.Api()
    folder = Path(api.artifact("e/p/script:latest").download(tmp_path / "out"))
    assert (folder / "test_blobs.py").read_bytes() == Path(__file__).read_bytes()
    api.close()


@pytest.mark.parametrize("way", WAYS)
def test_media_and_artifacts_travel(house: House, way: str, tmp_path: Path) -> None:
    """A run with nothing but Redis: its picture and its artifact rest with the controller; the way back is HTTP."""
    house.controller(*WAYS[way])
    model = tmp_path / "model.bin"
    model.write_bytes(bytes(range(256)) * 4000)
    with besom.init(project="p", entity="e") as run:
        _log(house)
        artifact = run.log_artifact(model, "model", "model")
    assert _arrived(house, run.id).startswith(b"\x89PNG")
    assert _nothing_waits(house)
    api = house.api()
    if way == "http":
        folder = Path(api.artifact("e/p/model:latest").download(tmp_path / "out"))
        assert (folder / "model.bin").read_bytes() == model.read_bytes()
    else:
        with pytest.raises(besom.BesomError, match="start that controller with --http"):
            api.artifact("e/p/model:latest")
    assert artifact.digest == api.ask("artifact", name="model")["digest"]
    api.close()


@pytest.mark.parametrize(
    ("way", "where"),
    [("http", "folder.before-rename"), ("redis", "receiver.after-take"), ("redis", "folder.before-rename")],
)
def test_controller_is_killed_while_it_receives(house: House, way: str, where: str) -> None:
    """kill -9 with the file half there: the next controller gets it whole, and the run notices nothing."""
    first = house.controller(*WAYS[way], BESOM_FAILPOINT=where)
    with besom.init(project="p", entity="e") as run:
        _log(house)
        wait_until(lambda: first.popen.poll() is not None, "the first controller's death")
        assert not _nothing_waits(house)
        house.controller(*WAYS[way])
    assert _arrived(house, run.id)
    assert _nothing_waits(house)


@pytest.mark.parametrize("way", WAYS)
def test_redis_is_away_while_media_are_logged(house: House, way: str) -> None:
    """kill -9 of Redis: logging goes on at once, and everything arrives after its return."""
    house.controller(*WAYS[way])
    with besom.init(project="p", entity="e") as run:
        house.redis.kill()
        for seed in range(3):
            _log(house, seed)
        house.redis.start()
    assert _arrived(house, run.id)
    assert len(list((house.folder / "home" / "blobs").glob("??/*"))) == 3
    assert _nothing_waits(house)


@pytest.mark.parametrize("sender", ["run", "sync"])
def test_a_process_dies_with_its_media(house: House, sender: str) -> None:
    """kill -9 of a run with no controller there: the next run on its machine sends what it left, or `besom sync`."""
    child = house.processes.python(
        "-c", "import besom, numpy, os, signal; run = besom.init(project='p', entity='e', id='gone');"
        "run.log({'picture': besom.Image(numpy.arange(30000, dtype=numpy.uint8).reshape(100, 100, 3))});"
        "run._writer.flush(); os.kill(os.getpid(), signal.SIGKILL)",
        environment={"BESOM_HOME": str(house.folder / "elsewhere")},
    )  # fmt: skip
    assert child.ends() == -9
    assert not _nothing_waits(house)
    house.controller()
    if sender == "run":
        with besom.init(project="p", entity="e"):
            pass
    else:
        elsewhere = {"BESOM_HOME": str(house.folder / "elsewhere")}
        sync = house.processes.besom("sync", str(house.folder / "elsewhere"), environment=elsewhere)
        assert sync.ends() == 0, sync.err
    wait_until(lambda: _nothing_waits(house), "the arrival of what was left", 20)
    assert _arrived(house, "gone")
