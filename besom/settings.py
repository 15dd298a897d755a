"""What the environment says: every BESOM_* variable, checked.

Knows nothing of Redis or of commands; a command's options are passed in as overrides.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from besom.errors import ConfigError

__all__ = ["Settings", "read_settings"]

OnSignal = Literal["finish", "release"]

_NAME = r"^[^/\\#?%:\x00-\x1f]{1,128}$"  # as in a sweep config
_NAME_RULE = r"a text of 1 to 128 characters without / \ # ? % :"


def _or_of_wandb(name: str) -> AliasChoices:
    """Our variable, and where it is not set W&B's."""
    return AliasChoices(f"BESOM_{name}", f"WANDB_{name}")


class Settings(BaseSettings):
    """One field for each BESOM_* variable; times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="BESOM_", frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True
    )

    redis_url: SecretStr | None = None
    """Redis to use; unset means the service with its embedded Redis."""
    namespace: str = Field(
        "besom", pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="1 to 64 letters, digits, dots, _ and -"
    )
    """Prefix of every key, so that teams may share a Redis."""
    home: Path = Field(default_factory=lambda: Path.home() / ".local" / "share" / "besom")
    """Folder of the service, the default store and the spools; on a local disk."""
    store: str | None = Field(None, repr=False)  # its URL may hold a password
    """Database URL or SQLite path of the controller; unset means `besom.db` in `home`."""
    blobs: str | None = Field(None, repr=False)
    """Folder, or fsspec URL, of media and artifacts; unset means `blobs` in `home`."""
    project: str | None = Field(None, pattern=_NAME, description=_NAME_RULE)
    entity: str | None = Field(None, pattern=_NAME, description=_NAME_RULE)
    dir: Path = Path()
    """Where trial directories are made, under `besom-runs/`."""
    lease_seconds: float = Field(30.0, gt=0.05, allow_inf_nan=False)
    """How long a claimed trial stays its agent's without a beat."""
    controller_lease_seconds: float = Field(5.0, gt=0.05, allow_inf_nan=False)
    kill_delay_seconds: float = Field(2.0, ge=0, allow_inf_nan=False)
    """Between SIGTERM and SIGKILL of a command trial."""
    journal_limit_mb: int = Field(256, gt=0)
    """Unread journal above which log batches are refused and writers spool."""
    memory_mb: int = Field(64, gt=0)
    """What a run that logs faster than Redis takes it may keep in memory; the rest waits in a spool."""
    idle_seconds: float = Field(600.0, gt=0)
    """The service ends after so long without agent, unfinished run or client."""
    finish_seconds: float = Field(60.0, gt=0)
    """How long `finish()` tries to reach Redis before it leaves a spool file behind."""
    on_sigterm: OnSignal = "release"
    on_sigint: OnSignal = "finish"
    agent_disable_flapping: bool = Field(
        False, validation_alias=_or_of_wandb("AGENT_DISABLE_FLAPPING"), description="true or false"
    )
    """An agent goes on though 3 trials fail within its first minute."""
    agent_max_initial_failures: int = Field(
        5,
        ge=0,
        validation_alias=_or_of_wandb("AGENT_MAX_INITIAL_FAILURES"),
        description="a whole number, 0 for no limit",
    )
    """So many failures and no success end an agent."""
    secret: SecretStr | None = None
    """Signs sweeps, so that agents which know it run their commands."""
    silent: bool = False
    """`besom.sweep()` prints nothing."""

    @property
    def reap_seconds(self) -> float:
        """Time between two looks for expired leases."""
        return self.lease_seconds / 6

    @property
    def store_url(self) -> str:
        """SQLAlchemy URL of the store."""
        store = self.store or str(self.home / "besom.db")
        return store if "://" in store else f"sqlite:///{Path(store).absolute()}"


def read_settings(**overrides: Any) -> Settings:
    """The environment's settings, with `overrides` (None means not given) on top.

    Raises:
        ConfigError: names each BESOM_* variable whose value cannot be.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    read = ("BESOM_", "HOME", "WANDB_AGENT_")
    told = frozenset((name, os.environ[name]) for name in os.environ if name.upper().startswith(read))
    overridden = tuple(sorted(given.items()))
    if all(isinstance(value, Hashable) for value in given.values()):
        return _settings(told, overridden)
    return _settings.__wrapped__(told, overridden)  # refused, and it says why


@lru_cache(maxsize=8)
def _settings(told: frozenset[tuple[str, str]], overrides: tuple[tuple[str, Any], ...]) -> Settings:
    """Read anew only when what is `told` has changed: it takes a millisecond, and every trial asks."""
    given = dict(overrides)
    try:
        return Settings(**given)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(problem, given) for problem in error.errors())) from None


def _explain(problem: Any, given: dict[str, Any]) -> str:
    field = str(problem["loc"][0]).lower().removeprefix("besom_")  # of one that W&B has too our variable's name
    name = field if field in ("project", "entity") and field in given else _variable(field)
    shown = "(hidden)" if name in ("BESOM_REDIS_URL", "BESOM_SECRET") else repr(problem["input"])
    rule = Settings.model_fields[field].description
    reason = f"write {rule}" if rule else problem["msg"][:1].lower() + problem["msg"][1:]
    return f"{name}={shown} cannot be: {reason}"


def _variable(field: str) -> str:
    """The variable of a field: the one that is set, where W&B has one too."""
    alias = Settings.model_fields[field].validation_alias
    names = [str(name) for name in alias.choices] if isinstance(alias, AliasChoices) else [f"BESOM_{field.upper()}"]
    return next((name for name in names if os.environ.get(name)), names[0])
