"""besom: hyperparameter sweeps on machines you own, with the API of Weights & Biases.

    import besom

    sweep_id = besom.sweep({"method": "random", "parameters": {"lr": {"min": 0.001, "max": 0.1}}, "run_cap": 20})

    def train():
        with besom.init() as run:
            run.log({"loss": run.config.lr ** 2})

    besom.agent(sweep_id, function=train)

Everything is imported where it is first used, so that `import besom` stays cheap.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from besom.agent.agent import agent as agent
    from besom.agent.ask import open_sweep as open_sweep
    from besom.controller.create import sweep as sweep
    from besom.errors import BesomError as BesomError
    from besom.errors import ConfigError as ConfigError
    from besom.errors import TrialCancelled as TrialCancelled
    from besom.errors import TrialInterrupted as TrialInterrupted
    from besom.errors import TrialPreempted as TrialPreempted
    from besom.errors import TrialStopped as TrialStopped
    from besom.errors import UsageError as UsageError
    from besom.tracking.artifacts.artifact import Artifact as Artifact
    from besom.tracking.media import plot as plot
    from besom.tracking.media.audio import Audio as Audio
    from besom.tracking.media.histogram import Histogram as Histogram
    from besom.tracking.media.html import Html as Html
    from besom.tracking.media.image import Image as Image
    from besom.tracking.media.object3d import Object3D as Object3D
    from besom.tracking.media.plotly import Plotly as Plotly
    from besom.tracking.media.table import Table as Table
    from besom.tracking.media.video import Video as Video
    from besom.tracking.reading.api import Api as Api
    from besom.tracking.run.active import alert as alert
    from besom.tracking.run.active import define_metric as define_metric
    from besom.tracking.run.active import finish as finish
    from besom.tracking.run.active import join as join
    from besom.tracking.run.active import log as log
    from besom.tracking.run.active import log_artifact as log_artifact
    from besom.tracking.run.active import log_model as log_model
    from besom.tracking.run.active import mark_preempting as mark_preempting
    from besom.tracking.run.active import restore as restore
    from besom.tracking.run.active import save as save
    from besom.tracking.run.active import unwatch as unwatch
    from besom.tracking.run.active import use_artifact as use_artifact
    from besom.tracking.run.active import use_model as use_model
    from besom.tracking.run.active import watch as watch
    from besom.tracking.run.alert import AlertLevel as AlertLevel
    from besom.tracking.run.config import RunConfig
    from besom.tracking.run.init import init as init
    from besom.tracking.run.run import Run as Run
    from besom.tracking.run.session import login as login
    from besom.tracking.run.session import setup as setup
    from besom.tracking.run.session import teardown as teardown
    from besom.tracking.run.settings import RunSettings as Settings
    from besom.tracking.run.summary import Summary
    from besom.tracking.run.terminal import termerror as termerror
    from besom.tracking.run.terminal import termlog as termlog
    from besom.tracking.run.terminal import termwarn as termwarn

    run: Run | None
    config: RunConfig
    summary: Summary

__version__ = "0.1.0"

__all__ = [
    "AlertLevel",
    "Api",
    "Artifact",
    "Audio",
    "BesomError",
    "ConfigError",
    "Histogram",
    "Html",
    "Image",
    "Object3D",
    "Plotly",
    "Run",
    "Settings",
    "Table",
    "TrialCancelled",
    "TrialInterrupted",
    "TrialPreempted",
    "TrialStopped",
    "UsageError",
    "Video",
    "__version__",
    "agent",
    "alert",
    "config",
    "define_metric",
    "finish",
    "init",
    "join",
    "log",
    "log_artifact",
    "log_model",
    "login",
    "mark_preempting",
    "open_sweep",
    "plot",
    "restore",
    "run",
    "save",
    "setup",
    "summary",
    "sweep",
    "teardown",
    "termerror",
    "termlog",
    "termwarn",
    "unwatch",
    "use_artifact",
    "use_model",
    "watch",
]

_HOMES = {
    "Artifact": ("besom.tracking.artifacts.artifact", "Artifact"),
    "Audio": ("besom.tracking.media.audio", "Audio"),
    "Histogram": ("besom.tracking.media.histogram", "Histogram"),
    "Html": ("besom.tracking.media.html", "Html"),
    "Image": ("besom.tracking.media.image", "Image"),
    "Object3D": ("besom.tracking.media.object3d", "Object3D"),
    "Plotly": ("besom.tracking.media.plotly", "Plotly"),
    "Table": ("besom.tracking.media.table", "Table"),
    "Video": ("besom.tracking.media.video", "Video"),
    "plot": ("besom.tracking.media.plot", ""),
    "Api": ("besom.tracking.reading.api", "Api"),
    "Run": ("besom.tracking.run.run", "Run"),
    "init": ("besom.tracking.run.init", "init"),
    "open_sweep": ("besom.agent.ask", "open_sweep"),
    "sweep": ("besom.controller.create", "sweep"),
    "AlertLevel": ("besom.tracking.run.alert", "AlertLevel"),
    "Settings": ("besom.tracking.run.settings", "RunSettings"),
    "login": ("besom.tracking.run.session", "login"),
    "setup": ("besom.tracking.run.session", "setup"),
    "teardown": ("besom.tracking.run.session", "teardown"),
    **{
        name: ("besom.tracking.run.active", name)
        for name in (
            "alert", "define_metric", "finish", "join", "log", "log_artifact",
            "log_model", "mark_preempting", "restore", "save", "unwatch", "use_artifact", "use_model", "watch",
        )
    },
    **{name: ("besom.tracking.run.terminal", name) for name in ("termerror", "termlog", "termwarn")},
    **{
        name: ("besom.errors", name)
        for name in (
            "BesomError", "ConfigError", "TrialCancelled", "TrialInterrupted", "TrialPreempted", "TrialStopped",
            "UsageError",
        )
    },
}  # fmt: skip


class _BeforeInit:
    """What `besom.config` is before init(): to look at it is harmless (`help(besom)`, `import *`), to use it is not."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def __repr__(self) -> str:
        return f"<besom.{self._name}: call besom.init() first>"

    def _refuse(self, *_: Any) -> Any:
        from besom.errors import UsageError

        raise UsageError(f"You must call besom.init() before besom.{self._name}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._refuse()

    __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = __len__ = __setattr__ = __delattr__ = _refuse


class _Besom(ModuleType):
    """The module's class: names that are rooms and public at once, or that change with the active run."""

    def __getattr__(self, name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'besom' has no attribute {name!r}")
        value: Any = importlib.import_module(home[0])
        value = getattr(value, home[1]) if home[1] else value
        self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})

    @property
    def agent(self) -> Any:
        """`besom.agent(sweep_id, function)`: run trials here."""
        return self.__dict__.get("agent") or _import("besom.agent.agent", "agent")

    @property
    def controller(self) -> Any:
        """The room of the controller, when something has imported it."""
        return sys.modules["besom.controller"] if "besom.controller" in sys.modules else _import("besom.controller")

    @property
    def run(self) -> Any:
        """The active run, or None."""
        if "run" in self.__dict__:
            return self.__dict__["run"]
        return _import("besom.tracking.run.active", "active_run")()

    @property
    def config(self) -> Any:
        """The active run's config."""
        return self._of_run("config")

    @property
    def summary(self) -> Any:
        """The active run's summary."""
        return self._of_run("summary")

    def _of_run(self, name: str) -> Any:
        if name in self.__dict__:
            return self.__dict__[name]
        run = self.run
        return _BeforeInit(name) if run is None else getattr(run, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # Python binds an imported room over the public function of the same name; a test's patch is kept.
        if name in _PROPERTIES:
            if not isinstance(value, ModuleType):
                self.__dict__[name] = value
            return
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self.__dict__.pop(name, None)


_PROPERTIES = frozenset({"agent", "controller", "run", "config", "summary"})


def _import(module: str, name: str | None = None) -> Any:
    imported = importlib.import_module(module)
    return getattr(imported, name) if name else imported


sys.modules[__name__].__class__ = _Besom
