"""What scripts and libraries find in the stand-in for wandb."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

import besom
from besom.compat.modules import MODULES
from besom.errors import BesomError, ConfigError, UsageError
from besom.tracking.run.run import Run
from besom.tracking.writing import connections

pytestmark = pytest.mark.usefixtures("stand_in")


@pytest.fixture
def wandb(stand_in: None) -> Any:
    return importlib.import_module("wandb")


@pytest.fixture
def wired(fake: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(connections, "connect", lambda _: fake)
    yield fake
    besom.finish()


def test_run_config_and_summary_follow_the_active_run(wandb: Any, wired: Any) -> None:
    """They change with init() and finish(), as libraries rely on."""
    assert wandb.run is None
    run = wandb.init(project="p", config={"lr": 1})
    assert wandb.run is run is besom.run
    assert wandb.config.lr == 1
    wandb.log({"loss": 0.5})
    assert wandb.summary["loss"] == 0.5
    wandb.run._label(code="a-library")
    wandb.join()
    assert wandb.run is None


def test_names_are_besoms_own(wandb: Any) -> None:
    """What besom has is what is found, under wandb's names too."""
    from wandb.errors import CommError  # type: ignore[import-not-found]
    from wandb.sdk.wandb_run import Run as SdkRun  # type: ignore[import-not-found]

    assert wandb.log is besom.log
    assert wandb.Api is besom.Api
    assert wandb.plot_table is wandb.plot.plot_table is besom.plot.plot_table
    assert wandb.Error is BesomError
    assert issubclass(CommError, wandb.Error)
    assert wandb.sdk.lib.config_util.ConfigError is ConfigError
    assert SdkRun is wandb.wandb_run.Run is Run
    assert not issubclass(Run, wandb.sdk.lib.RunDisabled)
    assert len(wandb.util.generate_id()) == 8


def test_before_init_the_error_is_wandbs(wandb: Any) -> None:
    """`except wandb.Error` catches what a call without a run raises."""
    with pytest.raises(wandb.Error, match=r"call besom\.init\(\) before"):
        wandb.log({"loss": 1})


def test_every_name_of_wandb_can_be_imported(wandb: Any) -> None:
    """`from wandb import *` gives each public name, whether besom has it or not."""
    names: dict[str, object] = {}
    exec("from wandb import *", names)
    assert {"init", "log", "Image", "Table", "Artifact", "watch", "define_metric", "Molecule"} <= names.keys()
    assert set(wandb.__all__) <= set(dir(wandb))


def test_integrations_are_besoms_own(wandb: Any) -> None:
    """W&B's loggers for libraries without one, by W&B's names, old and new."""
    from besom.integration import keras, lightgbm, sklearn

    assert wandb.integration.keras.WandbMetricsLogger is wandb.keras.WandbMetricsLogger is keras.MetricsLogger
    assert wandb.integration.lightgbm.wandb_callback is wandb.lightgbm.wandb_callback is lightgbm.callback
    names: dict[str, object] = {}
    exec("from wandb.sklearn import *", names)
    assert names.keys() - {"__builtins__"} == set(sklearn.__all__)
    for name in sklearn.__all__:
        assert getattr(wandb.sklearn, name) is getattr(wandb.integration.sklearn, name) is getattr(sklearn, name)
    assert "wandb.integration.xgboost" in MODULES  # it imports xgboost when it is looked into


def test_methods_of_a_run_are_calls_too(wandb: Any, wired: Any) -> None:
    """What W&B has as a function and besom as a method of a run goes to the active run."""
    with pytest.raises(wandb.Error, match=r"call besom\.init\(\) before besom\.log_artifact\(\)"):
        wandb.log_artifact(wandb.Artifact("a", "dataset"))
    wandb.init(project="p")
    logged = wandb.log_artifact(wandb.Artifact("a", "dataset"), aliases=["first"])
    assert logged.qualified_name == f"{wandb.run.entity}/p/a"


def test_a_missing_name_says_so_when_it_is_used(wandb: Any) -> None:
    """A name of wandb that besom has not can be imported and compared with, and refuses a call by its name."""
    from wandb import Molecule

    assert not isinstance(1, Molecule)
    with pytest.raises(UsageError, match=r"wandb\.Molecule is not in besom"):
        Molecule("a file")


def test_a_slip_of_the_pen(wandb: Any) -> None:
    """What wandb has not either is an AttributeError or a ModuleNotFoundError."""
    with pytest.raises(AttributeError, match="no attribute 'inti'"):
        _ = wandb.inti
    with pytest.raises(ModuleNotFoundError, match=r"no wandb\.nothing"):
        importlib.import_module("wandb.nothing")
    with pytest.raises(AttributeError, match="has no 'x'"):
        _ = wandb.util.x


def test_harmless_calls(wandb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """login is True, setup and require do nothing, term* print to stderr and repeat only when they may."""
    assert wandb.login(key="k", relogin=True) is True
    assert wandb.setup() is None
    assert wandb.require("service") is None
    assert wandb.Settings(start_method="thread").start_method == "thread"
    assert wandb.Settings is besom.Settings
    for _ in range(2):
        wandb.termwarn("once", repeat=False)
    wandb.termlog("plain")
    wandb.termerror("bad")
    assert [line.rpartition(" ")[2] for line in capsys.readouterr().err.splitlines()] == ["once", "plain", "bad"]


def test_what_scripts_call_of_a_run(wandb: Any, wired: Any) -> None:
    """Calls of the examples that people start from, old names among them, do what they say or nothing."""
    from wandb import AlertLevel  # type: ignore[import-not-found]

    wandb.setup()
    run = wandb.init(project="p", settings=wandb.Settings(start_method="thread"), anonymous="allow")
    assert wandb.alert("loss", "is nan", AlertLevel.WARN, 5) is None
    assert wandb.run.alert(title="loss", text="is nan", level="WARN") is None
    assert wandb.mark_preempting() is None
    assert run.get_url() is run.get_project_url() is run.get_sweep_url() is None
    assert run.project_name() == "p"
    run.name = f"{run.name}-1"
    run.tags = (*run.tags, "best")
    assert run.status().sync_items_pending == 0
    assert wandb.unwatch() is None
    assert run.settings.start_method == "thread"
    run.finish(quiet=True)
    wandb.teardown()
    assert wandb.run is None


def test_init_leaves_out_what_means_nothing(
    wandb: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`magic` of early scripts is named in a warning when it asks for something; a slip is a TypeError."""
    given: dict[str, Any] = {}

    def small(*, project: str | None = None, name: str | None = None) -> None:
        given.update(project=project, name=name)

    monkeypatch.setattr(besom, "init", small)
    wandb.init(project="p", magic=False)
    assert caplog.text == ""
    wandb.init(project="p", magic=True)
    assert given == {"project": "p", "name": None}
    assert "wandb.init(magic=...) is ignored" in caplog.text
    with pytest.raises(TypeError, match="projct"):
        wandb.init(projct="p")


def test_agent_has_wandbs_order(wandb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """entity, project and count stand where wandb has them."""
    called: list[Any] = []
    monkeypatch.setattr(besom, "agent", lambda *given, **named: called.append((given, named)))
    wandb.agent("s", print, "e", "p", 3)
    assert called == [(("s", print), {"count": 3, "project": "p", "entity": "e"})]


def test_the_project_of_the_environment(wandb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What transformers sets before its sweeps is where the next run goes."""
    monkeypatch.setenv("BESOM_PROJECT", "before")
    monkeypatch.setenv("WANDB_PROJECT", "before")
    monkeypatch.setenv("BESOM_ENTITY", "before")
    wandb.env.set_project("p")
    wandb.env.set_entity("e")
    assert (wandb.env.get_project(), wandb.env.get_entity()) == ("p", "e")
    assert os.environ["WANDB_PROJECT"] == "p"
