"""`besom.init()`: which run it gives, what it is called, how it ends; and what hangs on the active run."""

from __future__ import annotations

import argparse
import contextvars
import json
import logging
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import besom
from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.errors import UsageError
from besom.messages import Batch, BatchBody, Claim, RunEnded, RunStarted
from besom.tracking.run import init as init_module
from besom.tracking.run import new_run
from besom.tracking.run.active import active_run, finish
from besom.tracking.run.active import log as log_row
from besom.tracking.run.init import init
from besom.tracking.run.new_run import new_id
from besom.tracking.run.run import Run
from besom.tracking.run.trial import TRIAL_FILE, Trial, set_trial
from besom.tracking.writing.flusher import Flusher
from besom.tracking.writing.spool import Spool, WriterName
from tests.redis_server import RedisServer
from tests.tracking.desk import Desk, batches, events, record
from tests.tracking.stories import created, play, spec
from tests.waiting import until

PARAMS = {"lr": 0.1, "optimizer": {"momentum": 0.9}}

Enter = Callable[..., Trial]


@pytest.fixture
def enter(wired: Connection, tmp_path: Path) -> Enter:
    """Step into a trial, as a function agent does."""

    def enter(number: int = 1, attempt: int = 1, **config: Any) -> Trial:
        claim = Claim(sweep="s", number=number, attempt=attempt, token="t", params=PARAMS)
        wired.redis.hset(wired.keys.sweep("s"), "state", "running")
        wired.redis.hset(wired.keys.trials("s"), str(number), record("t"))
        sweep = spec()
        trial = Trial(sweep.model_copy(update={"config": sweep.config | config}), claim, tmp_path / "trial", wired)
        set_trial(trial)
        return trial

    return enter


# ---- outside of sweeps


def test_ids() -> None:
    """Eight characters as W&B's, and never the same twice."""
    ids = {new_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(len(one) == 8 and one.isalnum() and one.islower() | one.isdigit() for one in ids)


def test_what_a_run_says_of_itself(wired: Connection) -> None:
    """Everything that was given is in the journal, and defaults where nothing was."""
    given = {"name": "n", "group": "g", "job_type": "train", "tags": ["a", "b"], "notes": "x", "config": {"lr": 1}}
    run = init(project="p", entity="e", id="my-run.1", **given)
    (event,) = events(wired, RunStarted)
    told = event.info()
    assert (event.run, event.attempt, event.sweep) == ("my-run.1", 1, "")
    assert {name: told[name] for name in given} == given
    assert (told["project"], told["entity"], told["host"] != "") == ("p", "e", True)
    assert (run.id, run.name, run.tags, run.config.lr, run.path) == ("my-run.1", "n", ("a", "b"), 1, "e/p/my-run.1")


def test_defaults(wired: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A random id, project "uncategorized", or what the environment says."""
    run = init()
    assert (len(run.id), run.project) == (8, "uncategorized")
    assert run.entity != ""
    run.finish()
    monkeypatch.setenv("BESOM_PROJECT", "from env")
    monkeypatch.setenv("BESOM_ENTITY", "us")
    assert (init().path.rpartition("/")[0]) == "us/from env"


@pytest.mark.parametrize("what", ["resume_from", "fork_from"])
def test_a_run_is_neither_cut_nor_copied(what: str, wired: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to write, wherever it was asked for; no run is made."""
    advice = rf"{what}='abc\?_step=9' cannot be: .* id='abc', resume='must'.*Api\(\)\.run\('abc'\)\.config"
    with pytest.raises(UsageError, match=advice):
        init(**{what: "abc?_step=9"})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=advice):
        init(settings={what: "abc?_step=9"})
    monkeypatch.setenv(f"WANDB_{what.upper()}", "abc?_step=9")
    with pytest.raises(UsageError, match=advice):
        init()
    assert events(wired, RunStarted) == []


def test_what_does_nothing_says_so(wired: Connection, caplog: pytest.LogCaptureFixture) -> None:
    """One warning each for monitor_gym and anonymous, with the reason; none where nothing is asked."""
    init(project="p", monitor_gym=False, anonymous="never").finish()
    assert caplog.text == ""
    init(project="p", monitor_gym=True, anonymous="allow").finish()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "log its recordings with besom.Video(path)" in said[0]
    assert "anonymous='allow' does nothing: besom has no accounts" in said[1]


def test_shared_is_online(wired: Connection, desk: Desk) -> None:
    """Several runs of this mode and id are writers of one run."""
    first = init(project="p", id="ddp", mode="shared")
    second = init(project="p", id="ddp", mode="shared", reinit="create_new")
    first.log({"a": 1}, step=0)
    second.log({"b": 2}, step=0)
    assert (first.mode, second.mode) == ("online", "online")
    first.finish()
    second.finish()
    assert desk.rows("ddp") == [{"_step": 0, "a": 1, "b": 2}]
    assert len({writer for writer, _ in batches(wired, "ddp")}) == 2


def test_every_parameter_of_wandb() -> None:
    """Their names, as W&B 0.28 and 0.31 have them."""
    assert set(init.__kwdefaults__) == {
        "entity", "project", "dir", "id", "name", "notes", "tags", "config", "config_exclude_keys",
        "config_include_keys", "allow_val_change", "group", "job_type", "mode", "force", "reinit", "resume",
        "resume_from", "fork_from", "save_code", "tensorboard", "sync_tensorboard", "monitor_gym", "settings",
        "anonymous",
    }  # fmt: skip


@pytest.mark.parametrize("bad", ["", "a/b", "a:b", "x" * 129, "a b", "a\n", 5])
def test_ids_that_cannot_be(bad: Any, wired: Connection) -> None:
    """They are refused with the value and what may be written, and nothing is started."""
    with pytest.raises(UsageError, match="cannot be a run's id"):
        init(id=bad)
    assert events(wired, RunStarted) == []


@pytest.mark.parametrize("config", [{"a": 1}, argparse.Namespace(a=1), {"--a": 1}])
def test_forms_of_config(config: Any, wired: Connection) -> None:
    """A mapping or a Namespace; leading dashes go."""
    assert init(config=config).config.as_dict() == {"a": 1}


def test_large_integers_in_a_config(wired: Connection) -> None:
    """They are recorded as floats, and read here as they were given."""
    run = init(config={"seed": 10**30, "huge": [10**400]})
    assert run.config.seed == 10**30
    (started,) = events(wired, RunStarted)
    assert started.info()["config"] == {"seed": 1e30, "huge": [math.inf]}


@pytest.mark.parametrize("config", [5, "config.yaml", [1], {1: 2}, dict])
def test_configs_that_cannot_be(config: Any, wired: Connection) -> None:
    """Anything else is refused by name, and nothing is started."""
    with pytest.raises(UsageError, match="config"):
        init(config=config)
    assert events(wired, RunStarted) == []


def test_config_from_files(wired: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's path, the files of the environment, and config-defaults.yaml below them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config-defaults.yaml").write_text("a: 1\nb: 1\nc: 1\n")
    (tmp_path / "env.yaml").write_text("b: 2\nc: 2\n")
    (tmp_path / "mine.yaml").write_text("c: {value: 3}\nd: 3\n")
    monkeypatch.setenv("WANDB_CONFIG_PATHS", "env.yaml")
    assert init(config="mine.yaml", config_exclude_keys=["d"]).config.as_dict() == {"a": 1, "b": 2, "c": 3}


def test_config_that_may_change(wired: Connection) -> None:
    """With allow_val_change=True a value is changed without saying so again; without it that is an error."""
    run = init(config={"lr": 1}, allow_val_change=True)
    run.config.lr = 2
    assert run.config.lr == 2
    run.finish()
    with pytest.raises(besom.ConfigError, match="allow_val_change"):
        init(config={"lr": 1}).config.lr = 2


def test_unknown_parameters(wired: Connection) -> None:
    """They are a TypeError that names the nearest, and nothing is started."""
    with pytest.raises(TypeError, match=r"no parameter 'projct'; did you mean project=\?"):
        init(projct="p")
    with pytest.raises(TypeError, match="'zzzzz'; it takes entity, project"):
        init(zzzzz=1)
    with pytest.raises(UsageError, match="reinit='perhaps'"):
        init(reinit="perhaps")  # type: ignore[arg-type]
    assert events(wired, RunStarted) == []


def test_settings_and_environment(wired: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument goes over settings, settings over BESOM_X, and that over WANDB_X."""
    for name in ("NAME", "NOTES", "RUN_GROUP", "JOB_TYPE"):
        monkeypatch.setenv(f"WANDB_{name}", f"w {name}")
    monkeypatch.setenv("BESOM_JOB_TYPE", "b JOB_TYPE")
    monkeypatch.setenv("WANDB_PROJECT", "w")
    monkeypatch.setenv("WANDB_RUN_ID", "from-env")
    run = init(name="argument", settings={"run_name": "settings", "run_notes": "settings"}, force=True)
    assert (run.id, run.project, run.name, run.notes) == ("from-env", "w", "argument", "settings")
    assert (run.group, run.job_type) == ("w RUN_GROUP", "b JOB_TYPE")
    assert run.settings.run_notes == "settings"


def test_config_set_later_is_recorded(wired: Connection, desk: Desk) -> None:
    """What a run learns of its config after init() reaches the store."""
    run = init(id="r", config={"a": 1})
    run.config.b = 2
    run.config.update({"a": 3}, allow_val_change=True)
    run.finish()
    desk.record()
    with desk.store.read() as conn:
        held = conn.exec_driver_sql("SELECT config FROM runs WHERE id = 'r'").scalar()
    assert json.loads(held) == {"a": 3, "b": 2}


def test_a_whole_run(wired: Connection, desk: Desk) -> None:
    """From init() over besom.log to besom.finish: rows, end and batch count are in the journal."""
    run = init(id="r")
    log_row({"loss": 1.0})
    log_row({"loss": 0.5})
    assert wired.redis.zscore(wired.keys.runs(), "r") is not None
    finish(3)
    (ended,) = events(wired, RunEnded)
    assert (ended.run, ended.exit_code, ended.writers) == ("r", 3, {run._writer.name.writer: len(batches(wired))})
    assert desk.rows("r") == [{"_step": 0, "loss": 1.0}, {"_step": 1, "loss": 0.5}]
    assert wired.redis.zscore(wired.keys.runs(), "r") is None
    with desk.store.read() as conn:
        assert conn.exec_driver_sql("SELECT state FROM runs WHERE id = 'r'").scalar() == "failed"


def test_a_run_is_kept_alive_until_its_end(wired: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a sweep a run beats from init() to finish()."""
    mine = Flusher()
    monkeypatch.setattr(new_run, "flusher", lambda: mine)
    run = init(id="r")
    until(lambda: mine._beating.keys() == {"r"}, "a beat for the run")
    run.finish()
    assert mine._beating == {}


def test_leftovers_of_earlier_processes_are_sent(wired: Connection, tmp_path: Path) -> None:
    """init() sends what a process that is gone could not."""
    spool = Spool(tmp_path / "home" / "spool", WriterName("earlier", 1, "w"))
    spool.append(1, BatchBody(summary={"a": 1}).pack())
    spool.close(keep=True)
    init()
    assert [(one.run, one.seq) for one in events(wired, Batch)] == [("earlier", 1)]


# ---- a second init()


@pytest.mark.parametrize("reinit", [None, False, "default", "return_previous"])
def test_the_active_run_is_given_again(reinit: Any, wired: Connection) -> None:
    """In a script a second init() gives the run that is there."""
    first = init()
    assert init(reinit=reinit, project="other") is first
    assert len(events(wired, RunStarted)) == 1


@pytest.mark.parametrize("reinit", [True, "finish_previous"])
def test_the_previous_run_is_finished(reinit: Any, wired: Connection) -> None:
    """With reinit=True the previous run ends and a new one is the active one."""
    first = init()
    second = init(reinit=reinit)
    assert (first.state, second.state, second.id != first.id) == ("finished", "running", True)
    assert active_run() is second


def test_notebooks_finish_the_previous_run(wired: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a cell runs again, a second init() starts anew."""
    monkeypatch.setattr(init_module, "in_notebook", lambda: True)
    first = init()
    assert init() is not first
    assert first.state == "finished"


def test_runs_side_by_side(wired: Connection) -> None:
    """With "create_new" both run on; the first stays active, and when it ends the other is."""
    first = init()
    second = init(reinit="create_new")
    assert active_run() is first
    first.finish()
    assert (second.state, active_run()) == ("running", second)
    second.finish()
    assert active_run() is None


# ---- the active run


def test_threads_log_to_the_active_run(wired: Connection, desk: Desk) -> None:
    """A thread without a run of its own finds the process' one."""
    run = init(id="r")
    thread = threading.Thread(target=lambda: besom.log({"a": 1}))
    thread.start()
    thread.join()
    run.finish()
    assert desk.rows("r") == [{"_step": 0, "a": 1}]


def test_each_context_has_its_own(wired: Connection) -> None:
    """Of two contexts that each made a run, each sees its own, whichever was made last."""
    seen: dict[str, list[Run | None]] = {}

    def work(name: str, mine: threading.Event, other: threading.Event) -> None:
        made = init(id=name, reinit="create_new")
        mine.set()
        assert other.wait(10)
        seen[name] = [made, active_run(), besom.run]

    a, b = threading.Event(), threading.Event()
    threads = [
        threading.Thread(target=contextvars.Context().run, args=(work, *arguments))
        for arguments in (("a", a, b), ("b", b, a))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: {run.id for run in runs if run} for name, runs in seen.items()} == {"a": {"a"}, "b": {"b"}}


def test_before_init(wired: Connection) -> None:
    """Logging says what to call first; finishing nothing is silent."""
    with pytest.raises(UsageError, match=r"call besom\.init\(\) before besom\.log\(\)"):
        log_row({"a": 1})
    finish()
    assert besom.run is None


def test_module_attributes_follow_the_active_run(wired: Connection) -> None:
    """`besom.run`, `besom.config` and `besom.summary` are the active run's."""
    run = init(config={"lr": 1})
    besom.log({"a": 2})
    assert besom.run is run
    assert (besom.config.lr, besom.summary["a"]) == (1, 2)


# ---- inside a trial


def test_a_trials_run_is_the_sweeps(enter: Enter, wired: Connection, caplog: pytest.LogCaptureFixture) -> None:
    """Id, project and entity come from the sweep; others are ignored, each with one warning; names are honoured."""
    enter()
    with caplog.at_level(logging.WARNING, "besom"):
        run = init(project="mine", entity="me", id="own", name="n", group="g", tags=["t"], notes="x", job_type="j")
    assert (run.path, run.sweep_id, run.name, run.group, run.tags) == ("e/p/s-1", "s", "n", "g", ("t",))
    assert [message.split("=")[0] for message in caplog.messages] == ["project", "entity", "id"]
    assert all("sweep s" in message for message in caplog.messages)
    (event,) = events(wired, RunStarted)
    assert (event.run, event.sweep, event.number, event.attempt) == ("s-1", "s", 1, 1)
    assert (event.info()["project"], event.info()["entity"]) == ("p", "e")


def test_the_sweeps_own_names_warn_of_nothing(enter: Enter, caplog: pytest.LogCaptureFixture) -> None:
    """A script that names the sweep's project itself is quiet, and by default the run is called after its sweep."""
    enter()
    run = init(project="p", entity="e")
    assert caplog.messages == []
    assert (run.name, run.group) == ("n-1", "s")


def test_swept_values_win_and_are_locked(enter: Enter, caplog: pytest.LogCaptureFixture) -> None:
    """They go over init(config=), nested ones merge with it, and later changes are ignored with a warning."""
    enter()
    run = init(config={"lr": 5, "epochs": 3, "optimizer": {"momentum": 0, "name": "sgd"}})
    assert run.config.as_dict() == {"lr": 0.1, "epochs": 3, "optimizer": {"momentum": 0.9, "name": "sgd"}}
    run.config.lr = 9
    run.config.update({"optimizer": {}}, allow_val_change=True)
    assert (run.config.lr, run.config.optimizer["momentum"]) == (0.1, 0.9)
    assert len(caplog.messages) == 2


def test_a_second_run_in_a_trial_goes_on(enter: Enter, desk: Desk) -> None:
    """It has the same id and the next step; both writers' batches are counted."""
    trial = enter()
    play(desk.store, desk.recorder, [created()])
    for loss in (1.0, 0.5):
        with init() as run:
            run.log({"loss": loss})
    assert run.id == "s-1"
    assert sorted(trial.writers.values()) == [1, 1]
    assert desk.rows("s-1") == [{"_step": 0, "loss": 1.0}, {"_step": 1, "loss": 0.5}]


def test_what_a_rule_decides_is_known_between_two_logs(enter: Enter, wired: Connection) -> None:
    """Under a stopping rule the run asks by itself what came of its last row."""
    enter(early_terminate={"type": "hyperband", "min_iter": 1})
    run = init()
    run.log({"loss": 1.0})
    wired.redis.sadd(wired.keys.stops("s"), 1)
    until(run.should_stop, "the stop")


def test_a_trial_ends_by_its_agent(enter: Enter, wired: Connection) -> None:
    """Finishing a trial's run reports no end of its own, and needs no beat."""
    enter()
    init().finish()
    assert events(wired, RunEnded) == []
    assert wired.redis.zcard(wired.keys.runs()) == 0


def test_a_scripts_own_run_stays_its_own(enter: Enter, wired: Connection) -> None:
    """A run that was open before an agent started is not what its trials log to, and is active again after them."""
    outer = init(id="outer")
    enter()
    inner = init()
    assert (inner.id, outer.state) == ("s-1", "running")
    assert init() is inner
    inner.finish()
    set_trial(None)
    assert active_run() is outer
    assert init() is outer


# ---- the end of the process

SCRIPT = """
import sys
import besom
run = besom.init(id="r")
besom.log({"a": 1})
"""


@pytest.mark.redis
@pytest.mark.parametrize(
    ("ending", "code", "exit_code", "error"),
    [
        ("", 0, 0, ""),
        ("raise ValueError('broken')", 1, 1, "ValueError: broken"),
        ("sys.exit(3)", 3, 3, "SystemExit: 3"),
        ("sys.exit()", 0, 0, ""),
        ("sys.exit('no data')", 1, 1, "SystemExit: no data"),
    ],
)
def test_the_end_of_a_script(
    ending: str, code: int, exit_code: int, error: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    """A run that nobody finished ends with its process: finished after a normal end, failed after an error."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT + ending],
        env={**os.environ, "BESOM_REDIS_URL": redis_server.url},
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
    )
    assert ended.returncode == code
    connection = Connection(redis_server.url)
    (end,) = events(connection, RunEnded)
    assert (end.run, end.exit_code, end.error.splitlines()[-1:]) == ("r", exit_code, [error] if error else [])
    assert ("Traceback" in end.error) == ending.startswith("raise")
    assert sum(end.writers.values()) == len(batches(connection)) >= 1
    connection.redis.close()


@pytest.mark.redis
def test_a_command_trial(redis_server: RedisServer, tmp_path: Path) -> None:
    """A script that an agent started finds its trial in the environment, with its params locked."""
    claim = Claim(sweep="s", number=4, attempt=2, token="t", params=PARAMS)
    connection = Connection(redis_server.url)
    connection.redis.hset(connection.keys.sweep("s"), "state", "running")
    connection.redis.hset(connection.keys.trials("s"), "4", record("t"))
    (tmp_path / TRIAL_FILE).write_text(Trial(spec(), claim, tmp_path).to_json())
    script = "import besom\nwith besom.init() as run: run.log({'lr': besom.config.lr}); print(run.id, run.attempt)"
    variables = {"BESOM_REDIS_URL": redis_server.url, "BESOM_TRIAL": str(tmp_path / TRIAL_FILE)}
    said = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stdout == "s-4 2\n"
    assert [(one.run, one.attempt, one.seq) for one in events(connection, Batch)] == [("s-4", 2, 1)]
    assert Journal(connection).unread_bytes() > 0
    connection.redis.close()
