"""`besom sweep` and what moves a sweep, on a fakeredis; `besom rm` and `besom status` beside a real controller."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import fakeredis
import pytest

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.broker.lead import Lead, read_leader
from besom.broker.ledger import Ending, Ledger
from besom.controller.loop import Controller
from besom.settings import Settings, read_settings
from besom.tracking.reading.api import Api
from besom.tracking.store.store import Store
from tests.redis_server import RedisServer
from tests.tracking.stories import finished, started
from tests.waiting import until

from .conftest import Besom, spec_of
from .test_looks import strict

FILE = """
method: grid
name: small
metric: {name: loss}
program: train.py
parameters: {x: {values: [1, 2, 3]}}
colour: red
"""


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Connection:
    """A fakeredis that every command finds, as if it were configured."""
    server = fakeredis.FakeServer()

    def connect(settings: Settings, **_: object) -> Connection:
        return Connection("redis://fake", settings.namespace, client=fakeredis.FakeRedis(server=server))

    monkeypatch.setattr("besom.broker.service.connect", connect)
    return connect(read_settings())


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "sweep.yaml"
    path.write_text(FILE)
    return str(path)


def test_sweep_prints_what_scripts_scrape(besom: Besom, shared: Connection, file: str) -> None:
    """The four lines of `wandb sweep`, in its words and order, so that its scrapers find file, id, place and agent."""
    code, out, _ = besom("sweep", file, "--project", "p", "--entity", "me")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"Creating sweep from: {file}"
    created = re.fullmatch(r"Creating sweep with ID: ([a-z0-9]{8})", lines[1])
    assert created is not None
    assert lines[2].startswith("View sweep at: ")
    assert lines[3] == f"Run sweep agent with: besom agent me/p/{created[1]}"
    assert len(lines) == 4


def test_sweep_is_in_redis_as_written(besom: Besom, shared: Connection, file: str) -> None:
    """The sweep that was announced is there, with the options in place of the file's keys."""
    out = besom("sweep", file, "--name", "other", "--program", "else.py", "-p", "p", "-e", "me").out
    spec = Ledger(shared).spec(out.split("ID: ")[1].split()[0])
    assert spec is not None
    assert (spec.path, spec.name, spec.program) == (f"me/p/{spec.id}", "other", "else.py")
    assert spec.config["parameters"] == {"x": {"values": [1, 2, 3]}}
    assert isinstance(spec.config["seed"], int)


def test_sweep_warns_of_unknown_keys(
    besom: Besom, shared: Connection, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that means nothing is named once, and the sweep is made."""
    assert besom("sweep", file).code == 0
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith(f"{file}:7:1: colour: 'red' is ignored, the key is unknown; ")


def test_sweep_without_a_program_says_how_to_run_it(besom: Besom, shared: Connection, tmp_path: Path) -> None:
    """Its trials need a function; the line to write goes to stderr, away from the scrapers."""
    (tmp_path / "s.yaml").write_text("method: random\nparameters: {x: {value: 1}}\n")
    code, out, err = besom("sweep", str(tmp_path / "s.yaml"), "-p", "p", "-e", "me")
    assert code == 0
    path = out.rpartition("besom agent ")[2].strip()
    assert f"besom.agent('{path}', function=train)" in err


@pytest.fixture
def sweep(shared: Connection) -> str:
    """A running sweep with one trial that runs and one that waits, and a controller."""
    lead, ledger = Lead(shared, 60, {}), Ledger(shared)
    assert lead.hold()
    ledger.create(spec_of("s1"))
    ledger.set_state("s1", "running")
    ledger.issue(lead.epoch, "s1", [(1, {"x": 1}), (2, {"x": 2})])
    assert len(ledger.claim("s1", "a", 1, "n")[1]) == 1
    return "me/p/s1"


PAUSED = "no new trial starts, 1 trial still runs; go on with: besom resume s1"
STEPS = [
    (("pause",), f"me/p/s1 is paused: {PAUSED}"),
    (("pause", "pause"), f"me/p/s1 was paused already: {PAUSED}"),
    (("pause", "resume"), "me/p/s1 is running: no agent serves it; start one with: besom agent me/p/s1"),
    (("stop",), "me/p/s1 is stopping: no new trial starts, 1 trial still runs"),
    (("cancel",), "me/p/s1 is cancelled: 1 trial told to end, within a beat of the agents"),
    (("stop", "cancel"), "me/p/s1 is cancelled: 1 trial told to end, within a beat of the agents"),
    (("cancel", "cancel"), "me/p/s1 was cancelled already: 1 trial told to end, within a beat of the agents"),
]  # fmt: skip


@pytest.mark.parametrize(("commands", "said"), STEPS, ids=[" ".join(commands) for commands, _ in STEPS])
def test_moves(besom: Besom, shared: Connection, sweep: str, commands: tuple[str, ...], said: str) -> None:
    """Each command says what holds now and what to do next, and Redis says the same."""
    answers = [besom(command, sweep) for command in commands]
    assert answers[-1] == (0, said + "\n", "")
    assert Ledger(shared).state("s1") == said.split()[2].rstrip(":")


REFUSED = [
    (("stop", "resume"), "sweep me/p/s1 is stopping and cannot be resumed; only a paused sweep can"),
    (("stop", "pause"), "sweep me/p/s1 is stopping and cannot be paused; only a running sweep can"),
    (("cancel", "pause"), "sweep me/p/s1 is cancelled and cannot be paused; only a running sweep can"),
    (("cancel", "stop"), "sweep me/p/s1 is cancelled and cannot be stopped; it takes no more trials"),
]


@pytest.mark.parametrize(("commands", "said"), REFUSED, ids=[" ".join(commands) for commands, _ in REFUSED])
def test_moves_that_cannot_be(besom: Besom, sweep: str, commands: tuple[str, ...], said: str) -> None:
    """What cannot be is refused with the state it is in."""
    answers = [besom(command, sweep) for command in commands]
    assert answers[-1] == (2, "", f"besom: {said}\n")


@pytest.mark.parametrize("command", ["agent", "pause", "resume", "stop", "cancel"])
@pytest.mark.parametrize("name", ["nope", "p/nope", "me/other/s1", "you/p/s1"])
def test_unknown_sweeps(besom: Besom, sweep: str, command: str, name: str) -> None:
    """An id that is not there, or stands elsewhere, is named with the Redis that was asked."""
    code, out, err = besom(command, name)
    assert (code, out) == (2, "")
    assert err == f"besom: no sweep {name!r} at redis://fake; `besom ls` shows the sweeps that exist\n"


def test_a_move_without_controller_holds_and_says_so(besom: Besom, shared: Connection) -> None:
    """Pause works with nobody there to record it."""
    Ledger(shared).create(spec_of("s1"))
    code, _, err = besom("pause", "s1")
    assert code == 0
    assert Ledger(shared).state("s1") == "paused"
    assert err == "besom: no controller at redis://fake records this; start one with: besom controller\n"


@pytest.fixture
def controller(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A controller at work on a real Redis that has `s1` (over), `s3` (pending) and the run `r1` (over)."""
    monkeypatch.setenv("BESOM_REDIS_URL", redis_server.url)
    settings, stop = read_settings(), threading.Event()
    store, connection = Store.open(settings.store_url), Connection(redis_server.url)
    ledger, journal = Ledger(connection), Journal(connection)
    ledger.create(spec_of("s1"))
    ledger.set_state("s1", "cancelled")
    ledger.create(spec_of("s3"))
    for event in (started("r1", entity="me"), finished("r1")):
        journal.append(event)
    worker = Controller(connection, store, settings)
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        until(lambda: read_leader(connection).alive, "the controller works")
        yield connection
    finally:
        stop.set()
        thread.join(20)
        worker.close()
        connection.close()
        store.close()


@pytest.mark.redis
def test_retry(besom: Besom, controller: Connection) -> None:
    """Failed trials wait again in a finished sweep that goes on; what has none, or is cancelled, is refused."""
    ledger = Ledger(controller)
    ledger.create(spec_of("s4"))

    def run_one() -> bool:
        for claim in ledger.claim("s4", "a", 1, secrets.token_hex(4))[1]:
            ledger.complete([Ending(claim, "failed", {"error": "E"})])
        return ledger.state("s4") == "finished"

    until(run_one, "the end of the sweep")
    assert besom("retry", "s4", "--crashed").err.startswith("besom: sweep me/p/s4 has no crashed trials; ")
    code, out, err = besom("retry", "s4")
    assert (code, err) == (0, "")
    assert out.startswith("me/p/s4: 6 failed or crashed trials wait again; no agent serves it; ")
    assert ledger.state("s4") == "running"
    [again] = ledger.claim("s4", "a", 1, secrets.token_hex(4))[1]
    assert again.attempt == 2
    assert "is cancelled and takes no more trials" in besom("retry", "s1").err


@pytest.mark.redis
def test_rm(besom: Besom, controller: Connection) -> None:
    """A sweep that is over and a run are gone when the command ends; what is not over, and what is not, is refused."""
    code, out, err = besom("rm", "s1", "s3", "--yes")
    assert (code, out) == (2, "")
    assert "sweep me/p/s3 is " in err
    assert "only one that is over can be deleted; end it with: besom cancel s3" in err
    assert "no sweep or run 'nope'" in besom("rm", "nope", "--yes").err

    api = Api()
    try:
        assert {sweep.id for sweep in api.sweeps()} == {"s1", "s3"}
        assert "would delete sweep me/p/s1 (0 trials), and nobody can be asked; add --yes" in besom("rm", "s1").err
        answer = besom("rm", "s1", "me/p/r1", "--yes")
        assert answer == (0, "deleted sweep me/p/s1 (0 trials), run me/p/r1\n", "")
        assert [sweep.id for sweep in api.sweeps()] == ["s3"]
        assert "r1" not in [run.id for run in api.runs()]
    finally:
        api.close()


@pytest.mark.redis
def test_status(besom: Besom, controller: Connection, redis_server: RedisServer) -> None:
    """With a controller the exit code is 0, and the facts name it, Redis and the store."""
    code, out, err = besom("status", "--json")
    facts = strict(out)
    assert (code, err) == (0, "")
    assert facts["controller"].startswith("process ")
    assert facts["redis"].startswith(f"unix://{redis_server.socket} (Redis ")
    assert facts["store"].startswith(read_settings().store_url.removeprefix("sqlite:///"))
    assert (facts["service"], facts["agents"], facts["rejected"], facts["warnings"]) == ("not used", "none", 0, "none")


def test_status_of_nothing(besom: Besom) -> None:
    """Nothing configured, nothing started: exit code 1, and where things would be."""
    code, out, err = besom("status")
    assert (code, err) == (1, "")
    facts = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in out.splitlines())
    assert facts["controller"] == "none"
    assert facts["redis"] == "none configured (BESOM_REDIS_URL)"
    assert facts["store"].endswith("besom.db (not made yet)")


def test_down_without_a_service(besom: Besom) -> None:
    """There is nothing to end, and that is no error."""
    code, out, _ = besom("down")
    assert code == 0
    assert out == f"no service runs in {read_settings().home}\n"


def test_edit_and_enqueue(besom: Besom, controller: Connection, tmp_path: Path) -> None:
    """What changed is told line by line once the controller has it; a point is tried next; the rest stays."""
    code, out, _ = besom("edit", "s3", "--set", "run_cap=9", "--set", "parameters.x.max=0.5")
    assert (code, out) == (0, "run_cap: 6 -> 9\nparameters.x.max: 1.0 -> 0.5\n")
    code, out, _ = besom("enqueue", "me/p/s3", "x=0.25")
    assert (code, out) == (0, "added to me/p/s3, next to be issued: x=0.25\n")
    assert besom("edit", "s3", "--set", "run_cap=9").out == "nothing changed\n"
    with closing(Api()) as api:
        sweep = api.sweep("s3")
        assert (sweep.config["run_cap"], sweep.config["points"]) == (9, [{"x": 0.25}])
        assert len(Ledger(controller).claim("s3", "hand", 2, "n")[1]) == 2  # what waits before it
        until(lambda: 0.25 in [row["params"]["x"] for row in sweep.trials()], "the point is issued")


REFUSED = [
    (("edit", "s3", "--set", "run_cap=0"), "run_cap: 0 cannot be; write a whole number above 0"),
    (("edit", "s3", "--set", "method=grid"), "method: cannot change from 'random' to 'grid'"),
    (("edit", "s3"), "say what to change: --set run_cap=200, or --file"),
    (("enqueue", "s3", "x=5"), "points[0].x: 5 is none of x's values"),
    (("enqueue", "s3", "y"), "'y' is no assignment"),
    (("edit", "s1", "--set", "run_cap=7"), "is cancelled and takes no more trials; make a new sweep"),
    (("edit", "nosweep1", "--set", "run_cap=7"), "no sweep 'nosweep1'"),
]


@pytest.mark.parametrize(("arguments", "told"), REFUSED, ids=lambda case: case[0] if isinstance(case, tuple) else "")
def test_edits_that_cannot_be(besom: Besom, controller: Connection, arguments: tuple[str, ...], told: str) -> None:
    """The exit code is 2, the message says what to write, and the sweep is as it was."""
    code, out, err = besom(*arguments)
    assert (code, out) == (2, "")
    assert told in err


def test_edit_needs_a_controller(besom: Besom, shared: Connection) -> None:
    """An edit waits for nobody: it is refused while there is none to carry it out."""
    Ledger(shared).create(spec_of("s1"))
    assert "no controller at redis://fake, so nothing can be changed" in besom("edit", "s1", "--set", "run_cap=9").err
