"""The sweep config: what to search, how to score, how much to run.

Reads: a mapping written by a user, in a file or in Python.  Gives: `SweepConfig`, checked and frozen.
Knows nothing of Redis, agents, or how a strategy works inside.
"""

from __future__ import annotations

import copy
import os
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from besom.controller.conditions import Names, conditions_of
from besom.controller.durations import DURATION_RULE, seconds
from besom.controller.marks import Marks
from besom.controller.parameters import Parameters, leaves, read_parameters
from besom.controller.sections import Path, Problems, Section, WholeNumber, check, nearest, shown
from besom.controller.stopping_config import EarlyTerminate, read_early_terminate
from besom.controller.sweep_file import plain_config, read_config, read_text
from besom.errors import ConfigError

if TYPE_CHECKING:
    from besom.strategies import Space

__all__ = ["Goal", "MetricConfig", "Objective", "SweepConfig", "load", "parse"]

IGNORED_KEYS = ("apiVersion", "controller", "image_uri", "job", "kind", "scheduler", "settings")
"""Keys of W&B that are accepted without effect."""

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]+$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^/\\#?%:\x00-\x1f]+$")]
_NAME_RULE = r"a text of 1 to 128 characters without / \ # ? % :"
_TEXT_RULE = "a text, in quotes if it looks like a number"


class Goal(Section):
    """A metric, and where it should go."""

    name: Text = Field(title="The name under which train logs it.", description="a text, such as name: loss")
    goal: Literal["minimize", "maximize"] = Field(
        "minimize", title="Which values are better.", description="minimize or maximize"
    )
    target: float | None = Field(
        None,
        allow_inf_nan=False,
        title="As soon as a trial (with repeats, the mean of a point) is as good as this, no new one starts; those "
        "that run go on to their end. Of several metrics, all that have a target must be reached by one trial.",
        description="a number, such as target: 0.05",
    )


class Objective(Goal):
    """One of several metrics."""

    threshold: float | None = Field(
        None,
        allow_inf_nan=False,
        title="What is worse than this is of no use, however good the other metrics are: bayes looks for trade-offs "
        "within, and pareto_front() has no others.",
        description="a number, such as threshold: 0.9",
    )

    hints: ClassVar[Mapping[str, str]] = {
        "use": "is for a single metric; of several the last values count, so that they belong together: log the best "
        "epoch's last, or set them in run.summary",
        "impute": "is for a single metric; a trial that lacks one of several has failed, and bayes learns where",
        "impute_while_running": "is for a single metric; remove it",
    }


class MetricConfig(Goal):
    """What a sweep optimises."""

    hints: ClassVar[Mapping[str, str]] = {"threshold": "is for several metrics; with one, the best is what counts"}

    use: Literal["best", "last"] = Field(
        "best", title="Which of the values that a trial logs is the trial's value.", description="best or last"
    )
    impute: Literal["worst", "best", "latest"] = Field(
        "worst",
        title="What bayes takes a failed trial for: the worst or best value so far, or the last that it logged.",
        description="worst, best or latest",
    )
    impute_while_running: Literal["false", "worst", "best", "latest"] = Field(
        "false",
        title="What bayes takes a trial for that runs and has logged; false: for what it predicts itself.",
        description="'false', worst, best or latest",
    )


class SweepConfig(Section):
    """A sweep as its user wants it, checked; `parse` and `load` make it."""

    method: Literal["grid", "random", "bayes"] = Field(
        title="How points are chosen: each once and in order, at random, or where the trials so far promise most.",
        description="grid, random or bayes",
        examples=["method: bayes"],
    )
    parameters: Parameters = Field(
        title="What is searched: a name and a form for each; see below.",
        description="at least one parameter, such as lr: {min: 0.0001, max: 0.1}",
        examples=["parameters: {lr: {min: 0.0001, max: 0.1}, layers: {values: [1, 2, 3]}}"],
    )
    constraints: tuple[Text, ...] = Field(
        (),
        strict=False,
        title="Conditions that each point must satisfy; see below.",
        description="a list of conditions, such as ['batch_size * steps <= 4096']",
        examples=["constraints: ['batch_size * steps <= 4096', 'lr < 0.01 or layers == 1']"],
    )
    metric: MetricConfig | None = Field(
        None,
        title="What is optimised; stopping rules need it, and bayes it or metrics.",
        description="{name: loss, goal: minimize}",
        examples=["metric: {name: val.loss, goal: minimize, target: 0.05}"],
    )
    metrics: tuple[Objective, ...] | None = Field(
        None,
        min_length=2,
        title="Several metrics in place of one; bayes looks for the best trade-offs, sweep.pareto_front() reads them.",
        description="a list of at least two, such as [{name: loss}, {name: acc, goal: maximize}]",
        examples=["metrics: [{name: acc, goal: maximize, threshold: 0.9}, {name: seconds}]"],
    )
    early_terminate: EarlyTerminate | None = Field(
        None,
        title="A rule that ends trials which are not worth going on with; see below.",
        description="{type: hyperband, min_iter: 3}",
        examples=["early_terminate: {type: hyperband, min_iter: 3, eta: 3}"],
    )
    run_cap: WholeNumber | None = Field(
        None,
        gt=0,
        lt=2**63,
        title="How many trials are issued, each counted once whatever becomes of it.",
        description="a whole number above 0, such as 20",
        examples=["run_cap: 200"],
    )
    time_cap: Annotated[float, BeforeValidator(seconds)] | None = Field(
        None,
        title="How long after the first trial was taken new ones start; those that run go on to their end.",
        description=DURATION_RULE,
        examples=["time_cap: 8h"],
    )
    repeats: WholeNumber = Field(
        1,
        ge=1,
        le=1000,
        title="Trials of each point, one after the other; bayes is told their mean and its standard error.",
        description="a whole number from 1, such as 3",
        examples=["repeats: 3"],
    )
    points: tuple[dict[str, Any], ...] = Field(
        (),
        strict=False,
        title="Points to try first, in order; what one leaves open is drawn. A dot leads into nested parameters.",
        description="a list of params to try first, such as [{lr: 0.01, layers: 2}]",
        examples=["points: [{lr: 0.01, layers: 2}, {optimizer.momentum: 0.9}]"],
    )
    prior_sweeps: tuple[Text, ...] = Field(
        (),
        strict=False,
        title="Earlier sweeps that are known from the start: bayes learns from them, a grid does not repeat them.",
        description="a list of sweep ids, such as [k3x9a2bq]",
        examples=["prior_sweeps: [k3x9a2bq, me/digits/h7d0w4zn]"],
    )
    prior_runs: tuple[Text, ...] = Field(
        (),
        strict=False,
        title="Earlier runs, in or outside of sweeps, that are known from the start; their config is the point.",
        description="a list of run ids, such as [k3x9a2bq-7]",
        examples=["prior_runs: [k3x9a2bq-7]"],
    )
    seed: WholeNumber | None = Field(
        None,
        ge=0,
        lt=2**63,
        title="Source of all randomness of the search; without it one is drawn, and kept with the sweep.",
        description="a whole number from 0, such as 42",
        examples=["seed: 42"],
    )
    surrogate: Literal["gp", "rf", "et"] = Field(
        "gp",
        title="What bayes fits: Gaussian processes, a random forest or extremely randomised trees.",
        description="gp, rf or et",
        examples=["surrogate: rf"],
    )
    retries: WholeNumber = Field(
        0,
        ge=0,
        le=1000,
        title="How often a trial that fails is tried again, as the next attempt of the same trial.",
        description="a whole number from 0, such as 2",
        examples=["retries: 2"],
    )
    timeout: Annotated[float, BeforeValidator(seconds)] | None = Field(
        None,
        title="How long one attempt may take; then the trial ends stopped.",
        description=DURATION_RULE,
        examples=["timeout: 30m"],
    )
    weight: float = Field(
        1.0,
        gt=0,
        le=1e6,
        allow_inf_nan=False,
        title="Share of the agents that serve a whole project: twice the weight, twice the running trials.",
        description="a number above 0, such as 2",
        examples=["weight: 2"],
    )
    program: Text | None = Field(
        None,
        title="The script to run for each trial.",
        description="the path of a script, such as train.py",
        examples=["program: train.py"],
    )
    command: tuple[Text, ...] | None = Field(
        None,
        strict=False,
        min_length=1,
        title="The arguments to execute, with macros; no shell reads them.",
        description="a list of non-empty texts, such as [python, train.py, '--n', '5']",
        examples=["command: ['${env}', '${interpreter}', '${program}', '${args}']"],
    )
    name: str | None = Field(None, title="What people call it.", description=_TEXT_RULE, examples=["name: wide nets"])
    description: str | None = Field(
        None, title="What it is for.", description=_TEXT_RULE, examples=["description: Does width help?"]
    )
    project: Name | None = Field(
        None, title="The project it is filed in.", description=_NAME_RULE, examples=["project: digits"]
    )
    entity: Name | None = Field(
        None, title="The user or team it is filed under.", description=_NAME_RULE, examples=["entity: me"]
    )
    warnings: tuple[str, ...] = ()
    """What was ignored, one sentence each."""
    written: dict[str, Any] = Field(default_factory=dict, repr=False)
    """The config as plain JSON values, run_cap and such normalised."""

    @property
    def has_target(self) -> bool:
        """Whether a value can end the sweep."""
        return any(one.target is not None for one in (self.metric, *(self.metrics or ())) if one)

    @property
    def judged_index(self) -> int | None:
        """Of several metrics, the place of the one that `early_terminate` names."""
        name = self.early_terminate.metric if self.early_terminate else None
        return next((index for index, one in enumerate(self.metrics or ()) if one.name == name), None)

    @property
    def judged(self) -> Goal | None:
        """What stopping rules judge by."""
        index = self.judged_index
        return self.metric if index is None or self.metrics is None else self.metrics[index]

    def space(self) -> Space:
        """What a strategy searches, constants included."""
        from besom.strategies import Dimension, Space
        from besom.strategies.constraints import Rule

        conditions, names = conditions_of(self.parameters), Names(self.parameters)
        dimensions = (
            Dimension(path, parameter.domain(), conditions.get(path, ())) for path, parameter in leaves(self.parameters)
        )
        return Space(tuple(dimensions), tuple(Rule(text, names.find) for text in self.constraints))

    def as_dict(self) -> dict[str, Any]:
        """The config as written, in plain JSON values, to be kept or parsed again; a copy."""
        return copy.deepcopy(self.written)


OWN_KEYS = tuple(name for name in SweepConfig.model_fields if name not in ("warnings", "written"))
"""The keys that a sweep config may have at its top."""


def load(config_or_path: Mapping[str, Any] | str | os.PathLike[str], **overrides: Any) -> SweepConfig:
    """The sweep config in a file or mapping, with `overrides` (None means not given) in place of its keys.

    Raises:
        ConfigError: names each key whose value cannot be, after the file, line and column where it stands.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    if isinstance(config_or_path, Mapping):
        return parse({**config_or_path, **given})
    if not isinstance(config_or_path, str | os.PathLike):
        raise ConfigError(
            f"a sweep config cannot be {config_or_path!r:.60}; write a mapping or the path of a YAML file"
        )
    name = os.fspath(config_or_path)
    text = read_text(name)
    config = read_config(text, name)
    return parse({**config, **given}, Marks(text, name, without=given).where)


def parse(config: Mapping[str, Any], where: Callable[[Path], str] = lambda path: "") -> SweepConfig:
    """The checked form of a sweep config; `where` tells what to write before a path, such as its line.

    Raises:
        ConfigError: lists every problem, one a line: the key, its value, and what to write instead.
    """
    from besom.controller.whole_config import check_whole

    problems = Problems(where)
    written = plain_config(config, problems)
    parts = _sort_keys(written, problems)
    parameters: Parameters = {}
    if "parameters" in parts:
        parameters = read_parameters(parts["parameters"], ("parameters",), problems)
    checked = {**parts, **({"parameters": parameters} if "parameters" in parts else {})}
    if "metric" in parts:
        checked["metric"] = _read_metric(parts["metric"], problems)
    if "metrics" in parts:
        checked["metrics"] = _read_metrics(parts["metrics"], problems)
    if "early_terminate" in parts:
        checked["early_terminate"] = read_early_terminate(parts["early_terminate"], problems)
    _check_command(parts.get("command"), problems)
    sweep = check(SweepConfig, checked, (), problems)
    check_whole(parts, parameters, sweep if not problems else None, problems)
    if sweep is None or problems:
        raise problems.error()
    for key in ("run_cap", "seed", "retries", "repeats"):
        if key in written:
            written[key] = getattr(sweep, key)
    if sweep.metric:
        kept = sweep.metric.model_dump(exclude_defaults=True)
        written["metric"] = {"name": sweep.metric.name, "goal": sweep.metric.goal, **kept}
    return sweep.model_copy(update={"warnings": tuple(problems.warnings), "written": written})


def _sort_keys(written: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """The keys we know, and a warning for each that is ignored. An optional key with null is one left out."""
    parts: dict[str, Any] = {}
    for key, value in list(written.items()):
        if value is None and key not in ("method", "parameters") and key in (*OWN_KEYS, *IGNORED_KEYS):
            del written[key]
        elif key in OWN_KEYS:
            parts[key] = value
            if (key, value) == ("method", "custom"):
                problems.add((key,), "'custom' needs a search of W&B's own; write grid, random or bayes")
        elif key == "scheduler" and isinstance(value, dict) and value.get("engine") in ("optuna", "ax"):
            problems.add(
                (key, "engine"), f"{shown(value['engine'])} cannot be; remove scheduler, and write method: bayes"
            )
        elif key in IGNORED_KEYS:
            problems.warn((key,), f"{shown(value)} is ignored, nothing here needs it; {_nearest_known(key)}")
        else:
            problems.warn((key,), f"{shown(value)} is ignored, the key is unknown; {_nearest_known(key)}")
    return parts


def _nearest_known(key: str) -> str:
    near = nearest(key, OWN_KEYS)
    return f"did you mean {near}?" if near else f"the keys are {', '.join(OWN_KEYS)}"


def _read_metric(written: Any, problems: Problems) -> MetricConfig | None:
    if not isinstance(written, dict):
        name = shown(written) if isinstance(written, str) else "loss"
        problems.add(("metric",), f"{shown(written)} is not a mapping; write {{name: {name}, goal: minimize}}")
        return None
    given = {key: value for key, value in written.items() if value is not None or key == "name"}
    if given.get("impute_while_running") is False:
        given["impute_while_running"] = "false"
    return check(MetricConfig, given, ("metric",), problems)


def _read_metrics(written: Any, problems: Problems) -> list[Objective | None] | Any:
    if not isinstance(written, list) or not all(isinstance(one, dict) for one in written):
        return written  # the check of the whole explains it
    return tuple(check(Objective, one, ("metrics", index), problems) for index, one in enumerate(written))


def _check_command(command: Any, problems: Problems) -> None:
    if isinstance(command, str):
        try:
            words = shlex.split(command)
        except ValueError:
            words = [command]
        problems.add(("command",), f"{shown(command)} is one text; write the list {shown(words, limit=200)}")
