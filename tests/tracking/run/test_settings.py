"""What a run is asked to be: arguments, settings, environment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from besom.errors import UsageError
from besom.tracking.run.settings import RunSettings, as_settings, from_environment, nearest


@pytest.mark.parametrize("name", ["disable_git", "disable_code", "disable_stats", "silent", "sync_tensorboard"])
def test_switches_are_true_or_false(name: str) -> None:
    """Anything else is refused with its name and value."""
    assert getattr(RunSettings(**{name: "yes"}), name) is True
    assert getattr(RunSettings(**{name: "0"}), name) is False
    with pytest.raises(UsageError, match=f"{name}='perhaps' cannot be; write true or false"):
        RunSettings(**{name: "perhaps"})


@pytest.mark.parametrize("written", [{"run_tags": "a, b"}, RunSettings(run_tags=["a", "b"])])
def test_forms_of_settings(written: Any) -> None:
    """A dict and the object itself; tags are a list or a text with commas."""
    assert as_settings(written).run_tags == ("a", "b")


def test_settings_of_another_library() -> None:
    """Of any object the attributes that are known are read."""
    found = as_settings(SimpleNamespace(project="p", run_name="n", mode=None, something=3))
    assert found.given() == {"project": "p", "run_name": "n"}


@pytest.mark.parametrize("written", [5, "online", int])
def test_what_is_no_settings(written: Any) -> None:
    """It is refused with the value."""
    with pytest.raises(UsageError, match="settings="):
        as_settings(written)


def test_a_name_nearly_right() -> None:
    """A slip of the pen names what was meant; W&B's other settings are kept and do nothing."""
    with pytest.raises(TypeError, match="did you mean 'run_group'"):
        RunSettings(run_gruop="g")
    assert RunSettings(start_method="thread").others == {"start_method": "thread"}


def test_who_goes_first() -> None:
    """What says something goes over what it is put over."""
    both = RunSettings(project="mine").over(RunSettings(project="theirs", entity="e"))
    assert both.given() == {"project": "mine", "entity": "e"}


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """BESOM_X goes over WANDB_X, an empty variable says nothing, and project is read from BESOM_ elsewhere."""
    for name, value in {
        "BESOM_NAME": "ours", "WANDB_NAME": "theirs", "WANDB_TAGS": "a,b", "WANDB_NOTES": "", "WANDB_SILENT": "true",
        "WANDB_PROJECT": "p", "BESOM_ENTITY": "e", "WANDB_ENTITY": "other",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert from_environment().given() == {
        "run_name": "ours", "run_tags": ("a", "b"), "silent": True, "project": "p",
    }  # fmt: skip


def test_nearest() -> None:
    """The most similar name, or none."""
    assert (nearest("projct", ["project", "entity"]), nearest("zzz", ["project"])) == ("project", "")
