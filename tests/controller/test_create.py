"""`besom.sweep()`: what it prints, writes, and refuses."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.broker.lead import Lead
from besom.broker.ledger import Ledger
from besom.controller import create
from besom.controller.create import create_sweep, sweep
from besom.controller.sweep_config import parse
from besom.errors import ConfigError
from besom.messages import Judged, SweepSpec
from besom.settings import read_settings

CONFIG: dict[str, Any] = {"method": "random", "parameters": {"lr": {"min": 0.1, "max": 1.0}}}


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, fake: Connection) -> None:
    monkeypatch.setattr(create, "shared_connection", lambda settings: fake)


def _spec(fake: Connection, sweep_id: str) -> SweepSpec:
    found = Ledger(fake).spec(sweep_id)
    assert found is not None
    return found


def test_two_lines_that_scripts_read(fake: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints W&B's two lines on stdout, returns the id alone, and the id is eight characters of a-z and 0-9."""
    sweep_id = sweep(CONFIG, entity="me", project="digits")
    assert re.fullmatch(r"[a-z0-9]{8}", sweep_id)
    printed = f"Create sweep with ID: {sweep_id}\nSweep URL: besom show me/digits/{sweep_id}\n"
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("argument", "variable", "config", "wanted"),
    [
        ("a", "v", "c", "a"),
        (None, "v", "c", "v"),
        (None, None, "c", "c"),
        (None, None, None, None),
        ("a", None, "c", "a"),
        ("a", "v", None, "a"),
    ],
)
def test_entity_and_project(
    fake: Connection,
    monkeypatch: pytest.MonkeyPatch,
    argument: str | None,
    variable: str | None,
    config: str | None,
    wanted: str | None,
) -> None:
    """The argument counts first, then the environment, then the config, then the user's name and 'uncategorized'."""
    for name in ("entity", "project"):
        if variable:
            monkeypatch.setenv(f"BESOM_{name.upper()}", variable)
    written = CONFIG | ({"entity": config, "project": config} if config else {})
    spec = _spec(fake, sweep(written, entity=argument, project=argument))
    assert (spec.entity, spec.project) == (wanted or getpass.getuser(), wanted or "uncategorized")


def test_what_agents_and_readers_need_is_in_the_spec(fake: Connection) -> None:
    """Name, metric, program and command stand in the spec; a seed is drawn and kept."""
    written = CONFIG | {
        "name": "first", "metric": {"name": "acc", "goal": "maximize"}, "program": "train.py",
        "command": ["${interpreter}", "${program}", "${args_json}"],
        "early_terminate": {"type": "hyperband", "max_iter": 27, "s": 2},
    }  # fmt: skip
    spec = _spec(fake, sweep(written))
    assert spec.metric is not None
    assert (spec.name, spec.metric.name, spec.metric.goal) == ("first", "acc", "maximize")
    assert (spec.program, spec.command) == ("train.py", ("${interpreter}", "${program}", "${args_json}"))
    assert spec.judged == Judged(metric="acc", rungs=(3, 9))
    assert 0 <= spec.config["seed"] < 2**31
    assert spec.config["seed"] == _spec(fake, spec.id).config["seed"]
    assert _spec(fake, sweep(written | {"seed": 5})).config["seed"] == 5


def test_seeds_differ(fake: Connection) -> None:
    """Two sweeps of one config search differently."""
    assert len({_spec(fake, sweep(CONFIG)).config["seed"] for _ in range(4)}) == 4


def test_file(fake: Connection, tmp_path: Path) -> None:
    """A path of a YAML file is read."""
    (tmp_path / "sweep.yaml").write_text("method: grid\nparameters: {x: {values: [1e-5]}}\n")
    assert _spec(fake, sweep(tmp_path / "sweep.yaml")).config["parameters"] == {"x": {"values": [1e-5]}}


@pytest.mark.parametrize(
    "config", [{}, {"method": "magic", "parameters": {}}, CONFIG | {"run_cap": 0}, "/no/such.yaml"]
)
def test_bad_config_creates_nothing(fake: Connection, capsys: pytest.CaptureFixture[str], config: Any) -> None:
    """What is refused leaves no key in Redis and prints nothing."""
    with pytest.raises(ConfigError):
        sweep(config)
    assert fake.redis.keys("*") == []
    assert capsys.readouterr().out == ""


def test_journal_tells_of_the_sweep(fake: Connection) -> None:
    """One event carries the whole spec, for a controller that starts later."""
    sweep_id = sweep(CONFIG)
    [entry] = Journal(fake).read("0-0")
    assert SweepSpec.model_validate_json(entry.fields[b"spec"]) == _spec(fake, sweep_id)
    assert Ledger(fake).state(sweep_id) == "pending"


def test_signature(fake: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """With BESOM_SECRET the spec carries an HMAC-SHA256 of what would be executed; without it none."""
    assert _spec(fake, sweep(CONFIG)).signature == ""
    monkeypatch.setenv("BESOM_SECRET", "open sesame")
    spec = _spec(fake, sweep(CONFIG | {"program": "train.py", "command": ["make", "${args}"]}))
    text = json.dumps([spec.id, "train.py", ["make", "${args}"], CONFIG["parameters"]], sort_keys=True)
    assert spec.signature == hmac.new(b"open sesame", text.encode(), hashlib.sha256).hexdigest()


def test_missing_controller_is_named(
    fake: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a Redis configured and no controller there, one line says how to start one; with one there is none."""
    monkeypatch.setenv("BESOM_REDIS_URL", "redis://fake")
    sweep(CONFIG)
    assert "no controller at redis://fake; start one with: besom controller" in caplog.text
    caplog.clear()
    Lead(fake, 30, {}).hold()
    sweep(CONFIG)
    assert caplog.text == ""


def test_ignored_keys_are_named(fake: Connection, caplog: pytest.LogCaptureFixture) -> None:
    """A key that no one knows is warned about with the nearest one that is known."""
    sweep(CONFIG | {"run_cup": 3})
    assert "run_cup" in caplog.text
    assert "run_cap" in caplog.text


def test_taken_id_is_replaced(fake: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """When an id is taken another is drawn, and the first sweep is untouched."""
    ids = iter(["aaaaaaaa", "aaaaaaaa", "bbbbbbbb"])
    monkeypatch.setattr(create, "new_id", lambda: next(ids))
    first = create_sweep(fake, parse(CONFIG), read_settings(project="one"))
    second = create_sweep(fake, parse(CONFIG), read_settings(project="two"))
    assert (first.id, second.id) == ("aaaaaaaa", "bbbbbbbb")
    assert _spec(fake, "aaaaaaaa").project == "one"


def test_prior_sweeps_are_found_by_any_of_their_names(fake: Connection) -> None:
    """The config that is kept has their ids; what is not there is refused, and no sweep is made."""
    first = sweep(CONFIG, entity="me", project="digits")
    second = _spec(fake, sweep({**CONFIG, "prior_sweeps": [f"me/digits/{first}"]}))
    assert second.config["prior_sweeps"] == [first]
    before = len(Ledger(fake).states())
    for name, told in (
        ("nosweep1", "prior_sweeps[0]: no sweep 'nosweep1'"),
        ("a b", "prior_sweeps[0]: 'a b' is not a"),
    ):
        with pytest.raises(ConfigError, match=re.escape(told)):
            sweep({**CONFIG, "prior_sweeps": [name]})
    assert len(Ledger(fake).states()) == before


def test_prior_runs_may_be_an_argument(fake: Connection) -> None:
    """As with W&B; where no store can be read the controller looks for them, and the sweep is made."""
    spec = _spec(fake, sweep(CONFIG, prior_runs=["me/digits/k3x9a2bq-7"]))
    assert spec.config["prior_runs"] == ["k3x9a2bq-7"]
