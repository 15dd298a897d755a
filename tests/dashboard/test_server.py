"""The read API over a real socket: who may ask, what is answered, and that both ways of reading agree."""

from __future__ import annotations

import json
import math
import socket
import urllib.error
import urllib.request
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from besom.dashboard.server import HttpServer, read_host_port
from besom.errors import ConfigError, Unreachable, UsageError
from besom.messages import (
    ArtifactLogged,
    Batch,
    BatchBody,
    FileSaved,
    Metric,
    RunAlerted,
    RunStarted,
    SweepCreated,
    SweepSpec,
    TrialClaimed,
    TrialEnded,
)
from besom.tracking.blobs.folder import Folder
from besom.tracking.http import HttpClient
from besom.tracking.reading.api import Api
from besom.tracking.reading.source import QUERIES, HttpSource, LocalSource
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.store import Store

SPEC = SweepSpec(
    id="s1", entity="me", project="p", name="n", created=1.0, config={"method": "grid"}, metric=Metric(name="loss")
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """One sweep with one finished trial that logged three values, one of them NaN, and so did its machine."""
    opened = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    steps, values = array("q", [0, 1, 2]).tobytes(), array("d", [0.5, math.nan, 0.25]).tobytes()
    logged = dict.fromkeys(("loss", "_system/cpu"), ("d", steps, values))
    body = BatchBody(history=logged, console=[("stdout", 1.0, "hello")]).pack()
    mine: dict[str, Any] = {"sweep": "s1", "number": 1, "attempt": 1, "token": "t"}
    events = [
        SweepCreated(spec=SPEC),
        TrialClaimed(**mine, agent="a", params={"x": 1}),
        RunStarted(run="s1-1", sweep="s1", number=1, body=b"\x80"),
        Batch(run="s1-1", attempt=1, writer="w", seq=1, body=body),
        TrialEnded(**mine, state="finished", writers={"w": 1}),
        RunAlerted(run="s1-1", id="a", title="slow", text="30 s a step", level="WARN"),
        FileSaved(run="s1-1", name="model.pt", sha256="0" * 64, size=3),
        ArtifactLogged(run="s1-1", entity="e", project="p", name="m", type="model", digest="d", size=1, files=1),
    ]
    recorder = Recorder()
    with opened.begin() as conn:
        recorder.apply(conn, [("1-0", events[0])], 1.0)
        recorder.issue(conn, "s1", [(1, {"x": 1})], 1.0)
        recorder.apply(conn, [(f"1-{place}", event) for place, event in enumerate(events[1:], 1)], 1.0)
    yield opened
    opened.close()


@pytest.fixture
def server(store: Store, tmp_path: Path) -> Iterator[HttpServer]:
    running = HttpServer(store, Folder(tmp_path / "blobs"), "127.0.0.1", 0)
    yield running
    running.stop()


def _get(url: str, **headers: str) -> tuple[int, str, Any]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode(), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers


def _source(address: str, token: str) -> HttpSource:
    return HttpSource(HttpClient(address, token))


ARGUMENTS: dict[str, dict[str, Any]] = {
    "artifact": {"name": "m", "alias": "latest"},
    "artifact_versions": {"name": "m"},
    "artifacts_of": {"run": "s1-1"},
    "attempts": {"run_id": "s1-1"},
    "best_points": {"sweep_id": "s1"},
    "best_trials": {"sweep_id": "s1"},
    "metric_values": {"sweep_id": "s1", "metrics": ["loss"]},
    "pareto_front": {"sweep_id": "s1"},
    "alerts": {"run_id": "s1-1"},
    "console": {"run_id": "s1-1"},
    "curve": {"run": "s1-1", "key": "loss"},
    "files": {"run": "s1-1"},
    "recorded": {"writer": "w"},
    "keys": {"run": "s1-1"},
    "page": {"run": "s1-1", "min_step": 1},
    "rejected": {},
    "rows": {"run": "s1-1"},
    "run_ids": {"filters": {"summary_metrics.loss": {"$lt": 1}}, "order": "-created_at"},
    "runs_by_id": {"run_ids": ["s1-1", "gone"]},
    "sampled": {"run": "s1-1", "samples": 2, "keys": ["loss"]},
    "run": {"run_id": "s1-1"},
    "runs": {"project": "p"},
    "summaries": {"run_ids": ["s1-1"]},
    "sweep": {"sweep_id": "s1"},
    "sweep_counts": {"sweep_id": "s1"},
    "sweeps": {},
    "system": {"run": "s1-1"},
    "trial": {"sweep_id": "s1", "number": 1},
    "trials": {"sweep_id": "s1", "state": ["finished"]},
}


@pytest.mark.parametrize("query", sorted(QUERIES))
def test_both_sources_agree(query: str, store: Store, server: HttpServer) -> None:
    """Over HTTP every query gives what the store itself gives, NaN included."""
    with closing(_source(server.address, server.token)) as source:
        there = source.ask(query, **ARGUMENTS[query])
    here = LocalSource(store).ask(query, **ARGUMENTS[query])
    assert repr(there) == repr(json.loads(json.dumps(here)))
    if query != "rejected":
        assert here, "the store of this test has something for every query"


def test_json_has_null_for_nan(server: HttpServer) -> None:
    """JSON, which has no NaN, gets null."""
    status, text, _ = _get(f'{server.address}/api/rows?run="s1-1"', Authorization=f"Bearer {server.token}")
    rows = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (status, [row["loss"] for row in rows]) == (200, [0.5, None, 0.25])


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/health", {}, 200),
        ("/api/sweeps", {}, 401),
        ("/api/", {"Authorization": "Bearer wrong"}, 401),
        ("/api/sweeps", {"Authorization": "Bearer wrong"}, 401),
        ("/api/", {"Authorization": "Bearer {token}"}, 200),
        ("/api/nothing", {"Authorization": "Bearer {token}"}, 404),
        ("/api/sweep", {"Authorization": "Bearer {token}"}, 400),
        ("/api/sweep?sweep_id=unquoted", {"Authorization": "Bearer {token}"}, 400),
        ('/api/sweep?sweep_id="s1"&more=1', {"Authorization": "Bearer {token}"}, 400),
        ('/api/runs?order="nonsense"', {"Authorization": "Bearer {token}"}, 400),
        ("/api/sweeps", {"Authorization": "Bearer {token}", "Host": "evil.example"}, 400),
    ],
)
def test_who_may_ask_what(path: str, headers: dict[str, str], status: int, server: HttpServer) -> None:
    """Without token, under a foreign host name, or malformed, a request gets nothing but a sentence."""
    filled = {name: value.format(token=server.token) for name, value in headers.items()}
    found, text, answered = _get(server.address + path, **filled)
    assert found == status
    assert server.token not in text
    if "Host" not in headers:
        assert answered["X-Content-Type-Options"] == "nosniff"


def test_refusal_is_an_error_that_names_the_controller(server: HttpServer) -> None:
    """A wrong token and a closed port are told apart from an empty answer."""
    with closing(_source(server.address, "wrong")) as source, pytest.raises(Unreachable, match="refuses the token"):
        source.ask("sweeps")
    with closing(_source("http://127.0.0.1:1", "x")) as source, pytest.raises(Unreachable, match="does not answer"):
        source.ask("sweeps")


def test_the_connection_is_kept(store: Store, server: HttpServer) -> None:
    """Many questions, from several threads, go over one connection; one that the server closed is opened again."""
    source = _source(server.address, server.token)
    assert source.ask("sweeps")
    first = source._client._open
    assert first is not None
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: source.ask("sweep", sweep_id="s1")["id"], range(40)))
    assert answers == ["s1"] * 40
    assert source._client._open is first
    first.sock.shutdown(socket.SHUT_RDWR)
    assert source.ask("sweeps")
    assert source._client._open is not first
    source.close()


def test_an_api_on_another_machine(server: HttpServer) -> None:
    """With nothing but address and token everything can be read, history by pages too, and nothing changed."""
    api = Api({"base_url": server.address}, timeout=10, api_key=server.token)
    run = api.sweep("s1").best_run()
    assert run is not None
    assert (run.id, run.state, len(api.runs("me/p", {"state": "finished"}))) == ("s1-1", "finished", 1)
    assert [row["_step"] for row in run.scan_history(page_size=2)] == [0, 1, 2]
    assert run.history(pandas=False, keys=["loss"])[2] == {"_step": 2, "loss": 0.25}
    assert run.console() == [("stdout", 1.0, "hello")]
    assert run.url is not None
    status, text, _ = _get(run.url, Authorization=f"Bearer {server.token}")
    assert (status, json.loads(text)["id"]) == (200, "s1-1")
    with pytest.raises(UsageError, match="can only be read"):
        run.delete()
    api.close()


def test_taken_port(store: Store, server: HttpServer, tmp_path: Path) -> None:
    """A port that is taken is named."""
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(Unreachable, match=str(port)):
        HttpServer(store, Folder(tmp_path / "blobs"), "127.0.0.1", port)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("8080", "127.0.0.1", 8080), ("0.0.0.0:1", "0.0.0.0", 1), ("[::1]:0", "::1", 0), (":9", "127.0.0.1", 9)],
)
def test_host_and_port(text: str, host: str, port: int) -> None:
    """HOST:PORT, or a port alone for loopback."""
    assert read_host_port(text) == (host, port)


@pytest.mark.parametrize("text", ["", "nonsense", "host:", "host:99999", "host:-1", "host:8o"])
def test_bad_host_and_port(text: str) -> None:
    """Anything else is refused with the value and the shape."""
    with pytest.raises(ConfigError, match="HOST:PORT"):
        read_host_port(text)
