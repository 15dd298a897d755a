"""Writes docs/sweep-config.md from the models that check a sweep config: `python docs/sweep_config_page.py`.

A test compares the page with what this gives, so it cannot go stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from besom.controller.distributions import KINDS
from besom.controller.stopping_config import RULES, NoRule
from besom.controller.sweep_config import OWN_KEYS, MetricConfig, Objective, SweepConfig

PAGE = Path(__file__).with_name("sweep-config.md")
HEAD = """# Sweep config reference

Every key of a sweep config, with what it does, what may be written, and an example. Written by
`docs/sweep_config_page.py` from the models that check a config; how to begin is in [guide.md](guide.md).

A config is a mapping in Python, or a YAML or JSON file. Files are read as YAML 1.2, so `1e-5` is a number.
`besom check FILE` tells all problems at once and shows the space, the first points and the bands of the stopping
rule; `besom schema` prints a JSON schema for editors.
"""
PARAMETERS = """## Parameters

Each parameter has a name (letters, digits, `_`, `-` and `.`) and a form. A form without `distribution` is known by
its keys: `value`, `values` (with `probabilities`, weighted), `min` and `max` (both whole: `int_uniform`, else
`uniform`), or `parameters`, which nests at any depth. A dot in a name is only a dot.

A quantised value (`q_...`) is a multiple of `q`, an int when `q` is written as one; with `min` and `max` it never
leaves them. A grid takes `constant`, `categorical`, `int_uniform`, `q_uniform` and `q_log_uniform_values`.
"""
CONDITIONS = """## Conditional parameters: `when`

A parameter, or a group of them, with `when` is part of a trial only where other parameters have the values named.
Where it is not, the trial's params lack it. A name means the nearest parameter so called, in the same group first
and then outward.

```yaml
parameters:
  optimizer: {values: [adam, sgd]}
  sgd:
    when: {optimizer: sgd}
    parameters:
      momentum: {values: [0.0, 0.9]}
      nesterov: {values: [true, false], when: {momentum: 0.9}}
  layers: {min: 1, max: 3}
  width2: {min: 8, max: 64, when: {layers: [2, 3]}}
```

Several names in one `when` must all hold; a list means any of its values. A grid tries only different combinations
of what is there; its order is by name, but a parameter with `when` comes right after the last one that it names.
"""
CONSTRAINTS = """## Constraints

Each constraint is a text that must be true of every point: comparisons (also chained), `and`, `or`, `not`, `in`,
`+ - * / // % **`, `a if b else c`, numbers, texts, lists, and
`min max abs len round sqrt log log2 log10 exp floor ceil`.
A name is a parameter, nested ones with dots, odd ones as `param("batch-size")`. It is read by a parser of its
own and never run as Python.

A constraint about a parameter that is not there holds. A point for which it cannot be computed (a division by 0) is
ruled out. When no point of the space satisfies them, or none of 20 000 drawn, the sweep is refused; so is a grid of
more than 1 000 000 points with constraints, for it is looked through point by point.
"""
STOPPING = """## Stopping rules: `early_terminate`

The n-th valid value of the metric that a trial logs is its n-th iteration, whatever step it was logged at. A rule
decides within a second of what was logged; the trial ends `stopped`, keeps its history and counts as a result.
Where it judges at certain iterations, `log` waits there for the verdict, a second at most and mostly some hundredths of
one, so that no epoch is trained in vain: the call keeps what it was given, and then may end the trial.
A row logged with `step=n` stays open for more of that step, as with W&B, and a rule sees it at the next `log`; with
`commit=True` it sees it at once, and an epoch less is trained.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield HEAD
    yield "## Keys\n"
    for key in OWN_KEYS:
        field = SweepConfig.model_fields[key]
        yield f"### `{key}`\n"
        yield f"{field.title} Write {field.description}. {_default(field)}".rstrip() + "\n"
        yield f"```yaml\n{(field.examples or [''])[0]}\n```\n"
        if key in ("metric", "metrics"):
            yield from _table(MetricConfig if key == "metric" else Objective)
    yield PARAMETERS
    yield "| distribution | the law | example |\n|---|---|---|"
    for name, kind in KINDS.items():
        instead = f" Deprecated; write {kind.deprecated}." if kind.deprecated else ""
        form = kind.example if kind.inferred else f"{{distribution: {name}, {kind.example[1:]}"
        yield f"| `{name}` | {_told(kind)}{instead} | `{form}` |"
    yield "\n" + CONDITIONS
    yield CONSTRAINTS
    yield STOPPING
    for name, rule in RULES.items():
        yield f"### `type: {name}`\n"
        yield f"{_told(rule)}\n"
        yield f"```yaml\nearly_terminate: {rule.example}\n```\n"
        yield from _table(rule)


def _table(model: type[BaseModel]) -> Iterator[str]:
    if model is NoRule:
        return
    fields = {key: field for key, field in model.model_fields.items() if key != "type"}
    yield "| key | what it is | default |\n|---|---|---|"
    for key, field in fields.items():
        told = f"{field.title} Write {field.description}." if field.title else field.description
        yield f"| `{key}` | {told} | {_value(field)} |"
    yield ""


def _told(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _default(field: Any) -> str:
    value = _value(field)
    return "Needed." if value == "needed" else "" if value == "none" else f"Default: {value}."


def _value(field: Any) -> str:
    if field.is_required():
        return "needed"
    return "none" if field.default in (None, ()) else f"`{str(field.default).lower()}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
