"""`besom ls`, `show`, `logs` and `best` on a store that was filled by events."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
import sys
from typing import Any

import pytest
from ruamel.yaml import YAML

from besom.messages import SweepStateSet
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.store import Store

from .conftest import Besom

pytestmark = pytest.mark.usefixtures("told")


def strict(text: str) -> Any:
    """JSON as every other language reads it: no NaN."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_ls(besom: Besom) -> None:
    """One line for each sweep, newest first, in columns that `awk` can take apart."""
    code, out, err = besom("ls")
    head, *rows = [line.split() for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert head == ["id", "project", "name", "method", "state", "done", "running", "queued", "failed", "best", "age"]
    assert rows[0][:-1] == ["s2", "other", "-", "random", "pending", "0", "0", "0", "0", "-"]
    assert rows[1][:-1] == ["s1", "p", "first", "random", "pending", "2", "1", "1", "2", "0.25"]


def test_ls_of_one_project(besom: Besom) -> None:
    """`--project` leaves out the others', and as JSON the answer is a list."""
    (row,) = strict(besom("ls", "--project", "p", "--json").out)
    assert (row["id"], row["best"], row["best_trial"], row["run_cap"]) == ("s1", 0.25, 2, 6)
    assert strict(besom("ls", "-p", "none", "--json").out) == []


@pytest.mark.parametrize("name", ["s1", "p/s1", "me/p/s1"])
def test_show_sweep(besom: Besom, name: str) -> None:
    """Facts, the best trials best first, and the last failures with the last line of their errors."""
    code, out, _ = besom("show", name)
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "sweep    me/p/s1"
    assert "metric   minimize loss" in lines
    assert "trials   1 crashed, 1 failed, 2 finished, 1 queued, 1 running" in lines
    places = [next(i for i, line in enumerate(lines) if line.startswith(trial)) for trial in ("s1-2", "s1-1", "s1-3")]
    assert places == sorted(places)
    assert lines[places[2]] == "s1-3   failed   ValueError:  [31mno"
    assert lines[-1] == "see one with: besom show s1-3"


def test_show_failed_trial(besom: Besom) -> None:
    """The last 30 lines of its traceback, without the escapes that would colour the terminal."""
    out = besom("show", "s1-3").out
    shown = out.partition("\nerror\n")[2].splitlines()
    assert len(shown) == 30
    assert shown[0].strip() == "line 11"
    assert shown[-1] == "  ValueError:  [31mno"
    assert "\x1b" not in out
    assert "exit_code  3" in out


def test_show_finished_trial(besom: Besom) -> None:
    """State, value, agent, what it ran with and what it logged last."""
    lines = [line.split() for line in besom("show", "me/p/s1-1").out.splitlines()]
    for pair in (["run", "me/p/s1-1"], ["state", "finished"], ["value", "0.5"], ["agent", "a"], ["config", "x", "0.1"]):
        assert pair in lines
    assert ["summary", "loss", "0.5"] in lines


def test_show_queued_trial(besom: Besom) -> None:
    """A trial that nobody has claimed has params and no run."""
    assert besom("show", "s1-6").out.splitlines() == [
        "trial   s1-6",
        "number  6",
        "state   queued",
        "params  x    0.6",
        '        opt  {"name": "a b"}',
    ]


def test_show_run(besom: Besom) -> None:
    """A run outside sweeps shows how long it took."""
    out = besom("show", "r1").out
    assert "after 2.00 s" in out
    assert "attempt" not in out
    assert ["summary", "acc", "0.75"] in [line.split() for line in out.splitlines()]


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("s1", "best_trial", 2),
        ("s1-1", "value", 0.5),
        ("s1-2", "summary", {"loss": None}),
        ("s1-6", "state", "queued"),
        ("r1", "config", {"a": 1}),
    ],
)
def test_show_as_json(besom: Besom, name: str, key: str, value: object) -> None:
    """One document that every JSON reader takes; NaN is null."""
    assert strict(besom("show", name, "--json").out)[key] == value


@pytest.mark.parametrize("name", ["nope", "s1-9", "nope-1", "me/other/s1", "you/p/s1-1"])
def test_unknown_names(besom: Besom, name: str) -> None:
    """What is not there, or elsewhere, is named with the place that was read."""
    code, out, err = besom("show", name)
    assert (code, out) == (2, "")
    assert repr(name) in err
    assert "besom.db; `besom ls` shows the sweeps that exist" in err


def test_show_follow_draws_the_curve(besom: Besom) -> None:
    """A trial that is over is drawn once, with the ends of both axes."""
    lines = besom("show", "s1-1", "--follow").out.splitlines()
    assert lines[0] == "me/p/s1-1  finished  loss, by step"
    assert lines[1].strip().startswith("0.75 │")
    assert lines[-1].split() == ["0", "1"]


def test_show_follow_of_a_sweep(besom: Besom, told: Store) -> None:
    """A sweep's curve is the best value so far, by trial."""
    with told.begin() as conn:
        Recorder().apply(conn, [("99-0", SweepStateSet(sweep="s1", state="cancelled"))], 0.0)
    lines = besom("show", "s1", "--follow").out.splitlines()
    assert lines[0] == "me/p/s1  cancelled  4 trials ended, best loss so far, by trial"
    assert lines[1].strip().startswith("0.5 │")
    assert lines[-1].split() == ["1", "5"]


@pytest.mark.parametrize(
    ("name", "said"), [("s1-6", "trial s1-6 waits for an agent"), ("s2", "sweep s2 has no metric")]
)
def test_no_curve(besom: Besom, name: str, said: str) -> None:
    """Where there is nothing to draw, the command says why instead of waiting."""
    code, _, err = besom("show", name, "--follow")
    assert code == 2
    assert said in err


def test_logs(besom: Besom) -> None:
    """Each line goes to the stream it came from."""
    assert besom("logs", "s1-1") == (0, "epoch 1\nepoch 2\n", "careful\n")
    assert besom("logs", "s1-1", "--follow").out == "epoch 1\nepoch 2\n"


@pytest.mark.parametrize("name", ["s1-2", "s1-6", "r1"])
def test_logs_of_what_printed_nothing(besom: Besom, name: str) -> None:
    """Nothing on stdout, and a sentence on stderr."""
    code, out, err = besom("logs", name)
    assert (code, out) == (0, "")
    assert err.startswith(f"run {name} has written nothing")


def test_logs_of_a_sweep(besom: Besom) -> None:
    """A sweep prints nothing; the name of a trial is suggested."""
    assert besom("logs", "s1") == (2, "", "besom: s1 is a sweep; name one of its trials, such as s1-1\n")


def test_best_is_yaml(besom: Besom) -> None:
    """stdout is a YAML file of the best trial's params; trial, value and arguments stand in comments."""
    out = besom("best", "s1").out
    assert YAML(typ="safe").load(out) == {"x": 0.2, "opt": {"name": "a b"}}
    assert out.startswith("# trial s1-2: loss 0.25\n")


def test_best_as_arguments(besom: Besom) -> None:
    """A shell takes the line apart into the arguments that the trial's program got."""
    assert shlex.split(besom("best", "s1", "--args").out) == ["--x=0.2", "--opt={'name': 'a b'}"]


def test_best_through_xargs(besom: Besom) -> None:
    """The example of the command's help: xargs hands the program each argument whole."""
    printer = [sys.executable, "-c", "import sys; print(sys.argv[1:])"]
    line = besom("best", "s1", "--args").out
    done = subprocess.run(["xargs", *printer], input=line, capture_output=True, text=True, check=True, timeout=60)
    assert ast.literal_eval(done.stdout) == ["--x=0.2", "--opt={'name': 'a b'}"]


def test_best_as_json(besom: Besom) -> None:
    """The trial, its value and its params in one document."""
    found = strict(besom("best", "s1", "--json").out)
    assert (found["trial"], found["value"], found["params"]["x"]) == (2, 0.25, 0.2)


def test_best_without_a_metric(besom: Besom) -> None:
    """A sweep that ranks nothing has no best trial, and says why."""
    code, out, err = besom("best", "s2")
    assert (code, out) == (2, "")
    assert "sweep s2 has no best trial: it names no metric to rank by; `besom show s2` shows its trials" in err
