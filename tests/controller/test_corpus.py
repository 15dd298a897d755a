"""Sweep files as people have them for W&B: every shape that its examples use is accepted unchanged and can be run."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from besom.controller import load, read_sweep_file
from besom.controller.overview import look_over
from besom.controller.schema import json_schema
from besom.errors import ConfigError

HYPERBAND_GRID = """
program: fit.py
method: grid
metric: {goal: minimize, name: valid_loss}
parameters:
  dropout:
    values: [0.1, 0.25]
  weight_decay:
    values: [1e-5, 1e-6, 1e-7]
  epochs:
    value: 9
early_terminate:
  type: hyperband
  s: 2
  eta: 3
  max_iter: 27
"""
DEPRECATED_LOG = """
program: fit.py
method: bayes
metric:
  name: accuracy
  goal: maximize
parameters:
  epochs: {distribution: constant, value: 10}
  dropout: {distribution: uniform, min: 0, max: 1}
  pretrained:
    distribution: categorical
    values:
      - True
      - False
  learning_rate:
    distribution: log_uniform
    min: -9
    max: -2
"""
HYDRA = """
program: main.py
metric: {name: val_loss, goal: minimize}
method: bayes
parameters:
  optimizer.config.learning_rate:
    min: !!float 1e-4
    max: 0.5
  experiment:
    values: [first, second]
  optimizer:
    values: [sgd, adam]
command:
- ${env}
- ${interpreter}
- ${program}
- ${args_no_hyphens}
"""
QUICKSTART = """
description: sweeps on a cluster
method: grid
run_cap: 10
job: 'me/jobs/train:latest'
parameters:
  learning_rate:
    values: [0, 0.001, 0.01, 1]
  epochs:
    max: 5
    min: 0
    distribution: int_uniform
scheduler:
  num_workers: 4  # concurrent runs
"""
SLASHES = """
program: train.py
method: bayes
metric:
    name: Validation/Accuracy
    goal: maximize
parameters:
    batch_size:
        values: [8, 16]
    ratio_1:
        min: 0.1
        max: 0.9
    points:
        values: [512, 1024]
"""
LONG_TEXTS = """
program: ask.py
method: random
metric: {goal: maximize, name: score}
parameters:
  prompt:
    distribution: categorical
    values:
      - You know containers. Translate the sentence to one command.
      - "Convert this: only one command, please."
  temperature: {distribution: uniform, max: 0.6, min: 0}
"""
BOOLEANS = """
program: train.py
method: grid
parameters:
  amp: {values: [true, false]}
  freeze: {values: [yes, no, on]}
command: ["${env}", "${interpreter}", "${program}", "${args_no_boolean_flags}"]
"""
EVERY_KIND = """
method: random
metric: {name: val_accuracy, goal: maximize}
project: folds
entity: team
name: folds
controller: {type: local}
parameters:
  batch_size: {distribution: int_uniform, max: 128, min: 32}
  lr: {distribution: q_log_uniform_values, q: 0.0001, min: 0.0001, max: 0.1}
  noise: {distribution: normal, mu: 0, sigma: 0.1}
  net:
    parameters:
      depth: {values: [1, 2]}
      head: {parameters: {width: {distribution: q_uniform, min: 16, max: 64, q: 16}}}
program: train.py
"""
NESTED_LISTS = """
method: grid
program: train.py
parameters:
  layers: {values: [[64], [64, 32], {conv: 3}]}
  none: {value: null}
"""
LAUNCH_KEYS = """
apiVersion: v1
kind: sweep
method: random
image_uri: registry/image:1
settings: {x: 1}
controller: {type: cloud}
scheduler: {engine: wandb}
parameters: {a: {min: 0, max: 9}}
"""
SCHEMA = jsonschema.Draft202012Validator(json_schema())
CORPUS = {
    "hyperband over a grid": (HYPERBAND_GRID, 0), "exponents as bounds": (DEPRECATED_LOG, 1), "hydra": (HYDRA, 0),
    "a job and a scheduler": (QUICKSTART, 2), "slashes in the metric": (SLASHES, 0), "long texts": (LONG_TEXTS, 0),
    "booleans": (BOOLEANS, 0), "many distributions": (EVERY_KIND, 1), "lists as values": (NESTED_LISTS, 0),
    "keys of another service": (LAUNCH_KEYS, 6),
}  # fmt: skip


@pytest.mark.parametrize("name", CORPUS)
def test_a_file_runs_unchanged(name: str, tmp_path: Path) -> None:
    """It is accepted, by the schema too, with a warning for each key that does nothing, and trials are suggested."""
    text, warnings = CORPUS[name]
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    sweep = load(path)
    assert len(sweep.warnings) == warnings, sweep.warnings
    assert len(look_over(sweep).first) == min(3, look_over(sweep).points or 3)
    assert [fault.message for fault in SCHEMA.iter_errors(read_sweep_file(path))] == []


def test_yes_is_a_text(tmp_path: Path) -> None:
    """YAML 1.2: true and false are booleans; yes, no and on are texts. And 1e-5 is a number."""
    path = tmp_path / "sweep.yaml"
    path.write_text(BOOLEANS)
    assert [row["freeze"] for row in look_over(load(path)).first] == ["yes", "no", "on"]
    path.write_text(HYPERBAND_GRID)
    assert [row["weight_decay"] for row in look_over(load(path)).first] == [1e-5, 1e-6, 1e-7]


def test_a_scheduler_without_a_method_is_told_what_is_missing(tmp_path: Path) -> None:
    """A file that only W&B's own scheduler could run is refused, not guessed at."""
    path = tmp_path / "sweep.yaml"
    path.write_text("scheduler: {job: 'a/b:latest', settings: {verbose: true}}\nparameters: {n: {min: 0, max: 10}}\n")
    with pytest.raises(ConfigError, match="method: missing; write method: with grid, random or bayes"):
        load(path)
