"""What the environment says, and how a wrong value is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from besom.errors import ConfigError
from besom.settings import read_settings

BAD = [
    ("BESOM_NAMESPACE", "a b"),
    ("BESOM_NAMESPACE", "a:b"),
    ("BESOM_NAMESPACE", "x" * 65),
    ("BESOM_LEASE_SECONDS", "soon"),
    ("BESOM_LEASE_SECONDS", "0"),
    ("BESOM_LEASE_SECONDS", "-3"),
    ("BESOM_LEASE_SECONDS", "nan"),
    ("BESOM_LEASE_SECONDS", "inf"),
    ("BESOM_CONTROLLER_LEASE_SECONDS", "0.01"),
    ("BESOM_CONTROLLER_LEASE_SECONDS", "inf"),
    ("BESOM_KILL_DELAY_SECONDS", "-1"),
    ("BESOM_KILL_DELAY_SECONDS", "nan"),
    ("BESOM_JOURNAL_LIMIT_MB", "0"),
    ("BESOM_JOURNAL_LIMIT_MB", "1.5"),
    ("BESOM_JOURNAL_LIMIT_MB", "lots"),
    ("BESOM_IDLE_SECONDS", "0"),
    ("BESOM_FINISH_SECONDS", "never"),
    ("BESOM_ON_SIGTERM", "ignore"),
    ("BESOM_ON_SIGINT", "FINISH!"),
    ("BESOM_SILENT", "perhaps"),
    ("BESOM_AGENT_DISABLE_FLAPPING", "maybe"),
    ("BESOM_AGENT_MAX_INITIAL_FAILURES", "1.5"),
    ("WANDB_AGENT_DISABLE_FLAPPING", "maybe"),
    ("WANDB_AGENT_MAX_INITIAL_FAILURES", "-1"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The message holds the variable, the value and a reason."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        read_settings()
    assert str(caught.value).startswith(f"{name}={value!r} cannot be: ")
    assert len(str(caught.value).split("cannot be: ")[1]) > 5


def test_all_bad_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wrong variables give two lines."""
    monkeypatch.setenv("BESOM_LEASE_SECONDS", "x")
    monkeypatch.setenv("BESOM_SILENT", "maybe")
    with pytest.raises(ConfigError) as caught:
        read_settings()
    lines = str(caught.value).splitlines()
    assert [line.partition("=")[0] for line in lines] == ["BESOM_LEASE_SECONDS", "BESOM_SILENT"]


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """`BESOM_REDIS_URL=` in a compose file means the default, not an empty URL."""
    for name in ("BESOM_REDIS_URL", "BESOM_LEASE_SECONDS", "BESOM_HOME"):
        monkeypatch.setenv(name, "")
    settings = read_settings()
    assert settings.redis_url is None
    assert settings.lease_seconds == 30.0
    assert settings.home == Path.home() / ".local" / "share" / "besom"


def test_a_switch_that_wandb_has_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B's variable is read where ours is not set or empty; an override stands above both."""
    monkeypatch.setenv("WANDB_AGENT_MAX_INITIAL_FAILURES", "7")
    assert read_settings().agent_max_initial_failures == 7
    monkeypatch.setenv("BESOM_AGENT_MAX_INITIAL_FAILURES", "")
    assert read_settings().agent_max_initial_failures == 7
    monkeypatch.setenv("BESOM_AGENT_MAX_INITIAL_FAILURES", "8")
    assert read_settings().agent_max_initial_failures == 8
    assert read_settings(agent_max_initial_failures=9).agent_max_initial_failures == 9


def test_secrets_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """No text made of the settings holds a password: of Redis, of the store, or the signing secret."""
    monkeypatch.setenv("BESOM_REDIS_URL", "redis://:hunter2@h:6379/0")
    monkeypatch.setenv("BESOM_SECRET", "hunter2")
    monkeypatch.setenv("BESOM_STORE", "postgresql://u:hunter2@h/db")
    settings = read_settings()
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://:hunter2@h:6379/0"


@pytest.mark.parametrize("field", ["redis_url", "secret"])
def test_a_bad_secret_is_not_repeated(field: str) -> None:
    """An override of the wrong type is refused without being shown."""
    with pytest.raises(ConfigError) as caught:
        read_settings(**{field: ["hunter2"]})
    assert f"BESOM_{field.upper()}=(hidden)" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_overrides_win_and_none_means_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command's option stands above the environment; an option left out does not."""
    monkeypatch.setenv("BESOM_NAMESPACE", "env")
    monkeypatch.setenv("BESOM_PROJECT", "mine")
    settings = read_settings(namespace="given", project=None)
    assert (settings.namespace, settings.project) == ("given", "mine")


def test_reaping_follows_from_the_lease() -> None:
    """There are six looks for expired leases in one."""
    assert read_settings(lease_seconds=3.0).reap_seconds == 0.5


@pytest.mark.parametrize(
    ("store", "url"),
    [
        ("postgresql://h/db", "postgresql://h/db"),
        ("/data/x.db", "sqlite:////data/x.db"),
        (None, "sqlite:////home-of-test/besom.db"),
    ],
)
def test_store_url(store: str | None, url: str) -> None:
    """A URL is kept, a path becomes SQLite's, and without either the store lies in the home."""
    assert read_settings(store=store, home=Path("/home-of-test")).store_url == url


def test_settings_are_frozen() -> None:
    """Nobody changes them behind another's back."""
    settings = read_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.namespace = "x"  # type: ignore[misc]
