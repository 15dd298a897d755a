"""What the modules of the stand-in hold: besom's own names where it has them, else those of `calls.py`.

A name of wandb that besom does not have is there all the same, and says so when it is called. Everything is looked up
when it is used: `import wandb` costs nothing, and `wandb.run`, `config` and `summary` are those of the active run.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

import besom
from besom.compat.finder import VERSION

__all__ = ["MODULES", "StandIn"]

Home = tuple[str, str]

_CALLS: Final = "besom.compat.calls"
_ERRORS: Final = "besom.errors"
_RUN: Final = ("besom.tracking.run.run", "Run")
_NEW_ID: Final = ("besom.tracking.run.new_run", "new_id")

_OTHERWISE: Final = ("agent", "finish", "init", "join", "sweep")
"""Calls whose arguments wandb orders or names in another way."""
_ADDED: Final = ("require",)
"""What is taken from `calls.py` unless besom has it."""

_KERAS: Final = {
    "WandbEvalCallback": ("besom.integration.keras", "EvalCallback"),
    "WandbMetricsLogger": ("besom.integration.keras", "MetricsLogger"),
    "WandbModelCheckpoint": ("besom.integration.keras", "ModelCheckpoint"),
}
_LIGHTGBM: Final = {
    "log_summary": ("besom.integration.lightgbm", "log_summary"),
    "wandb_callback": ("besom.integration.lightgbm", "callback"),
}
_XGBOOST: Final = {"WandbCallback": ("besom.integration.xgboost", "Callback")}
_TENSORBOARD: Final = {name: ("besom.integration.tensorboard", name) for name in ("patch", "unpatch")}
_SKLEARN: Final = {
    f"plot_{chart}": ("besom.integration.sklearn", f"plot_{chart}")
    for chart in (
        "calibration_curve", "class_proportions", "classifier", "clusterer", "confusion_matrix", "elbow_curve",
        "feature_importances", "learning_curve", "outlier_candidates", "precision_recall", "regressor", "residuals",
        "roc", "silhouette", "summary_metrics",
    )
}  # fmt: skip

MODULES: Final[Mapping[str, Mapping[str, Home]]] = {
    "wandb": {
        "Error": (_ERRORS, "BesomError"),
        "plot_table": ("besom.tracking.media.plot", "plot_table"),
        **{name: (_CALLS, name) for name in _OTHERWISE},
    },
    "wandb.data_types": {},
    "wandb.env": {name: (_CALLS, name) for name in ("get_entity", "get_project", "set_entity", "set_project")},
    "wandb.errors": {
        "CommError": (_ERRORS, "Unreachable"),
        "Error": (_ERRORS, "BesomError"),
        "UsageError": (_ERRORS, "UsageError"),
    },
    "wandb.integration": {},
    "wandb.integration.keras": _KERAS,
    "wandb.integration.lightgbm": _LIGHTGBM,
    "wandb.integration.sklearn": _SKLEARN,
    "wandb.integration.tensorboard": _TENSORBOARD,
    "wandb.integration.xgboost": _XGBOOST,
    "wandb.keras": _KERAS,
    "wandb.lightgbm": _LIGHTGBM,
    "wandb.sdk": {},
    "wandb.sdk.lib": {"RunDisabled": (_CALLS, "RunDisabled")},
    "wandb.sdk.lib.config_util": {"ConfigError": (_ERRORS, "ConfigError")},
    "wandb.sdk.lib.runid": {"generate_id": _NEW_ID},
    "wandb.sdk.wandb_run": {"Run": _RUN},
    "wandb.sklearn": _SKLEARN,
    "wandb.tensorboard": _TENSORBOARD,
    "wandb.util": {"generate_id": _NEW_ID, "json_dumps_safer": (_CALLS, "json_dumps_safer")},
    "wandb.wandb_run": {"Run": _RUN},
    "wandb.xgboost": _XGBOOST,
}
"""Each module and what it has of its own: name to module and attribute."""

_WANDB_NAMES: Final = frozenset({
        "Api", "Artifact", "Audio", "Error", "Graph", "Histogram", "Html", "Image", "Molecule", "Object3D", "Plotly",
        "Run", "Settings", "Table", "Video", "agent", "alert", "config", "controller", "define_metric", "finish",
        "init", "link_model", "log", "log_artifact", "log_model", "login", "mark_preempting", "plot", "plot_table",
        "restore", "run", "save", "setup", "summary", "sweep", "teardown", "termerror", "termlog", "termwarn",
        "unwatch", "use_artifact", "use_model", "watch",
})  # fmt: skip
"""What scripts may import from wandb (`wandb.__all__`)."""


class StandIn(ModuleType):
    """One module of wandb's; a submodule is imported when it is first looked at."""

    __version__ = VERSION

    def __getattr__(self, name: str) -> Any:
        whole = f"{self.__name__}.{name}"
        if whole in MODULES:
            return importlib.import_module(whole)
        home = MODULES[self.__name__].get(name)
        if home is not None:
            return getattr(importlib.import_module(home[0]), home[1])
        if self.__name__ in ("wandb", "wandb.data_types") and not name.startswith("_"):
            return _public(name)
        if name == "__all__":
            names = _known() if self.__name__ == "wandb" else MODULES[self.__name__]
            return sorted(name for name in names if not name.startswith("_"))
        raise AttributeError(f"besom stands in for {self.__name__} and has no {name!r} in it")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *MODULES[self.__name__], *(_known() if self.__name__ == "wandb" else ())})


def _known() -> set[str]:
    return {*besom.__all__, *_ADDED, *_WANDB_NAMES}


def _public(name: str) -> Any:
    if name in besom.__all__:
        return getattr(besom, name)
    if name in _ADDED:
        return getattr(importlib.import_module(_CALLS), name)
    if name in _WANDB_NAMES:
        return _Missing(name, (), {})
    raise AttributeError(f"module 'wandb', which besom stands in for, has no attribute {name!r}")


class _Missing(type):
    """A name of wandb that besom has not: a class, so that `isinstance` and imports work; a call says what is wrong."""

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        from besom.errors import UsageError

        raise UsageError(f"wandb.{cls.__name__} is not in besom; leave this call out, or write it with what besom has")

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Missing(f"{cls.__name__}.{name}", (), {})
