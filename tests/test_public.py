"""The public face of besom, as a user's script sees it."""

from __future__ import annotations

import importlib
import pkgutil
import pydoc
import subprocess
import sys
from unittest import mock

import pytest

import besom
from tests.test_house import NEEDS_MORE

FACE = {
    "AlertLevel", "Api", "Artifact", "Audio", "BesomError", "ConfigError", "Histogram", "Html", "Image",
    "Object3D", "Plotly", "Run", "Settings", "Table", "TrialCancelled", "TrialInterrupted", "TrialPreempted",
    "TrialStopped", "UsageError", "Video", "__version__", "agent", "alert", "config", "define_metric", "finish",
    "init", "join", "log", "log_artifact", "log_model", "login", "mark_preempting", "open_sweep", "plot", "restore",
    "run", "save", "setup", "summary", "sweep", "teardown", "termerror", "termlog", "termwarn", "unwatch",
    "use_artifact", "use_model", "watch",
}  # fmt: skip

HEAVY = {"redis", "pydantic", "numpy", "sqlalchemy", "scipy", "sklearn", "skopt", "rq", "click", "rich", "starlette"}


def _every_module() -> list[str]:
    found = [info.name for info in pkgutil.walk_packages(besom.__path__, "besom.")]
    acting = {"__main__", "env"}  # when imported
    return [name for name in found if name.split(".")[-1] not in acting and name not in NEEDS_MORE]


def test_all_is_exactly_the_public_face() -> None:
    """What users may rely on is this list, and it is sorted as the list itself says."""
    assert set(besom.__all__) == FACE
    assert len(besom.__all__) == len(FACE)
    assert set(dir(besom)) >= FACE


@pytest.mark.parametrize("name", sorted(FACE))
def test_every_public_name_resolves(name: str) -> None:
    """Each name in `__all__` can be looked up, before any run exists."""
    value = getattr(besom, name)
    assert (value is None) == (name == "run")


def test_star_import_and_help_work_before_init() -> None:
    """`from besom import *` and `help(besom)` look at every name, and none of them fails."""
    names: dict[str, object] = {}
    exec("from besom import *", names)
    assert set(names) >= FACE
    assert "besom.agent" in pydoc.plain(pydoc.render_doc(besom)) or "agent" in names


def test_unknown_names_are_attribute_errors() -> None:
    """A slip of the pen is reported as Python does."""
    with pytest.raises(AttributeError, match="no attribute 'swep'"):
        _ = besom.swep  # type: ignore[attr-defined]


def test_agent_is_callable_after_importing_every_module() -> None:
    """No room takes the place of the public function that has its name."""
    modules = _every_module()
    assert "besom.agent.agent" in modules
    assert "besom.controller.loop" in modules
    for name in modules:
        importlib.import_module(name)
    assert callable(besom.agent)
    assert callable(besom.sweep)
    assert callable(besom.init)
    assert besom.run is None
    assert importlib.import_module("besom.agent").__name__ == "besom.agent"
    assert besom.controller.__name__ == "besom.controller"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["config", "summary"])
def test_before_init_config_and_summary_refuse_every_use(name: str) -> None:
    """Reading or writing them without a run says what to call first, and names them."""
    value = getattr(besom, name)
    assert "besom.init()" in repr(value)
    uses = [
        lambda: value.lr,
        lambda: value["lr"],
        lambda: value.update({"lr": 1}),
        lambda: setattr(value, "lr", 1),
        lambda: value.__setitem__("lr", 1),
        lambda: "lr" in value,
        lambda: list(value),
        lambda: len(value),
    ]
    for use in uses:
        with pytest.raises(besom.UsageError, match=rf"call besom\.init\(\) before besom\.{name}"):
            use()


def test_before_init_log_refuses_and_finish_is_silent() -> None:
    """`besom.log` needs a run; `besom.finish` does not."""
    with pytest.raises(besom.UsageError, match=r"call besom\.init\(\) before besom\.log\(\)"):
        besom.log({"loss": 1.0})
    assert besom.finish() is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize("name", ["agent", "run", "config", "summary", "sweep", "log"])
def test_a_patch_is_seen_and_undone(name: str) -> None:
    """mock.patch works on plain names and on those that are properties of the module."""
    before = getattr(besom, name)
    with mock.patch(f"besom.{name}") as patched:
        assert getattr(besom, name) is patched
    after = getattr(besom, name)
    assert type(after) is type(before)
    assert not isinstance(after, mock.NonCallableMock)


def test_a_patch_with_none_is_seen() -> None:
    """A false value replaces the property as well."""
    with mock.patch("besom.config", None):
        assert besom.config is None
    assert besom.config is not None


def test_import_besom_loads_nothing_heavy() -> None:
    """A fresh interpreter that imports besom has loaded none of the packages it stands on."""
    code = f"import sys, besom; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout
