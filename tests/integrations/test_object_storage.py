"""BESOM_BLOBS=s3://… against a real S3 server: moto's, on this machine."""

from __future__ import annotations

import hashlib
import io
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import numpy as np
import pytest
from moto.server import ThreadedMotoServer

import besom
from besom.errors import Unreachable
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.bucket import Bucket
from besom.tracking.store.garbage import sweep_blobs
from besom.tracking.store.store import Store
from besom.tracking.swept import Swept
from tests.e2e.processes import House, wait_until
from tests.faults.houses import a_house
from tests.redis_server import RedisServer

pytestmark = pytest.mark.integrations

BUCKET = "besom-blobs"


class S3:
    """The server, which may go away and come back with what it had."""

    def __init__(self) -> None:
        self.server = ThreadedMotoServer(port=0)
        self.server.start()
        _, self.port = self.server.get_host_and_port()
        self.address = f"http://127.0.0.1:{self.port}"

    def client(self) -> object:
        return boto3.client("s3", endpoint_url=self.address, region_name="us-east-1")

    def listed(self) -> set[str]:
        listed = self.client().list_objects_v2(Bucket=BUCKET)  # type: ignore[attr-defined]
        return {entry["Key"] for entry in listed.get("Contents", ())}

    def goes(self) -> None:
        self.server.stop()

    def comes_back(self) -> None:
        self.server = ThreadedMotoServer(port=self.port)
        self.server.start()


@pytest.fixture(scope="module")
def running() -> Iterator[S3]:
    """One server: s3fs keeps what it knows of an address for as long as the process lives."""
    server = S3()
    yield server
    server.goes()


@pytest.fixture
def s3(running: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """With one empty bucket, and the environment that leads there."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": running.address,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(urllib.request.Request(f"{running.address}/moto-api/reset", method="POST")).close()
    running.client().create_bucket(Bucket=BUCKET)  # type: ignore[attr-defined]
    return running


@pytest.fixture
def house(redis_server: RedisServer, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Controller and run, each with BESOM_BLOBS set, with homes of their own."""
    monkeypatch.setenv("BESOM_BLOBS", f"s3://{BUCKET}/team")
    with a_house(tmp_path, redis_server) as house:
        house.processes.environment["BESOM_BLOBS"] = f"s3://{BUCKET}/team"
        monkeypatch.setenv("BESOM_HOME", str(tmp_path / "elsewhere"))
        for name in ("BESOM_REDIS_URL", "BESOM_STORE"):
            monkeypatch.setenv(name, house.processes.environment[name])
        yield house


def test_a_bucket_is_a_place(s3: S3) -> None:
    """Write, renew, size, read, list, delete; an object lies under its name, and is whole."""
    bucket = Bucket(f"s3://{BUCKET}/team")
    content = bytes(range(256)) * 40_000
    name = hashlib.sha256(content).hexdigest()
    assert (bucket.size(name), bucket.renew(name, len(content)), list(bucket.names())) == (None, False, [])
    bucket.write(name, len(content), io.BytesIO(content))
    assert s3.listed() == {f"team/{name[:2]}/{name}"}
    assert bucket.size(name) == len(content)
    assert bucket.renew(name, len(content))
    assert not bucket.renew(name, 1)
    with bucket.read(name) as file:
        assert file.read() == content
    [(found, size, written)] = bucket.names()
    assert (found, size) == (name, len(content))
    assert not bucket.delete(name, before=written)
    assert bucket.delete(name, before=written + 1)
    assert s3.listed() == set()


def test_a_bucket_that_is_not_there(s3: S3) -> None:
    """Whatever S3 answers is one error that names the place."""
    with pytest.raises(Unreachable, match="blobs at s3://no-such-bucket/x cannot be kept"):
        Blobs(Bucket("s3://no-such-bucket/x")).put(b"abc")


def test_media_and_artifacts_in_a_bucket(house: House, s3: S3, tmp_path: Path) -> None:
    """A run puts them there itself; they come back from there; `besom gc` takes what its removal leaves."""
    house.controller()
    model = tmp_path / "model.bin"
    model.write_bytes(bytes(range(256)) * 4000)
    with besom.init(project="p", entity="e", id="r") as run:
        run.log({"picture": besom.Image(np.zeros((32, 32, 3), np.uint8))})
        run.log_artifact(model, "model", "model")
    api = house.api()
    folder = Path(api.artifact("e/p/model:latest").download(tmp_path / "out"))
    assert (folder / "model.bin").read_bytes() == model.read_bytes()
    assert len([key for key in s3.listed() if "/stores/" not in key]) == 3
    api.run("r").delete()
    api.ask("run", run_id="r")
    api.close()
    store = Store.open(house.settings.store_url, create=False)
    bucket = Bucket(f"s3://{BUCKET}/team")
    assert sweep_blobs(store, bucket, 0.0, dry_run=False) == Swept(0, 0)
    assert sweep_blobs(store, bucket, 4e9, dry_run=False).count == 3
    store.close()
    assert s3.listed() == {f"team/stores/{store.id}"}


def test_a_bucket_that_goes_away(house: House, s3: S3) -> None:
    """While the storage is gone training goes on at once; what was logged arrives after its return."""
    house.controller()
    with besom.init(project="p", entity="e") as run:
        run.log({"page": besom.Html("first")})
        wait_until(lambda: any("/stores/" not in key for key in s3.listed()), "the first page")
        s3.goes()
        run.log({"page": besom.Html("second")})
        s3.comes_back()
    assert len([path for path in (house.folder / "elsewhere").rglob("*") if path.is_file()]) == 0
    assert any("/stores/" not in key for key in s3.listed())
