"""Files over a real socket: who may send and fetch, what is refused, and that nothing half-made stays."""

from __future__ import annotations

import hashlib
import http.client
import io
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from besom.dashboard.server import HttpServer
from besom.errors import BlobRefused, Unreachable
from besom.tracking.blobs.folder import Folder
from besom.tracking.blobs.over_http import HttpPlace
from besom.tracking.http import HttpClient
from besom.tracking.store.store import Store

CONTENT = bytes(range(256)) * 20_000
NAME = hashlib.sha256(CONTENT).hexdigest()


class Served:
    """A server over a folder; `leads` says whether its controller works."""

    def __init__(self, store: Store, root: Path) -> None:
        self.folder = Folder(root, limit=len(CONTENT))
        self.leads = True
        self.server = HttpServer(store, self.folder, "127.0.0.1", 0, leads=lambda _: self.leads)
        self.client = HttpClient(self.server.address, self.server.token)
        self.place = HttpPlace(self.server.address, self.server.token)

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.server.address.removeprefix("http://"), timeout=10)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        told = answer.status, answer.read().decode("utf-8", "replace")
        connection.close()
        return told

    @property
    def files(self) -> list[str]:
        return [path.name for path in self.folder.root.rglob("*") if path.is_file()]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with_store = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    made = Served(with_store, tmp_path / "blobs")
    yield made
    made.client.close()
    made.server.stop()
    with_store.close()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("PUT", f"/blobs/{NAME}", {}, 401),
        ("PUT", f"/blobs/{NAME}", {"Authorization": "Bearer wrong"}, 401),
        ("POST", f"/blobs/{NAME}?size=3", {}, 401),
        ("GET", f"/blobs/{NAME}", {}, 401),
        ("GET", f"/blobs/{NAME}", {"Authorization": "{token}"}, 404),
        ("HEAD", f"/blobs/{NAME}", {"Authorization": "{token}"}, 404),
        ("POST", f"/blobs/{NAME}?size=3", {"Authorization": "{token}"}, 404),
        ("POST", f"/blobs/{NAME}?size=-3", {"Authorization": "{token}"}, 400),
        ("POST", f"/blobs/{NAME}", {"Authorization": "{token}"}, 400),
        ("GET", "/blobs/..%2f..%2fetc%2fpasswd", {"Authorization": "{token}"}, 404),
        ("GET", "/blobs/../../etc/passwd", {"Authorization": "{token}"}, 404),
        ("GET", f"/blobs/{NAME.upper()}", {"Authorization": "{token}"}, 400),
        ("PUT", f"/blobs/{NAME[:-1]}.", {"Authorization": "{token}"}, 400),
        ("PUT", f"/blobs/{NAME}", {"Authorization": "{token}", "Transfer-Encoding": "chunked"}, 411),
        ("DELETE", f"/blobs/{NAME}", {"Authorization": "{token}"}, 405),
    ],
)
def test_who_may_do_what(method: str, path: str, headers: dict[str, str], status: int, served: Served) -> None:
    """Without the token, with a name that is none, or without a length nothing happens."""
    sent = {name: value.format(token=f"Bearer {served.server.token}") for name, value in headers.items()}
    body = b"3\r\nabc\r\n0\r\n\r\n" if "Transfer-Encoding" in headers else None
    found, text = served.ask(method, path, sent, body)
    assert found == status
    assert served.server.token not in text
    assert served.files == []


def test_too_large_is_refused_before_it_is_sent(served: Served) -> None:
    """The length that is announced decides; the sender learns of it however much it has sent."""
    content = CONTENT + b"x"
    with pytest.raises(BlobRefused, match="at most 5120000"):
        served.place.write(hashlib.sha256(content).hexdigest(), len(content), io.BytesIO(content))
    assert served.files == []


@pytest.mark.parametrize("content", [b"abd", b"", b"abcd"])
def test_what_is_not_its_name_is_refused(served: Served, content: bytes) -> None:
    """The server hashes what comes, whatever the sender believes; nothing of it stays."""
    name = hashlib.sha256(b"abc").hexdigest()
    headers = {"Authorization": f"Bearer {served.server.token}"}
    status, told = served.ask("PUT", f"/blobs/{name}", headers, content)
    assert (status, told) == (422, f"what came as blob {name} has sha256 {hashlib.sha256(content).hexdigest()}")
    assert served.files == []


def test_a_sender_that_breaks_off(served: Served) -> None:
    """Half a file leaves nothing, and the next sender finds a server that works."""
    host, _, port = served.server.address.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        head = f"PUT /blobs/{NAME} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {served.server.token}\r\n"
        raw.sendall(f"{head}Content-Length: {len(CONTENT)}\r\n\r\n".encode() + CONTENT[:100_000])
        for _ in range(1000):
            if served.files:
                break
            threading.Event().wait(0.01)
        assert len(served.files) == 1, "it has begun"
    for _ in range(1000):
        if not served.files:
            break
        threading.Event().wait(0.01)
    assert served.files == []
    served.place.write(NAME, len(CONTENT), io.BytesIO(CONTENT))
    assert served.files == [NAME]


def test_one_that_stands_by_takes_nothing(served: Served) -> None:
    """A controller without the lease refuses what is sent, and gives what it has."""
    served.place.write(NAME, len(CONTENT), io.BytesIO(CONTENT))
    served.leads = False
    with pytest.raises(Unreachable, match="stands by"):
        served.place.write(hashlib.sha256(b"abc").hexdigest(), 3, io.BytesIO(b"abc"))
    with served.place.read(NAME) as file:
        assert file.read() == CONTENT


def test_a_full_disk(tmp_path: Path, served: Served) -> None:
    """What the disk has no room for is refused for now, with the reason."""
    served.folder._reserve = 1 << 60
    with pytest.raises(Unreachable, match="would stay free"):
        served.place.write(NAME, len(CONTENT), io.BytesIO(CONTENT))
    assert served.files == []


def test_what_is_given_is_never_a_page(served: Served) -> None:
    """A browser that is led to a file downloads it: it may be anybody's HTML."""
    served.place.write(NAME, len(CONTENT), io.BytesIO(CONTENT))
    with served.client.request("GET", f"/blobs/{NAME}") as answer:
        headers = answer.headers
        answer.read()
    assert headers["Content-Disposition"] == "attachment"
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
