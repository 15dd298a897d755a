"""`besom importance` on a store that was filled by events."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from besom.messages import SweepCreated
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.store import Store
from tests.tracking.stories import batch, claimed, ended, play

from .conftest import Besom, spec_of


@pytest.fixture
def learned() -> None:
    """Sweep s1 of 12 trials: loss is 10 x, and a little more with sgd; y never varies."""
    home = Path(os.environ["BESOM_HOME"])
    home.mkdir(mode=0o700)
    store = Store.open(f"sqlite:///{home / 'besom.db'}")
    rows = [SweepCreated(spec=spec_of().model_dump_json())]
    for number in range(1, 13):
        opt = "sgd" if number % 2 else "adam"
        params = json.dumps({"x": number / 10, "opt": {"name": opt}, "y": 1})
        loss = [number + 0.5 * (opt == "sgd")]
        rows += [claimed(number, sweep="s1", params=params)]
        rows += [batch(f"s1-{number}", steps=[0], writer=f"w{number}", loss=loss)]
        rows += [ended(number, sweep="s1", **{f"w{number}": 1})]
    play(store, Recorder(), rows)
    store.close()


@pytest.mark.usefixtures("learned")
def test_importance_is_a_table(besom: Besom) -> None:
    """What matters comes first; a categorical parameter has a line for each value; the notice goes to stderr."""
    code, out, err = besom("importance", "s1", "--pairs", "1")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("loss of 12 trials; R² of the forest 0.")
    assert lines[2].split() == ["parameter", "importance", "correlation", "rank_corr", "variance", "trials"]
    assert lines[3].split()[0] == "x"
    assert lines[3].split()[3:5] == ["+1.00", "+1.00"]
    assert [line.split()[0] for line in lines[4:7]] == ["opt.name", "opt.name=sgd", "opt.name=adam"]
    assert any(line.startswith("opt.name × x") for line in lines)
    assert lines[-1] == "one value only: y"
    assert "12 trials for 2 parameters: the figures are rough" in err


@pytest.mark.usefixtures("learned")
def test_importance_as_json(besom: Besom) -> None:
    """One document with every figure."""
    found = json.loads(besom("importance", "me/p/s1", "--json").out)
    assert (found["metric"], found["trials"], found["constants"], found["pairs"]) == ("loss", 12, ["y"], [])
    assert found["parameters"][0]["name"] == "x"
    assert set(found["parameters"][1]["correlations"]) == {"adam", "sgd"}


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["s1"], "2 ended trials have a value of 'loss', and importance needs 4"),
        (["s2"], "sweep s2 has no metric; name a logged one"),
        (["none"], "no sweep 'none'"),
        (["a b"], "is not a sweep id"),
        (["s1", "--pairs", "-1"], "--pairs"),
    ],
)
def test_what_cannot_be_told(besom: Besom, arguments: list[str], problem: str) -> None:
    """Each ends with one error and code 2."""
    code, out, err = besom("importance", *arguments)
    assert (code, out) == (2, "")
    assert problem in err
