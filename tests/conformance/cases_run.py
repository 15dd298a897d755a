"""Section 3.1 and 3.3 of the contract: init, config, the run's own attributes.

Each case is a function of a bench; what it gives is compared, and what its runs left behind.
"""

from __future__ import annotations

import argparse
import enum
from pathlib import Path
from typing import Any

import numpy as np

from tests.conformance.bench import Bench


def init_identity(b: Bench) -> Any:
    """What init() is told of a run is kept."""
    run = b.init(
        id="abc", name="first try", group="folds", job_type="train", tags=["a", "b"], notes="why", config={"lr": 0.1}
    )
    return [run.id, run.name, run.group, run.job_type, run.tags, run.notes, run.entity, run.project, run.path]


def init_defaults(b: Bench) -> Any:
    """A run without names."""
    run = b.init(project=None)
    return [len(run.id), run.id.isalnum(), run.project, run.group, run.job_type, run.tags, run.notes]


def init_attributes(b: Bench) -> Any:
    """What a run says of itself."""
    run = b.init()
    return [run.step, run.starting_step, run.resumed, run.offline, run.disabled, run.url, run.sweep_id]


def init_tag_as_text(b: Bench) -> Any:
    """One tag without a list."""
    return b.init(tags="solo").tags


def init_tags_twice(b: Bench) -> Any:
    """The same tag twice."""
    return sorted(b.init(tags=["a", "b", "a"]).tags)


def init_tag_too_long(b: Bench) -> Any:
    """A tag of 65 characters."""
    return b.raised(b.init, tags=["x" * 65])


def init_is_the_active_run(b: Bench) -> Any:
    """The module's run, config and summary are those of the run."""
    before = b.w.run
    run = b.init(config={"a": 1})
    inside = [b.w.run is run, b.w.config.a, b.w.config is run.config, b.w.summary is run.summary]
    run.finish()
    return [before, inside, b.w.run]


def init_again_gives_the_same_run(b: Bench) -> Any:
    """A second init() in a script gives the active run."""
    return b.init() is b.init(config={"late": 1})


def init_finish_previous(b: Bench) -> Any:
    """reinit="finish_previous" ends the active run."""
    first = b.init(id="one")
    first.log({"a": 1})
    second = b.init(id="two", reinit="finish_previous")
    second.log({"b": 2})
    return [second is first, b.w.run is second, b.raised(first.log, {"c": 3})]


def init_reinit_true(b: Bench) -> Any:
    """reinit=True does as well."""
    first = b.init(id="one")
    return b.init(id="two", reinit=True) is first


def init_create_new(b: Bench) -> Any:
    """reinit="create_new" leaves the active run as it is."""
    first = b.init(id="one")
    second = b.init(id="two", reinit="create_new")
    second.log({"b": 2})
    first.log({"a": 1})
    return [second is first, b.w.run is first]


def init_return_previous(b: Bench) -> Any:
    """reinit="return_previous" gives the active run."""
    return b.init() is b.init(reinit="return_previous")


def init_bad_reinit(b: Bench) -> Any:
    """A reinit that is none."""
    return b.raised(b.init, reinit="perhaps")


def init_bad_ids(b: Bench) -> Any:
    """Characters that an id cannot have."""
    return [b.raised(b.init, id=name) for name in ("a:b", "a/b", "a#b", "a?b", "a,b", "a'b", "a;b")]


def init_unknown_parameter(b: Bench) -> Any:
    """A parameter that does not exist."""
    return b.raised(b.init, magic=True)


def init_bad_mode(b: Bench) -> Any:
    """A mode that does not exist."""
    return b.raised(b.init, mode="sometimes")


def init_resume_and_fork(b: Bench) -> Any:
    """resume and resume_from exclude each other."""
    return b.raised(b.init, resume="allow", resume_from="abc?_step=1")


def init_bad_resume(b: Bench) -> Any:
    """A resume that is none."""
    return b.raised(b.init, id="abc", resume="maybe")


def init_resume_offline(b: Bench) -> Any:
    """Offline, a run that is resumed cannot be looked up: its steps begin at 0."""
    b.init(id="abc").log({"a": 1})
    b.finish()
    run = b.init(id="abc", resume="allow")
    return [run.step, run.starting_step]


def init_config_namespace(b: Bench) -> Any:
    """config from argparse."""
    return b.init(config=argparse.Namespace(lr=0.1, name="x")).config.as_dict()


def init_config_file(b: Bench) -> Any:
    """config from a YAML file of `name: {value: …}`."""
    Path("my.yaml").write_text("lr:\n  desc: rate\n  value: 0.5\nlayers:\n  value: [1, 2]\n")
    return b.init(config="my.yaml").config.as_dict()


def init_config_file_missing(b: Bench) -> Any:
    """config from a file that is not there."""
    return b.raised(b.init, config="none.yaml")


def init_config_defaults(b: Bench) -> Any:
    """config-defaults.yaml in the working directory is read; config= wins."""
    Path("config-defaults.yaml").write_text("lr:\n  value: 0.5\nepochs:\n  value: 3\n")
    return b.init(config={"lr": 1}).config.as_dict()


def init_config_include(b: Bench) -> Any:
    """Only some keys of config."""
    return b.init(config={"a": 1, "b": 2}, config_include_keys=["a"]).config.as_dict()


def init_config_exclude(b: Bench) -> Any:
    """All but some keys of config."""
    return b.init(config={"a": 1, "b": 2}, config_exclude_keys=["a"]).config.as_dict()


def init_config_include_and_exclude(b: Bench) -> Any:
    """Both at once."""
    return b.raised(b.init, config={"a": 1}, config_include_keys=["a"], config_exclude_keys=["b"])


def init_config_of_another_kind(b: Bench) -> Any:
    """config that is no mapping."""
    return b.raised(b.init, config=[1, 2])


def init_with(b: Bench) -> Any:
    """The context manager ends the run."""
    with b.init() as run:
        run.log({"a": 1})
    return [b.w.run, b.raised(run.log, {"b": 1})]


def init_with_exception(b: Bench) -> Any:
    """An exception passes through, and the run has failed."""

    def fail() -> None:
        with b.init() as run:
            run.log({"a": 1})
            raise KeyError("x")

    return [b.raised(fail), b.w.run]


def init_exit_code(b: Bench) -> Any:
    """finish(3) is a failed run; a second finish changes nothing."""
    run = b.init()
    run.finish(exit_code=3)
    run.finish(exit_code=0)


def init_disabled(b: Bench) -> Any:
    """mode="disabled": everything works, nothing is kept."""
    run = b.w.init(mode="disabled", config={"a": 1})
    run.log({"loss": 1, "n": {"x": 2}})
    run.log({"loss": 0.5})
    run.config.update({"b": 2})
    seen = [run.step, run.summary["loss"], dict(run.config), run.disabled, run.url, run.id.startswith("dummy-")]
    run.finish()
    return [*seen, b.raised(run.log, {"loss": 1}), b.w.run]


def init_disabled_name(b: Bench) -> Any:
    """The name of a disabled run."""
    run = b.w.init(mode="disabled")
    named = run.name.startswith("dummy-")
    run.finish()
    return named


def before_init(b: Bench) -> Any:
    """What needs a run says so."""
    w = b.w
    return [
        b.raised(w.log, {"a": 1}),
        b.raised(lambda: w.config.update({"a": 1})),
        b.raised(lambda: w.summary.update({"a": 1})),
        b.raised(w.define_metric, "a"),
        b.raised(w.finish),
        w.run,
    ]


def run_attribute_unknown(b: Bench) -> Any:
    """An attribute that a run does not have cannot be set."""
    run = b.init()

    def put() -> None:
        run.foo = 1

    return b.raised(put)


def run_renamed(b: Bench) -> Any:
    """name, notes and tags of a run can be set."""
    run = b.init(name="old", notes="old", tags=["old"])
    run.name = "new"
    run.notes = "new notes"
    run.tags = ("x", "y")
    run.tags += ("z",)
    return [run.name, run.notes, run.tags]


def run_after_finish(b: Bench) -> Any:
    """What can be read, and what cannot be done, of a run that is over."""
    run = b.init(id="abc", config={"a": 1})
    run.log({"x": 1})
    run.finish()
    return [
        run.id, run.config["a"], b.outcome(lambda: run.summary["x"]),
        b.raised(run.log, {"x": 2}), b.raised(run.define_metric, "x"), b.raised(run.config.update, {"b": 1}),
        b.raised(run.summary.update, {"x": 3}),
    ]  # fmt: skip


def run_step_counts(b: Bench) -> Any:
    """run.step is the step of the row that is open."""
    run = b.init()
    seen = [run.step]
    run.log({"a": 1})
    seen.append(run.step)
    run.log({"a": 1}, step=7)
    seen.append(run.step)
    run.log({"a": 1}, commit=False)
    seen.append(run.step)
    run.log({"a": 1})
    return [*seen, run.step]


def config_access(b: Bench) -> Any:
    """By attribute, by item, as a dict."""
    config = b.init(config={"lr": 0.1, "n": {"a": 1}}).config
    return [
        config.lr, config["lr"], config.get("lr"), config.get("none"), config.get("none", 3), "lr" in config,
        "none" in config, dict(config), sorted(config.keys()), config.as_dict(), {**config},
        b.raised(lambda: config.none), b.raised(lambda: config["none"]), b.raised(lambda: config.n.a),
        b.raised(lambda: len(config)), config.n["a"],
    ]  # fmt: skip


def config_set(b: Bench) -> Any:
    """New names are free, by attribute, by item and by update."""
    config = b.init().config
    config.a = 1
    config["b"] = 2
    config.update({"c": 3})
    config.update(argparse.Namespace(d=4))
    config.setdefaults({"a": 9, "e": 5})
    return config.as_dict()


def config_change_refused(b: Bench) -> Any:
    """Another value for a name that is there is refused, whichever way."""
    config = b.init(config={"lr": 0.1}).config

    def by_attribute() -> None:
        config.lr = 2

    def by_item() -> None:
        config["lr"] = 2

    return [b.raised(by_attribute), b.raised(by_item), b.raised(config.update, {"lr": 2}), config.lr]


def config_change_allowed(b: Bench) -> Any:
    """allow_val_change of update, and of init."""
    run = b.init(config={"lr": 0.1}, allow_val_change=True)
    seen = b.raised(run.config.update, {"lr": 0.2})
    run.config.update({"lr": 0.3}, allow_val_change=True)
    return [seen, run.config.lr]


def config_same_value(b: Bench) -> Any:
    """The same value again is no change."""
    config = b.init(config={"lr": 0.1, "l": [1], "t": (1, 2)}).config
    return [b.raised(config.update, {"lr": 0.1, "l": [1]}), b.raised(config.update, {"t": (1, 2)})]


def config_dashes(b: Bench) -> Any:
    """Names lose the dashes around them."""
    return b.init(config={"--lr": 1, "-x-": 2, "a-b": 3}).config.as_dict()


def config_values(b: Bench) -> Any:
    """Values of many kinds."""
    return b.init(
        config={
            "tuple": (1, 2), "array": np.arange(3), "f32": np.float32(0.5), "i64": np.int64(3), "b": np.bool_(True),
            "none": None, "nested": {"t": (1,), "a": np.arange(2)}, "list": [np.float64(1.5)], "text": "é",
        }
    ).config.as_dict()  # fmt: skip


def config_not_finite(b: Bench) -> Any:
    """NaN and infinities."""
    b.init(config={"nan": float("nan"), "inf": float("inf")})


def config_odd_values(b: Bench) -> Any:
    """A path, an enum, a set."""

    class Colour(enum.Enum):
        RED = 1

    config = b.init(config={"path": Path("a/b"), "enum": Colour.RED, "set": {1}}).config
    return [str(config.path), str(config["set"])]


def config_function(b: Bench) -> Any:
    """A function and a class."""
    return b.raised(b.init, config={"f": _a_function, "c": argparse.Namespace})


def config_number_as_name(b: Bench) -> Any:
    """A name inside a value that is a number."""
    b.init(config={"n": {1: "one", "2": "two"}})


def config_private(b: Bench) -> Any:
    """A name with _ in front."""
    b.init(config={"_mine": 1, "a": 2})


def config_delete(b: Bench) -> Any:
    """Whether a name can be taken away."""
    config = b.init(config={"a": 1}).config

    def take() -> None:
        del config["a"]

    return b.raised(take)


def config_nested_update(b: Bench) -> Any:
    """A nested value is replaced, not merged."""
    config = b.init(config={"n": {"a": 1, "b": 2}}).config
    config.update({"n": {"a": 5}}, allow_val_change=True)
    return config.as_dict()


def _a_function() -> None: ...
