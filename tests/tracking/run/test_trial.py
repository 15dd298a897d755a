"""Which trial code runs in: set by an agent, or found in the environment of a command trial."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from besom.errors import UsageError
from besom.messages import Claim
from besom.tracking.run.trial import (
    PREEMPTIONS,
    TRIAL_FILE,
    Trial,
    current_trial,
    goes_back,
    set_trial,
    trial_from_environment,
)
from tests.tracking.stories import spec


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(spec(), Claim(sweep="s", number=1, attempt=1, token="t", params={"lr": 1e-05, "n": None}), tmp_path)


@pytest.fixture(autouse=True)
def _none_after() -> Iterator[None]:
    yield
    set_trial(None)


def test_outside_of_trials() -> None:
    """Without agent and environment there is none."""
    assert current_trial() is None


def test_set_by_an_agent(trial: Trial) -> None:
    """The function and every thread it starts see the trial until the agent takes it back."""
    seen: list[Trial | None] = []
    set_trial(trial)
    thread = threading.Thread(target=lambda: seen.append(current_trial()))
    thread.start()
    thread.join()
    assert seen == [trial]
    assert current_trial() is trial
    set_trial(None)
    assert current_trial() is None


def test_from_the_environment(trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process finds the same sweep and claim, and always the same object, so that it counts its writers."""
    path = tmp_path / TRIAL_FILE
    path.write_text(trial.to_json())
    monkeypatch.setenv("BESOM_TRIAL", str(path))
    found = current_trial()
    assert found is not None
    assert (found.spec, found.claim, found.directory) == (trial.spec, trial.claim, tmp_path)
    assert current_trial() is found


def test_an_agents_trial_goes_before_the_environment(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent started inside a command trial runs its own trials."""
    path = tmp_path / TRIAL_FILE
    path.write_text(trial.to_json())
    monkeypatch.setenv("BESOM_TRIAL", str(path))
    inner = Trial(spec("inner"), Claim(sweep="inner", number=1, attempt=1, token="t", params={}), tmp_path)
    set_trial(inner)
    assert current_trial() is inner


@pytest.mark.parametrize("content", [None, "", "{}", '{"spec": {}, "claim": {}}', "[1]", "\udcff"])
def test_a_trial_file_that_cannot_be_read(content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names BESOM_TRIAL, its value and the way out."""
    path = tmp_path / TRIAL_FILE
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    monkeypatch.setenv("BESOM_TRIAL", str(path))
    with pytest.raises(UsageError, match=r"BESOM_TRIAL='.*trial\.json' names no trial file .* unset it"):
        trial_from_environment()


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """BESOM_TRIAL= is as if it were not set."""
    monkeypatch.setenv("BESOM_TRIAL", "")
    assert trial_from_environment() is None


def test_a_marked_attempt_goes_back(trial: Trial, tmp_path: Path) -> None:
    """Only the attempt that was marked, not the trial's next one."""
    assert not goes_back(tmp_path, trial.claim)
    trial.mark_preempting()
    assert goes_back(tmp_path, trial.claim)
    assert not goes_back(tmp_path, trial.claim.model_copy(update={"attempt": 2, "token": "u"}))


def test_an_attempt_goes_back_so_often_only(trial: Trial, tmp_path: Path) -> None:
    """A function that marks itself and always fails comes to an end."""
    trial.mark_preempting()
    assert goes_back(tmp_path, trial.claim.model_copy(update={"attempt": PREEMPTIONS - 1}))
    assert not goes_back(tmp_path, trial.claim.model_copy(update={"attempt": PREEMPTIONS}))


def test_a_mark_that_cannot_be_written_is_a_warning(
    trial: Trial, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Training goes on."""
    trial.directory = tmp_path / "file"
    trial.directory.touch()
    trial.mark_preempting()
    assert "cannot be marked as preempting" in caplog.text
    assert not goes_back(trial.directory, trial.claim)
