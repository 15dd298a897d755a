"""`besom check` and `besom schema`: what a sweep file amounts to, or all that is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Besom

SOUND = """
method: grid
metric: {name: loss, target: 0.1}
repeats: 2
parameters:
  opt: {values: [adam, sgd]}
  sgd:
    when: {opt: sgd}
    parameters: {momentum: {values: [0.0, 0.9]}}
  width: {distribution: q_log_uniform_values, min: 16, max: 64, q: 16}
constraints: [width <= 48]
points: [{opt: sgd, sgd.momentum: 0.9, width: 32}]
early_terminate: {type: hyperband, max_iter: 27, s: 2}
job: x
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("sweep.yaml")
    path.write_text(SOUND)
    return path


def test_check_shows_what_a_file_amounts_to(besom: Besom, file: Path) -> None:
    """The space as a table, the number of points and trials, what comes first, the bands; warnings aside."""
    code, out, err = besom("check", "sweep.yaml")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["name", "law", "range", "examples", "when"]
    assert lines[3].split("  ")[0] == "width"
    assert "16 to 64, step 16" in lines[3]
    assert 'opt: ["sgd"]' in lines[2]
    facts = {line.split(" ")[0]: line.split(" ", 1)[1].strip() for line in lines[5:11]}
    assert facts["points"] == "9"
    assert facts["allowed"] == "9 of 12 points satisfy the constraints"
    assert facts["trials"] == "18"
    assert facts["stopping"] == "hyperband, judged at 3, 9"
    assert 'first   1  {"opt": "sgd", "sgd": {"momentum": 0.9}, "width": 32}' in lines
    assert lines[-1] == "sweep.yaml is sound; create the sweep with: besom sweep sweep.yaml"
    assert err.startswith("besom: sweep.yaml:14:1: job: 'x' is ignored")


def test_check_tells_the_aims_of_several_metrics(besom: Besom, file: Path) -> None:
    """Each metric with its threshold and target, and which of them a rule judges by."""
    metrics = "[{name: acc, goal: maximize, threshold: 0.5}, {name: size, target: 9}]"
    rule = "{type: median, metric: acc}"
    file.write_text(f"{{method: random, metrics: {metrics}, parameters: {{x: {{value: 1}}}}, early_terminate: {rule}}}")
    out = besom("check", "sweep.yaml").out
    assert "maximize acc (threshold 0.5), minimize size (target 9)\n" in out
    assert "median, judged by acc at every value\n" in out


def test_check_tells_whether_a_rule_promotes(besom: Besom, file: Path) -> None:
    """Of asha it tells the rungs, and that stopped trials may go on, unless they may not."""
    for promote, told in (("true", ", stopped ones are promoted"), ("false", "")):
        rule = f"{{type: asha, eta: 2, max_iter: 8, promote: {promote}}}"
        file.write_text(
            f"{{method: random, metric: {{name: loss}}, parameters: {{x: {{value: 1}}}}, early_terminate: {rule}}}"
        )
        assert f"asha, judged at 1, 2, 4{told}\n" in besom("check", "sweep.yaml").out


def test_check_prints_json(besom: Besom, file: Path) -> None:
    """The same for scripts."""
    found = json.loads(besom("check", "sweep.yaml", "--json").out)
    assert (found["method"], found["points"], found["bands"]) == ("grid", 9, [3, 9])
    assert [row["name"] for row in found["rows"]] == ["opt", "sgd.momentum", "width"]
    assert found["first"][0]["width"] == 32


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (
            "method: random\nparameters: {x: {distribution: normal}}",
            ["infinitely many", "without end; write run_cap", "such as 1  {"],
        ),
        ("method: random\nseed: 4\nparameters: {x: {distribution: normal}}", ["first   1  {"]),
        (
            "method: bayes\nmetric: {name: a}\nrun_cap: 5\nparameters: {x: {min: 0.0, max: 1.0}}\nconstraints: [x < 1]",
            ["not counted", "% of the space satisfies the constraints", "trials   5"],
        ),
        (
            "method: random\nrun_cap: 4\nparameters: {x: {values: [a, b], probabilities: [0.9, 0.1]}, y: {value: 3}}",
            ["'a' (0.9), 'b' (0.1)", "trials  4", "constant"],
        ),
        (
            "method: random\nparameters: {x: {min: 0, max: 16777217}, y: {min: 1e-6, max: 1234567.5}}",
            ["0 to 16777217", "1e-06 to 1234567.5"],
        ),
    ],
)
def test_check_of_other_methods(besom: Besom, file: Path, text: str, facts: list[str]) -> None:
    """What has no end or cannot be counted says so."""
    file.write_text(text)
    code, out, _ = besom("check", "sweep.yaml")
    assert code == 0
    assert [fact for fact in facts if fact not in out] == []


def test_check_tells_all_problems_at_once(besom: Besom, file: Path) -> None:
    """Exit code 2, and a line for each with line, column, key, value and what to write."""
    file.write_text("method: grid\nrun_cap: 0\nparameters:\n  lr: {min: 0.0, max: 1.0}\n  b: 3\nconstraints: [c < 1]\n")
    code, out, err = besom("check", "sweep.yaml")
    assert (code, out) == (2, "")
    assert [line.split(": ")[:2] for line in err.removeprefix("besom: ").splitlines()] == [
        ["sweep.yaml:5:3", "parameters.b"],
        ["sweep.yaml:2:1", "run_cap"],
        ["sweep.yaml:4:3", "parameters.lr"],
        ["sweep.yaml:6:15", "constraints[0]"],
    ]


def test_schema_is_json(besom: Besom) -> None:
    """What is printed is the schema, and says so."""
    found = json.loads(besom("schema").out)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert found["required"] == ["method", "parameters"]
